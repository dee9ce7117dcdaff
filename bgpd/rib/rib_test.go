package rib

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open is a RIB with one segment, announced, and two sources.
func open(t *testing.T, cfg Config) *bench {
	b := start(t, cfg, func(r *RIB) {
		r.AddSource("vr1", SourcePolicy{Rank: 10})
		r.AddSource("vr2", SourcePolicy{Rank: 10})
		_, err := r.SetSegments(segs("203.0.113.0/24"))
		require.NoError(t, err)
	})
	b.flush()
	b.w.events()
	return b
}

func TestBindMoveWithdraw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.1]"}, b.w.events())

		p := to("203.0.113.7/32", "10.0.0.2")
		p.LocalPref = 200
		b.say("vr2", p)
		b.flush()
		b.withdraw("vr1", "203.0.113.7/32")
		b.flush()
		assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.2]"}, b.w.events(), "moves in one step, the loser leaves no trace")

		b.withdraw("vr2", "203.0.113.7/32")
		b.flush()
		assert.Equal(t, []string{"unbind 203.0.113.7/32"}, b.w.events())
		st := b.Status()
		assert.Zero(t, st.Counters.Prefixes)
		assert.Zero(t, st.Counters.Paths)
		assert.Zero(t, st.Counters.Programmed)
	})
}

func TestEqualClaimsFormAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1 10.0.0.2]"}, b.bindings())
		c := b.Status().Counters
		assert.Equal(t, 1, c.Groups)
		assert.Equal(t, 1, c.Contested)

		b.Update(Update{Source: "vr2", RemoveAll: true})
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]"}, b.bindings())
		c = b.Status().Counters
		assert.Zero(t, c.Groups)
		assert.Zero(t, c.Contested)
	})
}

func TestOneSourceSeveralPathIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		p1, p2 := to("203.0.113.7/32", "10.0.0.1"), to("203.0.113.7/32", "10.0.0.2")
		p1.PathID, p2.PathID = 1, 2
		b.say("vr1", p1, p2)
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1 10.0.0.2]"}, b.bindings())
		assert.Zero(t, b.Status().Counters.Contested, "one source does not contest itself")
		b.Update(Update{Source: "vr1", Remove: []PathKey{{pfx("203.0.113.7/32"), 1}}})
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.2]"}, b.bindings())
	})
}

func TestOrderInsideAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.1/32", "10.0.0.1"), to("203.0.113.2/32", "10.0.0.1"), to("203.0.113.3/32", "10.0.0.1"))
		b.flush()
		b.w.events()
		b.Update(Update{
			Source: "vr1", RemoveAll: true,
			Remove: []PathKey{{Prefix: pfx("203.0.113.2/32")}},
			Set:    []Path{to("203.0.113.2/32", "10.0.0.1"), to("203.0.113.3/32", "10.0.0.9")},
		})
		b.flush()
		assert.ElementsMatch(t, []string{"unbind 203.0.113.1/32", "bind 203.0.113.3/32 [10.0.0.9]"}, b.w.events(),
			"what is said again stays in force without a touch")
	})
}

func TestWithdrawThatMeetsItsReplacementLeavesNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		for _, die := range []Update{
			{Source: "vr1", RemoveAll: true},
			{Source: "vr1", Remove: []PathKey{{Prefix: pfx("203.0.113.7/32")}}},
		} {
			b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
			b.flush()
			b.w.events()
			b.together(func() {
				b.Update(die)
				b.say("vr2", to("203.0.113.7/32", "10.0.0.2"))
			})
			b.flush()
			assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.2]"}, b.w.events())
			b.withdraw("vr2", "203.0.113.7/32")
			b.flush()
		}
	})
}

func TestRemoveSourceAndAddItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.1/32", "10.0.0.1"), to("203.0.113.2/32", "10.0.0.1"))
		b.flush()
		b.RemoveSource("vr1")
		b.RemoveSource("vr1")
		b.AddSource("vr1", SourcePolicy{Rank: 10})
		b.say("vr1", to("203.0.113.2/32", "10.0.0.3"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.2/32": "[10.0.0.3]"}, b.bindings())
		b.RemoveSource("vr1")
		b.flush()
		assert.Empty(t, b.bindings())
		b.say("vr1", to("203.0.113.2/32", "10.0.0.3"))
		b.flush()
		assert.Empty(t, b.bindings())
		assert.EqualValues(t, 1, b.Status().Counters.Refused[RefuseUnknownSource])
	})
}

func TestProgrammerRefusesKeepsTheOldBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.w.refuse[pfx("203.0.113.7/32")] = errors.New("no room")
		b.say("vr1", to("203.0.113.7/32", "10.0.0.2"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.1]"}, b.bindings())
		e := b.Why(pfx("203.0.113.7/32").Addr())
		require.Len(t, e.Prefixes, 1)
		assert.Equal(t, "no room", e.Prefixes[0].Problem)
		assert.Contains(t, e.Summary, "keeps an older binding: no room")
		require.Len(t, b.Refusals(), 1)
		assert.Equal(t, RefuseProgram, b.Refusals()[0].Reason)
		assert.Equal(t, SourceID("vr1"), b.Refusals()[0].Source)

		delete(b.w.refuse, pfx("203.0.113.7/32"))
		b.say("vr1", to("203.0.113.7/32", "10.0.0.3"))
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.7/32": "[10.0.0.3]"}, b.bindings())
		assert.Empty(t, b.Why(pfx("203.0.113.7/32").Addr()).Prefixes[0].Problem)
	})
}

func TestProgrammerFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.1/32", "10.0.0.1"), to("203.0.113.2/32", "10.0.0.1"))
		b.flush()
		b.w.failApply = 2
		b.say("vr1", to("203.0.113.1/32", "10.0.0.2"))
		b.withdraw("vr1", "203.0.113.2/32")
		synctest.Wait()
		assert.Equal(t, map[string]string{"203.0.113.1/32": "[10.0.0.1]", "203.0.113.2/32": "[10.0.0.1]"}, b.bindings())
		b.flush()
		assert.Equal(t, map[string]string{"203.0.113.1/32": "[10.0.0.2]"}, b.bindings())
		assert.EqualValues(t, 2, b.Status().Counters.ProgramErrors)
		assert.Equal(t, 1, b.Status().Counters.Programmed)
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		assert.ErrorContains(t, b.Run(t.Context()), "twice")
	})
}

func TestNewRefusesBadConfig(t *testing.T) {
	_, err := New(Config{})
	assert.ErrorContains(t, err, "Programmer is nil")
	_, err = New(Config{Programmer: newWorld(t), Settle: -time.Second})
	assert.ErrorContains(t, err, "Settle is -1s, expected zero or more")
}
