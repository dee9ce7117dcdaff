package rib

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

func reasons(r []Refusal) map[string]string {
	out := map[string]string{}
	for _, f := range r {
		out[f.Prefix.String()] = f.Reason.String()
	}
	return out
}

func TestRefusedThenAllowedThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource("vr1", SourcePolicy{Allow: []netip.Prefix{pfx("203.0.113.0/25"), pfx("198.51.100.0/24")}})
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"), to("203.0.113.200/32", "10.0.0.1"), to("198.51.100.1/32", "10.0.0.1"),
			to("203.0.112.0/23", "10.0.0.1"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]"}, b.bindings())
		assert.Equal(t, map[string]string{
			"203.0.113.200/32": "not_allowed", "198.51.100.1/32": "outside_segment", "203.0.112.0/23": "outside_segment",
		}, reasons(b.Refusals()))
		s := b.source("vr1")
		assert.Equal(t, []int{4, 1, 3}, []int{s.Paths, s.Accepted, s.Refused})
		assert.EqualValues(t, 2, s.Refusals[RefuseOutsideSegment])

		_, err := b.SetSegments(segs("203.0.113.0/24", "198.51.100.0/24"))
		require.NoError(t, err)
		b.AddSource("vr1", SourcePolicy{})
		b.flush()
		assert.Len(t, b.bindings(), 3)
		assert.Equal(t, map[string]string{"203.0.112.0/23": "outside_segment"}, reasons(b.Refusals()))

		b.AddSource("vr1", SourcePolicy{Allow: []netip.Prefix{}})
		b.flush()
		assert.Empty(t, b.bindings(), "an empty allow-list allows nothing")
		b.AddSource("vr1", SourcePolicy{Allow: []netip.Prefix{pfx("203.0.113.0/25"), pfx("203.0.113.128/25")}})
		b.flush()
		assert.Len(t, b.bindings(), 2)
	})
}

func TestOwnFaultKeepsTheOldClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		bad := to("203.0.113.7/32", "10.0.0.1")
		bad.Tunnel.VNI = encap.MaxVNI + 1
		b.say("vr1", bad, to("203.0.113.8/32", "224.0.0.1"), Path{}, to("::ffff:203.0.113.9/128", "10.0.0.1"))
		b.Update(Update{Source: "vr1", Refused: []Refusal{
			{Prefix: pfx("203.0.113.7/32"), Reason: RefuseConflict, Detail: "attribute 23 says 10.0.0.1, the community 10.0.0.2"},
		}})
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]"}, b.bindings())
		c := b.Status().Counters
		assert.EqualValues(t, 2, c.Refused[RefuseBadTunnel])
		assert.EqualValues(t, 2, c.Refused[RefuseBadPrefix])
		assert.EqualValues(t, 1, c.Refused[RefuseConflict])
		e := b.Why(netip.MustParseAddr("203.0.113.7"))
		require.Len(t, e.Refusals, 1)
		assert.Equal(t, RefuseConflict, e.Refusals[0].Reason)
		assert.EqualValues(t, 2, e.Refusals[0].Count, "one entry for a source and prefix")
		assert.Contains(t, e.Summary, "bound by 203.0.113.7/32", "a refused replacement does not hide what is in force")

		b.say("vr1", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		assert.Empty(t, b.Why(netip.MustParseAddr("203.0.113.7")).Refusals, "a good claim takes the entry off")
		b.say("vr1", bad)
		b.withdraw("vr1", "203.0.113.7/32")
		b.flush()
		assert.Empty(t, b.bindings(), "a withdrawal is a withdrawal")
	})
}

func TestMaxPrefixes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource("vr1", SourcePolicy{MaxPrefixes: 3})
		var all []string
		for i := range 8 {
			p := fmt.Sprintf("203.0.113.%d/32", i)
			all = append(all, p)
			b.say("vr1", to(p, "10.0.0.1"))
			b.flush()
		}
		assert.Len(t, b.bindings(), 3)
		s := b.source("vr1")
		assert.Equal(t, []int{6, 3, 3, 2}, []int{s.Paths, s.Accepted, s.Refused, s.NotHeld}, "as many again are held")
		assert.EqualValues(t, 5, s.Refusals[RefuseMaxPrefixes])

		b.say("vr1", to(all[0], "10.0.0.2"))
		b.flush()
		assert.Equal(t, "[10.0.0.2]", b.bindings()[all[0]], "a replacement needs no room")
		b.withdraw("vr1", all[0], all[1])
		b.flush()
		assert.Len(t, b.bindings(), 3, "those that are held move up")
		assert.Equal(t, 1, b.source("vr1").Refused)

		b.AddSource("vr1", SourcePolicy{MaxPrefixes: 1})
		b.flush()
		assert.Len(t, b.bindings(), 3, "a lower limit takes nothing away")
		b.AddSource("vr1", SourcePolicy{})
		b.say("vr1", to(all[6], "10.0.0.1"), to(all[7], "10.0.0.1"))
		b.flush()
		assert.Len(t, b.bindings(), 6)
		b.Update(Update{Source: "vr1", RemoveAll: true})
		b.flush()
		assert.Zero(t, b.source("vr1").NotHeld)
		assert.Zero(t, b.source("vr1").Paths)
	})
}

func TestAllowListsMoveAnEIPWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		lists := func(a, c string) map[SourceID]SourcePolicy {
			return map[SourceID]SourcePolicy{"vr1": {Allow: []netip.Prefix{pfx(a)}}, "vr2": {Allow: []netip.Prefix{pfx(c)}}}
		}
		b.SetPolicies(lists("203.0.113.0/25", "203.0.113.128/25"))
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		b.w.events()
		b.SetPolicies(lists("203.0.113.128/25", "203.0.113.0/25"))
		b.flush()
		assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.2]"}, b.w.events())
	})
}

func TestRankChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource("vr2", SourcePolicy{Rank: 20})
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		assert.Equal(t, "[10.0.0.1]", b.bindings()["203.0.113.7/32"])
		c := b.Why(netip.MustParseAddr("203.0.113.7")).Prefixes[0].Candidates
		assert.Equal(t, "rank of the source 20, the best has 10", c[1].Why)
		b.AddSource("vr2", SourcePolicy{Rank: 5})
		b.flush()
		assert.Equal(t, "[10.0.0.2]", b.bindings()["203.0.113.7/32"])
	})
}

func TestRefusalListIsBounded(t *testing.T) {
	l := newRefusals(3)
	src := &source{id: "vr1"}
	for i := range 10 {
		p := pfx(fmt.Sprintf("10.0.0.%d/32", i%5))
		assert.Equal(t, i == 0, l.add(src, Refusal{Source: "vr1", Prefix: p, Reason: RefuseNotAllowed}))
	}
	all := l.list(nil)
	require.Len(t, all, 3)
	assert.Equal(t, []string{"10.0.0.4/32", "10.0.0.3/32", "10.0.0.2/32"},
		[]string{all[0].Prefix.String(), all[1].Prefix.String(), all[2].Prefix.String()})
	assert.EqualValues(t, 10, l.counted(nil)[RefuseNotAllowed])
	assert.EqualValues(t, 10, l.counted(src)[RefuseNotAllowed])
	l.clear("vr1", all[0].Prefix)
	l.clear("vr1", all[0].Prefix)
	l.clear("vr2", all[1].Prefix)
	assert.Len(t, l.list(nil), 2)
}

// Several bindings are made together, or, when one of them is refused, none.
func TestBindMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource(SourceAdmin, SourcePolicy{Rank: 0})
		one := []encap.Tunnel{{VTEP: netip.MustParseAddr("10.0.0.1"), VNI: 1}}
		two := []encap.Tunnel{{VTEP: netip.MustParseAddr("10.0.0.1"), VNI: 1}, {VTEP: netip.MustParseAddr("10.0.0.2"), VNI: 1}}
		require.NoError(t, b.Bind(fib.Binding{Prefix: pfx("203.0.113.7/32"), Tunnels: two}, fib.Binding{Prefix: pfx("203.0.113.8/32"), Tunnels: one}))
		b.flush()
		assert.Equal(t, "[10.0.0.1 10.0.0.2]", b.bindings()["203.0.113.7/32"])
		assert.Equal(t, "[10.0.0.1]", b.bindings()["203.0.113.8/32"])
		err := b.Bind(fib.Binding{Prefix: pfx("203.0.113.7/32"), Tunnels: one}, fib.Binding{Prefix: pfx("198.51.100.1/32"), Tunnels: one})
		assert.ErrorContains(t, err, "not inside the segments")
		b.flush()
		assert.Equal(t, "[10.0.0.1 10.0.0.2]", b.bindings()["203.0.113.7/32"], "none of them")
		require.NoError(t, b.Bind(fib.Binding{Prefix: pfx("203.0.113.7/32"), Tunnels: one}))
		b.flush()
		assert.Equal(t, "[10.0.0.1]", b.bindings()["203.0.113.7/32"])

		// One list of tunnels among several, one prefix twice: its last binding holds.
		require.NoError(t, b.Bind(
			fib.Binding{Prefix: pfx("203.0.113.7/32"), Tunnels: two}, fib.Binding{Prefix: pfx("203.0.113.8/32"), Tunnels: two},
			fib.Binding{Prefix: pfx("203.0.113.9/32"), Tunnels: two}, fib.Binding{Prefix: pfx("203.0.113.7/32"), Tunnels: one}))
		b.flush()
		for prefix, want := range map[string]string{
			"203.0.113.7/32": "[10.0.0.1]", "203.0.113.8/32": "[10.0.0.1 10.0.0.2]", "203.0.113.9/32": "[10.0.0.1 10.0.0.2]",
		} {
			assert.Equal(t, want, b.bindings()[prefix], prefix)
		}
		require.NoError(t, b.Unbind(pfx("203.0.113.8/32")))
		b.flush()
		assert.NotContains(t, b.bindings(), "203.0.113.8/32")
	})
}

func TestBindUnbind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		tunnel := func(vtep string) encap.Tunnel { return encap.Tunnel{VTEP: netip.MustParseAddr(vtep), VNI: 1} }
		bind := func(prefix string, vteps ...string) error {
			f := fib.Binding{Prefix: pfx(prefix)}
			for _, v := range vteps {
				f.Tunnels = append(f.Tunnels, tunnel(v))
			}
			return b.Bind(f)
		}
		assert.ErrorContains(t, bind("203.0.113.7/32", "10.0.0.1"), "not enabled")
		b.AddSource(SourceAdmin, SourcePolicy{Rank: 0})
		b.say("vr1", to("203.0.113.7/32", "10.0.0.9"))
		require.NoError(t, bind("203.0.113.7/32", "10.0.0.1", "10.0.0.2", "10.0.0.3"))
		b.flush()
		assert.Equal(t, "[10.0.0.1 10.0.0.2 10.0.0.3]", b.bindings()["203.0.113.7/32"])
		require.NoError(t, bind("203.0.113.7/32", "10.0.0.4"))
		b.flush()
		assert.Equal(t, "[10.0.0.4]", b.bindings()["203.0.113.7/32"])
		require.NoError(t, b.Unbind(pfx("203.0.113.7/32")))
		b.flush()
		assert.Equal(t, "[10.0.0.9]", b.bindings()["203.0.113.7/32"], "what others claim counts again")

		assert.ErrorContains(t, b.Unbind(pfx("203.0.113.7/32")), "expected a prefix that was bound at runtime")
		assert.ErrorContains(t, bind("198.51.100.1/32", "10.0.0.1"), "not inside the segments")
		assert.ErrorContains(t, bind("2001:db8::1/128", "10.0.0.1"), "not inside the segments")
		assert.ErrorContains(t, bind("203.0.113.7/32", "10.0.0.1", "203.0.113.8"),
			"rib: bind 203.0.113.7/32: VTEP 203.0.113.8 lies inside the segments: switches would send its tunnel packets back here")
		assert.ErrorContains(t, bind("203.0.113.7/24", "10.0.0.1"), "expected 203.0.113.0/24")
		assert.ErrorContains(t, bind("::ffff:1.2.3.4/128", "10.0.0.1"), "expected an IPv4 or IPv6 prefix")
		assert.ErrorContains(t, bind("203.0.113.7/32"), "0 tunnels, expected 1 to 64")
		assert.ErrorContains(t, bind("203.0.113.7/32", "0.0.0.0"), "VTEP")
		assert.Empty(t, b.Refusals(), "what Bind refuses never reaches the queue")
	})
}

// What is bound inside a segment that has just come to be wanted is taken, also before Run has
// come to it.
func TestBindInsideANewSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource(SourceAdmin, SourcePolicy{Rank: 0})
		one := []encap.Tunnel{{VTEP: netip.MustParseAddr("10.0.0.1"), VNI: 1}}
		b.together(func() {
			_, err := b.SetSegments(segs("203.0.113.0/24", "198.51.100.0/24"))
			require.NoError(t, err)
			require.NoError(t, b.Bind(fib.Binding{Prefix: pfx("198.51.100.1/32"), Tunnels: one}))
		})
		b.flush()
		assert.Equal(t, "[10.0.0.1]", b.bindings()["198.51.100.1/32"])
	})
}
