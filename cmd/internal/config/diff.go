package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/eipgw/eipgw/dataplane"
)

// Change is what differs between two configurations, by key.
type Change struct {
	Reload  []string // a running gateway takes these over
	Restart []string // these are fixed for its life
}

// Empty says whether nothing differs.
func (c Change) Empty() bool { return len(c.Reload) == 0 && len(c.Restart) == 0 }

// part is a part of the configuration that changes as a whole.
type part struct {
	key     string
	restart bool
	of      func(*Config) any
}

// parts lists all of the configuration. What is fixed is so for a reason: sockets,
// rings and threads are made once, and BGP sessions carry the AS number and the
// router id from their first message.
var parts = []part{
	{"gateway.asn", true, func(c *Config) any { return c.Gateway.ASN }},
	{"gateway.router-id", true, func(c *Config) any { return c.Gateway.RouterID }},
	{"gateway.service-addresses", true, func(c *Config) any { return c.Gateway.ServiceAddresses }},
	{"gateway.listen", true, func(c *Config) any { return c.Gateway.Listen }},
	{"segments", false, func(c *Config) any { return c.Segments }},
	{"announce.next-hop", true, func(c *Config) any { return c.Announce.NextHop }},
	{"announce.settle", true, func(c *Config) any { return c.Announce.Settle }},
	{"announce.initial-wait", true, func(c *Config) any { return c.Announce.InitialWait }},
	{"announce.damping", true, func(c *Config) any { return c.Announce.Damping }},
	{"announce.when-empty", true, func(c *Config) any { return c.Announce.WhenEmpty }},
	{"neighbors", false, func(c *Config) any { return c.Neighbors }},
	{"ports", true, ofPorts(func(p *Port) any { return p.Name })},
	{"ports.mode", true, ofPorts(func(p *Port) any { return p.Mode })},
	{"ports.zero-copy", true, ofPorts(func(p *Port) any { return p.ZeroCopy })},
	{"ports.queues", true, ofPorts(func(p *Port) any { return p.Queues })},
	{"ports.vlan", true, ofPorts(func(p *Port) any { return p.VLAN })},
	{"ports.frames", true, ofPorts(func(p *Port) any { return p.Frames })},
	{"ports.busy-poll", true, ofPorts(func(p *Port) any { return p.BusyPoll })},
	{"ports.accept-vlans", false, func(c *Config) any { return acceptedVLANs(c.Ports) }},
	{"tunnel.source-ipv4", true, func(c *Config) any { return c.Tunnel.Source4 }},
	{"tunnel.source-ipv6", true, func(c *Config) any { return c.Tunnel.Source6 }},
	{"tunnel.udp6-checksum", true, func(c *Config) any { return c.Tunnel.UDP6Checksum }},
	{"tunnel.ttl", true, func(c *Config) any { return c.Tunnel.TTL }},
	{"tunnel.path-mtu", true, func(c *Config) any { return c.Tunnel.PathMTU }},
	{"tunnel.dscp", false, func(c *Config) any { return c.Tunnel.DSCP }},
	{"tunnel.pcp", false, func(c *Config) any { return c.Tunnel.PCP }},
	{"forwarding", false, func(c *Config) any { return reloadable(c.Forwarding) }},
	{"forwarding.fast-lane", true, func(c *Config) any { return c.Forwarding.FastLane }},
	{"forwarding.fast-lane-memory", true, func(c *Config) any { return c.Forwarding.FastLaneMemory }},
	{"workers", true, func(c *Config) any { return c.Workers }},
	{"bindings.file", false, func(c *Config) any { return c.Bindings.File }},
	{"admin.socket", true, func(c *Config) any { return c.Admin.Socket }},
	{"metrics", true, func(c *Config) any { return c.Metrics }},
	{"log.level", false, func(c *Config) any { return c.Log.Level }},
	{"log.format", true, func(c *Config) any { return c.Log.Format }},
	{"stop.linger", true, func(c *Config) any { return c.Stop.Linger }},
}

// reloadable is what of forwarding is not fixed. The fast lane is: the table lies in its
// memory.
func reloadable(f Forwarding) Forwarding {
	f.FastLane, f.FastLaneMemory = "", 0
	return f
}

// ofPorts is a part of all ports, in their order.
func ofPorts(part func(*Port) any) func(*Config) any {
	return func(c *Config) any {
		out := make([]any, len(c.Ports))
		for i := range c.Ports {
			out[i] = part(&c.Ports[i])
		}
		return out
	}
}

// acceptedVLANs is what of ports is not fixed, by name.
func acceptedVLANs(ports []Port) map[string][]dataplane.VLAN {
	out := map[string][]dataplane.VLAN{}
	for _, p := range ports {
		if p.AcceptVLANs != nil {
			out[p.Name] = p.AcceptVLANs
		}
	}
	return out
}

// Diff says what of a change a running gateway can take over. Where ports themselves are
// others, what they have is not compared. Warnings never are.
func Diff(running, next *Config) Change {
	var c Change
	for _, p := range parts {
		switch {
		case reflect.DeepEqual(p.of(running), p.of(next)):
		case strings.HasPrefix(p.key, "ports.") && slices.Contains(c.Restart, "ports"):
		case p.restart:
			c.Restart = append(c.Restart, p.key)
		default:
			c.Reload = append(c.Reload, p.key)
		}
	}
	return c
}
