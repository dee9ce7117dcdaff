package bgpd

import (
	"net/netip"
	"time"
)

// NeighborStatus is what there is to say of one neighbor. A range that nobody has
// connected from has one with State "listening" and no address.
type NeighborStatus struct {
	Name    string       `json:"name"`
	Address netip.Addr   `json:"address"`
	Range   netip.Prefix `json:"range"` // that a dynamic neighbor came from
	Role    Role         `json:"role"`
	ASN     uint32       `json:"asn"`

	State    string     `json:"state"` // idle, active, opensent, openconfirm, established, listening
	Since    time.Time  `json:"since"` // when the session came up or went down
	RouterID netip.Addr `json:"router_id"`
	Local    netip.Addr `json:"local"`
	Families []Family   `json:"families"` // negotiated
	Synced   bool       `json:"synced"`   // the initial dump is in

	Received   uint64 `json:"received"`   // routes that the neighbor announces now
	Accepted   uint64 `json:"accepted"`   // of them, without those dropped for a loop
	Advertised uint64 `json:"advertised"` // segments announced to it now
	Refused    uint64 `json:"refused"`    // routes that could not be turned into claims, since the start

	Flaps     uint64    `json:"flaps"` // sessions lost since the start
	LastError string    `json:"last_error,omitempty"`
	ErrorTime time.Time `json:"error_time"`
}
