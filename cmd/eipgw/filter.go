package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// filter is what all ports redirect to the workers.
type filter struct{ devices []device }

// SetSegments has every port take frames for prefixes, but leave those for the
// machine's own addresses to the kernel, whatever segments cover them.
func (f filter) SetSegments(prefixes []netip.Prefix) error {
	local, err := localAddresses()
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range f.devices {
		errs = append(errs, d.SetLocal(local), d.SetSegments(prefixes))
	}
	return errors.Join(errs...)
}

func localAddresses() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("the machine's own addresses: %w", err)
	}
	var out []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsLoopback() {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}
