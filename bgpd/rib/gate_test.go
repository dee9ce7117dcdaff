package rib

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// initial is a RIB that waits for vr1 and static.
func initial(t *testing.T, cfg Config) *bench {
	return start(t, cfg, func(r *RIB) {
		r.AddSource("vr1", SourcePolicy{Initial: true})
		r.AddSource("static", SourcePolicy{Initial: true})
		r.AddSource("late", SourcePolicy{})
		_, err := r.SetSegments(segs("203.0.113.0/24"))
		require.NoError(t, err)
	})
}

func TestGateWaitsForEverySource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := initial(t, quick)
		b.Update(Update{Source: "vr1", Set: []Path{to("203.0.113.7/32", "10.0.0.1")}, Synced: true})
		assert.Equal(t, []string{"filter 203.0.113.0/24", "bind 203.0.113.7/32 [10.0.0.1]"}, b.after(30*time.Second))
		g := b.Status().Gate
		assert.False(t, g.Open)
		assert.Equal(t, []string{"static"}, g.Waiting)
		assert.Equal(t, []string{"waiting for the initial dump of [static], until " + clock(g.Deadline)}, g.Reasons)
		assert.Equal(t, SegmentHeld, b.segment("203.0.113.0/24").State)
		p, err := b.PlanSegments(segs("203.0.113.0/24"))
		require.NoError(t, err)
		assert.Equal(t, g.Reasons, p.Held)

		b.Update(Update{Source: "static", Synced: true})
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(0))
		assert.True(t, b.Status().Gate.Open)
		assert.Zero(t, b.Status().Gate.Deadline)

		b.AddSource("vr3", SourcePolicy{Initial: true})
		b.Update(Update{Source: "vr1", RemoveAll: true})
		assert.Equal(t, []string{"unbind 203.0.113.7/32"}, b.after(time.Minute), "once open it stays open")
		assert.False(t, b.source("vr1").Synced)
	})
}

func (b *bench) source(id SourceID) SourceStatus { return status(b.RIB, id) }

func TestGateOpensAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := initial(t, quick)
		b.Update(Update{Source: "vr1", Set: []Path{to("203.0.113.7/32", "10.0.0.1")}, Synced: true})
		assert.NotContains(t, b.after(time.Minute-1), "announce 203.0.113.0/24")
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(1))
	})
}

func TestGateForgetsRemovedSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := initial(t, quick)
		b.Update(Update{Source: "vr1", Synced: true})
		b.RemoveSource("static")
		assert.Contains(t, b.after(0), "announce 203.0.113.0/24")
	})
}

func TestSyncedThatBecameVoidDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := initial(t, quick)
		b.Update(Update{Source: "static", Synced: true})
		b.together(func() {
			b.Update(Update{Source: "vr1", Set: []Path{to("203.0.113.7/32", "10.0.0.1")}, Synced: true})
			b.Update(Update{Source: "vr1", RemoveAll: true})
		})
		assert.Equal(t, []string{"filter 203.0.113.0/24"}, b.after(time.Second))
		b.Update(Update{Source: "vr1", RemoveAll: true, Synced: true})
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(time.Second))
	})
}

func TestSyncedMeansProgrammedToTheLastPrefix(t *testing.T) {
	for _, failures := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t, quick, func(r *RIB) {
				r.AddSource("vr1", SourcePolicy{Initial: true})
				_, err := r.SetSegments(segs("10.0.0.0/8"))
				require.NoError(t, err)
			})
			b.w.mu.Lock()
			b.w.failApply = failures
			b.w.mu.Unlock()
			u := Update{Source: "vr1", Synced: true}
			for i := range 2*batchPrefixes + 1 {
				p := to("10.0.0.0/32", "172.16.0.1")
				p.Prefix = address(i)
				u.Set = append(u.Set, p)
			}
			b.Update(u)
			synctest.Wait()
			assert.Equal(t, failures == 0, b.source("vr1").Synced)
			events := b.after(5 * time.Second)
			require.Len(t, events, 2+len(u.Set))
			assert.Equal(t, "announce 10.0.0.0/8", events[len(events)-1])
			assert.True(t, b.source("vr1").Synced)
		})
	}
}

func TestUnnamedSourcesWaitForTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quick
		cfg.UnnamedSources = true
		b := initial(t, cfg)
		b.Update(Update{Source: "vr1", Synced: true})
		b.Update(Update{Source: "static", Synced: true})
		assert.NotContains(t, b.after(time.Minute-1), "announce 203.0.113.0/24")
		assert.Contains(t, b.Status().Gate.Reasons[0], "cannot be named beforehand")
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(1))
	})
}

func TestHealthWithdrawsAndComesBackDamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.w.events()

		b.SetHealth(Health{Name: "worker 0", Reason: "has not polled for 2s"})
		assert.Equal(t, []string{"announce "}, b.after(10*time.Second), "bindings and filter stay")
		assert.Equal(t, []string{"worker 0: has not polled for 2s"}, b.Status().Gate.Reasons)
		assert.Equal(t, SegmentHeld, b.segment("203.0.113.0/24").State)

		b.SetHealth(Health{Name: "worker 0", OK: true})
		assert.Empty(t, b.after(time.Second/2))
		assert.True(t, b.Status().Health[0].Held)
		b.SetHealth(Health{Name: "worker 0", Reason: "again"})
		b.SetHealth(Health{Name: "worker 0", OK: true})
		assert.Empty(t, b.after(time.Second-1), "a relapse starts the damping anew")
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(1))

		b.SetHealth(Health{Name: "port sw0", Reason: "down"})
		assert.Equal(t, []string{"announce "}, b.after(0))
		b.ClearHealth("port sw0")
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(0))
	})
}

// TestStartIsNotDamped has conditions fail, some more than once, before anything was
// announced: the first announcement waits for them to be good, no longer.
func TestStartIsNotDamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := initial(t, quick)
		b.SetHealth(Health{Name: "port sw0", Reason: "down"})
		b.SetHealth(Health{Name: "worker 0", OK: true})
		b.SetHealth(Health{Name: "worker 0", Reason: "has not polled for 2s"})
		b.Update(Update{Source: "vr1", Synced: true})
		b.Update(Update{Source: "static", Synced: true})
		assert.Equal(t, []string{"filter 203.0.113.0/24"}, b.after(time.Minute))
		b.SetHealth(Health{Name: "port sw1", Reason: "down"})
		for _, name := range []string{"port sw0", "worker 0", "port sw1"} {
			b.SetHealth(Health{Name: name, OK: true})
		}
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(0))

		b.SetHealth(Health{Name: "port sw0", Reason: "down"})
		assert.Equal(t, []string{"announce "}, b.after(0))
		b.SetHealth(Health{Name: "port sw0", OK: true})
		assert.Empty(t, b.after(time.Second-1), "damped from now on")
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(1))
	})
}

func TestEmptyTableWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quick
		cfg.WhenEmpty = false
		b := open(t, cfg)
		assert.Empty(t, b.after(time.Hour))
		assert.Equal(t, []string{"bindings: no binding is programmed"}, b.Status().Gate.Reasons)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.1]", "announce 203.0.113.0/24"}, b.after(0), "the first time without damping")
		assert.Equal(t, Health{Name: "bindings", OK: true}, b.Status().Health[0].Health, "what is good has no reason")
		b.Update(Update{Source: "vr1", RemoveAll: true})
		assert.Equal(t, []string{"unbind 203.0.113.7/32", "announce "}, b.after(0))
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		assert.Equal(t, []string{"bind 203.0.113.7/32 [10.0.0.1]"}, b.after(time.Second-1))
		assert.Equal(t, []string{"announce 203.0.113.0/24"}, b.after(1))
	})
}

func TestShutGateForgetsWhatIsNoLongerWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.SetHealth(Health{Name: "port", Reason: "down"})
		b.after(0)
		_, err := b.SetSegments(segs("203.0.113.0/25"))
		require.NoError(t, err)
		assert.Equal(t, []string{"filter 203.0.113.0/24, 203.0.113.0/25"}, b.after(time.Second))
		b.SetHealth(Health{Name: "port", OK: true})
		assert.Equal(t, []string{"announce 203.0.113.0/25"}, b.after(time.Second), "the old segment does not come back")
		assert.Equal(t, []string{"filter 203.0.113.0/25"}, b.after(time.Second))
	})
}

func TestStopWithdrawsLingersUnprograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.w.events()
		done := make(chan error)
		go func() { done <- b.Stop(t.Context()) }()
		assert.Equal(t, []string{"announce "}, b.after(3*time.Second-1))
		_, err := b.SetSegments(segs("203.0.113.0/24"))
		assert.ErrorContains(t, err, "stopping")
		assert.Equal(t, []string{"unbind 203.0.113.7/32", "filter "}, b.after(1))
		assert.NoError(t, <-done)
		assert.NoError(t, b.Stop(t.Context()), "twice is harmless")
		assert.ErrorContains(t, b.Flush(t.Context()), "Run has ended")
	})
}

func TestStopSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		b.say("vr1", to("203.0.113.7/32", "10.0.0.1"))
		b.flush()
		b.w.failAnnounces = 1000
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := b.Stop(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "1 segments announced, 1 bindings programmed still")
	})
}

func TestStopBeforeRun(t *testing.T) {
	r, err := New(Config{Programmer: newWorld(t)})
	require.NoError(t, err)
	assert.NoError(t, r.Stop(t.Context()))
}
