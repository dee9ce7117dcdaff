package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// Result is what came of a case.
type Result struct {
	// Out is what left each port, in order; a port that nothing left is absent, as is
	// one whose frames went to a file.
	Out map[string][][]byte

	Counters Counters
}

// Run sends the case's input files through one worker until all have ended. The case
// has been completed, by Load, Parse or Complete.
func Run(c Case) (_ Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replay: %w", err)
		}
	}()
	table, err := fib.NewTable(fib.TableOptions{})
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	if err := c.program(table); err != nil {
		return Result{}, err
	}
	reader, err := table.NewReader()
	if err != nil {
		return Result{}, err
	}
	defer reader.Close()
	return c.forward(reader)
}

// forward opens the ports, runs a worker over them, and collects what left.
func (c *Case) forward(reader *fib.Reader) (Result, error) {
	var ports []dataplane.Port
	var ends []*memport.Port
	for _, p := range c.Ports {
		end, err := open(p)
		if err != nil {
			return Result{}, err
		}
		ends, ports = append(ends, end), append(ports, end)
	}
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{Name: "replay", Ports: ports, Reader: reader, CPU: -1})
	if err != nil {
		return Result{}, err
	}
	if err := w.Run(context.Background()); err != nil {
		return Result{}, err
	}
	stats := w.Snapshot()
	r := Result{Out: map[string][][]byte{}, Counters: countersOf(&stats)}
	for i, p := range c.Ports {
		out := ends[i].Collect()
		if err := ends[i].Close(); err != nil {
			return Result{}, err
		}
		switch {
		case p.Out != "":
			if err := writeFrames(p.Out, out); err != nil {
				return Result{}, err
			}
		case len(out) > 0:
			r.Out[p.Name] = out
		}
	}
	return r, nil
}

// open makes the port with its whole input waiting.
func open(p Port) (*memport.Port, error) {
	end := memport.New(memport.Config{ID: p.ID, Name: p.Name, MAC: [6]byte(p.MAC), MTU: p.MTU})
	if p.In != "" {
		frames, err := readFrames(p.In)
		if err != nil {
			return nil, err
		}
		most := end.Info().MaxFrame()
		for i, f := range frames {
			if len(f) > most {
				return nil, fmt.Errorf("%s: frame %d has %d bytes, port %s takes %d: expected a larger mtu", p.In, i+1, len(f), p.Name, most)
			}
		}
		end.Inject(frames...)
	}
	end.End()
	return end, nil
}
