package replay

import (
	"net/netip"
	"strings"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Case is a gateway small enough to write by hand, and the pcap files that go
// through it. It mirrors case.yaml; see the package comment for keys and defaults.
// Load fills in the defaults, so a loaded Case says everything.
type Case struct {
	Title    string     `yaml:"title"`
	RFC      string     `yaml:"rfc,omitempty"`
	Ports    []Port     `yaml:"ports"`
	Bindings []Binding  `yaml:"bindings,omitempty"`
	Underlay []Underlay `yaml:"underlay,omitempty"`
	Tunnel   Tunnels    `yaml:"tunnel,omitempty"`
	Rules    Rules      `yaml:"rules,omitempty"`

	// Dir is the folder that the case was loaded from; "" when it was parsed.
	Dir string `yaml:"-"`
}

// Port is one end of the forwarder.
type Port struct {
	Name string     `yaml:"name"`
	ID   fib.PortID `yaml:"id,omitempty"`
	MAC  MAC        `yaml:"mac"`
	MTU  int        `yaml:"mtu,omitempty"`
	VLAN VLAN       `yaml:"vlan,omitempty"`

	// Rules that are those of a port.
	VLANs      []Tags       `yaml:"vlans,omitempty"`
	ICMPSource []netip.Addr `yaml:"icmp-source,omitempty"` // one of each family at most

	// In is the pcap file of what arrives; "" is nothing. Out is the file for what
	// leaves; "" keeps the frames in Result.Out instead.
	In  string `yaml:"-"`
	Out string `yaml:"-"`
}

// Binding is an EIP prefix and the tunnels to its virtual routers.
type Binding struct {
	Prefix  netip.Prefix `yaml:"prefix"`
	Tunnels []Tunnel     `yaml:"tunnels"`
}

// Tunnel is one way to a virtual router, as a bindings file writes it.
type Tunnel struct {
	VTEP        netip.Addr `yaml:"vtep"`
	VNI         encap.VNI  `yaml:"vni"`
	Protocol    Protocol   `yaml:"protocol,omitempty"`
	UDPPort     uint16     `yaml:"udp-port,omitempty"`
	InnerMAC    MAC        `yaml:"inner-mac,omitempty"`
	InnerSrcMAC MAC        `yaml:"inner-src-mac,omitempty"`
	OVN         *OVN       `yaml:"ovn,omitempty"`
	Options     string     `yaml:"options,omitempty"` // hexadecimal; not beside OVN
}

// OVN is OVN's Geneve option: the tunnel keys of the two logical ports.
type OVN struct {
	Inport  uint16 `yaml:"inport"`
	Outport uint16 `yaml:"outport"`
}

// Underlay says which ways lead to a VTEP.
type Underlay struct {
	VTEP netip.Addr `yaml:"vtep"`
	Ways []Way      `yaml:"ways"`
}

// Way is one next hop.
type Way struct {
	Port   string     `yaml:"port"`
	SrcMAC MAC        `yaml:"src-mac,omitempty"`
	DstMAC MAC        `yaml:"dst-mac"`
	VLAN   VLAN       `yaml:"vlan,omitempty"`
	Local  netip.Addr `yaml:"local"`
	MTU    uint16     `yaml:"mtu,omitempty"`
}

// Tunnels are options of all tunnels.
type Tunnels struct {
	UDP6Checksum string `yaml:"udp6-checksum,omitempty"` // compute or zero
	TTL          uint8  `yaml:"ttl,omitempty"`           // outer TTL or hop limit
}

// What udp6-checksum may be (RFC 6935).
const (
	ChecksumCompute = "compute"
	ChecksumZero    = "zero"
)

// Protocol is a tunnel protocol that reads and writes itself by name.
type Protocol encap.Protocol

// String is the protocol's name.
func (p Protocol) String() string { return encap.Protocol(p).String() }

// MarshalText implements encoding.TextMarshaler.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Protocol) UnmarshalText(text []byte) error {
	q, err := encap.ParseProtocol(string(text))
	*p = Protocol(q)
	return err
}

// VLAN is tags in the form of encap.ParseVLAN.
type VLAN encap.VLAN

// IsZero says whether there is no tag; the YAML encoder leaves such a key out.
func (v VLAN) IsZero() bool { return encap.VLAN(v).IsZero() }

// MarshalText implements encoding.TextMarshaler.
func (v VLAN) MarshalText() ([]byte, error) { return encap.VLAN(v).MarshalText() }

// UnmarshalYAML reads the value as it is written: 100.200 is two numbers, not one with
// a fraction that 100.2 would be as well.
func (v *VLAN) UnmarshalYAML(text []byte) error {
	vlan, err := encap.ParseVLAN(strings.Trim(string(text), "\"' \n"))
	*v = VLAN(vlan)
	return err
}

// MAC is an Ethernet address that reads and writes itself in colon form.
type MAC encap.MAC

// IsZero says whether no address is set; the YAML encoder leaves such a key out.
func (m MAC) IsZero() bool { return m == MAC{} }

// String is the address in colon form.
func (m MAC) String() string { return encap.MAC(m).String() }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	mac, err := encap.ParseMAC(string(text))
	*m = MAC(mac)
	return err
}
