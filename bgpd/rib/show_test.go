package rib

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		why := func(a string) Explanation { return b.Why(netip.MustParseAddr(a)) }
		assert.Equal(t, "no segment covers it, so switches do not send it here; not bound: nobody claims it", why("192.0.2.1").Summary)
		assert.Equal(t, "segment 203.0.113.0/24 is announced; not bound: nobody claims it", why("203.0.113.7").Summary)
		assert.Equal(t, "not an address", b.Why(netip.Addr{}).Summary)

		b.AddSource("vr3", SourcePolicy{Allow: []netip.Prefix{pfx("203.0.113.128/25")}})
		good := to("203.0.113.7/32", "10.0.0.1")
		good.LocalPref, good.Carrier = 200, CarrierLargeCommunity
		b.say("vr1", good, to("203.0.113.0/28", "10.0.0.8"), to("192.0.2.1/32", "10.0.0.1"))
		b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
		b.say("vr3", to("203.0.113.7/32", "10.0.0.3"), to("203.0.113.99/32", "10.0.0.3"))
		b.flush()

		e := why("::ffff:203.0.113.7")
		assert.Equal(t, "203.0.113.7", e.Addr.String())
		assert.Equal(t, "segment 203.0.113.0/24 is announced; bound by 203.0.113.7/32 to "+good.Tunnel.String()+
			", said by vr1 (large-community)", e.Summary)
		require.Len(t, e.Prefixes, 2)
		assert.Equal(t, "203.0.113.0/28", e.Prefixes[1].Prefix.String(), "the longest first")
		c := e.Prefixes[0].Candidates
		require.Len(t, c, 3)
		assert.Equal(t, []string{"vr1", "vr2", "vr3"}, []string{string(c[0].Source), string(c[1].Source), string(c[2].Source)})
		assert.Equal(t, []string{
			"best, or as good as the best", "LOCAL_PREF 100, the best has 200",
			"refused: not inside the source's allow-list [203.0.113.128/25]",
		}, []string{c[0].Why, c[1].Why, c[2].Why})
		assert.Equal(t, []bool{true, false, false}, []bool{c[0].Chosen, c[1].Chosen, c[2].Chosen})
		require.Len(t, e.Refusals, 1)
		assert.Equal(t, RefuseNotAllowed, e.Refusals[0].Reason)

		assert.Contains(t, why("203.0.113.8").Summary, "bound by 203.0.113.0/28")
		assert.Contains(t, why("203.0.113.99").Summary, "not bound: the claim of vr3 is refused: not inside the source's allow-list")
		assert.Contains(t, why("192.0.2.1").Summary, "no segment covers it, so switches do not send it here; not bound: the claim of vr1")
		assert.Equal(t, "the only claim", why("203.0.113.8").Prefixes[0].Candidates[0].Why)

		b.withdraw("vr3", "203.0.113.99/32")
		b.flush()
		assert.Contains(t, why("203.0.113.99").Summary, "a claim of vr3 was refused, not_allowed", "the list remembers")
	})
}

func TestWhyOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		assert.Contains(t, b.Why(netip.MustParseAddr("203.0.113.7")).Summary, "to a group of 2 tunnels")
	})
}

func TestWalkPagesAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, quick, func(r *RIB) {
			r.AddSource("vr1", SourcePolicy{})
			_, err := r.SetSegments(segs("10.0.0.0/8", "2001:db8::/32"))
			require.NoError(t, err)
		})
		var all []string
		for i := range 3 * walkPage {
			all = append(all, fmt.Sprintf("10.0.%d.%d/32", i/256, i%256))
		}
		all = append(all, "2001:db8::/64", "2001:db8::/128", "2001:db8::7/128")
		for _, p := range all {
			b.say("vr1", to(p, "172.16.0.1"))
		}
		b.flush()
		walk := func(from netip.Prefix, n int) (out []string) {
			b.Walk(from, func(s PrefixState) bool {
				out = append(out, s.Prefix.String())
				b.Status() // calls back
				return len(out) < n
			})
			return out
		}
		assert.Equal(t, all, walk(netip.Prefix{}, 1<<20))
		assert.Equal(t, all[:walkPage+1], walk(netip.Prefix{}, walkPage+1))
		assert.Equal(t, all[300:310], walk(pfx(all[300]), 10))
		assert.Equal(t, all[256:], walk(pfx("10.0.1.0/31"), 1<<20)[0:], "a place between two")
		assert.Equal(t, all[len(all)-2:], walk(pfx("2001:db8::/65"), 9))
		assert.Empty(t, walk(pfx("2001:db9::/32"), 9))
	})
}

func TestStatusIsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource("vr3", SourcePolicy{Initial: true})
		b.SetHealth(Health{Name: "port", Reason: "down"})
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"), to("192.0.2.1/32", "10.0.0.1"))
		b.flush()
		for _, v := range []any{b.Status(), b.Why(netip.MustParseAddr("203.0.113.7")), b.Refusals()} {
			out, err := json.Marshal(v)
			require.NoError(t, err)
			assert.NotEmpty(t, out)
		}
		out, _ := json.Marshal(b.Status().Segments)
		assert.Contains(t, string(out), `"State":"held"`)
		out, _ = json.Marshal(b.Refusals())
		assert.Contains(t, string(out), `"Reason":"outside_segment"`)
	})
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumRefuseReasons {
		assert.NotContains(t, seen, r.String())
		seen[r.String()] = true
	}
	assert.Equal(t, "unknown", NumRefuseReasons.String())
	assert.Equal(t, "unknown", SegmentState(99).String())
	assert.Equal(t, "unknown", StepKind(99).String())
	assert.Equal(t, "unknown", Carrier(99).String())
	for _, v := range []interface{ MarshalText() ([]byte, error) }{CarrierPeer, StepUnprogram, SegmentLingering, RefuseProgram} {
		text, err := v.MarshalText()
		assert.NoError(t, err)
		assert.NotEqual(t, "unknown", string(text))
	}
}

func TestSegmentStatusOfEveryState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		since := b.segment("203.0.113.0/24").Since
		time.Sleep(time.Minute)
		_, err := b.SetSegments(segs("203.0.113.0/25"))
		require.NoError(t, err)
		b.after(0)
		s := b.segment("203.0.113.0/24")
		assert.Equal(t, SegmentReplaced, s.State)
		assert.Equal(t, since, s.Since)
		assert.Equal(t, time.Now().Add(quick.Settle), s.Until)
		b.after(quick.Settle)
		s = b.segment("203.0.113.0/24")
		assert.Equal(t, SegmentLingering, s.State)
		assert.Equal(t, time.Now().Add(quick.Linger), s.Until)
	})
}
