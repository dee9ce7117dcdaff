package dataplane

// MaxExtensionHeaders is how many IPv6 extension headers are stepped over in search
// of ports. A chain that is longer is hashed without.
const MaxExtensionHeaders = 8

// skipExtensions steps over IPv6 extension headers (RFC 8200 section 4) and returns
// the number of the header that it stopped at and the bytes from there on. A fragment
// header ends the walk: the ports of a fragment do not count.
func skipExtensions(next uint8, b []byte) (uint8, []byte) {
	for range MaxExtensionHeaders {
		var n int
		switch next {
		case protoHopByHop, protoRouting, protoDestOptions, protoMobility, protoHIP, protoShim6:
			if len(b) < 2 {
				return next, nil
			}
			n = 8 + 8*int(b[1])
		case protoAH:
			if len(b) < 2 {
				return next, nil
			}
			n = 8 + 4*int(b[1]) // RFC 4302 section 2.2
		default:
			return next, b
		}
		if len(b) < n {
			return next, nil
		}
		next, b = b[0], b[n:]
	}
	return next, b
}

// authenticated says whether an authentication header is among the extension headers in
// front of a transport header that skipExtensions has found.
func authenticated(next uint8, b []byte) bool {
	for range MaxExtensionHeaders {
		switch next {
		case protoAH:
			return true
		case protoTCP:
			return false
		}
		next, b = b[0], b[8+8*int(b[1]):]
	}
	return false
}
