package static

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Config is what a File is made of. Path and Update are required.
type Config struct {
	Path   string
	Source rib.SourceID     // "" is rib.SourceStatic
	Update func(rib.Update) // rib.RIB.Update
	Poll   time.Duration    // how often the file is looked at; 0 is one second
	Log    *slog.Logger     // nil is silent
}

// File is the source of bindings that one file holds.
type File struct {
	cfg Config

	mu      sync.Mutex // held while the file is read and told
	watch   watch
	sum     [sha256.Size]byte // of the text that was read last, good or bad
	read    bool              // sum is set
	inForce map[netip.Prefix][]encap.Tunnel
	synced  bool
	status  Status
}

// Status says what the file is and whether it is in force.
type Status struct {
	Path     string
	Bindings int       // in force
	Loaded   time.Time // when they were read; zero when the file never was good
	Err      string    // why the file as it is now is not in force; empty when it is
	Failed   time.Time // since when; zero when Err is empty
}

// New makes a source; nothing is read before Run or Reload.
func New(cfg Config) (*File, error) {
	switch {
	case cfg.Path == "":
		return nil, errors.New("static: Config.Path is empty, expected the name of the bindings file")
	case cfg.Update == nil:
		return nil, errors.New("static: Config.Update is nil, expected the RIB's")
	case cfg.Poll < 0:
		return nil, fmt.Errorf("static: Config.Poll is %s, expected zero or more", cfg.Poll)
	}
	if cfg.Source == "" {
		cfg.Source = rib.SourceStatic
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &File{cfg: cfg, inForce: map[netip.Prefix][]encap.Tunnel{}, status: Status{Path: cfg.Path}}, nil
}

// Run reads the file, and again whenever it changes, until ctx is done; it returns
// nil then. Its bindings stay in force: they are the RIB's now. As long as the file
// has never been good the source is not synced.
func (f *File) Run(ctx context.Context) error {
	tick := time.NewTicker(f.cfg.Poll)
	defer tick.Stop()
	for {
		f.mu.Lock()
		if changed, err := f.watch.look(f.cfg.Path); err != nil {
			_ = f.fail(err) // noted in the status and logged
		} else if changed {
			_ = f.load(false) // noted in the status and logged
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Reload reads the file now. A bad file leaves the bindings in force that were
// read before; the error names line and key and what was expected.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load(true)
}

// Status is a snapshot.
func (f *File) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// load reads the file and tells the RIB what is different. A text that was read
// already is not judged again, unless again says so.
func (f *File) load(again bool) error {
	text, err := f.watch.read(f.cfg.Path)
	if err != nil {
		return f.fail(err)
	}
	sum := sha256.Sum256(text)
	if f.read && sum == f.sum && !again && !f.watch.failed {
		return nil
	}
	f.sum, f.read, f.watch.failed = sum, true, false
	bindings, err := Parse(f.cfg.Path, text)
	if err != nil {
		return f.fail(err)
	}
	u := f.difference(bindings)
	if !f.synced { // a whole dump: what another file of this source said before goes
		f.synced, u.Synced, u.RemoveAll = true, true, true
	}
	if len(u.Set)+len(u.Remove) > 0 || u.Synced {
		f.cfg.Update(u)
	}
	f.cfg.Log.Info("bindings file in force", "file", f.cfg.Path, "bindings", len(bindings), "set", len(u.Set), "removed", len(u.Remove))
	f.status = Status{Path: f.cfg.Path, Bindings: len(bindings), Loaded: time.Now()}
	return nil
}

// fail notes why the file as it is now is not in force.
func (f *File) fail(err error) error {
	err = fmt.Errorf("static: %w; %d bindings read before stay in force", err, f.status.Bindings)
	if f.status.Err != err.Error() {
		f.cfg.Log.Error("bindings file is bad", "file", f.cfg.Path, "in_force", f.status.Bindings, "err", err)
		f.status.Err, f.status.Failed = err.Error(), time.Now()
	}
	return err
}

// difference makes bindings the ones in force and returns what that changes. The
// tunnels of a prefix have the path IDs 1, 2 and so on.
func (f *File) difference(bindings []fib.Binding) rib.Update {
	u := rib.Update{Source: f.cfg.Source}
	now := time.Now()
	next := make(map[netip.Prefix][]encap.Tunnel, len(bindings))
	for _, b := range bindings {
		next[b.Prefix] = b.Tunnels
		old := f.inForce[b.Prefix]
		if slices.Equal(old, b.Tunnels) {
			continue
		}
		for i, t := range b.Tunnels {
			u.Set = append(u.Set, rib.Path{
				Prefix: b.Prefix, PathID: uint32(i + 1), Tunnel: t, Source: f.cfg.Source, Carrier: rib.CarrierStatic, Learned: now,
			})
		}
		u.Remove = appendRemoved(u.Remove, b.Prefix, len(b.Tunnels), len(old))
	}
	for p, old := range f.inForce {
		if next[p] == nil {
			u.Remove = appendRemoved(u.Remove, p, 0, len(old))
		}
	}
	f.inForce = next
	return u
}

// appendRemoved names the paths of a prefix beyond those that stay.
func appendRemoved(keys []rib.PathKey, p netip.Prefix, stay, had int) []rib.PathKey {
	for id := stay + 1; id <= had; id++ {
		keys = append(keys, rib.PathKey{Prefix: p, PathID: uint32(id)})
	}
	return keys
}

// Load reads a bindings file without putting it into force.
func Load(path string) ([]fib.Binding, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	b, err := Parse(path, text)
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	return b, nil
}
