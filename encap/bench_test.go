package encap

import (
	"fmt"
	"net/netip"
	"testing"
)

// benchWays are the headers that the benchmarks compile: each size of copy, and
// both forms of IPv6.
func benchWays() []struct {
	name string
	t    Tunnel
	o    Outer
} {
	v4 := Outer{Src: MAC{2, 1}, Dst: MAC{2, 2}, Local: netip.MustParseAddr("10.255.0.1")}
	v4vlan := v4
	v4vlan.VLAN.C = 100
	v6 := v4
	v6.Local = netip.MustParseAddr("fd00::1")
	v6zero := v6
	v6zero.ZeroChecksum6 = true
	t4 := Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001}
	t4ovn := t4
	t4ovn.Options = OVNOptions(2, 1)
	t6 := Tunnel{VTEP: netip.MustParseAddr("fd00::2"), VNI: 5001}
	t6ovn := t6
	t6ovn.Options = OVNOptions(2, 1)
	return []struct {
		name string
		t    Tunnel
		o    Outer
	}{
		{"v4", t4, v4},
		{"v4vxlan", Tunnel{VTEP: t4.VTEP, VNI: 5001, Protocol: VXLAN}, v4},
		{"v4+ovn", t4ovn, v4},
		{"v4+vlan+ovn", t4ovn, v4vlan},
		{"v6zero", t6, v6zero},
		{"v6zero+ovn", t6ovn, v6zero},
		{"v6sum", t6, v6},
	}
}

// BenchmarkApply is the time of one header, by form and size of inner packet. The
// packet stays in the first-level cache.
func BenchmarkApply(b *testing.B) {
	for _, w := range benchWays() {
		h, err := Compile(w.t, w.o)
		if err != nil {
			b.Fatal(err)
		}
		for _, size := range []int{50, 1450} {
			b.Run(fmt.Sprintf("%s/%d", w.name, size), func(b *testing.B) {
				pkt := make([]byte, h.Len()+size)
				in := Inner{Hash: 0xdeadbeef, TOS: 0xb8}
				for b.Loop() {
					in.Hash++
					h.Apply(pkt, in)
				}
			})
		}
	}
}

// BenchmarkSum is the time of a sum by length.
func BenchmarkSum(b *testing.B) {
	for _, n := range []int{20, 40, 100, 576, 1450, 9000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			buf := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Sum(buf, 17)
			}
		})
	}
}

// BenchmarkParse is the time of taking one IPv4 packet apart, header checksum included.
func BenchmarkParse(b *testing.B) {
	for _, w := range benchWays()[:2] {
		b.Run(w.name, func(b *testing.B) {
			h, err := Compile(w.t, w.o)
			if err != nil {
				b.Fatal(err)
			}
			pkt := make([]byte, h.Len()+64)
			h.Apply(pkt, Inner{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseAs(pkt, w.t.Protocol); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
