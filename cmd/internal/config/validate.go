package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/dataplane/afxdp"
)

// checker notes problems of a configuration that is read but not yet believed.
type checker struct {
	c *Config
	r *reader
}

// validate checks what can only be seen across keys, and fills in defaults that
// depend on other keys.
func (c *Config) validate(r *reader) {
	k := checker{c, r}
	k.gateway()
	k.segments()
	k.neighbors()
	k.ports()
	k.ownAddresses()
	k.metrics()
	k.completeness()
	k.speaker()
}

// at is the line of key, or of the nearest key above it that stands in the document.
func (k checker) at(key string) int {
	for key != "" {
		if line, ok := k.r.lines[key]; ok {
			return line
		}
		key = parent(key)
	}
	return 0
}

func parent(key string) string {
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '.' || key[i] == '[' {
			return key[:i]
		}
	}
	return ""
}

func (k checker) bad(key, format string, args ...any) { k.r.bad(key, k.at(key), format, args...) }

func (k checker) warn(key, format string, args ...any) {
	k.r.warnings = append(k.r.warnings, Problem{File: k.r.file, Line: k.at(key), Key: key, Text: fmt.Sprintf(format, args...)})
}

// missing reports a key that has to be there. A value that was there and could not
// be read has its problem already.
func (k checker) missing(key, want string) {
	if _, there := k.r.lines[key]; !there {
		k.bad(key, "missing: expected %s", want)
	}
}

// has says whether the key stands in the document.
func (k checker) has(key string) bool {
	_, there := k.r.lines[key]
	return there
}

func (k checker) gateway() {
	g := &k.c.Gateway
	if g.ASN == 0 {
		k.missing("gateway.asn", "the gateway's AS number")
	}
	if !g.RouterID.IsValid() {
		k.missing("gateway.router-id", wantAddr4)
	}
	for i, a := range g.ServiceAddresses {
		for _, b := range g.ServiceAddresses[:i] {
			if a.Is4() == b.Is4() {
				k.bad(fmt.Sprintf("gateway.service-addresses[%d]", i), "%s: expected at most one address per family, and %s is there", a, b)
			}
		}
	}
	if k.has("gateway.listen") && len(g.Listen) == 0 {
		k.bad("gateway.listen", "nothing: expected at least one address and port, such as 0.0.0.0:179")
	}
	for i, l := range g.Listen {
		if l.Port() != g.Listen[0].Port() {
			k.bad(fmt.Sprintf("gateway.listen[%d]", i), "%s: expected port %d, as for the first one", l, g.Listen[0].Port())
		}
	}
}

func (k checker) segments() {
	first := map[netip.Prefix]int{}
	for i, s := range k.c.Segments {
		key := fmt.Sprintf("segments[%d]", i)
		if !s.Prefix.IsValid() {
			k.missing(key+".prefix", wantPrefix)
			continue
		}
		if s.Prefix.Bits() == 0 {
			k.bad(key+".prefix", "%s: expected a segment of EIPs, not a default route", s.Prefix)
		}
		if at, twice := first[s.Prefix]; twice {
			k.bad(key+".prefix", "%s is segments[%d] already", s.Prefix, at)
			continue
		}
		first[s.Prefix] = i
		if k.c.Announce.NextHop == bgpd.NextHopService && !slices.ContainsFunc(k.c.Gateway.ServiceAddresses, sameFamily(s.Prefix.Addr())) {
			k.bad(key+".prefix", "%s: announce.next-hop is service, but gateway.service-addresses has no address of this family", s.Prefix)
		}
	}
}

func (k checker) ports() {
	ports := k.c.Ports
	if len(ports) == 0 {
		k.missing("ports", "at least one interface, such as {name: eth1}")
		return
	}
	for i, p := range ports {
		key := fmt.Sprintf("ports[%d]", i)
		if p.Name == "" {
			k.missing(key+".name", "the name of an interface, such as eth1")
			continue
		}
		for j, q := range ports[:i] {
			if q.Name == p.Name {
				k.bad(key+".name", "%s is ports[%d] already", p.Name, j)
			}
		}
		if p.Queues != ports[0].Queues {
			k.bad(key+".queues", "%d: expected %d as for %s: worker i takes queue i of every port", p.Queues, ports[0].Queues, ports[0].Name)
		}
		if p.Mode == afxdp.ModeGeneric && p.ZeroCopy == afxdp.ZeroCopyRequire {
			k.bad(key+".zero-copy", "require: generic XDP always copies; expected mode native or auto")
		}
	}
	if n := len(k.c.Workers.CPUs); n != 0 && n != ports[0].Queues {
		k.bad("workers.cpus", "%d CPUs: expected %d, one per queue, or none for workers that are not pinned", n, ports[0].Queues)
	}
}

// own is an address that no segment may cover: the ports would take its frames away
// from the kernel, and BGP or the tunnels would end the moment the segment is programmed.
type own struct {
	key, what string
	addr      netip.Addr
}

func (c *Config) own() []own {
	list := []own{
		{"tunnel.source-ipv4", "the tunnels' source address", c.Tunnel.Source4},
		{"tunnel.source-ipv6", "the tunnels' source address", c.Tunnel.Source6},
	}
	for i, a := range c.Gateway.ServiceAddresses {
		list = append(list, own{fmt.Sprintf("gateway.service-addresses[%d]", i), "a service address", a})
	}
	for i, n := range c.Neighbors {
		key := fmt.Sprintf("neighbors[%d]", i)
		list = append(list, own{key + ".address", "a neighbor", n.Address}, own{key + ".local-address", "an address of the gateway", n.Local})
	}
	return slices.DeleteFunc(list, func(o own) bool { return !o.addr.IsValid() })
}

func (k checker) ownAddresses() {
	for _, o := range k.c.own() {
		for i, s := range k.c.Segments {
			if s.Prefix.Bits() > 0 && s.Prefix.Contains(o.addr) {
				k.bad(o.key, "%s, %s, lies inside segments[%d] %s: frames for it would be taken for an EIP's", o.addr, o.what, i, s.Prefix)
				break
			}
		}
	}
}

// CheckSegment says why a segment that is added at runtime can't be one.
func (c *Config) CheckSegment(p netip.Prefix) error {
	if p.Bits() == 0 {
		return fmt.Errorf("%s: expected a segment of EIPs, not a default route", p)
	}
	if c.Announce.NextHop == bgpd.NextHopService && !slices.ContainsFunc(c.Gateway.ServiceAddresses, sameFamily(p.Addr())) {
		return fmt.Errorf("%s: announce.next-hop is service, but gateway.service-addresses has no address of this family", p)
	}
	for _, o := range c.own() {
		if p.Contains(o.addr) {
			return fmt.Errorf("%s covers %s, %s (%s): frames for it would be taken for an EIP's", p, o.addr, o.what, o.key)
		}
	}
	return nil
}

func sameFamily(a netip.Addr) func(netip.Addr) bool {
	return func(b netip.Addr) bool { return a.Is4() == b.Is4() }
}

func (k checker) metrics() {
	m := k.c.Metrics
	switch {
	case m.PProf && !m.Listen.IsValid():
		k.bad("metrics.pprof", "true: expected metrics.listen as well, such as 127.0.0.1:9179")
	case m.PProf && !m.Listen.Addr().IsLoopback():
		k.bad("metrics.listen", "%s: expected a loopback address, such as 127.0.0.1:9179, while metrics.pprof is true: profiles show memory to whoever asks", m.Listen)
	case m.Listen.IsValid() && !m.Listen.Addr().IsLoopback():
		k.warn("metrics.listen", "%s is no loopback address: whoever reaches it reads the metrics", m.Listen)
	}
}

// speaker asks the speaker whether it could work with a configuration that is
// otherwise good.
func (k checker) speaker() {
	if len(k.r.problems) > 0 {
		return
	}
	err := k.c.Speaker().Validate()
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		k.bad("", "%s", strings.TrimPrefix(line, "bgpd: "))
	}
}

// completeness warns of a gateway that can do nothing useful.
func (k checker) completeness() {
	role := func(r bgpd.Role) bool {
		return slices.ContainsFunc(k.c.Neighbors, func(n bgpd.Neighbor) bool { return n.Role == r })
	}
	if len(k.c.Segments) > 0 && !role(bgpd.Switch) {
		k.warn("neighbors", "none has the role switch: segments are announced to nobody")
	}
	if !role(bgpd.VirtualRouter) && k.c.Bindings.File == "" {
		k.warn("neighbors", "none has the role virtual-router, and there is no bindings.file: bindings come by `eipgw bind` only")
	}
	if len(k.c.Segments) == 0 {
		k.warn("segments", "none: no EIP is accepted until `eipgw segment add` names one")
	}
}

// overlapsAny says whether p and any segment have an address in common.
func overlapsAny(p netip.Prefix, segments []Segment) bool {
	return slices.ContainsFunc(segments, func(s Segment) bool { return s.Prefix.IsValid() && s.Prefix.Overlaps(p) })
}
