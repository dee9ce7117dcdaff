package underlay

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLoopFollowsEvents(t *testing.T) {
	f := smallWorld()
	u := start(t, f, Config{})
	u.Track(far)
	eventually(t, u, far, oneWay)

	moved := router
	moved.mac[5] = 99
	f.tell(event{kind: neighborChanged, neighbor: moved})
	eventually(t, u, far, func(w []Way, _ error) bool { return len(w) == 1 && w[0].Outer.Dst == moved.mac })

	downed := sw0
	downed.up = false
	f.tell(event{kind: linkChanged, link: downed})
	eventually(t, u, far, func(_ []Way, err error) bool { return err != nil })
	f.tell(event{kind: linkChanged, link: sw0})
	eventually(t, u, far, oneWay)

	f.tell(event{kind: linkGone, link: sw0})
	eventually(t, u, far, func(_ []Way, err error) bool { return err != nil })
	again, gateway := sw0, router
	again.index, gateway.key.index = 20, 20
	f.set(func() {
		f.routes[far] = route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 20, gateway: addr("10.0.0.254")}}}
		f.sources[20] = addr("10.0.0.1")
	})
	f.tell(event{kind: linkChanged, link: again}, event{kind: neighborChanged, neighbor: gateway})
	eventually(t, u, far, oneWay)
}

func TestLoopSolicitsWhatIsMissing(t *testing.T) {
	f := smallWorld()
	delete(f.nbr, router.key)
	f.useErr = unix.ENOBUFS
	u := start(t, f, Config{})
	u.Track(far)
	eventually(t, u, far, func(_ []Way, err error) bool { return err != nil && f.usedCount(router.key) > 1 })
	assert.ErrorContains(t, u.Status()[0].Err, "table is full")
	f.set(func() { f.useErr = nil })
	f.tell(event{kind: neighborChanged, neighbor: router})
	eventually(t, u, far, oneWay)
	f.tell(event{kind: neighborGone, neighbor: router})
	eventually(t, u, far, func(_ []Way, err error) bool { return err != nil })
}

func TestAMuteKernelChangesNothing(t *testing.T) {
	f := smallWorld()
	u := start(t, f, Config{})
	u.Track(far)
	eventually(t, u, far, oneWay)
	before := u.Status()[0].Since
	f.set(func() { f.mute = errNoAnswer })
	f.tell(event{kind: routeChanged, prefix: netip.MustParsePrefix("0.0.0.0/0")})
	f.events <- batch{err: errOverrun}
	f.tell()
	assert.Len(t, u.Status()[0].Ways, 1)
	assert.Equal(t, before, u.Status()[0].Since)

	f.set(func() { f.mute = nil; f.routes[far] = route{kind: unix.RTN_BLACKHOLE} })
	eventually(t, u, far, func(_ []Way, err error) bool { return err != nil }) // without another event
}

func TestRunFailsWhenEventsCannotBeRead(t *testing.T) {
	f := smallWorld()
	cfg, err := Config{Ports: []Port{{ID: 1, Name: "sw0"}}}.withDefaults()
	require.NoError(t, err)
	u := newUnderlay(cfg, f)
	done := make(chan error, 1)
	go func() { done <- u.Run(context.Background()) }()
	f.events <- batch{err: unix.EBADF}
	assert.ErrorIs(t, <-done, unix.EBADF)
}

func TestOnlyRoutesThatMayHaveChangedAreAskedFor(t *testing.T) {
	f := newFakeKernel()
	f.link[2] = sw0
	var vteps []netip.Addr
	for _, s := range []string{"10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.1", "2001:db8::1", "2001:db8:1::1"} {
		vteps = append(vteps, addr(s))
	}
	l := newLoop(newUnderlay(Config{}, f))
	for _, a := range vteps {
		l.vteps[a] = &vtep{addr: a}
	}
	for prefix, want := range map[string]int{
		"10.0.0.0/24": 2, "10.0.0.1/32": 1, "10.0.0.0/8": 3, "0.0.0.0/0": 4, "::/0": 2, "2001:db8::/48": 1, "192.0.3.0/24": 0, "255.0.0.0/8": 0,
	} {
		clear(l.ask)
		l.askFor(netip.MustParsePrefix(prefix))
		assert.Len(t, l.ask, want, prefix)
	}
}

func TestLookupIsFromTheConfiguredSourceIfItIsOurs(t *testing.T) {
	f := smallWorld()
	ours, foreign := addr("10.255.0.1"), addr("fdff::1")
	f.locals[ours] = true
	six := addr("2001:db8::1")
	u := start(t, f, Config{Source4: ours, Source6: foreign})
	u.Track(far)
	u.Track(six)
	eventually(t, u, far, oneWay)
	eventually(t, u, six, func(_ []Way, err error) bool {
		return err != nil && err.Error() == "underlay: VTEP 2001:db8::1: no route"
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	assert.Contains(t, f.asked, question{far, ours})
	assert.Contains(t, f.asked, question{six, netip.Addr{}})
	assert.NotContains(t, f.asked, question{far, netip.Addr{}})
}

func TestSourceIsAskedForOncePerNextHop(t *testing.T) {
	f := smallWorld()
	noSource := addr("192.0.2.2")
	f.link[3] = link{index: 3, name: "sw1", mac: gwMAC, mtu: 1500, up: true}
	f.routes[noSource] = route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 3}}}
	u := start(t, f, Config{Ports: []Port{{ID: 1, Name: "sw0"}, {ID: 2, Name: "sw1"}}})
	u.Track(far)
	u.Track(noSource)
	eventually(t, u, far, func(w []Way, _ error) bool { return len(w) == 1 && w[0].Outer.Local == addr("10.0.0.1") })
	eventually(t, u, noSource, func(_ []Way, err error) bool {
		return err != nil && err.Error() == "underlay: VTEP 192.0.2.2: the kernel has no source address for sw1"
	})
}

// A consumer that takes its time and calls back, as the Compiler does, while VTEPs come
// and go: no deadlock, and the last word is right.
func TestTrackFromOnChangeAndConcurrently(t *testing.T) {
	f := smallWorld()
	var u *Underlay
	ready := make(chan struct{})
	var calls atomic.Int32
	f.routes[addr("192.0.2.2")] = viaRouter
	u = start(t, f, Config{OnChange: func(vteps []netip.Addr) {
		<-ready
		calls.Add(1)
		for _, v := range vteps {
			_, _ = u.Resolve(v)
		}
		u.Track(addr("192.0.2.2"))
	}})
	close(ready)
	for i := range 200 {
		u.Track(far)
		u.Track(addr(fmt.Sprintf("198.51.100.%d", i)))
		u.Untrack(far)
	}
	u.Track(far)
	eventually(t, u, far, oneWay)
	eventually(t, u, addr("192.0.2.2"), oneWay)
	assert.Positive(t, calls.Load())
}

func TestSolicitationsArePaced(t *testing.T) {
	f := newFakeKernel()
	l := newLoop(newUnderlay(Config{Reprobe: reprobe}, f))
	now := time.Now()
	for i := range 3 * maxActions {
		key := neighborKey{2, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}
		l.hops[key] = &hop{due: now}
	}
	l.actOnHops(now)
	assert.Len(t, f.used, maxActions)
	l.actOnHops(now.Add(pace))
	l.actOnHops(now.Add(2 * pace))
	assert.Len(t, f.used, 3*maxActions)
}

func TestSchedule(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(1000+ms) * time.Millisecond) }
	var s schedule
	assert.False(t, s.due(at(0)))
	s.want(at(0), true)
	assert.True(t, s.due(at(0)), "at once")
	s.done(at(0), at(1))
	assert.Equal(t, at(20), s.next(), "and when the kernel has settled")
	s.want(at(5), false)
	assert.True(t, s.due(at(5)), "the pause after a round of 1 ms is 4 ms")
	assert.False(t, s.due(at(4)))
	s.done(at(5), at(15))
	assert.Equal(t, at(55), s.next(), "a long round is followed by a long pause")
	s.done(at(55), at(56))
	assert.Equal(t, at(1000), s.next(), "and late")
	s.done(at(1000), at(1001))
	assert.Equal(t, at(1001).Add(idleTime), s.next(), "and now and then")
}
