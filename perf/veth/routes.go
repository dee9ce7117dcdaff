package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Of struct rtmsg's attributes (linux/rtnetlink.h, linux/lwtunnel.h).
const (
	lwtunnelIP    = 2 // LWTUNNEL_ENCAP_IP
	lwtunnelIPID  = 1 // LWTUNNEL_IP_ID
	lwtunnelIPDst = 2 // LWTUNNEL_IP_DST
)

// tunnelRoute is a host route into a tunnel of a collect-metadata device:
//
//	ip route add DST encap ip id VNI dst VTEP via GATEWAY dev DEV onlink
type tunnelRoute struct {
	dst, vtep, gateway netip.Addr
	vni                uint32
	device             int // index
}

// addRoutes adds n routes in the calling thread's network namespace, many with each system
// call and none acknowledged but the last: what fails is answered all the same.
func addRoutes(n int, route func(i int) tunnelRoute) error {
	const batch = 64 << 10
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		return err
	}
	var b []byte
	for i := range n {
		last := i == n-1
		b = route(i).append(b, last)
		if !last && len(b) < batch {
			continue
		}
		if err := unix.Sendto(s, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("route %d of %d: %w", i+1, n, err)
		}
		if err := answers(s, last); err != nil {
			return fmt.Errorf("one of the %d routes up to %v: %w", i+1, route(i).dst, err)
		}
		b = b[:0]
	}
	return nil
}

// answers reads what the kernel has answered, which it does before the request returns;
// with wait there is one at least. An answer is an error, or error 0.
func answers(s int, wait bool) error {
	buf := make([]byte, 8<<10)
	flags := unix.MSG_DONTWAIT
	if wait {
		flags = 0
	}
	n, _, err := unix.Recvfrom(s, buf, flags)
	switch {
	case errors.Is(err, unix.EAGAIN) && !wait:
		return nil
	case err != nil:
		return err
	case n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR:
		return fmt.Errorf("an answer of %d bytes that is none", n)
	}
	if errno := -int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

// append writes the route as an RTM_NEWROUTE message.
func (r tunnelRoute) append(b []byte, acknowledge bool) []byte {
	start := len(b)
	flags := uint16(unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_EXCL)
	if acknowledge {
		flags |= unix.NLM_F_ACK
	}
	b = append(b, 0, 0, 0, 0) // length
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_NEWROUTE)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence, port: not looked at
	b = append(b, unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST)
	b = binary.NativeEndian.AppendUint32(b, unix.RTNH_F_ONLINK)
	b = attribute(b, unix.RTA_DST, r.dst.AsSlice())
	b = attribute(b, unix.RTA_GATEWAY, r.gateway.AsSlice())
	b = attribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(r.device)))
	b = attribute(b, unix.RTA_ENCAP_TYPE, binary.NativeEndian.AppendUint16(nil, lwtunnelIP))
	encap := attribute(nil, lwtunnelIPID, binary.BigEndian.AppendUint64(nil, uint64(r.vni)))
	b = attribute(b, unix.RTA_ENCAP|unix.NLA_F_NESTED, attribute(encap, lwtunnelIPDst, r.vtep.AsSlice()))
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// attribute appends a netlink attribute, padded to four bytes.
func attribute(b []byte, kind uint16, value []byte) []byte {
	const header = 4
	b = binary.NativeEndian.AppendUint16(b, uint16(header+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}
