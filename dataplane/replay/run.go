package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/pcapport"
	"github.com/eipgw/eipgw/encap"
)

// Identification is that of the first tunnel packet that is fragmented, so that a replay
// gives the same bytes every time; the next ones count on.
const Identification = 0x1d01

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

// end is a port of the replay. One without an output file keeps what it sends.
type end struct {
	*pcapport.Port
	keep bool
	kept [][]byte
}

// Tx implements dataplane.Port.
func (e *end) Tx(frames []*dataplane.Frame) int {
	n := e.Port.Tx(frames)
	if e.keep {
		for _, f := range frames[:n] {
			e.kept = append(e.kept, bytes.Clone(f.Bytes()))
		}
	}
	return n
}

// forward opens the ports, runs a worker over them, and collects what left.
func (c *Case) forward(reader *fib.Reader) (_ Result, err error) {
	ends, err := c.open()
	defer func() {
		for _, e := range ends {
			err = errors.Join(err, e.Close())
		}
	}()
	if err != nil {
		return Result{}, err
	}
	var ports []dataplane.Port
	for _, e := range ends {
		ports = append(ports, e)
	}
	rules, err := c.CompileRules()
	if err != nil {
		return Result{}, err
	}
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{
		Name: "replay", Ports: ports, Reader: reader, CPU: -1, Rules: rules, Identification: Identification,
	})
	if err != nil {
		return Result{}, err
	}
	if err := w.Run(context.Background()); err != nil {
		return Result{}, err
	}
	stats := w.Snapshot()
	r := Result{Out: map[string][][]byte{}, Counters: countersOf(&stats)}
	for i, e := range ends {
		if len(e.kept) > 0 {
			r.Out[c.Ports[i].Name] = e.kept
		}
		err = errors.Join(err, e.Err())
	}
	return r, err
}

// open opens every port, and returns those that it has opened also when it fails.
// Frames keep their time of capture from port to port.
func (c *Case) open() (ends []*end, err error) {
	group := new(pcapport.Group)
	for _, p := range c.Ports {
		port, err := pcapport.Open(pcapport.Config{
			ID: p.ID, Name: p.Name, MAC: encap.MAC(p.MAC), MTU: p.MTU, In: p.In, Out: p.Out, Group: group,
		})
		if err != nil {
			return ends, err
		}
		ends = append(ends, &end{Port: port, keep: p.Out == ""})
	}
	return ends, nil
}
