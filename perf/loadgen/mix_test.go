package loadgen

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// seen is what one frame of a mix is, read from its bytes.
type seen struct {
	kind   string
	fault  string // of malformed ones
	source string
	dst    netip.Addr
}

// look reads a frame that is meant to be config4's or config6's.
func look(t *testing.T, f []byte, c Config) (s seen) {
	t.Helper()
	require.Equal(t, c.DstMAC[:], f[0:6])
	require.Equal(t, c.SrcMAC[:], f[6:12])
	ip, ttl := f[ethLen:], f[ethLen+8]
	var src netip.Addr
	if !c.ipv6() {
		src, s.dst = addrOf(ip[12:16]), addrOf(ip[16:20])
		switch {
		case ip[0] == 0x44:
			s.fault = "header"
		case encap.Checksum(ip[:ipv4Len], 0) != 0:
			s.fault = "checksum"
		}
		require.Contains(t, []byte{0x44, 0x45}, ip[0])
		require.EqualValues(t, len(ip), binary.BigEndian.Uint16(ip[2:]))
	} else {
		ttl = ip[7]
		src, s.dst = addrOf(ip[8:24]), addrOf(ip[24:40])
		switch length := int(binary.BigEndian.Uint16(ip[4:])); {
		case ip[0] == 0x50:
			s.fault = "version"
		case ipv6Len+length > len(ip):
			s.fault = "length"
		default:
			pseudo := append(bytes.Clone(ip[8:ipv6Len]), 0, 0, ip[4], ip[5], 0, 0, 0, protoUDP)
			require.Zero(t, encap.Checksum(append(pseudo, ip[ipv6Len:]...), 0), "UDP checksum")
		}
	}
	s.source = src.String()
	s.kind = "ordinary"
	switch {
	case s.fault != "":
		s.kind = "malformed"
	case ttl == 1:
		s.kind = "ttl"
	case !inRow(s.dst, c.FirstDst, c.Dsts):
		s.kind = "unbound"
	}
	if s.kind != "ttl" {
		require.EqualValues(t, hopLimit, ttl)
	}
	return s
}

func addrOf(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

func inRow(a, first netip.Addr, n int) bool {
	return sameBlock(a, first) && uint64(low32(a))-uint64(low32(first)) < uint64(n)
}

// Every kind has its share, evenly; what is ordinary is what it would be without.
func TestMix(t *testing.T) {
	lab.Need(t, lab.Root)
	for name, c := range map[string]Config{"IPv4": config4, "IPv6": config6} {
		t.Run(name, func(t *testing.T) {
			c.Interface = "lo"
			c.Mix = Mix{Unbound: 0.3, TTL: 0.2, Malformed: 0.1, FirstUnbound: c.FirstDst.Prev().Prev(), Unbounds: 2}
			g, err := New(c)
			require.NoError(t, err)
			defer g.Close()
			require.NoError(t, g.objs.Limit.Set(uint64(math.MaxUint64)))
			const frames = 5000
			kinds, faults, sources := map[string]int{}, map[string]int{}, map[string]bool{}
			dsts := map[string]map[netip.Addr]bool{"ordinary": {}, "ttl": {}, "malformed": {}, "unbound": {}}
			for range frames {
				out := make([]byte, c.Size+256)
				in := bytes.Clone(g.frame)
				copy(in, bytes.Repeat([]byte{0xff}, ethLen+ipv4Len+udpLen)) // as an earlier receiver left it
				opts := ebpf.RunOptions{Data: in, DataOut: out}
				verdict, err := g.objs.Generate.Run(&opts)
				require.NoError(t, err)
				require.EqualValues(t, redirect, verdict)
				require.Len(t, opts.DataOut, c.Size)
				s := look(t, opts.DataOut, c)
				kinds[s.kind]++
				faults[s.fault]++
				dsts[s.kind][s.dst] = true
				if s.kind == "ordinary" {
					require.Equal(t, c.Source.String(), s.source)
					continue
				}
				sources[s.source] = true
			}
			for kind, share := range map[string]float64{"unbound": 0.3, "ttl": 0.2, "malformed": 0.1, "ordinary": 0.4} {
				assert.InDelta(t, share*frames, kinds[kind], 20, kind)
			}
			assert.EqualValues(t, frames-kinds["ordinary"], g.Hostile())
			assert.Len(t, dsts["unbound"], 2)
			for _, kind := range []string{"ordinary", "ttl", "malformed"} {
				assert.Len(t, dsts[kind], c.Dsts, kind)
			}
			delete(faults, "")
			assert.Len(t, faults, 2)
			for fault, n := range faults {
				assert.Greater(t, n, kinds["malformed"]/3, fault)
			}
			assert.Greater(t, len(sources), int(g.Hostile())*9/10, "hostile frames come from everywhere")
		})
	}
}

func TestNoMixIsNone(t *testing.T) {
	r := newRig(t, config4)
	r.run(t, Load{Frames: 1000})
	assert.Zero(t, r.gen.Hostile())
	assert.EqualValues(t, 1000, r.counts(t).Plain.Frames)
}

func TestImpossibleMixes(t *testing.T) {
	for what, m := range map[string]Mix{
		"none below 0":                 {TTL: -0.1},
		"1 at most":                    {TTL: 0.6, Malformed: 0.5},
		"shares of hostile frames NaN": {Unbound: math.NaN()},
		"first unbound address inv":    {Unbound: 0.1},
		"first unbound address 2001":   {Unbound: 0.1, FirstUnbound: config6.FirstDst, Unbounds: 1},
		"0 unbound addresses":          {Unbound: 0.1, FirstUnbound: config4.FirstDst},
		"beyond the last address":      {Unbound: 0.1, FirstUnbound: netip.MustParseAddr("255.255.255.255"), Unbounds: 2},
	} {
		c := config4
		c.Mix = m
		_, err := New(c)
		assert.ErrorContains(t, err, what)
	}
	c := config6
	c.Mix = Mix{Unbound: 0.1, FirstUnbound: netip.MustParseAddr("2001:db9::"), Unbounds: 1}
	_, err := New(c)
	assert.ErrorContains(t, err, "in IPv6 of the /96")
}
