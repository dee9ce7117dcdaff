package fib

import (
	"encoding/binary"

	"github.com/eipgw/eipgw/encap"
)

// MaxTunnels is the most distinct tunnels of one binding, and the most ways to one
// VTEP that are used.
const MaxTunnels = 64

// Seed is what a tunnel brings into a group's rendezvous. It depends on nothing
// but the tunnel's canonical form (encap.Tunnel.Canonical), so that every gateway
// computes the same. It is the 32-bit FNV-1a hash, put through Mix, of these bytes:
//
//	VTEP            16 bytes; IPv4 as ::ffff:a.b.c.d
//	VNI             4 bytes
//	protocol        1 byte
//	UDP port        2 bytes
//	inner dst MAC   6 bytes
//	inner src MAC   6 bytes
//	options length  1 byte
//	options         as on the wire
//
// Numbers are in network byte order. FNV-1a: start with 0x811c9dc5; for each byte,
// XOR it in, then multiply by 0x01000193 modulo 2^32.
func Seed(t encap.Tunnel) uint32 { return Mix(fnv1a(identity(nil, t))) }

// Score is the worth of the member with this seed for a flow: the flow takes the
// resolved member with the highest score, the first in canonical order of equals.
func Score(hash, seed uint32) uint32 { return Mix(hash ^ seed) }

// WayScore is Score among the ways to one VTEP. The flow hash is mixed once more
// in front, so that the flows that chose one member spread over all its ways.
func WayScore(hash, seed uint32) uint32 { return Score(wayHash(hash), seed) }

func wayHash(hash uint32) uint32 { return Mix(hash ^ 0x9e3779b9) }

// waySeed is what a way brings into the choice among the ways to a VTEP, which is
// this gateway's own: port, VLAN and next hop, whatever order the underlay lists it in.
func waySeed(a Adjacency) uint32 {
	b := binary.BigEndian.AppendUint16(nil, uint16(a.Port))
	b = binary.BigEndian.AppendUint16(b, a.Outer.VLAN.C)
	if s := a.Outer.VLAN.S; s != 0 {
		b = binary.BigEndian.AppendUint16(b, s)
	}
	return Mix(fnv1a(append(b, a.Outer.Dst[:]...)))
}

// Mix is a bijection of 32-bit numbers in which every bit of x changes every bit
// of the result with a probability near one half. All arithmetic is modulo 2^32:
//
//	x ^= x >> 16;  x *= 0x7feb352d
//	x ^= x >> 15;  x *= 0x846ca68b
//	x ^= x >> 16
func Mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}

// identity appends the bytes that tell tunnels apart, see Seed.
func identity(b []byte, t encap.Tunnel) []byte {
	t = t.Canonical()
	vtep := t.VTEP.As16()
	b = append(b, vtep[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(t.VNI))
	b = append(b, byte(t.Protocol))
	b = binary.BigEndian.AppendUint16(b, t.Port)
	b = append(b, t.InnerDst[:]...)
	b = append(b, t.InnerSrc[:]...)
	b = append(b, byte(t.Options.Len()))
	return t.Options.AppendTo(b)
}

func fnv1a(b []byte) uint32 {
	h := uint32(0x811c9dc5)
	for _, c := range b {
		h = (h ^ uint32(c)) * 0x01000193
	}
	return h
}
