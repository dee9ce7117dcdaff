package dataplane

import "encoding/binary"

// inspect looks at the packets of a burst that are unusual, and takes those that are
// refused off the lists of what is looked up.
func (fw *Forwarder) inspect(b *Burst) {
	n := 0
	for j, i := range fw.idx4[:fw.n4] {
		if fw.unusual>>i&1 != 0 && fw.refuse(&b.F[i&burstMask]) {
			continue
		}
		fw.idx4[n], fw.dst4[n] = i, fw.dst4[j]
		n++
	}
	fw.n4, n = n, 0
	for j, i := range fw.idx6[:fw.n6] {
		if fw.unusual>>i&1 != 0 && fw.refuse(&b.F[i&burstMask]) {
			continue
		}
		fw.idx6[n], fw.dst6[n] = i, fw.dst6[j]
		n++
	}
	fw.n6 = n
}

// refuse says whether an unusual packet is dropped, and gives its frame the Reason.
func (fw *Forwarder) refuse(f *Frame) bool {
	var why Reason
	p := f.Packet()
	if f.IPv6() {
		why = fw.unusual6(p)
	} else {
		why = fw.unusual4(p)
	}
	if why == ReasonNone {
		return false
	}
	f.Reason, f.flags = why, 0
	return true
}

// unusual4 judges an IPv4 packet whose header is sound.
func (fw *Forwarder) unusual4(p []byte) Reason {
	h, header := (*[ipv4Len]byte)(p), 4*int(p[0]&0x0f)
	if why := checkOptions(p[ipv4Len:header]); why != ReasonNone {
		return why
	}
	if fragment := binary.BigEndian.Uint16(h[6:]) & 0x3fff; fragment != 0 {
		if tinyFragment4(fragment, h[9], len(p)-header) && fw.tiny() {
			return ReasonTinyFragment
		}
	}
	return fw.r.suspects.check4(h, p[header:])
}

// unusual6 judges an IPv6 packet whose header is sound.
func (fw *Forwarder) unusual6(p []byte) Reason {
	next, body := skipExtensions(p[6], p[ipv6Len:])
	if next == protoFragment && tinyFragment6(body) && fw.tiny() {
		return ReasonTinyFragment
	}
	return fw.r.suspects.check6(addr6(p[8:]), addr6(p[24:]), next, body)
}

// IPv4 options that are looked for (RFC 791 section 3.1).
const (
	optionEnd               = 0
	optionNop               = 1
	optionLooseSourceRoute  = 131
	optionStrictSourceRoute = 137
)

// checkOptions walks the options of an IPv4 header. Each but the two of one byte has its
// length behind its type. What does not end inside the header is refused, and so is
// source routing: whoever may choose the way of a packet gets behind filters with it
// (RFC 7126 sections 4.3 and 4.4). All others stay as they are, as RFC 1812 section 5.3.13.1
// has it for unknown ones; nothing is written into record route and timestamp (sections
// 5.3.13.5 and 5.3.13.6).
func checkOptions(o []byte) Reason {
	for len(o) > 0 {
		switch o[0] {
		case optionEnd:
			return ReasonNone
		case optionNop:
			o = o[1:]
			continue
		case optionLooseSourceRoute, optionStrictSourceRoute:
			return ReasonSourceRoute
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return ReasonBadIPv4Options
		}
		o = o[o[1]:]
	}
	return ReasonNone
}

// tiny counts a tiny fragment, and says whether it is dropped.
func (fw *Forwarder) tiny() bool {
	fw.events[EventTinyFragment]++
	return fw.r.dropTiny
}

// tinyTCP is how much of a TCP header the first fragment of a packet must hold so that
// its flags cannot come in another one (RFC 1858 section 3).
const tinyTCP = 16

// tinyFragment4 says whether an IPv4 fragment is one that no stack makes: it ends the
// TCP header in a second fragment, or is such a second one, which begins 8 bytes into the
// header (RFC 1858 sections 3.2.1 and 4.2, RFC 3128 section 3). fragment is the flag and
// the offset as they stand in the header, payload the bytes behind that.
func tinyFragment4(fragment uint16, protocol uint8, payload int) bool {
	if protocol != protoTCP {
		return false
	}
	offset := fragment & 0x1fff
	return offset == 0 && payload < tinyTCP || offset == 1
}

// A fragment header (RFC 8200 section 4.5):
//
//	+---------------+---------------+-------------------------+---+-+
//	|  Next Header  |   Reserved    |     Fragment Offset     |Res|M|
//	+---------------+---------------+-------------------------+---+-+
//	|                        Identification                         |
//	+---------------------------------------------------------------+
const fragmentHeaderLen = 8

// tinyFragment6 says the same of an IPv6 fragment, b being its fragment header and what
// follows: the first fragment does not hold all headers up to the end of the transport
// header (RFC 7112 section 5), or a later one begins inside a TCP header. A fragment that
// is the whole packet (RFC 6946) cannot hide anything.
func tinyFragment6(b []byte) bool {
	if len(b) < fragmentHeaderLen {
		return false
	}
	offset := binary.BigEndian.Uint16(b[2:]) >> 3
	more := b[3]&1 != 0
	switch {
	case offset == 0 && !more:
		return false
	case offset != 0:
		return offset == 1 && b[0] == protoTCP
	}
	next, body := skipExtensions(b[0], b[fragmentHeaderLen:])
	switch next {
	case protoTCP:
		return len(body) < 20
	case protoUDP, protoUDPLite, protoICMPv6:
		return len(body) < 8
	case protoSCTP:
		return len(body) < 12
	case protoHopByHop, protoRouting, protoDestOptions, protoMobility, protoHIP, protoShim6, protoAH:
		return body == nil // a header that this fragment does not hold to its end
	}
	return false
}
