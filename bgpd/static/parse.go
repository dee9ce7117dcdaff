package static

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Parse reads the text of a bindings file, whose name is for messages only. It
// returns the bindings in the order of the file, or every problem with its line, key
// and value, and what was expected.
func Parse(name string, text []byte) ([]fib.Binding, error) {
	d := &document{name: name, anchors: map[string]ast.Node{}}
	root := d.open(text)
	if root == nil {
		return nil, d.err()
	}
	bindings := []fib.Binding{}
	lines := map[netip.Prefix]int{}
	seen := root.keys([]string{"bindings"}, func(_ string, v *place) {
		v.list(func(v *place) {
			b, ok := readBinding(v)
			switch first := lines[b.Prefix]; {
			case !ok:
			case first != 0:
				v.bad("prefix %s is there twice, first in line %d: expected one entry with all its tunnels", b.Prefix, first)
			default:
				lines[b.Prefix] = v.line
				bindings = append(bindings, b)
			}
		})
	})
	if d.count() == 0 && !seen["bindings"] {
		root.bad("expected the key bindings")
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return bindings, nil
}

func readBinding(p *place) (b fib.Binding, ok bool) {
	before := p.doc.count()
	seen := p.keys([]string{"prefix", "tunnels"}, func(key string, v *place) {
		if key == "prefix" {
			b.Prefix = readPrefix(v)
		} else {
			b.Tunnels = readTunnels(v)
		}
	})
	switch {
	case p.broken:
	case !seen["prefix"]:
		p.bad("prefix is missing: expected an EIP or a prefix of EIPs")
	case !seen["tunnels"]:
		p.bad("tunnels are missing: expected a list of at least one")
	}
	return b, p.doc.count() == before
}

func readTunnels(p *place) (tunnels []encap.Tunnel) {
	p.list(func(v *place) {
		t, ok := readTunnel(v)
		if ok && slices.ContainsFunc(tunnels, func(o encap.Tunnel) bool { return o.Canonical() == t.Canonical() }) {
			v.bad("there twice: expected each tunnel once")
		}
		tunnels = append(tunnels, t)
	})
	if n := len(tunnels); (n == 0 || n > fib.MaxTunnels) && !p.broken {
		p.bad("%d tunnels: expected 1 to %d", n, fib.MaxTunnels)
	}
	return tunnels
}

var tunnelKeys = []string{"vtep", "vni", "protocol", "inner-mac", "inner-src-mac", "udp-port", "ovn", "options"}

func readTunnel(p *place) (t encap.Tunnel, ok bool) {
	before := p.doc.count()
	seen := p.keys(tunnelKeys, func(key string, v *place) {
		switch key {
		case "vtep":
			t.VTEP = readAddr(v)
		case "vni":
			t.VNI = encap.VNI(readNumber(v, 0, uint64(encap.MaxVNI)))
		case "protocol":
			t.Protocol = readProtocol(v)
		case "inner-mac":
			t.InnerDst = readMAC(v)
		case "inner-src-mac":
			t.InnerSrc = readMAC(v)
		case "udp-port":
			t.Port = uint16(readNumber(v, 1, 65535))
		case "ovn":
			t.Options = readOVN(v)
		case "options":
			t.Options = readOptions(v)
		}
	})
	switch {
	case p.broken:
	case !seen["vtep"]:
		p.bad("vtep is missing: expected the underlay address of the virtual router")
	case !seen["vni"]:
		p.bad("vni is missing: expected 0 to %d", encap.MaxVNI)
	case seen["ovn"] && seen["options"]:
		p.bad("ovn and options: expected one of them")
	case (seen["ovn"] || seen["options"]) && t.Protocol == encap.VXLAN:
		p.bad("protocol vxlan: expected %s with ovn or options: they are Geneve's", encap.Geneve)
	case p.doc.count() == before:
		if err := t.Validate(); err != nil {
			p.bad("%s", strings.TrimPrefix(err.Error(), "encap: "))
		}
	}
	return t, p.doc.count() == before
}

// scalar reads a value by parse, which says what it expected when it can't.
func scalar[T any](p *place, parse func(text string) (t T, want string)) (t T) {
	if p.broken {
		return t
	}
	text, ok := p.text()
	t, want := parse(text)
	switch {
	case !ok:
		_, want = parse("")
		p.bad("%s: expected %s", describe(p.node), want)
	case want != "":
		p.bad("%s: expected %s", strconv.Quote(shorten(text)), want)
	}
	return t
}

func readPrefix(p *place) netip.Prefix {
	return scalar(p, func(text string) (netip.Prefix, string) {
		const want = "an EIP or a prefix of EIPs, such as 203.0.113.7/32 or 2001:db8::/64"
		if !strings.Contains(text, "/") {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Is4In6() || a.Zone() != "" {
				return netip.Prefix{}, want
			}
			return netip.PrefixFrom(a, a.BitLen()), ""
		}
		q, err := netip.ParsePrefix(text)
		switch {
		case err != nil || q.Addr().Is4In6():
			return netip.Prefix{}, want
		case q != q.Masked():
			return netip.Prefix{}, "no bits beyond the length: " + q.Masked().String()
		}
		return q, ""
	})
}

func readAddr(p *place) netip.Addr {
	return scalar(p, func(text string) (netip.Addr, string) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return a, "the underlay address of the virtual router, such as 10.0.2.11"
		}
		if err := (encap.Tunnel{VTEP: a}).Validate(); err != nil {
			return a, "a unicast address of one host, without zone, not IPv4-mapped"
		}
		return a, ""
	})
}

func readNumber(p *place, lo, hi uint64) uint64 {
	return scalar(p, func(text string) (uint64, string) {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n < lo || n > hi {
			return 0, "a decimal number, " + strconv.FormatUint(lo, 10) + " to " + strconv.FormatUint(hi, 10)
		}
		return n, ""
	})
}

func readProtocol(p *place) encap.Protocol {
	return scalar(p, func(text string) (encap.Protocol, string) {
		x, err := encap.ParseProtocol(text)
		if err != nil {
			return x, encap.Geneve.String() + " or " + encap.VXLAN.String()
		}
		return x, ""
	})
}

func readMAC(p *place) encap.MAC {
	return scalar(p, func(text string) (encap.MAC, string) {
		m, err := encap.ParseMAC(text)
		if err != nil || m.IsZero() || m[0]&1 != 0 {
			return m, "the Ethernet address of one interface, such as 02:00:00:00:00:0b"
		}
		return m, ""
	})
}

// The ports of OVN's option are what ovn-architecture allows: 15 bits in, 16 out.
func readOVN(p *place) encap.Options {
	var in, out uint64
	seen := p.keys([]string{"inport", "outport"}, func(key string, v *place) {
		if key == "inport" {
			in = readNumber(v, 0, 1<<15-1)
		} else {
			out = readNumber(v, 1, 1<<16-1)
		}
	})
	if !p.broken && !seen["outport"] {
		p.bad("outport is missing: expected the tunnel key of the router's port")
	}
	return encap.OVNOptions(uint16(in), uint16(out))
}

func readOptions(p *place) encap.Options {
	return scalar(p, func(text string) (encap.Options, string) {
		wire, err := hex.DecodeString(text)
		if err != nil {
			return encap.Options{}, "Geneve options in hexadecimal, quoted"
		}
		o, err := encap.ParseOptions(wire)
		if err != nil {
			return o, "Geneve options as they go on the wire (" + strings.TrimPrefix(err.Error(), "encap: options: ") + ")"
		}
		return o, ""
	})
}
