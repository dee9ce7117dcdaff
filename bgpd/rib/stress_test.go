package rib

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

// TestEverybodyAtOnce has all callers at work at the same time, on the real
// forwarding table, and then says the final word of each source: the table must
// hold exactly what follows from that. It is mostly for the race detector.
func TestEverybodyAtOnce(t *testing.T) {
	table, err := fib.NewTable(fib.TableOptions{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, table.Close()) }()
	compiler := fib.NewCompiler(table, &fibtest.Resolver{})
	w := newWorld(t)
	r, err := New(Config{
		Programmer: compiler, Filter: w, Announcer: w, MaxRefusals: 20,
		Settle: time.Millisecond, Linger: time.Millisecond, Damping: time.Millisecond,
	})
	require.NoError(t, err)
	sources := []SourceID{"vr1", "vr2", "vr3"}
	for _, id := range append(sources, SourceAdmin) {
		r.AddSource(id, SourcePolicy{})
	}
	done := make(chan error)
	go func() { done <- r.Run(context.Background()) }()

	var wg sync.WaitGroup
	for i, id := range sources {
		wg.Go(func() { chatter(r, id, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
	wg.Go(func() { meddle(t, r, rand.New(rand.NewPCG(9, 9))) })
	wg.Go(func() { ask(t, r) })
	wg.Wait()

	want := finalWord(t, r, sources)
	got := map[netip.Prefix]netip.Addr{}
	compiler.Walk(netip.Prefix{}, func(b fib.BindingState) bool {
		assert.Len(t, b.Tunnels, 1)
		got[b.Prefix] = b.Tunnels[0].VTEP
		return true
	})
	assert.Len(t, got, len(want))
	for p, vtep := range want {
		require.Equal(t, vtep.String(), got[p].String(), "%s", p)
	}
	assert.Equal(t, len(want), r.Status().Counters.Programmed)

	require.NoError(t, r.Stop(context.Background()))
	require.NoError(t, <-done)
	assert.Zero(t, compiler.Stats().IPv4)
	assert.Empty(t, w.announced)
	assert.Empty(t, w.filter)
}

// TestDumpThatReplacesADumpLeavesNoGap says everything again and again, each time
// voiding what was said before, while other work keeps Run awake.
func TestDumpThatReplacesADumpLeavesNoGap(t *testing.T) {
	w := newWorld(t)
	r, err := New(Config{Programmer: w, WhenEmpty: true})
	require.NoError(t, err)
	r.AddSource("file", SourcePolicy{})
	r.AddSource("other", SourcePolicy{})
	_, err = r.SetSegments(segs("10.0.0.0/8"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			r.Update(Update{Source: "other", Set: []Path{to("10.9.9.9/32", fmt.Sprintf("172.16.0.%d", 1+i%9))}})
		}
		done <- nil
	}()
	dump := Update{Source: "file", RemoveAll: true}
	for n := range 40 * updateChunk {
		p := to("10.0.0.0/32", "172.17.0.1")
		p.Prefix = address(n)
		dump.Set = append(dump.Set, p)
	}
	for range 10 {
		r.Update(dump)
	}
	require.NoError(t, r.Flush(ctx))
	unbound := slices.DeleteFunc(w.events(), func(e string) bool { return !strings.HasPrefix(e, "unbind") })
	assert.Empty(t, unbound)
	dump.Set = dump.Set[:1]
	r.Update(dump)
	require.NoError(t, r.Flush(ctx))
	assert.Equal(t, 1, status(r, "file").Paths, "what is not said again goes")
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}

func status(r *RIB, id SourceID) SourceStatus {
	for _, s := range r.Status().Sources {
		if s.ID == id {
			return s
		}
	}
	return SourceStatus{}
}

func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32)
}

// chatter is a source that says and withdraws things at random.
func chatter(r *RIB, id SourceID, rng *rand.Rand) {
	for range 400 {
		u := Update{Source: id, RemoveAll: rng.IntN(50) == 0, Synced: rng.IntN(10) == 0}
		for range rng.IntN(20) {
			u.Remove = append(u.Remove, PathKey{Prefix: address(rng.IntN(1000))})
			p := to("10.0.0.0/32", fmt.Sprintf("172.16.0.%d", 1+rng.IntN(9)))
			p.Prefix, p.MED = address(rng.IntN(1000)), uint32(rng.IntN(3))
			u.Set = append(u.Set, p)
		}
		r.Update(u)
	}
}

// meddle changes segments, policies and health.
func meddle(t *testing.T, r *RIB, rng *rand.Rand) {
	tunnel := []encap.Tunnel{{VTEP: netip.MustParseAddr("172.16.0.99"), VNI: 1}}
	for i := range 200 {
		_, err := r.SetSegments(randomWant(rng))
		assert.NoError(t, err)
		r.SetPolicies(map[SourceID]SourcePolicy{"vr1": {Rank: rng.IntN(2), MaxPrefixes: rng.IntN(50)}, "vr2": {Rank: rng.IntN(2)}})
		r.SetHealth(Health{Name: "port", OK: i%2 == 0, Reason: "test"})
		if rng.IntN(10) == 0 {
			r.RemoveSource("vr3")
			r.AddSource("vr3", SourcePolicy{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/23")}})
		}
		if r.Bind(fib.Binding{Prefix: address(rng.IntN(256)), Tunnels: tunnel}) == nil {
			_, err = r.PlanSegments(nil)
			assert.NoError(t, err)
		}
	}
}

// ask reads everything that can be read.
func ask(t *testing.T, r *RIB) {
	for i := range 100 {
		r.Why(address(i).Addr())
		n := 0
		r.Walk(address(i), func(s PrefixState) bool { n++; return n < 300 })
		st := r.Status()
		assert.GreaterOrEqual(t, st.Counters.Paths, 0)
		assert.LessOrEqual(t, len(r.Refusals()), 20)
		r.Segments()
	}
}

// finalWord makes each source claim its own addresses with a preference of its own.
func finalWord(t *testing.T, r *RIB, sources []SourceID) map[netip.Prefix]netip.Addr {
	want := map[netip.Prefix]netip.Addr{}
	_, err := r.SetSegments(segs("10.0.0.0/16"))
	require.NoError(t, err)
	r.RemoveSource(SourceAdmin)
	policies := map[SourceID]SourcePolicy{}
	for _, id := range sources {
		policies[id] = SourcePolicy{}
	}
	r.SetPolicies(policies)
	for i, id := range sources {
		u := Update{Source: id, RemoveAll: true}
		for n := range 600 {
			p := to("10.0.0.0/32", fmt.Sprintf("172.17.0.%d", i+1))
			p.Prefix, p.LocalPref = address(i*200+n), uint32(i)
			u.Set = append(u.Set, p)
			want[p.Prefix] = p.Tunnel.VTEP
		}
		r.Update(u)
	}
	r.SetHealth(Health{Name: "port", OK: true})
	require.NoError(t, r.Flush(context.Background()))
	return want
}
