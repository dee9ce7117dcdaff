package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eipgw/eipgw/perf/flame"
)

// profiles are what is taken of a gateway, in this order: the file, and where the gateway
// has it. %d is seconds.
var profiles = []struct{ file, path string }{
	{"cpu.pb.gz", "/debug/pprof/profile?seconds=%d"},
	{"trace.out", "/debug/pprof/trace?seconds=1"},
	{"heap.pb.gz", "/debug/pprof/heap"},
	{"block.pb.gz", "/debug/pprof/block"},
	{"mutex.pb.gz", "/debug/pprof/mutex"},
	{"goroutine.pb.gz", "/debug/pprof/goroutine"},
}

// profileOf loads one contender, which has to be eipgw, and writes profiles of it, and a
// flame graph of its CPU time, to a directory.
func profileOf(ctx context.Context, s settings, c contender) (err error) {
	st, err := open(ctx, s, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	p, ok := st.process.(*eipgwProcess)
	if !ok {
		return fmt.Errorf("%s has no profiles: -profile is for eipgw", c.name())
	}
	if err := os.MkdirAll(s.Profile, 0o755); err != nil {
		return err
	}
	if err := st.thaw(); err != nil {
		return err
	}
	loaded, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- st.send(loaded, load{rate: st.traffic.rate}.generated(st.traffic), nil)
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-done)
	}()
	if err := sleep(ctx, s.Warm); err != nil {
		return err
	}
	for _, f := range profiles {
		path := f.path
		if f.file == "cpu.pb.gz" {
			path = fmt.Sprintf(path, max(1, int(s.Time/time.Second)))
		}
		b, err := p.get(ctx, path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.Profile, f.file), b, 0o644); err != nil {
			return err
		}
	}
	return flameGraph(s.Profile, "CPU time of eipgw under load")
}

// flameGraph draws cpu.svg from cpu.pb.gz.
func flameGraph(dir, title string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cpu.pb.gz"))
	if err != nil {
		return err
	}
	p, err := profile.ParseData(b)
	if err != nil {
		return err
	}
	var svg bytes.Buffer
	last := len(p.SampleType) - 1 // CPU time; samples are before it
	if err := flame.Write(&svg, title, p.SampleType[last].Unit, flame.Stacks(p, last)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cpu.svg"), svg.Bytes(), 0o644)
}
