package main

import (
	"encoding/hex"
	"fmt"
	"net/netip"
)

// Gateway is a gateway as case.yaml describes it; the format and its defaults are
// those of package dataplane/replay. Keys that keep their default are left out.
type Gateway struct {
	Title    string     `yaml:"title"`
	RFC      string     `yaml:"rfc"`
	Ports    []Port     `yaml:"ports"`
	Bindings []Binding  `yaml:"bindings,omitempty"`
	Underlay []Underlay `yaml:"underlay,omitempty"`
	Options  *Options   `yaml:"tunnel,omitempty,flow"`
	Rules    *Rules     `yaml:"rules,omitempty"`
}

// Port is one end of the gateway.
type Port struct {
	Name string `yaml:"name"`
	MAC  string `yaml:"mac"`
	MTU  int    `yaml:"mtu,omitempty"`
	VLAN vlan   `yaml:"vlan,omitempty"`

	VLANs      []string `yaml:"vlans,omitempty,flow"` // tags of what it takes: "0", "100", "200.100"; none: any
	ICMPSource []string `yaml:"icmp-source,omitempty,flow"`
}

// Binding is an EIP, or a prefix of them, and the tunnels that lead there.
type Binding struct {
	Prefix  string   `yaml:"prefix"`
	Tunnels []Tunnel `yaml:"tunnels"`
}

// Tunnel is one way to a virtual router.
type Tunnel struct {
	VTEP        netip.Addr `yaml:"vtep"`
	VNI         uint32     `yaml:"vni"`
	Protocol    string     `yaml:"protocol,omitempty"` // vxlan; nothing: Geneve
	UDPPort     uint16     `yaml:"udp-port,omitempty"`
	InnerMAC    string     `yaml:"inner-mac,omitempty"`
	InnerSrcMAC string     `yaml:"inner-src-mac,omitempty"`
	OVN         *OVN       `yaml:"ovn,omitempty,flow"`
	Raw         string     `yaml:"options,omitempty"`
}

// OVN is what OVN's option holds.
type OVN struct {
	Inport  uint16 `yaml:"inport"`
	Outport uint16 `yaml:"outport"`
}

// Underlay is the ways to a VTEP.
type Underlay struct {
	VTEP netip.Addr `yaml:"vtep"`
	Ways []Way      `yaml:"ways"`
}

// Way is one next hop.
type Way struct {
	Port   string     `yaml:"port"`
	SrcMAC string     `yaml:"src-mac,omitempty"`
	DstMAC string     `yaml:"dst-mac"`
	VLAN   vlan       `yaml:"vlan,omitempty"`
	Local  netip.Addr `yaml:"local"`
	MTU    int        `yaml:"mtu,omitempty"`

	src, dst mac // SrcMAC, or the port's; DstMAC
}

// Options hold for all tunnels. A nil Options has the defaults.
type Options struct {
	UDP6Checksum string `yaml:"udp6-checksum,omitempty"`
	TTL          uint8  `yaml:"ttl,omitempty"`
}

func (o *Options) zeroSum6() bool { return o != nil && o.UDP6Checksum == "zero" }

func (o *Options) ttl() uint8 {
	if o == nil || o.TTL == 0 {
		return 64
	}
	return o.TTL
}

const defaultMTU = 1500

func (p Port) mtu() int {
	if p.MTU == 0 {
		return defaultMTU
	}
	return p.MTU
}

func (t Tunnel) port() uint16 {
	switch {
	case t.UDPPort != 0:
		return t.UDPPort
	case t.isVXLAN():
		return vxlanPort
	}
	return genevePort
}

func (t Tunnel) isVXLAN() bool { return t.Protocol == "vxlan" }

// vlan is the tags of what leaves: {0, 100} an 802.1Q tag, {100, 0} an 802.1ad tag,
// {100, 200} an 802.1ad tag and an 802.1Q tag behind it.
type vlan struct{ service, customer uint16 }

// IsZero has an untagged port leave its key out.
func (v vlan) IsZero() bool { return v == vlan{} }

// MarshalYAML writes 100, 100.0 or 100.200.
func (v vlan) MarshalYAML() ([]byte, error) {
	if max(v.service, v.customer) > 4094 {
		return nil, fmt.Errorf("VLAN %d.%d: want at most 4094 of each", v.service, v.customer)
	}
	if v.service == 0 {
		return fmt.Append(nil, v.customer), nil
	}
	return fmt.Appendf(nil, "%d.%d", v.service, v.customer), nil
}

// tags are what stands in front of the type, innermost first.
func (v vlan) tags() (all []tag) {
	if v.customer != 0 {
		all = append(all, tag{tpid: typeCTag, vid: v.customer})
	}
	if v.service != 0 {
		all = append(all, tag{tpid: typeSTag, vid: v.service})
	}
	return all
}

// Inner Ethernet addresses of a tunnel that names none: locally administered, and
// "eipgw" and "eipvr" in ASCII.
func (t Tunnel) innerSrc() mac { return macOr(t.InnerSrcMAC, mac{0x02, 'e', 'i', 'p', 'g', 'w'}) }
func (t Tunnel) innerDst() mac { return macOr(t.InnerMAC, mac{0x02, 'e', 'i', 'p', 'v', 'r'}) }

func (t Tunnel) options() []byte {
	if t.OVN != nil {
		return t.OVN.option().bytes()
	}
	b, err := hex.DecodeString(t.Raw)
	if err != nil {
		panic(fmt.Sprintf("options %q: %v", t.Raw, err))
	}
	return b
}

func macOr(s string, def mac) mac {
	if s == "" {
		return def
	}
	var m mac
	if n, err := fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]); n != len(m) {
		panic(fmt.Sprintf("MAC address %q: %v", s, err))
	}
	return m
}

// port is the port of that name.
func (g *Gateway) port(name string) (position int, p Port) {
	for i, p := range g.Ports {
		if p.Name == name {
			return i, p
		}
	}
	panic(fmt.Sprintf("no port %q", name))
}

// ways are the ways to a VTEP, defaults filled in; none when it is unresolved.
func (g *Gateway) ways(vtep netip.Addr) []Way {
	for _, u := range g.Underlay {
		if u.VTEP != vtep {
			continue
		}
		all := make([]Way, len(u.Ways))
		for i, w := range u.Ways {
			_, p := g.port(w.Port)
			if w.VLAN.IsZero() {
				w.VLAN = p.VLAN
			}
			if w.MTU == 0 {
				w.MTU = p.mtu()
			}
			w.src, w.dst = macOr(w.SrcMAC, macOr(p.MAC, mac{})), macOr(w.DstMAC, mac{})
			all[i] = w
		}
		return all
	}
	return nil
}

// choose is the tunnel that a flow takes among those of a binding, and the way: the
// highest score among the tunnels with a way, then among its ways. ok is false when
// no tunnel has any.
func (g *Gateway) choose(hash uint32, tunnels []Tunnel) (t Tunnel, w Way, ok bool) {
	var resolved []Tunnel
	var seeds []uint32
	for _, t := range tunnels {
		if len(g.ways(t.VTEP)) > 0 {
			resolved, seeds = append(resolved, t), append(seeds, t.seed())
		}
	}
	if len(resolved) == 0 {
		return Tunnel{}, Way{}, false
	}
	t = resolved[highest(hash, seeds)]
	ways := g.ways(t.VTEP)
	seeds = seeds[:0]
	for _, w := range ways {
		position, _ := g.port(w.Port)
		seeds = append(seeds, w.seed(uint16(position+1))) // ports are numbered from 1
	}
	return t, ways[highest(wayHash(hash), seeds)], true
}
