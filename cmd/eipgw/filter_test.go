package main

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// An own address inside a segment that comes while everything runs is the kernel's
// soon after, and one that moves away is not any more.
func TestOwnAddressesAreFollowed(t *testing.T) {
	w := newWorld(t, worldConfig)
	w.announced("203.0.113.0/24")
	own := func(addrs ...netip.Addr) { w.own.Store(&ownAddresses{all: addrs}) }
	have := func(addrs ...netip.Addr) {
		t.Helper()
		for _, d := range w.devices {
			w.eventually("the filter follows", func() bool { return slices.Equal(addrs, d.passed()) })
		}
		assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, w.devices[0].redirected())
	}
	have()
	vip := netip.MustParseAddr("203.0.113.1")
	own(vip)
	have(vip)
	w.logged("came=[203.0.113.1] went=[]")
	own()
	have()

	// What failed is tried again, and said once.
	w.devices[0].setRefuse(errors.New("map is full"))
	own(vip)
	w.logged("map is full")
	w.g.filter.refresh()
	assert.Equal(t, 1, strings.Count(w.log.String(), "map is full"))
	w.devices[0].setRefuse(nil)
	have(vip)
}

func TestFilterKnowsWhatFailed(t *testing.T) {
	d := &memDevice{}
	down := errors.New("no netlink")
	rules, err := newRulebook(&config.Config{}, nil, 1)
	require.NoError(t, err)
	f := &filter{devices: []device{d}, rules: rules, log: discard, addresses: func() (own ownAddresses, err error) { return own, down }}
	want := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	require.ErrorIs(t, f.SetSegments(want), down)
	assert.Empty(t, d.redirected(), "nothing is redirected before the own addresses are known")
	f.addresses = func() (ownAddresses, error) { return localAddresses(nil) }
	f.refresh()
	assert.Equal(t, want, d.redirected())
	assert.True(t, slices.IsSortedFunc(d.passed(), netip.Addr.Compare))
	assert.Equal(t, d.passed(), rules.rules.Config().Own)
}

// The kernel is asked for what it has, by interface and for all of them.
func TestLocalAddresses(t *testing.T) {
	links, err := net.Interfaces()
	require.NoError(t, err)
	names := []string{"none such"}
	for _, l := range links {
		names = append(names, l.Name)
	}
	own, err := localAddresses(names)
	require.NoError(t, err)
	assert.Len(t, own.ports, len(links))
	assert.NotContains(t, own.ports, "none such")
	var all []netip.Addr
	for _, addrs := range own.ports {
		for _, a := range addrs {
			assert.False(t, a.IsLoopback() || a.Is4In6(), a)
		}
		all = append(all, addrs...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	assert.Equal(t, own.all, slices.Compact(all))
	other, err := localAddresses(nil)
	require.NoError(t, err)
	assert.Equal(t, own.all, other.all)
	assert.Empty(t, other.ports)
	assert.Equal(t, len(links) == 0, own.equal(other))
}

// A condition that goes from bad to worse is shown as it is now, and logged once.
func TestHealthShowsTheLatestReason(t *testing.T) {
	w := newWorld(t, worldConfig)
	for _, reason := range []string{"none works: link is down", "none works: interface is gone"} {
		w.g.setHealth("test", reason)
		assert.Contains(t, w.g.Status().Gate.Reasons, "test: "+reason)
	}
	assert.Equal(t, 1, strings.Count(w.log.String(), "segments are withdrawn\" condition=test"))
}

// What ports took and lost is shown beside what they sent, and so is what the filter did. What
// does not look right is shown, and was logged at the start.
func TestLossesAreShown(t *testing.T) {
	w := newWorld(t, worldConfig)
	ports := w.g.Ports()
	require.Len(t, ports, 2)
	for _, p := range ports {
		assert.EqualValues(t, 7, p.TxLost, "refused, too long, invalid")
		assert.EqualValues(t, 27, p.RxMissed, "too long, ring full, dropped by the kernel, which counts an empty FILL ring twice")
		assert.Equal(t, []string{"the wire is memory"}, p.Notes)
		assert.Equal(t, 1, strings.Count(w.log.String(), "port="+p.Name+" note=\"the wire is memory\""))
		assert.Equal(t, &admin.Filter{Redirected: 1, Passed: 2, Unserved: 3, Foreign: 4}, p.Filter)
	}
}
