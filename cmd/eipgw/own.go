package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
)

// ownAddresses are the machine's own.
type ownAddresses struct {
	all   []netip.Addr            // of all interfaces but for loopback ones, sorted
	ports map[string][]netip.Addr // of each port, in the kernel's order
}

func (o ownAddresses) equal(p ownAddresses) bool {
	return slices.Equal(o.all, p.all) && maps.EqualFunc(o.ports, p.ports, slices.Equal[[]netip.Addr])
}

// localAddresses asks the kernel for the machine's addresses. A port that is not there
// has none.
func localAddresses(ports []string) (own ownAddresses, err error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return own, fmt.Errorf("the machine's own addresses: %w", err)
	}
	own.all = plainAddresses(addrs)
	slices.SortFunc(own.all, netip.Addr.Compare)
	own.all = slices.Compact(own.all)

	links, err := net.Interfaces()
	if err != nil {
		return own, fmt.Errorf("the machine's interfaces: %w", err)
	}
	own.ports = map[string][]netip.Addr{}
	for _, l := range links {
		if !slices.Contains(ports, l.Name) {
			continue
		}
		if addrs, err = l.Addrs(); err != nil {
			return own, fmt.Errorf("the addresses of %s: %w", l.Name, err)
		}
		own.ports[l.Name] = plainAddresses(addrs)
	}
	return own, nil
}

// plainAddresses leaves masks and loopback addresses out.
func plainAddresses(addrs []net.Addr) (out []netip.Addr) {
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
