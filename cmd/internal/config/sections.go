package config

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/encap"
)

var (
	asn     = number[uint32](1, 1<<32-1, "an AS number")
	udpPort = number[uint16](1, 1<<16-1, "a UDP port")
	tcpPort = number[uint16](1, 1<<16-1, "a TCP port")
	inport  = number[uint16](0, 1<<15-1, "the tunnel key of a logical port")
	outport = number[uint16](1, 1<<16-1, "the tunnel key of a logical port")
	vni     = number[encap.VNI](0, uint64(encap.MaxVNI), "a VNI")
	ttl     = number[uint8](1, 255, "a TTL")
)

// carriers that a neighbor may have, best first.
var carriers = []rib.Carrier{rib.CarrierTunnelEncap, rib.CarrierLargeCommunity, rib.CarrierNextHop, rib.CarrierPeer}

// read takes over every section that the document has.
func (c *Config) read(root value) {
	root.mapping(fields{
		"gateway":    c.Gateway.read,
		"segments":   each(&c.Segments, func() Segment { return Segment{} }, (*Segment).read),
		"announce":   c.Announce.read,
		"neighbors":  each(&c.Neighbors, defaultNeighbor, readNeighbor),
		"ports":      each(&c.Ports, defaultPort, (*Port).read),
		"tunnel":     c.Tunnel.read,
		"forwarding": c.Forwarding.read,
		"workers":    c.Workers.read,
		"bindings":   func(v value) { v.mapping(fields{"file": into(&c.Bindings.File, path)}) },
		"admin":      func(v value) { v.mapping(fields{"socket": into(&c.Admin.Socket, path)}) },
		"metrics":    c.Metrics.read,
		"log":        c.Log.read,
		"stop":       func(v value) { v.mapping(fields{"linger": into(&c.Stop.Linger, duration(10*time.Minute))}) },
	})
}

// each reads a list of mappings.
func each[T any](dst *[]T, empty func() T, read func(*T, value)) func(value) {
	return func(v value) {
		for _, e := range v.list() {
			t := empty()
			read(&t, e)
			*dst = append(*dst, t)
		}
	}
}

func (g *Gateway) read(v value) {
	v.mapping(fields{
		"asn":               into(&g.ASN, asn),
		"router-id":         into(&g.RouterID, address4),
		"service-addresses": listOf(&g.ServiceAddresses, address),
		"listen":            listOf(&g.Listen, addrPort),
	})
}

func (s *Segment) read(v value) {
	v.mapping(fields{
		"prefix":            into(&s.Prefix, prefix),
		"communities":       listOf(&s.Communities, community),
		"large-communities": listOf(&s.LargeCommunities, largeCommunity),
		"med":               into(&s.MED, pointerTo(number[uint32](0, 1<<32-1, "a MED"))),
		"mss-clamp":         into(&s.ClampMSS, boolean),
	})
}

func (a *Announce) read(v value) {
	v.mapping(fields{
		"next-hop":     into(&a.NextHop, word(bgpd.NextHopSession, bgpd.NextHopService)),
		"settle":       into(&a.Settle, duration(time.Minute)),
		"initial-wait": into(&a.InitialWait, duration(time.Hour)),
		"damping":      into(&a.Damping, duration(time.Hour)),
		"when-empty":   into(&a.WhenEmpty, boolean),
	})
}

func readNeighbor(n *bgpd.Neighbor, v value) {
	v.mapping(fields{
		"name":          into(&n.Name, anyText),
		"address":       into(&n.Address, address),
		"range":         into(&n.Range, prefix),
		"role":          into(&n.Role, word(bgpd.Switch, bgpd.VirtualRouter)),
		"asn":           into(&n.ASN, asn),
		"password":      secret(&n.Password),
		"port":          into(&n.Port, tcpPort),
		"local-address": into(&n.Local, address),
		"interface":     into(&n.Interface, interfaceName),
		"passive":       into(&n.Passive, boolean),
		"multihop":      into(&n.Hops, ttl),
		"ttl-security":  into(&n.TTLSecurity, number[uint8](1, 254, "a number of hops, 1 for a directly connected neighbor")),
		"hold-time":     into(&n.HoldTime, seconds(3, 65535)),
		"keepalive":     into(&n.Keepalive, seconds(1, 21845)),
		"connect-retry": into(&n.ConnectRetry, seconds(1, 3600)),
		"families":      listOf(&n.Families, word(bgpd.IPv4, bgpd.IPv6)),
		"allow":         listOf(&n.Allow, prefix),
		"max-prefixes":  into(&n.MaxPrefixes, number[int](1, 1<<31, "a number of prefixes")),
		"carriers":      listOf(&n.Carriers, word(carriers...)),
		"profile":       func(v value) { readProfile(&n.Profile, v) },
	})
}

// secret reads a text whose value no message shows.
func secret(dst *string) func(value) {
	return func(v value) {
		text, ok := v.text()
		switch {
		case ok && text == "":
			v.bad("empty: leave the key out for none; expected a text of 1 to 80 bytes (TCP MD5)")
			return
		case !ok || len(text) > 80:
			v.bad("expected a text of 1 to 80 bytes (TCP MD5)")
			return
		}
		*dst = text
	}
}

func readProfile(p *bgpd.Profile, v value) {
	v.mapping(fields{
		"vni":           into(&p.VNI, pointerTo(vni)),
		"protocol":      into(&p.Protocol, word(encap.Geneve, encap.VXLAN)),
		"inner-mac":     into(&p.InnerDst, mac),
		"inner-src-mac": into(&p.InnerSrc, mac),
		"udp-port":      into(&p.Port, udpPort),
		"ovn": func(v value) {
			p.OVN = &bgpd.OVNPorts{}
			v.mapping(fields{"inport": into(&p.OVN.Inport, inport), "outport": into(&p.OVN.Outport, outport)})
		},
	})
}

func (p *Port) read(v value) {
	v.mapping(fields{
		"name":         into(&p.Name, interfaceName),
		"mode":         into(&p.Mode, word(afxdp.ModeAuto, afxdp.ModeNative, afxdp.ModeGeneric)),
		"zero-copy":    into(&p.ZeroCopy, word(afxdp.ZeroCopyAuto, afxdp.ZeroCopyRequire, afxdp.ZeroCopyOff)),
		"queues":       into(&p.Queues, number[int](1, afxdp.MaxQueues, "a number of queues")),
		"vlan":         into(&p.VLAN, vlan),
		"frames":       into(&p.Frames, frames),
		"busy-poll":    into(&p.BusyPoll, number[int](0, 1024, "a number of packets, or 0 for off")),
		"accept-vlans": acceptVLANs(&p.AcceptVLANs),
	})
}

// interfaceName is what the kernel takes: at most 15 bytes, no blank, slash or colon.
func interfaceName(text string) (string, string) {
	for _, r := range text {
		if r <= ' ' || r == '/' || r == ':' || r == 0x7f {
			return "", "the name of an interface, such as eth1"
		}
	}
	if text == "" || len(text) > 15 || text == "." || text == ".." {
		return "", "the name of an interface, such as eth1, of 1 to 15 bytes"
	}
	return text, ""
}

// frames reads a buffer count: half of it is the size of rings, a power of two.
func frames(text string) (int, string) {
	n, want := number[int](afxdp.MinFrames, afxdp.MaxFrames, "a power of two")(text)
	if want != "" || n&(n-1) != 0 {
		return 0, fmt.Sprintf("a power of two, %d to %d", afxdp.MinFrames, afxdp.MaxFrames)
	}
	return n, ""
}

func (t *Tunnel) read(v value) {
	v.mapping(fields{
		"source-ipv4":   into(&t.Source4, address4),
		"source-ipv6":   into(&t.Source6, address6),
		"udp6-checksum": into(&t.UDP6Checksum, oneOf(Checksum6Compute, Checksum6Zero)),
		"ttl":           into(&t.TTL, ttl),
		"path-mtu":      into(&t.PathMTU, oneOf(PathMTUDiscover, PathMTUOff)),
		"dscp":          readDSCP(&t.DSCP),
		"pcp":           into(&t.PCP, oneOf(PCPNone, PCPFromDSCP)),
	})
}

func (w *Workers) read(v value) {
	v.mapping(fields{
		"cpus": listOf(&w.CPUs, number[int](0, 4095, "the number of a CPU")),
		"idle": into(&w.Idle, word(dataplane.Adaptive, dataplane.Busy)),
	})
}

func (m *Metrics) read(v value) {
	v.mapping(fields{"listen": into(&m.Listen, addrPort), "pprof": into(&m.PProf, boolean)})
}

func (l *Log) read(v value) {
	v.mapping(fields{"level": into(&l.Level, level), "format": into(&l.Format, oneOf(FormatText, FormatJSON))})
}

type levelName string

func level(text string) (slog.Level, string) {
	name, want := oneOf[levelName]("debug", "info", "warn", "error")(text)
	if want != "" {
		return 0, want
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return 0, fmt.Sprintf("a level (%v)", err)
	}
	return l, ""
}
