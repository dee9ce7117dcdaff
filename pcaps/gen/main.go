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
		{"Ports", portCases()},
		{"IPv4 headers", header4Cases()},
		{"IPv6 headers", header6Cases()},
		{"TTL and hop limit", ttlCases()},
		{"Bindings", bindingCases()},
		{"MTU", mtuCases()},
		{"Flows: what is hashed", flowCases()},
		{"Fragments", fragmentCases()},
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
