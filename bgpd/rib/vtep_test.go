package rib

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVTEPInsideASegment binds two EIPs to each other: each frame for one would go
// round between switch and gateway until its TTL ends.
func TestVTEPInsideASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		_, err := b.SetSegments(segs("203.0.113.0/24", "2001:db8::/64"))
		require.NoError(t, err)
		b.AddSource(SourceStatic, SourcePolicy{})
		for _, id := range []SourceID{"vr1", SourceStatic} {
			b.say(id, to("203.0.113.20/32", "203.0.113.21"), to("203.0.113.21/32", "203.0.113.20"),
				to("203.0.113.1/32", "203.0.113.255"), to("203.0.113.2/32", "203.0.114.0"), // the last address, and the one behind it
				to("203.0.113.3/32", "2001:db8::ffff:ffff:ffff:ffff"), to("2001:db8::4/128", "203.0.113.0"), to("2001:db8::5/128", "2001:db8:0:1::"))
		}
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.2/32": "[203.0.114.0]", "2001:db8::5/128": "[2001:db8:0:1::]"}, b.bindings())
		assert.Equal(t, map[string]string{
			"203.0.113.20/32": "vtep_in_segment", "203.0.113.21/32": "vtep_in_segment", "203.0.113.1/32": "vtep_in_segment",
			"203.0.113.3/32": "vtep_in_segment", "2001:db8::4/128": "vtep_in_segment",
		}, reasons(b.Refusals()))
		s := b.source("vr1")
		assert.Equal(t, []int{7, 2, 5}, []int{s.Paths, s.Accepted, s.Refused}, "held all the same")
		assert.EqualValues(t, 5, s.Refusals[RefuseVTEPInSegment])
		e := b.Why(netip.MustParseAddr("203.0.113.20"))
		assert.Contains(t, e.Summary, "not bound: the claim of static is refused: VTEP 203.0.113.21 lies inside the segments")
		assert.Equal(t, RefuseVTEPInSegment, e.Prefixes[0].Candidates[0].Refused)
	})
}

func TestReplacedTunnelIsJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.AddSource("vr1", SourcePolicy{MaxPrefixes: 1})
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.say("vr1", to("203.0.113.8/32", "10.0.0.1"))
		b.flush()
		b.say("vr1", to("203.0.113.7/32", "203.0.113.9"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.8/32": "[10.0.0.1]"}, b.bindings(), "its room goes to another")
		assert.Equal(t, map[string]string{"203.0.113.7/32": "vtep_in_segment"}, reasons(b.Refusals()))

		b.say("vr1", to("203.0.113.7/32", "203.0.113.10"))
		b.flush()
		require.Len(t, b.Refusals(), 1)
		assert.Contains(t, b.Refusals()[0].Detail, "VTEP 203.0.113.10 ", "the list tells of the latest")
		b.say("vr1", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "max_prefixes"}, reasons(b.Refusals()))
		b.withdraw("vr1", "203.0.113.8/32")
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.2]"}, b.bindings())
		assert.Empty(t, b.Refusals())
		s := b.source("vr1")
		assert.Equal(t, []int{1, 1, 0}, []int{s.Paths, s.Accepted, s.Refused})
	})
}

func TestGroupLosesTheVTEPInsideASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.say("vr2", to("203.0.113.7/32", "203.0.113.8"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]"}, b.bindings())
	})
}

// TestSegmentOverAVTEP adds a segment that covers a VTEP in use and removes it again:
// the binding goes before switches hear of the segment, and comes back when its last
// packets have been waited for.
func TestSegmentOverAVTEP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "198.51.100.1"), to("203.0.113.8/32", "10.0.0.1"))
		b.flush()
		b.w.events()
		_, err := b.SetSegments(segs("203.0.113.0/24", "198.51.100.0/24"))
		require.NoError(t, err)
		assert.Equal(t, []string{
			"unbind 203.0.113.7/32",
			"filter 198.51.100.0/24, 203.0.113.0/24",
			"announce 198.51.100.0/24, 203.0.113.0/24",
		}, b.after(time.Minute))
		assert.Equal(t, map[string]string{"203.0.113.7/32": "vtep_in_segment"}, reasons(b.Refusals()))

		_, err = b.SetSegments(segs("203.0.113.0/24"))
		require.NoError(t, err)
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(quick.Linger-1), "lingering still counts")
		assert.Equal(t, []string{"bind 203.0.113.7/32 [198.51.100.1]", "filter 203.0.113.0/24"}, b.after(1))
		assert.Empty(t, b.Refusals())
	})
}
