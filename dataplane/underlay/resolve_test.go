package underlay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

func TestOutlet(t *testing.T) {
	down := func(l link) link { l.up = false; return l }
	vlan5 := link{index: 3, name: "sw0.5", mac: encap.MAC{2, 0, 0, 0, 0, 5}, mtu: 1400, up: true, parent: 2, vlan: 5, vlanType: 0x8100}
	service := vlan5
	service.vlanType = 0x88a8
	inner := link{index: 4, name: "sw0.5.6", mac: gwMAC, mtu: 1400, up: true, parent: 3, vlan: 6, vlanType: 0x8100}
	third := link{index: 5, name: "sw0.5.6.7", mac: gwMAC, mtu: 1400, up: true, parent: 4, vlan: 7, vlanType: 0x8100}
	typed := func(l link, etherType uint16) link { l.vlanType = etherType; return l }
	none := encap.VLAN{}
	noMAC := sw0
	noMAC.mac = encap.MAC{}

	for name, c := range map[string]struct {
		links []link
		hop   nexthop
		vlan  encap.VLAN // wanted
		err   string     // wanted
	}{
		"port":                      {[]link{sw0}, nexthop{index: 2}, encap.VLAN{S: 11, C: 12}, ""},
		"VLAN sub-interface":        {[]link{sw0, vlan5}, nexthop{index: 3}, encap.VLAN{C: 5}, ""},
		"gone":                      {[]link{sw0}, nexthop{index: 9}, none, "index 9 is gone"},
		"not a port":                {[]link{sw0, {index: 9, name: "eth9"}}, nexthop{index: 9}, none, "over eth9, which is not a port (sw0)"},
		"802.1ad":                   {[]link{sw0, service}, nexthop{index: 3}, encap.VLAN{S: 5}, ""},
		"802.1Q on 802.1ad":         {[]link{sw0, service, inner}, nexthop{index: 4}, encap.VLAN{S: 5, C: 6}, ""},
		"802.1Q on 802.1Q":          {[]link{sw0, vlan5, inner}, nexthop{index: 4}, none, "the tags of sw0.5.6 are not 802.1Q (0x8100) on 802.1ad (0x88a8)"},
		"802.1ad on 802.1ad":        {[]link{sw0, service, typed(inner, 0x88a8)}, nexthop{index: 4}, none, "the tags of sw0.5.6 are not 802.1Q"},
		"802.1ad on 802.1Q":         {[]link{sw0, vlan5, typed(inner, 0x88a8)}, nexthop{index: 4}, none, "the tags of sw0.5.6 are not 802.1Q"},
		"another type of tag":       {[]link{sw0, typed(vlan5, 0x9100)}, nexthop{index: 3}, none, "the tag of sw0.5 is of EtherType 0x9100"},
		"three tags":                {[]link{sw0, service, inner, third}, nexthop{index: 5}, none, "over sw0.5.6.7, which is not a port"},
		"two tags, port down":       {[]link{down(sw0), service, inner}, nexthop{index: 4}, none, "port sw0 is down"},
		"two tags, middle down":     {[]link{sw0, down(service), inner}, nexthop{index: 4}, none, "interface sw0.5 is down"},
		"two tags, middle gone":     {[]link{sw0, inner}, nexthop{index: 4}, none, "over sw0.5.6, which is not a port"},
		"lwtunnel":                  {[]link{sw0}, nexthop{index: 2, encap: true}, none, "encapsulation of its own"},
		"dead":                      {[]link{sw0}, nexthop{index: 2, dead: true}, none, "dead"},
		"port down":                 {[]link{down(sw0)}, nexthop{index: 2}, none, "port sw0 is down"},
		"parent of the VLAN down":   {[]link{down(sw0), vlan5}, nexthop{index: 3}, none, "port sw0 is down"},
		"the VLAN interface down":   {[]link{sw0, down(vlan5)}, nexthop{index: 3}, none, "interface sw0.5 is down"},
		"tunnel without an address": {[]link{noMAC}, nexthop{index: 2}, none, "no Ethernet address"},
	} {
		t.Run(name, func(t *testing.T) {
			v := view{cfg: Config{Ports: []Port{{ID: 1, Name: "sw0", VLAN: encap.VLAN{S: 11, C: 12}}}}, links: map[int]link{}}
			v.ports = map[int]Port{2: v.cfg.Ports[0]}
			for _, l := range c.links {
				v.links[l.index] = l
			}
			out, port, vlan, err := v.outlet(c.hop)
			if c.err != "" {
				assert.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.vlan, vlan)
			assert.Equal(t, c.hop.index, out.index)
			assert.Equal(t, fib.PortID(1), port.ID)
		})
	}
}

func TestPathMTUAndSource(t *testing.T) {
	jumbo := sw0
	jumbo.mtu = 100000
	sub := link{index: 3, name: "sub", mac: gwMAC, mtu: 9000, up: true, parent: 2, vlan: 5, vlanType: 0x8100}
	v := view{cfg: Config{Ports: []Port{{ID: 1, Name: "sw0"}}, Source6: addr("fd00::1")}, links: map[int]link{2: jumbo, 3: sub}}
	v.ports = map[int]Port{2: v.cfg.Ports[0]}
	hop2, hop3 := nexthop{index: 2}, nexthop{index: 3}

	p := v.path(far, route{}, hop2)
	assert.Equal(t, uint16(65535), p.mtu, "no IP packet is larger")
	assert.Equal(t, far, p.hop.addr, "on the link: the VTEP is the neighbor")
	assert.False(t, p.local.IsValid(), "the kernel is to be asked")
	assert.Equal(t, uint16(9000), v.path(far, route{}, hop3).mtu, "the sub-interface's")
	assert.Equal(t, uint16(1400), v.path(far, route{mtu: 1400}, hop3).mtu, "the route's")
	assert.Equal(t, uint16(9000), v.path(far, route{mtu: 9999}, hop3).mtu)
	v.links[4] = link{index: 4, name: "sub.6", mac: gwMAC, mtu: 9004, up: true, parent: 3, vlan: 6, vlanType: 0x8100}
	v.links[3] = link{index: 3, name: "sub", mac: gwMAC, mtu: 8000, up: true, parent: 2, vlan: 5, vlanType: 0x88a8}
	assert.Equal(t, uint16(8000), v.path(far, route{}, nexthop{index: 4}).mtu, "the least of all three")
	assert.Equal(t, encap.VLAN{S: 5, C: 6}, v.path(far, route{}, nexthop{index: 4}).vlan)
	v.links[3] = link{index: 3, name: "sub", mac: gwMAC, mtu: 100000, up: true, parent: 2, vlan: 5, vlanType: 0x88a8}
	v.links[2] = sw0
	assert.Equal(t, uint16(1496), v.path(far, route{}, nexthop{index: 4}).mtu, "a second tag is at the expense of the packet")
	assert.Equal(t, uint16(1500), v.path(far, route{}, nexthop{index: 3}).mtu, "the first is not")
	v.ports[2] = Port{ID: 1, Name: "sw0", VLAN: encap.VLAN{S: 1, C: 2}}
	assert.Equal(t, uint16(1496), v.path(far, route{}, hop2).mtu)
	v.ports[2] = v.cfg.Ports[0]
	assert.Equal(t, uint16(1500), v.path(far, route{}, hop3).mtu, "the port's")
	assert.Equal(t, addr("10.0.0.9"), v.path(far, route{src: addr("10.0.0.9")}, hop2).local)
	assert.Equal(t, addr("fd00::1"), v.path(addr("2001:db8::1"), route{src: addr("fd00::9")}, hop2).local)
}

func TestWaysAreOrderedAndCollectReasons(t *testing.T) {
	v := view{neighbors: map[neighborKey]neighbor{}}
	known := func(index int, a string, state uint16) path {
		key := neighborKey{index, addr(a)}
		v.neighbors[key] = neighbor{key: key, mac: routerMAC, state: state}
		return path{hop: key, iface: "sw0", port: fib.PortID(index)}
	}
	a := known(2, "10.0.0.1", unix.NUD_STALE)
	b := known(2, "10.0.0.2", unix.NUD_DELAY)
	c := known(1, "10.0.0.3", unix.NUD_PROBE)
	failed := known(1, "10.0.0.4", unix.NUD_FAILED)
	unknown := path{hop: neighborKey{1, addr("10.0.0.5")}, iface: "sw1"}
	useless := path{err: assert.AnError}

	want, err := v.ways([]path{a, b, c}, nil)
	require.NoError(t, err)
	require.Len(t, want, 3)
	assert.Equal(t, addr("10.0.0.3"), want[0].NextHop, "by port first")
	for _, order := range [][]path{{c, b, a}, {b, a, c}, {a, a, b, c, failed, unknown, useless}} {
		got, err := v.ways(order, nil)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}

	_, err = v.ways([]path{failed, unknown, useless, useless}, nil)
	assert.EqualError(t, err, "neighbor 10.0.0.4 on sw0 does not answer; neighbor 10.0.0.5 on sw1 is being resolved; "+assert.AnError.Error())
	_, err = v.ways([]path{unknown}, map[neighborKey]*hop{unknown.hop: {err: useError(unix.ENOBUFS)}})
	assert.ErrorContains(t, err, "gc_thresh3")
	_, err = v.ways(nil, nil)
	assert.EqualError(t, err, "its route has no next hop")
}

func TestRefusalsInWords(t *testing.T) {
	assert.NoError(t, route{kind: unix.RTN_UNICAST}.routeError())
	for kind, text := range map[uint8]string{
		unix.RTN_LOCAL: "an address of this machine", unix.RTN_ANYCAST: "not unicast", unix.RTN_BLACKHOLE: "blackhole",
		unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit", 99: "unknown type 99",
	} {
		assert.ErrorContains(t, route{kind: kind}.routeError(), text)
	}
	assert.ErrorIs(t, refusal(unix.ENODEV), unix.ENODEV)
}
