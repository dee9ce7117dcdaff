package demo

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// learnedRoutes is what BGP put into a switch's kernel table: prefix → next hops.
func learnedRoutes(ns *lab.NS) (map[netip.Prefix]netip.Addr, error) {
	out := map[netip.Prefix]netip.Addr{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := ns.Handle().RouteListFiltered(family,
			&netlink.Route{Protocol: unix.RTPROT_BGP}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return nil, fmt.Errorf("demo: routes of %s: %w", ns.Label(), err)
		}
		for _, r := range routes {
			addr, ok := netip.AddrFromSlice(r.Dst.IP)
			if !ok {
				continue
			}
			bits, _ := r.Dst.Mask.Size()
			via, _ := netip.AddrFromSlice(r.Gw)
			out[netip.PrefixFrom(addr.Unmap(), bits)] = via.Unmap()
		}
	}
	return out, nil
}

// addresses are the IP addresses of a frame, and of the packet in its Geneve tunnel
// if it has one.
type addresses struct {
	outer, inner flow
	tunneled     bool
}

type flow struct{ src, dst netip.Addr }

func frameAddresses(frame []byte) addresses {
	var a addresses
	if p, err := encap.Parse(frame); err == nil {
		a.outer, a.tunneled = flow{p.Src, p.Dst}, true
		a.inner = packetAddresses(p.InnerType, p.Packet)
		return a
	}
	if len(frame) >= 14 {
		a.outer = packetAddresses(uint16(frame[12])<<8|uint16(frame[13]), frame[14:])
	}
	return a
}

func packetAddresses(etherType uint16, b []byte) flow {
	switch {
	case etherType == 0x0800 && len(b) >= 20:
		return flow{netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))}
	case etherType == 0x86dd && len(b) >= 40:
		return flow{netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))}
	}
	return flow{}
}

// watchGateway captures frames on the gateway's link, both ways, that the filter
// wants.
func (d *demo) watchGateway(want func(addresses) bool) (*lab.Capture, error) {
	return d.net.switchA.Capture(gatewaySide, lab.CaptureOptions{Outgoing: true,
		Filter: func(f []byte) bool { return want(frameAddresses(f)) }})
}

// isHostUnreachable says whether a frame is an ICMP host unreachable about a packet to an
// address (RFC 792): type 3, code 1, and behind 8 bytes the header of that packet.
func isHostUnreachable(frame []byte, about netip.Addr) bool {
	const icmp, quoted = 14 + 20, 14 + 20 + 8
	return len(frame) >= quoted+20 && frame[12] == 0x08 && frame[13] == 0x00 && frame[14] == 0x45 && frame[14+9] == 1 &&
		frame[icmp] == 3 && frame[icmp+1] == 1 && packetAddresses(0x0800, frame[quoted:]).dst == about
}
