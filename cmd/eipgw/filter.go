package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// filter is what all ports redirect to the workers, and what of it they leave to the
// kernel: frames for the machine's own addresses. It implements rib.Filter.
type filter struct {
	devices   []device
	addresses func() ([]netip.Addr, error)
	log       *slog.Logger

	mu       sync.Mutex // held while devices are told
	prefixes []netip.Prefix
	local    []netip.Addr // what the devices have, sorted
	failure  string       // why they do not have what they should; "" is none
}

// localEvery is how often the machine's own addresses are looked at.
const localEvery = time.Second

// SetSegments has every port take frames for prefixes, but leave those for the
// machine's own addresses to the kernel, whatever segments cover them.
func (f *filter) SetSegments(prefixes []netip.Prefix) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prefixes = prefixes
	local, err := f.addresses()
	if err == nil {
		err = f.apply(local)
	}
	f.note(err) // whoever called logs it
	return err
}

// refresh follows the machine's own addresses: one that has come to lie inside a
// segment is the kernel's from now on, one that has moved away is a worker's. It makes
// good for what failed before as well.
func (f *filter) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	local, err := f.addresses()
	if err == nil {
		if f.failure == "" && slices.Equal(local, f.local) {
			return
		}
		before := f.local
		if err = f.apply(local); err == nil {
			f.log.Info("own addresses: the kernel gets frames for these", "came", without(local, before), "went", without(before, local))
		}
	}
	if f.note(err) {
		f.log.Error("own addresses: frames for them may be forwarded, trying again", "err", err)
	}
}

// note keeps how the last attempt went, and says whether it failed in a new way.
func (f *filter) note(err error) bool {
	was := f.failure
	f.failure = ""
	if err != nil {
		f.failure = err.Error()
	}
	return f.failure != "" && f.failure != was
}

// apply tells all devices, also when one of them fails.
func (f *filter) apply(local []netip.Addr) error {
	var errs []error
	for _, d := range f.devices {
		errs = append(errs, d.SetLocal(local), d.SetSegments(f.prefixes))
	}
	f.local = local
	return errors.Join(errs...)
}

// without is what of a is not in b.
func without(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(x netip.Addr) bool { return slices.Contains(b, x) })
}

// localAddresses are the addresses of all interfaces, sorted, but for loopback ones.
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
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}
