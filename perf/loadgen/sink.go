package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// SinkConfig says where a sink sits and what it takes for the generator's frames.
type SinkConfig struct {
	Interface string
	Port      uint16 // UDP destination port of the generator's frames
}

// Counts is what a sink has seen since Attach.
type Counts struct {
	Tunneled Count // UDP to port 6081, Geneve's, or 4789, VXLAN's: counted and dropped
	Plain    Count // UDP to the generator's port: counted and dropped
	Other    Count // counted, and left to the kernel
}

// Count is frames and their bytes, from the Ethernet header on and without FCS.
type Count struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

func (c Count) add(n bpfCount) Count { return Count{c.Frames + n.Frames, c.Bytes + n.Bytes} }

// Sub is what was counted since earlier.
func (c Count) Sub(earlier Count) Count {
	return Count{c.Frames - earlier.Frames, c.Bytes - earlier.Bytes}
}

// Sink counts frames at the tc ingress of an interface.
type Sink struct {
	objs struct {
		Sink   *ebpf.Program `ebpf:"sink"`
		Counts *ebpf.Map     `ebpf:"sink_counts"`
		Delays *ebpf.Map     `ebpf:"sink_delays"`

		Timing *ebpf.Variable `ebpf:"timing"`
	}
	link link.Link
}

// Attach puts a sink on an interface of the calling thread's network namespace. The
// caller closes it.
func Attach(c SinkConfig) (_ *Sink, err error) {
	ifi, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("loadgen: interface %s: %w", c.Interface, err)
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("loadgen: %w", err)
	}
	if err := spec.Variables["plain_port"].Set(c.Port); err != nil {
		return nil, fmt.Errorf("loadgen: %w", err)
	}
	s := &Sink{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := spec.LoadAndAssign(&s.objs, nil); err != nil {
		return nil, fmt.Errorf("loadgen: loading the sink: %w", err)
	}
	s.link, err = link.AttachTCX(link.TCXOptions{Interface: ifi.Index, Program: s.objs.Sink, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return nil, fmt.Errorf("loadgen: attaching the sink to %s (needs Linux 6.6): %w", c.Interface, err)
	}
	return s, nil
}

// Counts adds the counters of all CPUs up.
func (s *Sink) Counts() (Counts, error) {
	var cpus []bpfCounts
	if err := s.objs.Counts.Lookup(uint32(0), &cpus); err != nil {
		return Counts{}, fmt.Errorf("loadgen: reading the sink: %w", err)
	}
	var sum Counts
	for _, c := range cpus {
		sum = Counts{sum.Tunneled.add(c.Tunneled), sum.Plain.add(c.Plain), sum.Other.add(c.Other)}
	}
	return sum, nil
}

// Time says whether the sink looks for the times that a generator's frames may carry, at the
// start of the payload, in a tunnel or not. It does not unless told to, and then leaves
// those alone that were sent before.
func (s *Sink) Time(on bool) error {
	var since unix.Timespec
	if on {
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &since); err != nil {
			return fmt.Errorf("loadgen: %w", err)
		}
	}
	if err := s.objs.Timing.Set(uint64(since.Nano())); err != nil {
		return fmt.Errorf("loadgen: %w", err)
	}
	return nil
}

// Delays is how long frames with a time were under way, of all CPUs, since Attach: from
// where the generator's program filled them to where the sink's saw them.
func (s *Sink) Delays() (Delays, error) {
	var cpus []bpfDelays
	if err := s.objs.Delays.Lookup(uint32(0), &cpus); err != nil {
		return Delays{}, fmt.Errorf("loadgen: reading the sink: %w", err)
	}
	var sum Delays
	for i := range cpus {
		sum = sum.Plus(Delays{cpus[i].Frames})
	}
	return sum, nil
}

// Close takes the sink off its interface.
func (s *Sink) Close() error {
	var errs []error
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	return errors.Join(append(errs, s.objs.Sink.Close(), s.objs.Counts.Close(), s.objs.Delays.Close())...)
}

// Pass puts an XDP program on an interface of the calling thread's network namespace that
// lets everything through: a veth end takes frames that XDP redirects to it only if the
// far end has a program. A contender with one of its own needs no Pass.
func Pass(name string) (io.Closer, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("loadgen: interface %s: %w", name, err)
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("loadgen: %w", err)
	}
	var objs struct {
		Pass *ebpf.Program `ebpf:"pass"`
	}
	if err := spec.LoadAndAssign(&objs, nil); err != nil {
		return nil, fmt.Errorf("loadgen: loading the program that passes: %w", err)
	}
	defer objs.Pass.Close()
	l, err := link.AttachXDP(link.XDPOptions{Program: objs.Pass, Interface: ifi.Index, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("loadgen: attaching the program that passes to %s: %w", name, err)
	}
	return l, nil
}
