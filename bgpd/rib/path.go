package rib

import (
	"net/netip"
	"time"

	"github.com/eipgw/eipgw/encap"
)

// SourceID names who says things: "static", "admin", or a BGP neighbor's address.
type SourceID string

// Sources that are not BGP neighbors.
const (
	SourceStatic SourceID = "static" // the bindings file
	SourceAdmin  SourceID = "admin"  // bound at runtime by the admin API
)

// Carrier is the part of a route that said which tunnel leads to the EIP.
type Carrier uint8

// Carriers, best first.
const (
	CarrierStatic         Carrier = iota // a file or the admin API
	CarrierTunnelEncap                   // RFC 9012 attribute 23
	CarrierLargeCommunity                // GW-ASN:VTEP:VNI
	CarrierNextHop                       // VTEP = next hop, VNI from the neighbor's profile
	CarrierPeer                          // next hop = service address: VTEP = peer or ORIGINATOR_ID
)

// Path is one claim: EIP prefix → tunnel, who said so, and how much it is worth.
type Path struct {
	Prefix  netip.Prefix
	Tunnel  encap.Tunnel
	Source  SourceID
	Router  netip.Addr // virtual router that made the claim: peer or ORIGINATOR_ID; zero for static
	PathID  uint32     // distinguishes several claims of one source for one prefix (add-path)
	Carrier Carrier

	// Preference of the claim, compared in this order; equal claims form a group.
	LocalPref uint32 // larger is better
	ASPathLen uint16 // shorter is better
	Origin    uint8  // lower is better
	MED       uint32 // lower is better

	Learned time.Time
}

var carrierNames = [...]string{"static", "tunnel-encap", "large-community", "next-hop", "peer"}

// String is the carrier's name in configuration, tables and JSON.
func (c Carrier) String() string {
	if int(c) >= len(carrierNames) {
		return "unknown"
	}
	return carrierNames[c]
}

// MarshalText makes JSON carry the name.
func (c Carrier) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
