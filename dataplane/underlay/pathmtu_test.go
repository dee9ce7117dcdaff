package underlay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// epoch is when these tests begin on their own clock, which they advance by adding to it. The
// turns of a loop see the machine's.
var epoch = time.Now()

var (
	far6       = addr("2001:db8:f::9")
	router6    = neighbor{key: neighborKey{2, addr("fe80::fe")}, mac: routerMAC, state: unix.NUD_REACHABLE}
	viaRouter6 = route{kind: unix.RTN_UNICAST, src: addr("2001:db8::1"), hops: []nexthop{{index: 2, gateway: addr("fe80::fe")}}}
)

// pathWorld is the loop of a small world with a VTEP of each family behind the router,
// resolved. It runs only when a test has it take a turn.
func pathWorld(t testing.TB, cfg Config) *loop {
	f := smallWorld()
	f.nbr[router6.key] = router6
	f.routes[far6] = viaRouter6
	cfg.Ports = []Port{{ID: 1, Name: "sw0"}}
	cfg, err := cfg.withDefaults()
	require.NoError(t, err)
	u := newUnderlay(cfg, f)
	u.Track(far)
	u.Track(far6)
	l := newLoop(u)
	l.turn()
	return l
}

// tell has the loop judge a report of so many bytes about a packet of length.
func (l *loop) tell(dst netip.Addr, length, mtu int, now time.Time) Outcome {
	r := report{reporter: addr("10.9.9.1"), src: addr("10.0.0.1"), dst: dst, length: length, mtu: mtu}
	if dst.Is6() {
		r.reporter, r.src = addr("fd09::1"), addr("2001:db8::1")
	}
	return l.believe(&r, now)
}

// mtu is that of the first way in the answer of Resolve, once all is published.
func (l *loop) mtu(t *testing.T, dst netip.Addr) int {
	t.Helper()
	l.publish()
	adjs, err := l.u.Resolve(dst)
	require.NoError(t, err)
	return int(adjs[0].MTU)
}

func (l *loop) statusOf(dst netip.Addr) VTEPStatus {
	for _, s := range l.u.Status() {
		if s.VTEP == dst {
			return s
		}
	}
	return VTEPStatus{}
}

func TestAReportLowersEveryWay(t *testing.T) {
	var changed []netip.Addr
	l := pathWorld(t, Config{OnChange: func(v []netip.Addr) { changed = append(changed, v...) }})
	assert.Equal(t, 1500, l.mtu(t, far))
	changed = nil
	assert.Equal(t, Lowered, l.tell(far, 1500, 1400, epoch))
	assert.Equal(t, 1400, l.mtu(t, far))
	assert.Equal(t, 1500, l.mtu(t, far6), "the other VTEP's path is another")
	assert.Equal(t, []netip.Addr{far}, changed)
	assert.Equal(t, PathMTU{1400, addr("10.9.9.1"), epoch}, l.statusOf(far).PathMTU)
	assert.Zero(t, l.statusOf(far6).PathMTU)

	assert.Equal(t, Lowered, l.tell(far6, 1500, 1400, epoch))
	assert.Equal(t, Lowered, l.tell(far6, 1400, 1280, epoch))
	assert.Equal(t, 1280, l.mtu(t, far6))
}

func TestWhatIsNotBelieved(t *testing.T) {
	l := pathWorld(t, Config{})
	foreign := report{src: addr("10.0.0.2"), dst: far, length: 1500, mtu: 1400}
	assert.Equal(t, IgnoredSource, l.believe(&foreign, epoch))
	for name, c := range map[string]struct {
		dst         netip.Addr
		length, mtu int
		want        Outcome
	}{
		"no VTEP":                         {addr("192.0.2.2"), 1500, 1400, IgnoredVTEP},
		"it fits":                         {far, 1400, 1400, IgnoredSize},
		"larger than the way carries":     {far, 1501, 1400, IgnoredSize},
		"an MTU beyond 16 bits":           {far6, 1500, 1<<32 - 1, IgnoredSize},
		"less than any link carries":      {far, 1500, 67, IgnoredMinimum},
		"1 byte":                          {far, 1500, 1, IgnoredMinimum},
		"IPv6 of less than 1280":          {far6, 1500, 1279, IgnoredMinimum},
		"IPv6 of 0":                       {far6, 1500, 0, IgnoredMinimum},
		"a packet not above the minimum":  {far, 552, 500, IgnoredMinimum},
		"no MTU, about 68 bytes":          {far, 68, 0, IgnoredMinimum},
		"no MTU, a packet of the minimum": {far, 552, 0, IgnoredMinimum},
	} {
		assert.Equal(t, c.want, l.tell(c.dst, c.length, c.mtu, epoch), name)
	}
	assert.Empty(t, l.check)
	assert.Empty(t, l.lowered)
}

func TestFloors(t *testing.T) {
	l := pathWorld(t, Config{})
	assert.Equal(t, Lowered, l.tell(far, 1500, 68, epoch))
	assert.Equal(t, 552, l.mtu(t, far), "no less than the floor")
	l = pathWorld(t, Config{MinMTU4: leastMinMTU4})
	assert.Equal(t, Lowered, l.tell(far, 1500, 68, epoch))
	assert.Equal(t, leastMinMTU4, l.mtu(t, far), "no less than the floor")
	l = pathWorld(t, Config{})
	assert.Equal(t, Lowered, l.tell(far6, 1500, 1280, epoch))
	assert.Equal(t, 1280, l.mtu(t, far6))
}

// RFC 1191 section 5, with the table of section 7.1.
func TestARouterThatNamesNoMTU(t *testing.T) {
	l := pathWorld(t, Config{})
	for _, want := range []int{1492, 1006, 552} {
		length := l.mtu(t, far)
		assert.Equal(t, Lowered, l.tell(far, length, 0, epoch))
		assert.Equal(t, want, l.mtu(t, far))
	}
	assert.Equal(t, IgnoredMinimum, l.tell(far, 552, 0, epoch))
}

func TestPathMTUNeverRises(t *testing.T) {
	l := pathWorld(t, Config{})
	assert.Equal(t, Lowered, l.tell(far, 1500, 1300, epoch))
	assert.Equal(t, IgnoredHigher, l.tell(far, 1500, 1400, epoch))
	assert.Equal(t, 1300, l.mtu(t, far))

	narrow := viaRouter
	narrow.mtu = 1200
	l.k.(*fakeKernel).routes[far] = narrow
	l.ask[l.vteps[far]] = struct{}{}
	l.turn()
	assert.Equal(t, 1200, l.mtu(t, far), "the way's own counts where it is less")
	assert.Equal(t, uint16(1300), l.statusOf(far).PathMTU.MTU)
	assert.Equal(t, IgnoredSize, l.tell(far, 1300, 1250, epoch), "the way carries no such packet now")
}

func TestPathMTUAges(t *testing.T) {
	changes := 0
	l := pathWorld(t, Config{OnChange: func([]netip.Addr) { changes++ }})
	l.tell(far, 1500, 1400, epoch)
	l.tell(far6, 1500, 1300, epoch.Add(time.Minute))
	l.publish()
	changes = 0
	assert.Equal(t, Confirmed, l.tell(far, 1500, 1400, epoch.Add(5*time.Minute)))
	assert.Equal(t, 1400, l.mtu(t, far))
	assert.Zero(t, changes, "the same MTU is no news")
	assert.Equal(t, epoch.Add(5*time.Minute), l.statusOf(far).PathMTU.Reported)

	l.expire(epoch.Add(11*time.Minute - 1))
	assert.Equal(t, 1400, l.mtu(t, far))
	assert.Equal(t, 1300, l.mtu(t, far6))
	assert.Zero(t, changes)
	assert.Equal(t, epoch.Add(11*time.Minute), l.expireAt)
	l.expire(l.expireAt)
	assert.Equal(t, 1400, l.mtu(t, far))
	assert.Equal(t, 1500, l.mtu(t, far6), "the way's own again")
	assert.Equal(t, 1, changes)
	assert.Equal(t, epoch.Add(15*time.Minute), l.expireAt)
	l.expire(l.expireAt)
	assert.Equal(t, 1500, l.mtu(t, far))
	assert.Equal(t, 2, changes)
	assert.Zero(t, l.expireAt)
	assert.Zero(t, l.statusOf(far).PathMTU)
	assert.Empty(t, l.lowered)
}

// The loop wakes for it without being told.
func TestPathMTUAgesByItself(t *testing.T) {
	var u *Underlay
	ready := make(chan struct{})
	mtus := make(chan uint16, 8) // as of each change
	u = start(t, smallWorld(), Config{PathMTUAge: 500 * time.Millisecond, OnChange: func([]netip.Addr) {
		<-ready
		adjs, err := u.Resolve(far)
		if err == nil && len(adjs) == 1 {
			mtus <- adjs[0].MTU
		}
	}})
	close(ready)
	u.Track(far)
	eventually(t, u, far, oneWay)
	b := reports{n: 1}
	b.list[0] = report{reporter: addr("10.9.9.1"), src: addr("10.0.0.1"), dst: far, length: 1500, mtu: 1400}
	u.reports <- b
	for _, want := range []uint16{1500, 1400, 1500} {
		select {
		case got := <-mtus:
			assert.Equal(t, want, got)
		case <-time.After(30 * time.Second):
			require.Fail(t, "no change", "to %d", want)
		}
	}
	n := u.Outcomes()
	assert.Equal(t, uint64(1), n[Lowered])
}

func TestAnotherRouteIsAnotherPath(t *testing.T) {
	l := pathWorld(t, Config{})
	f := l.k.(*fakeKernel)
	other := router
	other.key.addr = addr("10.0.0.253")
	l.setNeighbor(other, epoch)
	l.tell(far, 1500, 1400, epoch)
	reroute := func(r route) {
		f.routes[far] = r
		l.ask[l.vteps[far]] = struct{}{}
		l.turn()
	}
	reroute(viaRouter)
	assert.Equal(t, 1400, l.mtu(t, far), "asked for again, it is the same route")
	reroute(route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 2, gateway: other.key.addr}, {index: 2, gateway: router.key.addr}}})
	assert.Equal(t, 1500, l.mtu(t, far))

	l.tell(far, 1500, 1400, epoch)
	reroute(route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 2, gateway: router.key.addr}, {index: 2, gateway: other.key.addr}}})
	adjs, err := l.u.Resolve(far)
	require.NoError(t, err)
	require.Len(t, adjs, 2)
	assert.Equal(t, []uint16{1400, 1400}, []uint16{adjs[0].MTU, adjs[1].MTU}, "the same next hops in another order")
	reroute(route{kind: unix.RTN_UNICAST, hops: []nexthop{{index: 2, gateway: other.key.addr}}})
	assert.Equal(t, 1500, l.mtu(t, far))
	assert.Empty(t, l.lowered)

	l.tell(far, 1500, 1400, epoch)
	reroute(route{kind: unix.RTN_BLACKHOLE})
	assert.Zero(t, l.statusOf(far).PathMTU)
	assert.Equal(t, IgnoredSource, l.tell(far, 1500, 1400, epoch), "without a way nothing was sent")
}

func TestUntrackForgetsThePathMTU(t *testing.T) {
	l := pathWorld(t, Config{})
	l.tell(far, 1500, 1400, epoch)
	l.publish()
	l.u.Untrack(far)
	l.turn()
	assert.Empty(t, l.lowered)
	assert.Equal(t, IgnoredVTEP, l.tell(far, 1500, 1400, epoch))
	l.u.Track(far)
	l.turn()
	assert.Equal(t, 1500, l.mtu(t, far))
}

func TestPathMTUChangesAreFew(t *testing.T) {
	l := pathWorld(t, Config{})
	mtu := 1500
	for range changeBurst {
		mtu--
		assert.Equal(t, Lowered, l.tell(far, 1500, mtu, epoch))
	}
	for range 100 {
		assert.Equal(t, IgnoredOften, l.tell(far, 1500, mtu-1, epoch))
	}
	assert.Equal(t, Confirmed, l.tell(far, 1500, mtu, epoch))
	mtu--
	assert.Equal(t, Lowered, l.tell(far, 1500, mtu, epoch.Add(changeEvery)))
	assert.Equal(t, IgnoredOften, l.tell(far, 1500, mtu-1, epoch.Add(changeEvery)))
	assert.Equal(t, Lowered, l.tell(far6, 1500, 1400, epoch), "the other VTEP is not concerned")
	for range changeBurst {
		mtu--
		assert.Equal(t, Lowered, l.tell(far, 1500, mtu, epoch.Add(time.Hour)))
	}
	assert.Equal(t, IgnoredOften, l.tell(far, 1500, mtu-1, epoch.Add(time.Hour)), "no more than the burst is saved up")
}

// A batch of what is not news wakes nobody, and makes no garbage.
func TestBatchesWithoutNews(t *testing.T) {
	l := pathWorld(t, Config{})
	l.tell(far, 1500, 1400, epoch)
	l.publish()
	b := reports{n: 4}
	b.list[0] = report{src: addr("10.0.0.1"), dst: addr("192.0.2.77"), length: 1500, mtu: 1400}
	b.list[1] = report{src: addr("10.0.0.9"), dst: far, length: 1500, mtu: 1400}
	b.list[2] = report{src: addr("10.0.0.1"), dst: far, length: 1500, mtu: 1450}
	b.list[3] = report{src: addr("10.0.0.1"), dst: far, length: 1500, mtu: 1400}
	assert.False(t, l.heed(&b, epoch))
	n := l.u.Outcomes()
	assert.Equal(t, []uint64{1, 1, 1, 1}, []uint64{n[IgnoredVTEP], n[IgnoredSource], n[IgnoredHigher], n[Confirmed]})
	assert.Zero(t, testing.AllocsPerRun(100, func() { l.heed(&b, epoch) }))
}

func TestOutcomesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for o := range NumOutcomes {
		name := o.String()
		assert.NotEmpty(t, name)
		assert.False(t, seen[name], name)
		seen[name] = true
	}
	assert.Equal(t, "unknown", NumOutcomes.String())
}
