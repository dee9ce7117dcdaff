package rib

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// asleep is a RIB whose Run has not started, so that everything waits.
func asleep(t *testing.T) *RIB {
	r, err := New(Config{Programmer: newWorld(t)})
	require.NoError(t, err)
	r.AddSource("vr1", SourcePolicy{})
	r.AddSource("vr2", SourcePolicy{})
	return r
}

func TestChurnCostsNoMoreThanItsPrefixes(t *testing.T) {
	r := asleep(t)
	for i := range 50_000 {
		p := to(fmt.Sprintf("203.0.113.%d/32", i%100), fmt.Sprintf("10.0.%d.1", i%200))
		r.Update(Update{Source: "vr1", Set: []Path{p}})
		if i%3 == 0 {
			r.Update(Update{Source: "vr1", Remove: []PathKey{{Prefix: p.Prefix}}})
		}
	}
	c := r.Status().Counters
	assert.Equal(t, 100, c.Queued)
	assert.EqualValues(t, c.Received-100, c.Coalesced)
	assert.LessOrEqual(t, int(r.queue.ops.used), 101, "one record for each claim that waits")
	assert.LessOrEqual(t, len(r.queue.attrs.index), 100, "what nothing refers to is forgotten")
}

func TestTakeKeepsAPrefixTogetherAndInOrder(t *testing.T) {
	r := asleep(t)
	say := func(id SourceID, prefix string) { r.Update(Update{Source: id, Set: []Path{to(prefix, "10.0.0.1")}}) }
	say("vr1", "10.0.0.1/32")
	say("vr1", "10.0.0.2/32")
	say("vr1", "10.0.0.3/32")
	say("vr2", "10.0.0.1/32")
	say("vr2", "10.0.0.3/32")

	names := func(tk taken) (out []string) {
		for _, o := range tk.ops {
			out = append(out, fmt.Sprint(o.src.id, " ", o.key.prefix().Addr()))
		}
		return out
	}
	assert.Equal(t, []string{"vr1 10.0.0.2"}, names(r.queue.takePrefix(keyOf(pfx("10.0.0.2/32")), nil)), "out of turn")
	assert.Empty(t, names(r.queue.takePrefix(keyOf(pfx("10.0.0.2/32")), nil)))
	assert.Equal(t, []string{"vr1 10.0.0.1", "vr2 10.0.0.1"}, names(r.queue.take(1, nil)))
	assert.EqualValues(t, 2, r.queue.applied(), "the second has left too")
	say("vr1", "10.0.0.9/32")
	assert.Equal(t, []string{"vr1 10.0.0.3", "vr2 10.0.0.3", "vr1 10.0.0.9"}, names(r.queue.take(10, nil)))
	assert.Empty(t, names(r.queue.take(10, nil)))
	assert.EqualValues(t, 4, r.queue.applied())
	assert.Zero(t, r.queue.oldest+r.queue.newest)
	assert.Zero(t, r.queue.ops.used, "the queue is empty and holds no memory")
}

func TestVoidTurnsEarlierClaimsIntoWithdrawals(t *testing.T) {
	r := asleep(t)
	r.Update(Update{Source: "vr1", Set: []Path{to("10.0.0.1/32", "10.0.0.1"), to("10.0.0.2/32", "10.0.0.1")}})
	r.Update(Update{Source: "vr1", RemoveAll: true, Set: []Path{to("10.0.0.2/32", "10.0.0.1")}})
	tk := r.queue.take(10, nil)
	require.Len(t, tk.ops, 2)
	assert.Zero(t, tk.ops[0].attr)
	assert.NotZero(t, tk.ops[1].attr)
	require.Len(t, tk.voided, 1)
	assert.Equal(t, SourceID("vr1"), tk.voided[0].src.id)
}

func TestUnknownSourceIsRefused(t *testing.T) {
	r := asleep(t)
	r.Update(Update{Source: "nobody", Set: []Path{to("10.0.0.1/32", "10.0.0.1")}, RemoveAll: true, Synced: true})
	assert.Zero(t, r.Status().Counters.Queued)
	require.Len(t, r.Refusals(), 1)
	assert.Equal(t, RefuseUnknownSource, r.Refusals()[0].Reason)
	assert.Equal(t, SourceID("nobody"), r.Refusals()[0].Source)
}

// slow is a Programmer that takes its time.
type slow struct {
	*world
	delay time.Duration
}

func (s slow) Apply(b []fib.Binding) (fib.Report, error) {
	time.Sleep(s.delay)
	return s.world.Apply(b)
}

func TestUpdateDoesNotWaitForProgramming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r, err := New(Config{Programmer: slow{w, time.Second}, WhenEmpty: true})
		require.NoError(t, err)
		r.AddSource("vr1", SourcePolicy{})
		_, err = r.SetSegments(segs("203.0.113.0/24"))
		require.NoError(t, err)
		done := make(chan error)
		go func() { done <- r.Run(t.Context()) }()
		defer func() {
			require.NoError(t, r.Stop(t.Context()))
			require.NoError(t, <-done)
		}()
		begin := time.Now()
		for i := range 10_000 {
			p := to(fmt.Sprintf("203.0.113.%d/32", i%8), fmt.Sprintf("10.0.0.%d", 1+i%100))
			r.Update(Update{Source: "vr1", Set: []Path{p}})
		}
		assert.Zero(t, time.Since(begin))
		require.NoError(t, r.Flush(t.Context()))
		assert.LessOrEqual(t, time.Since(begin), 3*time.Second, "10000 words on 8 prefixes are two batches or three")
		lag := r.Status().Counters.Lag
		assert.GreaterOrEqual(t, lag.Max, time.Second)
		assert.EqualValues(t, lag.Count, sum(lag.Buckets[:]))
		assert.GreaterOrEqual(t, sum(lag.Buckets[6:]), uint64(8), "a second or more")
	})
}

func sum(n []uint64) (s uint64) {
	for _, v := range n {
		s += v
	}
	return s
}

func TestLearnedTimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		learned := func() time.Time {
			return b.Why(netip.MustParseAddr("203.0.113.7")).Prefixes[0].Candidates[0].Learned
		}
		time.Sleep(time.Hour)
		p := to("203.0.113.7/32", "10.0.0.1")
		p.Learned = time.Now().Add(-time.Minute)
		b.say("vr1", p)
		b.flush()
		assert.Equal(t, p.Learned, learned())
		p.Learned = time.Time{}
		b.say("vr1", p)
		b.flush()
		assert.Equal(t, time.Now().Add(-time.Minute), learned(), "said again, nothing new")
		p.MED = 9
		b.say("vr1", p)
		b.flush()
		assert.Equal(t, time.Now(), learned())
	})
}
