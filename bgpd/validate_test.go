package bgpd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestValidate(t *testing.T) {
	good := func() Config {
		return Config{
			ASN: 64512, RouterID: addr("10.255.0.1"), Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:179")},
			ServiceAddresses: []netip.Addr{addr("10.255.0.1")},
			Neighbors: []Neighbor{
				{Address: addr("10.0.1.1"), Role: Switch, ASN: 65001},
				{Range: prefix("10.1.0.0/24"), Role: VirtualRouter, ASN: 65100},
				{Address: addr("10.1.0.7"), Role: VirtualRouter, ASN: 65107},
				{Address: addr("fd00::7"), Role: VirtualRouter, ASN: 64512},
			},
		}
	}
	require.NoError(t, good().Validate())
	sw := func(c *Config) *Neighbor { return &c.Neighbors[0] }
	rng := func(c *Config) *Neighbor { return &c.Neighbors[1] }
	vr := func(c *Config) *Neighbor { return &c.Neighbors[2] }
	for says, change := range map[string]func(*Config){
		"bgpd: asn 0:":     func(c *Config) { c.ASN = 0 },
		"bgpd: asn 23456:": func(c *Config) { c.ASN = 23456 },
		"bgpd: router id fd00::1: expected an IPv4": func(c *Config) { c.RouterID = addr("fd00::1") },
		"bgpd: listen 0.0.0.0:0:":                   func(c *Config) { c.Listen[0] = netip.MustParseAddrPort("0.0.0.0:0") },
		"bgpd: listen [::]:180: expected port 179": func(c *Config) {
			c.Listen = append(c.Listen, netip.MustParseAddrPort("[::]:180"))
		},
		"bgpd: service address 224.0.0.1:": func(c *Config) { c.ServiceAddresses[0] = addr("224.0.0.1") },
		"bgpd: service address 10.0.0.9: there is another of ipv4": func(c *Config) {
			c.ServiceAddresses = append(c.ServiceAddresses, addr("10.0.0.9"))
		},
		"negative time":                               func(c *Config) { c.SyncWait = -1 },
		"expected either an address or a":             func(c *Config) { sw(c).Range = prefix("10.0.1.0/24") },
		"link-local and IPv4-mapped":                  func(c *Config) { vr(c).Address = addr("fe80::1") },
		"expected 10.1.0.0/24":                        func(c *Config) { rng(c).Range = netip.PrefixFrom(addr("10.1.0.1"), 24) },
		"longer than /0":                              func(c *Config) { rng(c).Range = prefix("0.0.0.0/0") },
		"a range needs the gateway to listen":         func(c *Config) { c.Listen = nil },
		"role none: expected switch or":               func(c *Config) { sw(c).Role = 0 },
		"neighbor 10.0.1.1: asn 0: expected":          func(c *Config) { sw(c).ASN = 0 },
		"password of 81 octets":                       func(c *Config) { sw(c).Password = string(make([]byte, 81)) },
		"local address fd00::1: expected one of ipv4": func(c *Config) { sw(c).Local = addr("fd00::1") },
		"passive, and the gateway does not listen": func(c *Config) {
			c.Listen, sw(c).Passive, c.Neighbors = nil, true, c.Neighbors[:1]
		},
		"hops 2 and ttl security 1":                    func(c *Config) { sw(c).Hops, sw(c).TTLSecurity = 2, 1 },
		"hops 2: iBGP":                                 func(c *Config) { c.Neighbors[3].Hops = 2 },
		"hold time 2s: expected whole seconds from 3s": func(c *Config) { sw(c).HoldTime = 2 * time.Second },
		"keepalive 1.5s: expected whole seconds":       func(c *Config) { sw(c).Keepalive = 1500 * time.Millisecond },
		"idle hold 6s: expected":                       func(c *Config) { sw(c).IdleHold = 6 * time.Second },
		"allow own AS 1:":                              func(c *Config) { rng(c).AllowOwnAS = 1 },
		"family 5: expected ipv4 or ipv6":              func(c *Config) { sw(c).Families = []Family{5} },
		"ipv6 segments over a session of ipv4 have no next hop; expected a service address of ipv6": func(c *Config) {
			sw(c).Families = []Family{IPv6}
		},
		"no segment has a next hop; expected a service address of ipv4": func(c *Config) {
			c.NextHop, c.ServiceAddresses = NextHopService, nil
		},
		"neighbor 10.0.1.1: switch, overlaps neighbor 10.0.1.1, switch":               func(c *Config) { c.Neighbors = append(c.Neighbors, *sw(c)) },
		"neighbor 10.1.0.0/24: virtual-router, overlaps neighbor 10.1.0.0/16, switch": func(c *Config) { sw(c).Address, sw(c).Range = netip.Addr{}, prefix("10.1.0.0/16") },
		"neighbor 10.1.0.7: switch, overlaps":                                         func(c *Config) { vr(c).Role = Switch },
		"allow, max prefixes, carriers and profile":                                   func(c *Config) { sw(c).Profile.VNI = vni(1) },
		"allow 203.0.113.7/24":                                                        func(c *Config) { vr(c).Allow = []netip.Prefix{netip.MustParsePrefix("203.0.113.7/24")} },
		"max prefixes -1":                                                             func(c *Config) { vr(c).MaxPrefixes = -1 },
		"carrier static: expected tunnel-encap":                                       func(c *Config) { vr(c).Carriers = []rib.Carrier{rib.CarrierStatic} },
		"profile: encap: tunnel to 192.0.2.1: VNI 16777216":                           func(c *Config) { vr(c).Profile.VNI = vni(1 << 24) },
		"vxlan has no room for options": func(c *Config) {
			vr(c).Profile.Protocol, vr(c).Profile.OVN = encap.VXLAN, &OVNPorts{Inport: 2, Outport: 1}
		},
		"profile: encap: tunnel to 192.0.2.1: protocol 7":                 func(c *Config) { vr(c).Profile.Protocol = 7 },
		"inner destination MAC 01:00:00:00:00:00, want a unicast address": func(c *Config) { vr(c).Profile.InnerDst = encap.MAC{1} },
		"inner source MAC 01:00:00:00:00:00, want a unicast address":      func(c *Config) { vr(c).Profile.InnerSrc = encap.MAC{1} },
	} {
		c := good()
		change(&c)
		assert.ErrorContains(t, c.Validate(), says)
		_, err := New(c)
		assert.ErrorContains(t, err, says)
	}
}

func TestValidateTellsAll(t *testing.T) {
	err := Config{Neighbors: []Neighbor{{}, {Address: addr("10.0.0.1")}}}.Validate()
	for _, says := range []string{"asn 0", "router id invalid IP", "either an address", "neighbor 10.0.0.1: role none", "neighbor 10.0.0.1: asn 0"} {
		assert.ErrorContains(t, err, says)
	}
}

func TestDefaults(t *testing.T) {
	c, err := Config{
		ASN: 64512, RouterID: addr("10.255.0.1"), ServiceAddresses: []netip.Addr{addr("fd00:ff::1")},
		Neighbors: []Neighbor{
			{Address: addr("10.0.1.1"), Role: Switch, ASN: 65001},
			{Address: addr("fd00::1"), Role: Switch, ASN: 65001, HoldTime: 30 * time.Second},
			{Address: addr("10.0.1.2"), Role: VirtualRouter, ASN: 65001},
		},
	}.withDefaults()
	require.NoError(t, err)
	a, b := c.Neighbors[0], c.Neighbors[1]
	assert.Equal(t, []time.Duration{9 * time.Second, 3 * time.Second, 2 * time.Second, time.Second},
		[]time.Duration{a.HoldTime, a.Keepalive, a.ConnectRetry, a.IdleHold})
	assert.Equal(t, 10*time.Second, b.Keepalive)
	assert.Equal(t, uint16(179), a.Port)
	assert.Equal(t, []Family{IPv4, IPv6}, a.Families)
	assert.Equal(t, []hop{hopSession, hopService}, []hop{c.hop(&a, IPv4), c.hop(&a, IPv6)})
	assert.Equal(t, []hop{hopSession, hopSession}, []hop{c.hop(&b, IPv4), c.hop(&b, IPv6)})
	c.NextHop = NextHopService
	assert.Equal(t, []hop{hopNone, hopService}, []hop{c.hop(&b, IPv4), c.hop(&b, IPv6)})
	assert.Equal(t, []Family{IPv4, IPv6}, c.Neighbors[2].Families)
	assert.Equal(t, 10*time.Second, c.SyncWait)
}

func TestNames(t *testing.T) {
	for _, r := range []Role{Switch, VirtualRouter} {
		got, err := ParseRole(r.String())
		require.NoError(t, err)
		assert.Equal(t, r, got)
	}
	for _, h := range []NextHop{NextHopSession, NextHopService} {
		got, err := ParseNextHop(h.String())
		require.NoError(t, err)
		assert.Equal(t, h, got)
	}
	for _, s := range []string{"", "none", "router"} {
		_, err := ParseRole(s)
		assert.ErrorContains(t, err, "expected switch or virtual-router")
		_, err = ParseNextHop(s)
		assert.ErrorContains(t, err, "expected session or service")
	}
	text, err := VirtualRouter.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "virtual-router", string(text))
}
