package path

import (
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// Profile is what the configuration says of a virtual router. It fills what a
// route leaves out; what a route says wins.
type Profile struct {
	VNI      *encap.VNI     // nil: the route has to name it
	Protocol encap.Protocol // of routes that name none; preferred of those that name several
	InnerDst encap.MAC      // zero: encap.DefaultInnerDst
	InnerSrc encap.MAC      // zero: encap.DefaultInnerSrc
	Port     uint16         // UDP destination port of that protocol; 0: the protocol's own
	OVN      *OVNPorts      // nil: no OVN option; Geneve only
}

// OVNPorts are the tunnel keys of logical ports that OVN reads from the Geneve
// option of class 0x0102, type 0x80.
type OVNPorts struct {
	Inport, Outport uint16
}

// Carriers says which parts of a route are believed. The zero value believes all.
type Carriers uint8

// CarriersOf is the set that holds exactly those in list; an empty list is all.
func CarriersOf(list []rib.Carrier) Carriers {
	var c Carriers
	for _, x := range list {
		c |= 1 << x
	}
	return c
}

// Has says whether x is believed.
func (c Carriers) Has(x rib.Carrier) bool { return c == 0 || c&(1<<x) != 0 }
