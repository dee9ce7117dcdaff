package rib

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var timing = Timing{Settle: 2 * time.Second, Linger: 3 * time.Second}

func TestPlanChange(t *testing.T) {
	med := uint32(5)
	for _, c := range []struct {
		name     string
		from, to []Segment
		want     string
	}{
		{"nothing", segs("10.0.0.0/24"), segs("10.0.0.0/24"), "nothing to do"},
		{"add", nil, segs("10.0.0.0/24"), `
+0s program 10.0.0.0/24: before it is announced
+0s announce 10.0.0.0/24: new`},
		{"remove", segs("10.0.0.0/24"), nil, `
+0s withdraw 10.0.0.0/24: no longer wanted, and nothing that is covers it
+3s unprogram 10.0.0.0/24: withdrawn, and lingered`},
		{"split", segs("10.0.0.0/24"), segs("10.0.0.0/25", "10.0.0.128/25"), `
+0s program 10.0.0.0/25, 10.0.0.128/25: before it is announced
+0s announce 10.0.0.0/25, 10.0.0.128/25: before 10.0.0.0/24 goes
+2s withdraw 10.0.0.0/24: covered by 10.0.0.0/25, 10.0.0.128/25
+5s unprogram 10.0.0.0/24: withdrawn, and lingered`},
		{"merge", segs("10.0.0.0/25", "10.0.0.128/25"), segs("10.0.0.0/24"), `
+0s program 10.0.0.0/24: before it is announced
+0s announce 10.0.0.0/24: before 10.0.0.0/25, 10.0.0.128/25 goes
+2s withdraw 10.0.0.0/25: covered by 10.0.0.0/24
+2s withdraw 10.0.0.128/25: covered by 10.0.0.0/24
+5s unprogram 10.0.0.0/25, 10.0.0.128/25: withdrawn, and lingered`},
		{"shrink", segs("2001:db8::/32"), segs("2001:db8::/33"), `
+0s program 2001:db8::/33: before it is announced
+0s announce 2001:db8::/33: before 2001:db8::/32 goes
+2s withdraw 2001:db8::/32: covered by 2001:db8::/33, the rest is no longer wanted
+5s unprogram 2001:db8::/32: withdrawn, and lingered`},
		{"drop the more specific", segs("10.0.0.0/24", "10.0.0.0/25"), segs("10.0.0.0/24"), `
+0s withdraw 10.0.0.0/25: covered by 10.0.0.0/24
+3s unprogram 10.0.0.0/25: withdrawn, and lingered`},
		{"attributes", segs("10.0.0.0/24"), []Segment{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), MED: &med}}, `
+0s change 10.0.0.0/24: other attributes`},
		{"unrelated ones do not wait", segs("10.0.0.0/24"), segs("10.9.0.0/24"), `
+0s program 10.9.0.0/24: before it is announced
+0s announce 10.9.0.0/24: new
+0s withdraw 10.0.0.0/24: no longer wanted, and nothing that is covers it
+3s unprogram 10.0.0.0/24: withdrawn, and lingered`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := PlanChange(c.from, c.to, timing)
			require.NoError(t, err)
			assert.Equal(t, strings.TrimPrefix(c.want, "\n")+"\n", p.String())
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for in, want := range map[string][]Segment{
		"segment 10.0.0.0/24 is named twice, expected each prefix once": segs("10.0.0.0/24", "10.0.0.0/24"),
		"segment 10.0.0.1/24 has bits beyond its length":                segs("10.0.0.1/24"),
		"segment invalid Prefix: expected an IPv4 or IPv6 prefix":       {{}},
	} {
		_, err := PlanChange(nil, want, timing)
		assert.ErrorContains(t, err, in)
		_, err = PlanChange(want, nil, timing)
		assert.ErrorContains(t, err, in)
		r, _ := New(Config{Programmer: newWorld(t)})
		_, err = r.SetSegments(want)
		assert.ErrorContains(t, err, in)
		assert.Empty(t, r.Segments(), "a bad set changes nothing")
	}
}

// TestSplitStepByStep is the order of everything that the world sees.
func TestSplitStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.w.events()

		want := segs("203.0.113.0/25", "203.0.113.128/25", "198.51.100.0/24")
		b.say("vr1", to("198.51.100.9/32", "10.0.0.1"))
		b.flush()
		assert.Empty(t, b.w.events(), "outside the segments")
		dry, err := b.PlanSegments(want)
		require.NoError(t, err)
		p, err := b.SetSegments(want)
		require.NoError(t, err)
		assert.Equal(t, dry, p)
		assert.Empty(t, p.Held)
		assert.Equal(t, []string{
			"bind 198.51.100.9/32 [10.0.0.1]",
			"filter 198.51.100.0/24, 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25",
			"announce 198.51.100.0/24, 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25",
		}, b.after(2*time.Second-1))
		assert.Equal(t, SegmentReplaced, b.segment("203.0.113.0/24").State)
		assert.Equal(t, []string{"announce 198.51.100.0/24, 203.0.113.0/25, 203.0.113.128/25"}, b.after(time.Second))
		assert.Equal(t, SegmentLingering, b.segment("203.0.113.0/24").State)
		assert.Equal(t, []string{"filter 198.51.100.0/24, 203.0.113.0/25, 203.0.113.128/25"}, b.after(3*time.Second))
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]", "198.51.100.9/32": "[10.0.0.1]"}, b.bindings())

		_, err = b.SetSegments(segs("203.0.113.0/25"))
		require.NoError(t, err)
		assert.Equal(t, []string{"announce 203.0.113.0/25"}, b.after(3*time.Second-1))
		assert.Equal(t, []string{"unbind 198.51.100.9/32", "filter 203.0.113.0/25"}, b.after(1))
	})
}

func (b *bench) segment(p string) SegmentStatus {
	for _, s := range b.Status().Segments {
		if s.Prefix == pfx(p) {
			return s
		}
	}
	return SegmentStatus{}
}

func TestWideBindingSurvivesASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.0/24", "10.0.0.1"))
		b.flush()
		b.w.events()
		_, err := b.SetSegments(segs("203.0.113.0/25", "203.0.113.128/25"))
		require.NoError(t, err)
		for _, e := range b.after(time.Minute) {
			assert.NotContains(t, e, "bind", "the halves together still cover the binding")
		}
	})
}

func TestAttributesChangeInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		s := segs("203.0.113.0/24")
		s[0].Communities = []uint32{64512 << 16}
		_, err := b.SetSegments(s)
		require.NoError(t, err)
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(time.Minute))
		assert.Equal(t, s, b.w.announced)
		s[0].Communities[0] = 1
		assert.NotEqual(t, s, b.Segments(), "the caller's slices are not kept")
	})
}

func TestAnnouncerAndFilterFailuresAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.w.failFilter, b.w.failAnnounces = 2, 3
		_, err := b.SetSegments(segs("203.0.113.0/25", "203.0.113.128/25"))
		require.NoError(t, err)
		b.flush() // waits for programming alone
		assert.Empty(t, b.after(2*time.Second-1))
		assert.Equal(t, []string{"filter 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25"}, b.after(3*time.Second-1))
		assert.Equal(t, []string{"announce 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25"}, b.after(2*time.Second))
		assert.Equal(t, []string{"announce 203.0.113.0/25, 203.0.113.128/25"}, b.after(2*time.Second),
			"settling counts from the announcement that was taken")
		c := b.Status().Counters
		assert.EqualValues(t, 2, c.FilterErrors)
		assert.EqualValues(t, 3, c.AnnounceErrors)
	})
}

// universe has 16 atoms, the /28s of 10.0.0.0/24; coverage is a set of them.
type coverage uint16

func covers(prefixes []netip.Prefix) (c coverage) {
	for i := range 16 {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i * 16)})
		if slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			c |= 1 << i
		}
	}
	return c
}

// randomWant is a random set of prefixes from /24 to /28, overlapping or not.
func randomWant(rng *rand.Rand) []Segment {
	set := map[netip.Prefix]bool{}
	for range rng.IntN(7) {
		set[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(256))}), 24+rng.IntN(5)).Masked()] = true
	}
	var out []Segment
	for p := range set {
		out = append(out, Segment{Prefix: p, Communities: []uint32{uint32(rng.IntN(2))}})
	}
	return out
}

func prefixesOf(s []Segment) (out []netip.Prefix) {
	for _, s := range s {
		out = append(out, s.Prefix)
	}
	return out
}

// TestNoWantedAddressIsEverUncovered changes the wanted set at random, at random
// moments, also while a plan is under way and while things fail. After every call
// that the world sees, an address that the switches had and that has stayed wanted
// since must still be announced, redirected and bound.
func TestNoWantedAddressIsEverUncovered(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { shuffleSegments(t, rand.New(rand.NewPCG(seed, 9))) })
		})
	}
}

func shuffleSegments(t *testing.T, rng *rand.Rand) {
	b := start(t, quick, func(r *RIB) { r.AddSource("vr1", SourcePolicy{}) })
	for i := range 16 {
		b.say("vr1", to(fmt.Sprintf("10.0.0.%d/32", i*16), "10.9.0.1"))
	}
	b.flush()

	var had, wanted coverage // had: announced, and wanted ever since
	steps := 0
	var announced, bound coverage
	var withdrawn [16]time.Time
	b.w.mu.Lock()
	b.w.check = func() {
		now := covers(prefixesOf(b.w.announced))
		was := bound
		bound = 0
		for i := range 16 {
			if _, there := b.w.bound[pfx(fmt.Sprintf("10.0.0.%d/32", i*16))]; there {
				bound |= 1 << i
			}
			if (announced&^now)&(1<<i) != 0 {
				withdrawn[i] = time.Now()
			}
			if (was&^bound)&(1<<i) != 0 {
				assert.GreaterOrEqual(t, time.Since(withdrawn[i]), quick.Linger, "unbound before it has lingered")
			}
		}
		announced = now
		assert.Zero(t, now&^bound, "an announced address is not bound")
		assert.Zero(t, had&^now, "an address that stays wanted is not announced")
		assert.Zero(t, now&^covers(b.w.filter), "an announced address is not redirected")
		had |= now & wanted
		steps++
	}
	b.w.mu.Unlock()

	var want []Segment
	for range 30 {
		want = randomWant(rng)
		b.w.mu.Lock()
		wanted = covers(prefixesOf(want))
		had &= wanted
		if rng.IntN(4) == 0 {
			b.w.failAnnounces, b.w.failFilter, b.w.failApply = rng.IntN(3), rng.IntN(2), rng.IntN(2)
		}
		b.w.mu.Unlock()
		_, err := b.SetSegments(want)
		require.NoError(t, err)
		time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	assert.Greater(t, steps, 30)
	slices.SortFunc(want, func(a, b Segment) int { return a.Prefix.Compare(b.Prefix) })
	assert.True(t, slices.EqualFunc(want, b.w.announced, Segment.equal), "it comes to rest at what is wanted")
	assert.Equal(t, join(prefixesOf(want)), join(b.w.filter))
	assert.Equal(t, had, covers(prefixesOf(want)))
}

// TestPlansSayWhatHappens runs random changes and compares what the world sees,
// and when, with the plan.
func TestPlansSayWhatHappens(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		from, to := randomWant(rng), randomWant(rng)
		synctest.Test(t, func(t *testing.T) {
			b := start(t, quick, func(r *RIB) {
				_, err := r.SetSegments(from)
				require.NoError(t, err)
			})
			b.after(time.Minute)
			p, err := b.SetSegments(to)
			require.NoError(t, err)
			pure, err := PlanChange(from, to, timing)
			require.NoError(t, err)
			assert.Equal(t, pure, p)
			replay(t, b, prefixesOf(from), p)
			assert.Empty(t, b.after(time.Minute), "nothing follows the last step")
		})
	}
}

func TestWithoutWaitingTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{WhenEmpty: true})
		_, err := b.SetSegments(segs("203.0.113.0/25", "203.0.113.128/25"))
		require.NoError(t, err)
		assert.Equal(t, []string{
			"filter 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25",
			"announce 203.0.113.0/24, 203.0.113.0/25, 203.0.113.128/25",
			"announce 203.0.113.0/25, 203.0.113.128/25",
			"filter 203.0.113.0/25, 203.0.113.128/25",
		}, b.after(0), "the order is the same")
	})
}

// replay follows a plan on paper and checks the world after every moment of it.
func replay(t *testing.T, b *bench, announced []netip.Prefix, p Plan) {
	served := slices.Clone(announced)
	var now time.Duration
	for i, s := range p.Steps {
		b.after(s.After - now)
		now = s.After
		switch s.Kind {
		case StepProgram:
			served = append(served, s.Prefixes...)
		case StepAnnounce:
			announced = append(announced, s.Prefixes...)
		case StepWithdraw:
			announced = minus(announced, s.Prefixes)
		case StepUnprogram:
			served = minus(served, s.Prefixes)
		}
		if i+1 < len(p.Steps) && p.Steps[i+1].After == now {
			continue
		}
		b.w.mu.Lock()
		slices.SortFunc(announced, netip.Prefix.Compare)
		slices.SortFunc(served, netip.Prefix.Compare)
		assert.Equal(t, join(announced), join(prefixesOf(b.w.announced)), "after %s", now)
		assert.Equal(t, join(served), join(b.w.filter), "after %s", now)
		b.w.mu.Unlock()
	}
	b.w.events()
}
