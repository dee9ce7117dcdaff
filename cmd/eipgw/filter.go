package main

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// filter is what all ports redirect to the workers, and what of it they leave to the
// kernel: frames for the machine's own addresses. Workers hear of those from here as
// well, for nobody else sends from them. It implements rib.Filter.
type filter struct {
	devices   []device
	rules     *rulebook
	addresses func() (ownAddresses, error)
	log       *slog.Logger

	mu       sync.Mutex // held while devices are told
	prefixes []netip.Prefix
	own      ownAddresses // what devices and rules have
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
	own, err := f.addresses()
	if err == nil {
		err = f.apply(own)
	}
	f.note(err) // whoever called logs it
	return err
}

// refresh follows the machine's own addresses: one that has come to lie inside a
// segment is the kernel's from now on, one that has moved away is a worker's; and no
// frame is from one. It makes good for what failed before as well.
func (f *filter) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	own, err := f.addresses()
	if err == nil {
		if f.failure == "" && own.equal(f.own) {
			return
		}
		before := f.own.all
		if err = f.apply(own); err == nil {
			f.log.Info("own addresses: the kernel gets frames for these", "came", without(own.all, before), "went", without(before, own.all))
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

// apply tells the rules and all devices, also when one of them fails. The rules come
// first: no worker gets a frame before they know whom it cannot be from.
func (f *filter) apply(own ownAddresses) error {
	errs := []error{f.rules.change(func(p *ruleParts) { p.own = own })}
	for _, d := range f.devices {
		errs = append(errs, d.SetLocal(own.all), d.SetSegments(f.prefixes))
	}
	f.own = own
	return errors.Join(errs...)
}

// without is what of a is not in b.
func without(a, b []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a), func(x netip.Addr) bool { return slices.Contains(b, x) })
}
