package main

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// flow is what the flow hash takes from a packet.
type flow struct {
	src, dst netip.Addr
	proto    uint8
	ports    uint32 // source << 16 | destination, 0 where they do not count
}

// hash is dataplane.FlowHash4 and FlowHash6, from their definition.
func (f flow) hash() uint32 {
	const (
		k1 = 0x243f6a8885a308d3
		k2 = 0x13198a2e03707345
		k3 = 0xa4093822299f31d1
		k4 = 0x082efa98ec4e6c89
		k5 = 0x452821e638d01377
	)
	src, dst := f.src.AsSlice(), f.dst.AsSlice()
	transport := uint64(f.proto)<<32 + uint64(f.ports)
	if f.src.Is4() {
		addrs := uint64(binary.BigEndian.Uint32(src))<<32 + uint64(binary.BigEndian.Uint32(dst))
		return finish(fold(fold(addrs, k1)^transport, k2))
	}
	h := fold(binary.BigEndian.Uint64(src), k1) ^ fold(binary.BigEndian.Uint64(src[8:]), k2) ^
		fold(binary.BigEndian.Uint64(dst), k3) ^ fold(binary.BigEndian.Uint64(dst[8:]), k4)
	return finish(fold(h^transport, k5))
}

// fold multiplies to 128 bits and adds the halves without carries.
func fold(x, k uint64) uint64 {
	high, low := bits.Mul64(x, k)
	return high ^ low
}

// finish is what the definition calls mix.
func finish(h uint64) uint32 {
	const k6 = 0x9e3779b1
	x := (uint32(h>>32) ^ uint32(h)) * k6
	return x ^ x>>15
}

// mix is fib.Mix.
func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}

// seedOf is the mixed FNV-1a hash that rendezvous seeds are made of.
func seedOf(b []byte) uint32 {
	h := uint32(0x811c9dc5)
	for _, c := range b {
		h ^= uint32(c)
		h *= 0x01000193
	}
	return mix(h)
}

// seed is fib.Seed: every byte of the tunnel that is on the wire and not the
// underlay's. The byte of the protocol is 0 for Geneve, 1 for VXLAN.
func (t Tunnel) seed() uint32 {
	vtep := t.VTEP.As16() // IPv4 as ::ffff:a.b.c.d
	b := binary.BigEndian.AppendUint32(vtep[:], t.VNI)
	if t.isVXLAN() {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint16(b, t.port())
	dst, src, options := t.innerDst(), t.innerSrc(), t.options()
	b = append(append(b, dst[:]...), src[:]...)
	b = append(b, uint8(len(options)))
	return seedOf(append(b, options...))
}

// seed is what a way brings into the choice among the ways to a VTEP: port, VLAN and
// next hop.
func (w Way) seed(port uint16) uint32 {
	b := binary.BigEndian.AppendUint16(nil, port)
	b = binary.BigEndian.AppendUint16(b, w.VLAN.customer)
	if w.VLAN.service != 0 {
		b = binary.BigEndian.AppendUint16(b, w.VLAN.service)
	}
	return seedOf(append(b, w.dst[:]...))
}

// highest is rendezvous hashing: the index of the seed with the highest score for a
// flow.
func highest(hash uint32, seeds []uint32) int {
	best := 0
	for i, s := range seeds {
		if mix(hash^s) > mix(hash^seeds[best]) {
			best = i
		}
	}
	return best
}

// wayHash is the flow hash as the choice among ways takes it: mixed once more, so
// that the flows of one VTEP do not all take one way.
func wayHash(hash uint32) uint32 { return mix(hash ^ 0x9e3779b9) }
