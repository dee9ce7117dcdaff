package main

import "net/netip"

// The world of most cases: a gateway on one arm, a switch that is the next hop for
// everything, virtual routers behind it, a client in the Internet.
//
//	client 198.51.100.1 ── switch ── sw0, eipgw 10.255.0.1
//	       2001:db8::1        │          fd00:ff::1
//	                          └── VTEPs 10.0.2.11, fd00:2::11 and following
//
// Addresses are those set aside for documentation (RFC 5737, RFC 3849) and private
// ones (RFC 1918, RFC 4193).
var (
	client4 = netip.MustParseAddr("198.51.100.1")
	client6 = netip.MustParseAddr("2001:db8::1")

	eip4 = addr("203.0.113.7")
	eip6 = addr("2001:db8:e1b::7")

	service4 = netip.MustParseAddr("10.255.0.1")
	service6 = netip.MustParseAddr("fd00:ff::1")

	// What most packets are: from the client to the EIP.
	to4 = ends{client4, eip4.Addr}
	to6 = ends{client6, eip6.Addr}

	// The virtual router of most cases, by either family, and two more for groups.
	tunnel4 = Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001}
	tunnel6 = Tunnel{VTEP: netip.MustParseAddr("fd00:2::11"), VNI: 5001}
	second4 = Tunnel{VTEP: netip.MustParseAddr("10.0.2.12"), VNI: 5001}
	third4  = Tunnel{VTEP: netip.MustParseAddr("10.0.3.13"), VNI: 5001}

	// Ports: sw0 faces the switch; vr0 and vr1 the virtual routers where they have
	// ports of their own.
	sw0 = Port{Name: "sw0", MAC: "02:00:00:00:00:01"}
	vr0 = Port{Name: "vr0", MAC: "02:00:00:00:00:02"}
	vr1 = Port{Name: "vr1", MAC: "02:00:00:00:00:03"}
)

const (
	switchMAC  = "02:00:00:00:00:fe" // next hop, and source of what arrives
	switch2MAC = "02:00:00:00:00:fd" // a second next hop
)

// service is the gateway's own address of that family.
func service(family netip.Addr) netip.Addr {
	if family.Is4() {
		return service4
	}
	return service6
}

// prefixer is what can be bound: an address or a prefix.
type prefixer interface{ prefix() netip.Prefix }

// address is an EIP; it binds as a host prefix.
type address struct{ netip.Addr }

func addr(s string) address { return address{netip.MustParseAddr(s)} }

func (a address) prefix() netip.Prefix { return netip.PrefixFrom(a.Addr, a.BitLen()) }

// network is a prefix of EIPs.
type network string

func (n network) prefix() netip.Prefix { return netip.MustParsePrefix(string(n)) }

// to is from the client to any address.
func to(s string) ends {
	a := netip.MustParseAddr(s)
	if a.Is4() {
		return ends{client4, a}
	}
	return ends{client6, a}
}
