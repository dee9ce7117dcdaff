package rib

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// claims is the naive RIB: everything that is said, in a map.
type claims struct {
	paths    map[claimKey]Path
	policies map[SourceID]SourcePolicy
	segments []netip.Prefix
}

type claimKey struct {
	src SourceID
	key PathKey
}

// chosen is what a prefix should be bound to, by the rules as they are written.
func (c *claims) chosen() map[string]string {
	byPrefix := map[netip.Prefix][]Path{}
	for k, p := range c.paths {
		policy := c.policies[k.src]
		inside := func(q netip.Prefix) bool { return q.Bits() <= p.Prefix.Bits() && q.Contains(p.Prefix.Addr()) }
		if !slices.ContainsFunc(c.segments, inside) || policy.Allow != nil && !slices.ContainsFunc(policy.Allow, inside) ||
			slices.ContainsFunc(c.segments, func(q netip.Prefix) bool { return q.Contains(p.Tunnel.VTEP) }) {
			continue
		}
		p.Source = k.src
		byPrefix[p.Prefix] = append(byPrefix[p.Prefix], p)
	}
	out := map[string]string{}
	for prefix, paths := range byPrefix {
		var best []Path
		for _, p := range paths {
			if !slices.ContainsFunc(paths, func(q Path) bool { return c.beats(q, p) }) {
				best = append(best, p)
			}
		}
		var tunnels []encap.Tunnel
		for _, p := range best {
			tunnels = append(tunnels, p.Tunnel)
		}
		slices.SortFunc(tunnels, compareTunnels)
		out[prefix.String()] = vteps(slices.Compact(tunnels))
	}
	return out
}

func (c *claims) beats(a, b Path) bool {
	if ra, rb := c.policies[a.Source].Rank, c.policies[b.Source].Rank; ra != rb {
		return ra < rb
	}
	if a.LocalPref != b.LocalPref {
		return a.LocalPref > b.LocalPref
	}
	if a.ASPathLen != b.ASPathLen {
		return a.ASPathLen < b.ASPathLen
	}
	if a.Origin != b.Origin {
		return a.Origin < b.Origin
	}
	return a.MED < b.MED
}

var (
	oracleSources  = []SourceID{"static", "vr1", "vr2", "vr3", "vr4"}
	oracleSegments = []string{"203.0.113.0/28", "2001:db8::/64"}

	// Inside the segments, at their edges and beside them.
	oracleVTEPs = []string{
		"203.0.113.0", "203.0.113.9", "203.0.113.15", "203.0.112.255", "203.0.113.16",
		"2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::", "2001:db7:ffff::1",
	}
)

func randomPolicy(rng *rand.Rand) SourcePolicy {
	p := SourcePolicy{Rank: rng.IntN(2)}
	if rng.IntN(2) == 0 {
		p.Allow = []netip.Prefix{pfx("203.0.113.0/29"), pfx("203.0.113.8/30")}
		if rng.IntN(2) == 0 {
			p.Allow = append(p.Allow, pfx("2001:db8::/65"))
		}
	}
	return p
}

func randomClaim(rng *rand.Rand) Path {
	prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(20))}), 29+rng.IntN(4)).Masked()
	if rng.IntN(3) == 0 {
		b := [16]byte{0x20, 0x01, 0x0d, 0xb8, 8: byte(rng.IntN(2) * 128), 15: byte(rng.IntN(4))}
		prefix = netip.PrefixFrom(netip.AddrFrom16(b), 126+rng.IntN(3)).Masked()
	}
	vtep := netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + rng.IntN(4))})
	if rng.IntN(4) == 0 {
		vtep = netip.MustParseAddr(oracleVTEPs[rng.IntN(len(oracleVTEPs))])
	}
	return Path{
		Prefix: prefix, PathID: uint32(rng.IntN(2)),
		Tunnel:    encap.Tunnel{VTEP: vtep, VNI: 7},
		LocalPref: uint32(100 + rng.IntN(2)), ASPathLen: uint16(rng.IntN(2)), Origin: uint8(rng.IntN(2)), MED: uint32(rng.IntN(2)),
	}
}

// TestSelectionAgainstOracle says random things in random order and compares what
// is bound with the naive RIB; at the end the same claims are said to a fresh RIB
// in another order.
func TestSelectionAgainstOracle(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { selectAtRandom(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func selectAtRandom(t *testing.T, rng *rand.Rand) {
	c := claims{paths: map[claimKey]Path{}, policies: map[SourceID]SourcePolicy{}}
	for _, s := range oracleSegments {
		c.segments = append(c.segments, pfx(s))
	}
	fresh := func() *bench {
		return start(t, quick, func(r *RIB) {
			for _, id := range oracleSources {
				if _, ok := c.policies[id]; !ok {
					c.policies[id] = randomPolicy(rng)
				}
			}
			r.SetPolicies(c.policies)
			_, err := r.SetSegments(segs(oracleSegments...))
			require.NoError(t, err)
		})
	}
	b := fresh()
	for step := range 1500 {
		c.say(b, rng)
		if step%50 == 0 || step == 1499 {
			b.flush()
			require.Equal(t, c.chosen(), b.bindings(), "step %d", step)
		}
	}
	checkLevels(t, b, &c)

	other := fresh()
	for k, p := range c.paths { // a map: in random order
		other.say(k.src, p)
	}
	other.flush()
	assert.Equal(t, b.bindings(), other.bindings(), "learned in another order")
	checkLevels(t, other, &c)
	checkNothingLeaks(t, b)
}

// checkNothingLeaks removes all sources; no record may be left.
func checkNothingLeaks(t *testing.T, b *bench) {
	for _, id := range oracleSources {
		b.RemoveSource(id)
	}
	b.flush()
	assert.Empty(t, b.bindings())
	b.mu.Lock()
	defer b.mu.Unlock()
	assert.Empty(t, b.queue.attrs.index, "attributes")
	assert.Zero(t, b.queue.ops.used, "queue")
	assert.Zero(t, b.t4.trie.nodes.used+b.t6.trie.nodes.used, "nodes")
	assert.Zero(t, b.t4.paths.used+b.t6.paths.used, "paths")
	assert.Zero(t, b.counters.Programmed+b.counters.Paths+b.counters.Prefixes+b.counters.Groups+b.counters.Contested)
}

// say says one random thing to both.
func (c *claims) say(b *bench, rng *rand.Rand) {
	id := oracleSources[rng.IntN(len(oracleSources))]
	switch n := rng.IntN(100); {
	case n < 60:
		p := randomClaim(rng)
		c.paths[claimKey{id, PathKey{p.Prefix, p.PathID}}] = p
		b.say(id, p)
	case n < 95:
		p := randomClaim(rng)
		k := PathKey{p.Prefix, p.PathID}
		delete(c.paths, claimKey{id, k})
		b.Update(Update{Source: id, Remove: []PathKey{k}})
	case n < 97:
		for k := range c.paths {
			if k.src == id {
				delete(c.paths, k)
			}
		}
		b.Update(Update{Source: id, RemoveAll: true})
	default:
		c.policies[id] = randomPolicy(rng)
		b.AddSource(id, c.policies[id])
	}
}

// checkLevels compares the counters with a count of what Walk shows.
func checkLevels(t *testing.T, b *bench, c *claims) {
	var prefixes, paths, programmed, groups, contested, accepted int
	var last netip.Prefix
	b.Walk(netip.Prefix{}, func(s PrefixState) bool {
		assert.True(t, last.Compare(s.Prefix) < 0, "%s after %s", s.Prefix, last)
		last = s.Prefix
		prefixes++
		paths += len(s.Candidates)
		programmed += count(s.Programmed)
		groups += count(len(s.Tunnels) > 1)
		var fine []Candidate
		for _, c := range s.Candidates {
			accepted += count(c.Refused == RefuseNone)
			if c.Refused == RefuseNone {
				fine = append(fine, c)
			}
		}
		was := contested
		contested += count(slices.ContainsFunc(fine, func(a Candidate) bool {
			return slices.ContainsFunc(fine, func(b Candidate) bool { return a.Source != b.Source && a.Tunnel != b.Tunnel })
		}))
		assert.Equal(t, contested > was, s.Contested)
		return true
	})
	st := b.Status()
	got := st.Counters
	assert.Equal(t, len(c.paths), paths)
	assert.Equal(t, []int{prefixes, paths, programmed, groups},
		[]int{got.Prefixes, got.Paths, got.Programmed, got.Groups})
	assert.Equal(t, len(c.chosen()), programmed)
	assert.Equal(t, contested, got.Contested)
	for _, s := range st.Sources {
		accepted -= s.Accepted
		paths -= s.Paths
	}
	assert.Zero(t, accepted)
	assert.Zero(t, paths)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestGroupIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, quick)
		for i := range fib.MaxTunnels + 6 {
			p := to("203.0.113.7/32", fmt.Sprintf("10.0.0.%d", 200-i))
			p.PathID = uint32(i)
			b.say("vr1", p)
		}
		b.flush()
		b.w.mu.Lock()
		tunnels := b.w.bound[pfx("203.0.113.7/32")]
		b.w.mu.Unlock()
		require.Len(t, tunnels, fib.MaxTunnels)
		assert.Equal(t, "10.0.0.131", tunnels[0].VTEP.String(), "the lowest ones, whatever came first")
		c := b.Why(pfx("203.0.113.7/32").Addr()).Prefixes[0].Candidates
		assert.Equal(t, 6, len(slices.DeleteFunc(slices.Clone(c), func(c Candidate) bool { return c.Chosen })))
	})
}

func TestCompareTunnelsTellsEveryFieldApart(t *testing.T) {
	base := encap.Tunnel{VTEP: netip.MustParseAddr("10.0.0.1"), VNI: 1}.Canonical()
	for name, change := range map[string]func(*encap.Tunnel){
		"VTEP":     func(t *encap.Tunnel) { t.VTEP = netip.MustParseAddr("10.0.0.2") },
		"family":   func(t *encap.Tunnel) { t.VTEP = netip.MustParseAddr("::1") },
		"VNI":      func(t *encap.Tunnel) { t.VNI++ },
		"port":     func(t *encap.Tunnel) { t.Port++ },
		"protocol": func(t *encap.Tunnel) { t.Protocol++ },
		"dst":      func(t *encap.Tunnel) { t.InnerDst[5]++ },
		"src":      func(t *encap.Tunnel) { t.InnerSrc[5]++ },
		"options":  func(t *encap.Tunnel) { t.Options = encap.OVNOptions(2, 1) },
	} {
		other := base
		change(&other)
		assert.Negative(t, compareTunnels(base, other), name)
		assert.Positive(t, compareTunnels(other, base), name)
		assert.Zero(t, compareTunnels(other, other), name)
	}
}
