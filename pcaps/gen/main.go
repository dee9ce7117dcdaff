package main

import (
	"flag"
	"fmt"
	"os"
)

// topics are all cases, in the order of the index.
func topics() []topic {
	return []topic{
		{"Address families", familyCases()},
		{"Geneve", geneveCases()},
		{"VXLAN", vxlanCases()},
		{"Outer headers", outerCases()},
		{"Ethernet and VLANs", etherCases()},
		{"VLANs that a port takes", vlanCases()},
		{"DSCP, ECN and PCP", markCases()},
		{"Ports", portCases()},
		{"IPv4 headers", header4Cases()},
		{"IPv4 options", optionCases()},
		{"IPv6 headers", header6Cases()},
		{"Martians", martianCases()},
		{"TTL and hop limit", ttlCases()},
		{"Bindings", bindingCases()},
		{"ICMP errors", answerCases()},
		{"ICMP errors that must not be sent", forbiddenCases()},
		{"Limits of ICMP errors", limitCases()},
		{"MTU", mtuCases()},
		{"Too big", tooBigCases()},
		{"MSS of TCP SYNs", clampCases()},
		{"Flows: what is hashed", flowCases()},
		{"Fragments", fragmentCases()},
		{"Tiny and overlapping fragments", tinyCases()},
		{"Groups and equal-cost ways", groupCases()},
	}
}

func allCases() []*Case {
	var all []*Case
	for _, t := range topics() {
		for _, s := range t.stories {
			all = append(all, s.run(t.heading))
		}
	}
	return all
}

func main() {
	dir := flag.String("C", ".", "folder of package pcaps: README.md and cases/ are written there")
	flag.Parse()
	if err := generate(*dir, allCases()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
