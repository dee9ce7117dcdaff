package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	xdplink "github.com/cilium/ebpf/link"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

// xdpProgram is an XDP program that does the whole job inside the kernel, without packet buffers,
// sockets or copies: what a gateway may reach at most, see bpf/encap.bpf.c.
//
// A thread of the kernel receives from p0 on the worker's CPU and runs the program there;
// without, the generator's CPU would do all the work. What the program sends arrives
// at the far end in the softirq of that same CPU. The far end takes frames from XDP because
// of a program that passes them.
type xdpProgram struct {
	settings
	label string
	lpm   bool // a BPF LPM trie, or else a BPF hash table
}

func (x *xdpProgram) name() string     { return x.label }
func (x *xdpProgram) tunnels() bool    { return true }
func (x *xdpProgram) reference() bool  { return true }
func (x *xdpProgram) hugePages() int   { return 0 }
func (x *xdpProgram) traffic() traffic { return x.settings.traffic() }

func (x *xdpProgram) what() string {
	table := "a BPF hash table"
	if x.lpm {
		table = "a BPF LPM trie"
	}
	return fmt.Sprintf("an XDP program in the kernel on CPU %d: looks up in %s, encapsulates in Geneve, sends to one of %d VTEPs; checks no checksum, answers nobody, counts nothing",
		workerCPU, table, tunnelsInUse)
}

func (x *xdpProgram) missing() error { return nil }

// xdpProcess is the thread of the kernel that receives from p0. It cannot be stopped:
// without frames it sleeps.
type xdpProcess struct {
	thread  int
	closers []io.Closer // the last made last
}

func (x *xdpProgram) start(_ context.Context, t *topology) (_ process, err error) {
	p := &xdpProcess{}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	program, err := x.load(t, p)
	if err != nil {
		return nil, fmt.Errorf("loading the program: %w", err)
	}
	if err := p.attach(t.gateway, portNames[0], program); err != nil {
		return nil, err
	}
	if p.thread, err = threadNAPI(t.gateway, portNames[0], workerCPU); err != nil {
		return nil, err
	}
	return p, t.wire.Do(func() error {
		pass, err := loadgen.Pass(wireNames[t.out()])
		if err == nil {
			p.closers = append(p.closers, pass)
		}
		return err
	})
}

// load loads the program and fills its maps.
func (x *xdpProgram) load(t *topology, p *xdpProcess) (*ebpf.Program, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, err
	}
	program, table := bpfProgEncapHash, bpfMapAddresses
	if x.lpm {
		program, table = bpfProgEncapLpm, bpfMapPrefixes
	}
	spec.Maps[bpfMapTunnels].MaxEntries = tunnelsInUse
	spec.Maps[table].MaxEntries = uint32(x.EIPs)
	if t.out() != 0 {
		out, err := t.gateway.Link(portNames[t.out()])
		if err != nil {
			return nil, err
		}
		if err := spec.Variables[bpfVarOutIfindex].Set(uint32(out.Attrs().Index)); err != nil {
			return nil, err
		}
	}
	spec.Programs = map[string]*ebpf.ProgramSpec{program: spec.Programs[program]}
	objects, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, closing(objects.Close))
	if err := fillTunnels(objects.Maps[bpfMapTunnels], t); err != nil {
		return nil, err
	}
	return objects.Programs[program], x.fillTable(objects.Maps[table])
}

// closing makes an io.Closer of a function.
type closing func()

func (c closing) Close() error { c(); return nil }

// fillTunnels writes the headers of all tunnels.
func fillTunnels(m *ebpf.Map, t *topology) error {
	for i := range tunnelsInUse {
		h, err := headerTo(i, t.out())
		if err != nil {
			return err
		}
		if err := m.Put(uint32(i), asTunnel(&h)); err != nil {
			return fmt.Errorf("tunnel %d: %w", i, err)
		}
	}
	return nil
}

// headerTo is the header of the i-th tunnel, out of an arm.
func headerTo(i, out int) (encap.Header, error) {
	return encap.Compile(
		encap.Tunnel{VTEP: vtep(i), VNI: encap.VNI(vni(i))},
		encap.Outer{Src: portMACs[out], Dst: wireMACs[out], Local: link(out, 1).Addr()})
}

// asTunnel is a header as the program copies it: zero where frames differ.
func asTunnel(h *encap.Header) (t bpfTunnel) {
	const ip, udp, inner = 14, 34, 42
	b := make([]byte, h.Len())
	h.Apply(b, encap.Inner{})
	clear(b[ip+1 : ip+4])   // TOS and length
	clear(b[ip+10 : ip+12]) // checksum
	clear(b[udp : udp+2])   // source port
	clear(b[udp+4 : inner]) // length and checksum
	t.Sum = encap.Sum(b[ip:udp], 0)
	for i := range t.Header {
		t.Header[i] = binary.NativeEndian.Uint64(b[8*i:])
	}
	return t
}

// fillTable gives every EIP the number of its tunnel, many with each system call.
func (x *xdpProgram) fillTable(m *ebpf.Map) error {
	const batch = 4096
	for from := 0; from < x.EIPs; from += batch {
		n := min(batch, x.EIPs-from)
		prefixes, addresses, numbers := make([]bpfPrefix, n), make([][4]byte, n), make([]uint32, n)
		for i := range n {
			addresses[i] = lastEIP(from + i + 1).As4()
			prefixes[i] = bpfPrefix{Bits: 32, Addr: binary.NativeEndian.Uint32(addresses[i][:])}
			numbers[i] = uint32((from + i) % tunnelsInUse)
		}
		var err error
		if x.lpm {
			_, err = m.BatchUpdate(prefixes, numbers, nil)
		} else {
			_, err = m.BatchUpdate(addresses, numbers, nil)
		}
		if err != nil {
			return fmt.Errorf("%d EIPs from the %d. on: %w", n, from+1, err)
		}
	}
	return nil
}

// attach puts the program on a link.
func (p *xdpProcess) attach(ns *lab.NS, name string, program *ebpf.Program) error {
	l, err := ns.Link(name)
	if err != nil {
		return err
	}
	return ns.Do(func() error {
		at, err := xdplink.AttachXDP(xdplink.XDPOptions{Program: program, Interface: l.Attrs().Index, Flags: xdplink.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("attaching the program to %s: %w", name, err)
		}
		p.closers = append(p.closers, at)
		return nil
	})
}

func (p *xdpProcess) pid() int { return p.thread }

func (p *xdpProcess) notes() []string { return nil }

func (p *xdpProcess) stop() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i].Close())
	}
	return errors.Join(errs...)
}
