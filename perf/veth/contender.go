package main

import (
	"context"
)

// contender is a program that takes frames from p0 and sends them out of p0 or p1.
type contender interface {
	name() string
	what() string    // for the report: what it does with a frame, and how it is run
	tunnels() bool   // whether it encapsulates; else it sends frames as large as they came
	reference() bool // whether others are compared with it
	hugePages() int  // MiB that it needs
	missing() error  // what is not there that it needs
	traffic() traffic
	start(context.Context, *topology) (process, error)
}

// process is a contender that runs. It may need a moment still before it forwards.
type process interface {
	pid() int
	notes() []string // what is worth knowing of its own counters
	stop() error
}

// contenders are all there are, in the order of their turns.
func contenders(s settings) []contender {
	if s.Hostile != "" {
		return flooded(s)
	}
	cs := []contender{
		&eipgw{settings: s, label: "eipgw", exe: s.Exe},
		&testpmd{settings: s, label: "testpmd", eal: ",busy_budget=0"},
		&testpmd{settings: s, label: "testpmd-tuned", eal: ",busy_budget=0", args: []string{"--burst=64", "--total-num-mbufs=16384"}},
		&eipgw{settings: s, label: "eipgw-lane", exe: s.Exe, lane: true},
		&eipgw{settings: s, label: "eipgw-spins", exe: s.Exe, spins: true},
		&eipgw{settings: s, label: "eipgw-busy-poll", exe: s.Exe, busyPoll: busyPollBudget},
		&testpmd{settings: s, label: "testpmd-busy-poll"},
		&kernel{settings: s, label: "kernel"},
		&kernel{settings: s, label: "kernel-rps", rps: true},
		&kernel{settings: s.among(1_000), label: "kernel-1k"},
		&kernel{settings: s.among(1_000_000), label: "kernel-1m"},
		&xdpProgram{settings: s, label: "xdp-lpm", lpm: true},
		&xdpProgram{settings: s, label: "xdp-hash"},
		&ovs{settings: s, label: "ovs"},
		&asavie{settings: s, label: "asavie"},
	}
	if s.Against != "" {
		cs = append(cs, &eipgw{settings: s, label: "eipgw-other", exe: s.Against, other: true})
	}
	return cs
}

// busyPollBudget is that of testpmd, which polls busily unless told not to.
const busyPollBudget = 64

// among is the settings with another number of EIPs.
func (s settings) among(eips int) settings {
	s.EIPs = eips
	return s
}
