package main

import (
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
	"github.com/eipgw/eipgw/dataplane"
)

// view is the rules in force, for the API.
func (b *rulebook) view() admin.Rules {
	p := b.parts()
	f, t, i := &p.cfg.Forwarding, &p.cfg.Tunnel, &p.cfg.Forwarding.ICMP
	v := admin.Rules{
		Unbound: f.Unbound.String(), Unresolved: f.Unresolved.String(), Oversize: f.Oversize.String(),
		Martians: f.Martians.String(), TinyFragments: f.TinyFragments.String(),
		DSCP: config.FormatDSCP(t.DSCP), PCP: string(t.PCP), FastLane: string(f.FastLane),
		ICMP: admin.ICMPLimits{Rate: i.Rate, Burst: i.Burst, SourceRate: i.SourceRate, SourceBurst: i.SourceBurst},
	}
	for _, clamp := range p.clamp {
		if clamp {
			v.Clamped++
		}
	}
	for _, port := range p.cfg.Ports {
		s := p.source(port.Name)
		r := admin.PortRules{Port: port.Name, ICMPSource4: s.V4, ICMPSource6: s.V6}
		for _, tags := range port.AcceptVLANs {
			r.AcceptVLANs = append(r.AcceptVLANs, config.FormatTags(tags))
		}
		v.Ports = append(v.Ports, r)
	}
	return v
}

// refusalTexts are the ICMP and ICMPv6 errors of each Refusal (RFC 792, RFC 1812 section
// 5.2.7.1, RFC 4443 section 3.1).
var refusalTexts = map[dataplane.Refusal][2]string{
	dataplane.NetUnreachable:  {"ICMP net unreachable (3/0)", "ICMPv6 no route to destination (1/0)"},
	dataplane.HostUnreachable: {"ICMP host unreachable (3/1)", "ICMPv6 address unreachable (1/3)"},
	dataplane.AdminProhibited: {"ICMP administratively prohibited (3/13)", "ICMPv6 administratively prohibited (1/1)"},
}

// answer says what the sender of a refused packet hears, and from which address by each
// port that it may have come in by.
func (p *ruleParts) answer(r dataplane.Refusal, is4 bool) string {
	texts, ok := refusalTexts[r]
	if !ok {
		return "none: dropped in silence"
	}
	text, family := texts[0], "IPv4"
	if !is4 {
		text, family = texts[1], "IPv6"
	}
	var from []string
	for _, port := range p.cfg.Ports {
		s := p.source(port.Name)
		a := s.V4
		if !is4 {
			a = s.V6
		}
		if a.IsValid() {
			from = append(from, fmt.Sprintf("%s on %s", a, port.Name))
		}
	}
	if len(from) == 0 {
		return fmt.Sprintf("none: it would be %s, but the gateway has no %s address to answer from", text, family)
	}
	return text + " from " + joinWords(from)
}

// Lengths of headers without options (RFC 791, RFC 8200, RFC 9293).
const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
)

// clampedMSS is what the MSS of SYNs to the address is lowered to where an inner packet
// may have so many bytes; 0 if there is no room for any.
func clampedMSS(to netip.Addr, inner uint16) uint16 {
	headers := uint16(ipv4Header + tcpHeader)
	if to.Is6() {
		headers = ipv6Header + tcpHeader
	}
	if inner <= headers {
		return 0
	}
	return inner - headers
}
