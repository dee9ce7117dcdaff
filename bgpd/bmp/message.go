package bmp

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// Message types (RFC 7854 section 4.1).
const (
	typeRouteMonitoring = 0
	typePeerDown        = 2
	typePeerUp          = 3
	typeInitiation      = 4
	typeTermination     = 5
)

// The common header (RFC 7854 section 4.1) and the per-peer header (section 4.2), which
// messages about a peer have after it:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  version (3)  |     message length, with this header ...      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  ... of it    |     type      |   peer type   |V|L|A|         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          peer distinguisher (8), peer address (16),           |
//	|  peer AS (4), peer BGP ID (4), seconds (4), microseconds (4)  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// An address of IPv4 is at the end of its 16 octets. V is set for a peer of IPv6, L for
// what has passed policy, A where AS_PATH has AS numbers of two octets; who decodes an
// AS_PATH finds that out in the way in which GoBGP does, so A is not looked at.
const (
	version   = 3
	commonLen = 6
	peerLen   = 42

	offFlags   = commonLen + 1
	offAddress = commonLen + 10
	offBGPID   = commonLen + 30
	offSeconds = commonLen + 34

	flagIPv6       = 0x80
	flagPostPolicy = 0x40

	// maxMessage is more than any message that there is: an UPDATE of the greatest
	// length that its header can say.
	maxMessage = commonLen + peerLen + 1<<16
)

// Session is one that came up: what a Peer Up says (RFC 7854 section 4.10).
type Session struct {
	Peer, Local         netip.Addr
	PeerPort, LocalPort uint16
	PeerID              netip.Addr
	Sent, Received      *bgp.BGPOpen
}

// Update is what a Route Monitoring message says (RFC 7854 section 4.6).
type Update struct {
	Peer    netip.Addr
	Seconds int64  // when GoBGP received it, or in what it repeats the route, by its clock
	Body    []byte // the UPDATE after its header; it is the station's again after the call
}

// length reads the common header.
func length(head []byte) (n int, err error) {
	if head[0] != version {
		return 0, fmt.Errorf("version %d, expected %d", head[0], version)
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < commonLen || size > maxMessage {
		return 0, fmt.Errorf("a message of %d octets, expected %d to %d", size, commonLen, maxMessage)
	}
	return int(size), nil
}

// peerOf reads the per-peer header of a whole message.
func peerOf(m []byte) (peer netip.Addr, err error) {
	if len(m) < commonLen+peerLen {
		return peer, fmt.Errorf("a message of type %d and %d octets, expected at least %d", m[5], len(m), commonLen+peerLen)
	}
	return addrOf(m[offFlags], m[offAddress:]), nil
}

func addrOf(flags byte, b []byte) netip.Addr {
	if flags&flagIPv6 != 0 {
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// parseUpdate reads a Route Monitoring message.
func parseUpdate(m []byte) (u Update, err error) {
	if u.Peer, err = peerOf(m); err != nil {
		return u, err
	}
	if m[offFlags]&flagPostPolicy != 0 {
		return u, fmt.Errorf("a route of %s after policy, expected those before it", u.Peer)
	}
	u.Seconds = int64(binary.BigEndian.Uint32(m[offSeconds:]))
	b := m[commonLen+peerLen:]
	n, err := bgpLen(b)
	if err != nil {
		return u, err
	}
	if n != len(b) || b[bgp.BGP_HEADER_LENGTH-1] != bgp.BGP_MSG_UPDATE {
		return u, fmt.Errorf("a BGP message of type %d and %d octets in %d, expected an UPDATE", b[bgp.BGP_HEADER_LENGTH-1], n, len(b))
	}
	u.Body = b[bgp.BGP_HEADER_LENGTH:]
	return u, nil
}

// bgpLen is how long the BGP message is that b begins with.
func bgpLen(b []byte) (int, error) {
	if len(b) < bgp.BGP_HEADER_LENGTH {
		return 0, fmt.Errorf("%d octets, expected a BGP message", len(b))
	}
	n := int(binary.BigEndian.Uint16(b[16:]))
	if n < bgp.BGP_HEADER_LENGTH || n > len(b) {
		return 0, fmt.Errorf("a BGP message of %d octets in %d", n, len(b))
	}
	return n, nil
}

// parseUp reads a Peer Up message: after the headers local address (16 octets), local
// port, remote port (2 each), the OPEN that was sent, the OPEN that was received.
func parseUp(m []byte) (s Session, err error) {
	if s.Peer, err = peerOf(m); err != nil {
		return s, err
	}
	b := m[commonLen+peerLen:]
	if len(b) < 20 {
		return s, fmt.Errorf("a Peer Up message of %d octets", len(m))
	}
	s.PeerID = netip.AddrFrom4([4]byte(m[offBGPID:]))
	s.Local = addrOf(m[offFlags], b)
	s.LocalPort, s.PeerPort = binary.BigEndian.Uint16(b[16:]), binary.BigEndian.Uint16(b[18:])
	b = b[20:]
	for _, open := range []**bgp.BGPOpen{&s.Sent, &s.Received} {
		n, err := bgpLen(b)
		if err != nil {
			return s, fmt.Errorf("OPEN: %w", err)
		}
		if *open, err = parseOpen(b[:n]); err != nil {
			return s, fmt.Errorf("OPEN: %w", err)
		}
		b = b[n:]
	}
	return s, nil
}

// parseOpen reads an OPEN. GoBGP has read it before, but written it anew since.
func parseOpen(b []byte) (open *bgp.BGPOpen, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	m, err := bgp.ParseBGPMessage(b)
	if err != nil {
		return nil, err
	}
	open, ok := m.Body.(*bgp.BGPOpen)
	if !ok {
		return nil, fmt.Errorf("a BGP message of type %d", m.Header.Type)
	}
	return open, nil
}
