package rib

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// randomPrefix makes prefixes that often cover, repeat or touch one another.
func randomPrefix(rng *rand.Rand, v6 bool) netip.Prefix {
	if v6 {
		b := [16]byte{0: 0x20, 1: 0x01, 7: byte(rng.IntN(4)), 8: byte(rng.IntN(256)), 15: byte(rng.IntN(8))}
		return netip.PrefixFrom(netip.AddrFrom16(b), []int{0, 8, 56, 62, 63, 64, 65, 66, 72, 127, 128}[rng.IntN(11)]).Masked()
	}
	b := [4]byte{byte(rng.IntN(2) * 255), byte(rng.IntN(4)), 0, byte(rng.IntN(16))}
	return netip.PrefixFrom(netip.AddrFrom4(b), []int{0, 1, 8, 14, 15, 16, 24, 28, 31, 32}[rng.IntN(10)]).Masked()
}

func TestTrieAgainstMap4(t *testing.T) { trieAgainstMap(t, false, prefixKey.key4) }
func TestTrieAgainstMap6(t *testing.T) { trieAgainstMap(t, true, prefixKey.key6) }

func trieAgainstMap[K key[K]](t *testing.T, v6 bool, of func(prefixKey) K) {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := &trie[K]{}
	naive := map[netip.Prefix]uint32{}
	for step := range 8000 {
		p := randomPrefix(rng, v6)
		k := keyOf(p)
		require.Equal(t, tr.find(of(k), k.bits), tr.findNear(of(k), k.bits), "%s", p)
		switch i := tr.find(of(k), k.bits); {
		case rng.IntN(100) < 48 && i != 0:
			tr.nodes.at(i).head = 0
			tr.remove(of(k), k.bits)
			delete(naive, p)
		default:
			i = tr.insert(of(k), k.bits)
			tr.nodes.at(i).head = uint32(step + 1)
			naive[p] = uint32(step + 1)
		}
		if step%250 == 0 {
			compareTrie(t, tr, naive, of, randomPrefix(rng, v6))
		}
	}
	for p := range naive {
		k := keyOf(p)
		tr.nodes.at(tr.find(of(k), k.bits)).head = 0
		tr.remove(of(k), k.bits)
	}
	assert.Zero(t, tr.root)
	assert.Zero(t, tr.nodes.used, "every node is given back")
}

func compareTrie[K key[K]](t *testing.T, tr *trie[K], naive map[netip.Prefix]uint32, of func(prefixKey) K, from netip.Prefix) {
	t.Helper()
	var all, covering []netip.Prefix
	for p, head := range naive {
		k := keyOf(p)
		i := tr.find(of(k), k.bits)
		require.NotZero(t, i, "%s is lost", p)
		require.Equal(t, head, tr.nodes.at(i).head)
		if p.Compare(from) >= 0 {
			all = append(all, p)
		}
		if p.Bits() <= from.Bits() && p.Contains(from.Addr()) {
			covering = append(covering, p)
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	slices.SortFunc(covering, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })

	prefixOf := func(i uint32) netip.Prefix { return tr.nodes.at(i).key.pack(tr.nodes.at(i).bits).prefix() }
	k := keyOf(from)
	var walked, found []netip.Prefix
	c := tr.seek(of(k), k.bits)
	for i := c.next(); i != 0; i = c.next() {
		walked = append(walked, prefixOf(i))
	}
	require.Equal(t, all, walked, "walk from %s", from)
	tr.covering(of(k), k.bits, func(i uint32) { found = append(found, prefixOf(i)) })
	require.Equal(t, covering, found, "covering %s", from)
	if _, ok := naive[from]; !ok {
		require.Zero(t, tr.find(of(k), k.bits))
	}
	branches := int(tr.nodes.used) - 1 - len(tr.nodes.free) - len(naive)
	require.LessOrEqual(t, branches, max(len(naive)-1, 0), "useless branches stay")
}

func TestKeyRoundTrip(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0/0", "255.255.255.255/32", "203.0.113.128/25", "::/0", "2001:db8::/33", "2001:db8:0:0:8000::/65",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	} {
		p := netip.MustParsePrefix(s)
		assert.Equal(t, p, keyOf(p).prefix())
	}
}

func TestCleanPrefix(t *testing.T) {
	for _, c := range []struct {
		in, want string
	}{
		{"10.0.0.1/24", "10.0.0.0/24"},
		{"2001:db8::1/64", "2001:db8::/64"},
		{"::ffff:10.0.0.1/128", ""},
	} {
		p, ok := cleanPrefix(netip.MustParsePrefix(c.in))
		assert.Equal(t, c.want != "", ok, c.in)
		if ok {
			assert.Equal(t, c.want, p.String())
		}
	}
	_, ok := cleanPrefix(netip.Prefix{})
	assert.False(t, ok)
}

func TestSpansAgainstAddresses(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var set []netip.Prefix
		for range rng.IntN(6) {
			set = append(set, randomSmall(rng))
		}
		v4, _ := splitSpans(set)
		for range 20 {
			p := randomSmall(rng)
			want := true
			for a := p.Addr(); p.Contains(a); a = a.Next() {
				in := slices.ContainsFunc(set, func(s netip.Prefix) bool { return s.Contains(a) })
				want = want && in
			}
			k := keyOf(p)
			assert.Equal(t, want, v4.covers(k.key4(), k.key4().last(k.bits)), "%s in %v", p, set)
		}
	}
}

// randomSmall is a prefix inside 255.255.255.192/26, at the end of the address space.
func randomSmall(rng *rand.Rand) netip.Prefix {
	a := netip.AddrFrom4([4]byte{255, 255, 255, byte(192 + rng.IntN(64))})
	return netip.PrefixFrom(a, 26+rng.IntN(7)).Masked()
}

func TestSpansReachTheEnd(t *testing.T) {
	v4, v6 := splitSpans([]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("255.0.0.0/8"),
		netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1"),
	})
	assert.Equal(t, spans[key4]{{0, 0xffffffff}}, v4)
	require.Len(t, v6, 1, "the halves join")
	assert.True(t, v6.covers(key6{}, key6{^uint64(0), ^uint64(0)}))
}
