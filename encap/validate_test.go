package encap

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	goodTunnel = Tunnel{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: 5001}
	goodOuter  = Outer{Src: MAC{2, 1}, Dst: MAC{2, 2}, Local: netip.MustParseAddr("10.255.0.1")}
)

func TestValidateTunnel(t *testing.T) {
	addr := netip.MustParseAddr
	cases := []struct {
		name   string
		change func(*Tunnel)
		want   string
	}{
		{"no VTEP", func(t *Tunnel) { t.VTEP = netip.Addr{} }, "encap: tunnel: VTEP missing, want an IPv4 or IPv6 unicast address"},
		{"mapped VTEP", func(t *Tunnel) { t.VTEP = addr("::ffff:10.0.2.11") }, "encap: tunnel: VTEP ::ffff:10.0.2.11 is IPv4-mapped, want 10.0.2.11"},
		{"VTEP 0", func(t *Tunnel) { t.VTEP = addr("0.0.0.0") }, "encap: tunnel: VTEP 0.0.0.0 is not unicast on a link, want an address that is"},
		{"VTEP ::", func(t *Tunnel) { t.VTEP = addr("::") }, "encap: tunnel: VTEP :: is not unicast on a link, want an address that is"},
		{"IPv4 multicast VTEP", func(t *Tunnel) { t.VTEP = addr("239.1.1.1") }, "encap: tunnel: VTEP 239.1.1.1 is not unicast on a link, want an address that is"},
		{"IPv6 multicast VTEP", func(t *Tunnel) { t.VTEP = addr("ff0e::1") }, "encap: tunnel: VTEP ff0e::1 is not unicast on a link, want an address that is"},
		{"broadcast VTEP", func(t *Tunnel) { t.VTEP = addr("255.255.255.255") }, "encap: tunnel: VTEP 255.255.255.255 is not unicast on a link, want an address that is"},
		{"IPv4 loopback VTEP", func(t *Tunnel) { t.VTEP = addr("127.0.0.2") }, "encap: tunnel: VTEP 127.0.0.2 is not unicast on a link, want an address that is"},
		{"IPv6 loopback VTEP", func(t *Tunnel) { t.VTEP = addr("::1") }, "encap: tunnel: VTEP ::1 is not unicast on a link, want an address that is"},
		{"link-local VTEP", func(t *Tunnel) { t.VTEP = addr("fe80::1") }, "encap: tunnel: VTEP fe80::1 has link-local scope, want an address that means the same on every gateway"},
		{"VTEP with zone", func(t *Tunnel) { t.VTEP = addr("fe80::1%eth0") }, "encap: tunnel: VTEP fe80::1%eth0 has link-local scope, want an address that means the same on every gateway"},
		{"protocol", func(t *Tunnel) { t.Protocol = 3 }, "encap: tunnel to 10.0.2.11: protocol 3, want 0 (geneve) or 1 (vxlan)"},
		{"VXLAN with options", func(t *Tunnel) { t.Protocol, t.Options = VXLAN, OVNOptions(2, 1) }, "encap: tunnel to 10.0.2.11: options ovn(inport 2, outport 1), want none: vxlan has no room for options (RFC 7348 section 5)"},
		{"VNI", func(t *Tunnel) { t.VNI = 1 << 24 }, "encap: tunnel to 10.0.2.11: VNI 16777216, want at most 16777215"},
		{"inner destination", func(t *Tunnel) { t.InnerDst = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }, "encap: tunnel to 10.0.2.11: inner destination MAC ff:ff:ff:ff:ff:ff, want a unicast address"},
		{"inner source", func(t *Tunnel) { t.InnerSrc = MAC{1} }, "encap: tunnel to 10.0.2.11: inner source MAC 01:00:00:00:00:00, want a unicast address"},
		{"OVN inport", func(t *Tunnel) { t.Options = OVNOptions(32768, 1) }, "encap: tunnel to 10.0.2.11: options: OVN inport 32768, want at most 32767"},
		{"OVN outport", func(t *Tunnel) { t.Options = OVNOptions(1, 0) }, "encap: tunnel to 10.0.2.11: options: OVN outport 0, want the tunnel key of the port to deliver to"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tunnel := goodTunnel
			c.change(&tunnel)
			require.EqualError(t, tunnel.Validate(), c.want)
			h, err := Compile(tunnel, goodOuter)
			assert.EqualError(t, err, c.want, "Compile refuses what Validate refuses")
			assert.Equal(t, Header{}, h)
		})
	}
}

func TestValidateOuter(t *testing.T) {
	addr := netip.MustParseAddr
	cases := []struct {
		name   string
		change func(*Outer)
		want   string
	}{
		{"no destination MAC", func(o *Outer) { o.Dst = MAC{} }, "destination MAC 00:00:00:00:00:00, want the next hop's unicast address"},
		{"group destination MAC", func(o *Outer) { o.Dst = MAC{1, 0, 0x5e} }, "destination MAC 01:00:5e:00:00:00, want the next hop's unicast address"},
		{"no source MAC", func(o *Outer) { o.Src = MAC{} }, "source MAC 00:00:00:00:00:00, want the port's unicast address"},
		{"group source MAC", func(o *Outer) { o.Src = MAC{3} }, "source MAC 03:00:00:00:00:00, want the port's unicast address"},
		{"reserved VLAN", func(o *Outer) { o.VLAN.C = 0x2fff }, "VLAN tag 0x2fff: identifier 4095, want at most 4094"},
		{"reserved service VLAN", func(o *Outer) { o.VLAN = VLAN{S: 0x0fff, C: 1} }, "VLAN tag 0x0fff: identifier 4095, want at most 4094"},
		{"no source", func(o *Outer) { o.Local = netip.Addr{} }, "source address missing, want an IPv4 or IPv6 unicast address"},
		{"other family", func(o *Outer) { o.Local = addr("fd00::1") }, "source address fd00::1, want one of the VTEP's family"},
		{"mapped source", func(o *Outer) { o.Local = addr("::ffff:10.0.0.1") }, "source address ::ffff:10.0.0.1 is IPv4-mapped, want 10.0.0.1"},
		{"multicast source", func(o *Outer) { o.Local = addr("224.0.0.1") }, "source address 224.0.0.1 is not unicast on a link, want an address that is"},
		{"source is VTEP", func(o *Outer) { o.Local = goodTunnel.VTEP }, "source address 10.0.2.11, want another than the VTEP"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := goodOuter
			c.change(&o)
			h, err := Compile(goodTunnel, o)
			require.EqualError(t, err, "encap: way to VTEP 10.0.2.11: "+c.want)
			assert.Equal(t, Header{}, h)
		})
	}
}

// Values at the edge of what is allowed.
func TestValidateAccepts(t *testing.T) {
	addr := netip.MustParseAddr
	tunnels := map[string]func(*Tunnel){
		"VXLAN":           func(t *Tunnel) { t.Protocol = VXLAN },
		"VNI 0":           func(t *Tunnel) { t.VNI = 0 },
		"largest VNI":     func(t *Tunnel) { t.VNI = MaxVNI },
		"any port":        func(t *Tunnel) { t.Port = 65535 },
		"IPv4 link-local": func(t *Tunnel) { t.VTEP = addr("169.254.1.1") },
		"OVN ports":       func(t *Tunnel) { t.Options = OVNOptions(32767, 65535) },
		"OVN inport 0":    func(t *Tunnel) { t.Options = OVNOptions(0, 1) },
	}
	for name, change := range tunnels {
		tunnel := goodTunnel
		change(&tunnel)
		_, err := Compile(tunnel, goodOuter)
		assert.NoError(t, err, name)
	}
	outers := map[string]func(*Outer){
		"largest VLAN":        func(o *Outer) { o.VLAN.C = 4094 },
		"priority tag":        func(o *Outer) { o.VLAN.C = 7 << 13 },
		"all bits but the ID": func(o *Outer) { o.VLAN.S = 0xf001 },
		"TTL 1":               func(o *Outer) { o.TTL = 1 },
	}
	for name, change := range outers {
		o := goodOuter
		change(&o)
		_, err := Compile(goodTunnel, o)
		assert.NoError(t, err, name)
	}
}

func TestTunnelString(t *testing.T) {
	assert.Equal(t, "geneve 10.0.2.11:6081 vni 5001 inner 02:65:69:70:67:77 > 02:65:69:70:76:72 options none", goodTunnel.String())
	tunnel := Tunnel{VTEP: netip.MustParseAddr("fd00::2"), VNI: 1, Port: 4789, InnerDst: MAC{2}, InnerSrc: MAC{4}, Options: OVNOptions(2, 1)}
	assert.Equal(t, "geneve [fd00::2]:4789 vni 1 inner 04:00:00:00:00:00 > 02:00:00:00:00:00 options ovn(inport 2, outport 1)", tunnel.String())
	tunnel.Protocol, tunnel.Port, tunnel.Options = VXLAN, 0, Options{}
	assert.Equal(t, "vxlan [fd00::2]:4789 vni 1 inner 04:00:00:00:00:00 > 02:00:00:00:00:00 options none", tunnel.String())
	assert.Equal(t, "protocol 9", Protocol(9).String())
}

func TestParseMAC(t *testing.T) {
	m, err := ParseMAC("02:00:00:00:00:0b")
	require.NoError(t, err)
	assert.Equal(t, MAC{2, 0, 0, 0, 0, 11}, m)
	assert.Equal(t, "02:00:00:00:00:0b", m.String())
	assert.False(t, m.IsZero())
	assert.True(t, MAC{}.IsZero())
	for _, s := range []string{"", "02:00:00:00:00", "02:00:00:00:00:0g", "02:00:00:00:00:00:00:01"} {
		m, err := ParseMAC(s)
		assert.EqualError(t, err, `encap: "`+s+`" is not a 48-bit Ethernet address, such as 02:00:00:00:00:0b`)
		assert.Equal(t, MAC{}, m)
	}
}
