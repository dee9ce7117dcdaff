package admin

import "net/netip"

// SegmentSpec is a segment as the API takes it.
type SegmentSpec struct {
	Prefix           netip.Prefix `json:"prefix"`
	Communities      []string     `json:"communities,omitempty"`
	LargeCommunities []string     `json:"large_communities,omitempty"`
	MED              *uint32      `json:"med,omitempty"`
	MSSClamp         *bool        `json:"mss_clamp,omitempty"` // absent: no; of a merge: as its parts
}

// SegmentChange is a change of the wanted segments, made as one: no address that
// stays wanted is without a route meanwhile. Split replaces a segment by its halves,
// quarters and so on, of the given prefix length, with its attributes and its MSS
// clamping; Merge replaces all segments inside the prefix by it.
type SegmentChange struct {
	Add      []SegmentSpec  `json:"add,omitempty"`
	Withdraw []netip.Prefix `json:"withdraw,omitempty"`
	Split    *Split         `json:"split,omitempty"`
	Merge    *SegmentSpec   `json:"merge,omitempty"`
	DryRun   bool           `json:"dry_run,omitempty"`
}

// Split says which segment is split, and how long its parts' prefixes are.
type Split struct {
	Prefix netip.Prefix `json:"prefix"`
	Length int          `json:"length"`
}

// Plan is the order in which a change is carried out.
type Plan struct {
	Steps  []Step   `json:"steps"`
	DryRun bool     `json:"dry_run"`
	Notes  []string `json:"notes,omitempty"`
}

// Step is one step of a plan. After is counted from its start, at the earliest. Kind is
// program, announce, change, withdraw or unprogram, or clamp or unclamp, of MSS clamping.
type Step struct {
	Kind     string         `json:"kind"`
	After    string         `json:"after"`
	Prefixes []netip.Prefix `json:"prefixes"`
	Why      string         `json:"why"`
}

// Bind asks for a binding of the source admin.
type Bind struct {
	Prefix  netip.Prefix `json:"prefix"`
	Tunnels []BindTunnel `json:"tunnels"`
}

// BindMany asks for bindings of the source admin, one for each prefix, to the same tunnels:
// all or none.
type BindMany struct {
	Prefixes []netip.Prefix `json:"prefixes"` // at most 10000
	Tunnels  []BindTunnel   `json:"tunnels"`
}

// BoundMany says how many bindings were made or replaced, all programmed.
type BoundMany struct {
	Bound int `json:"bound"`
}

// BindTunnel is a tunnel as the API takes it.
type BindTunnel struct {
	VTEP     netip.Addr `json:"vtep"`
	VNI      *uint32    `json:"vni"`
	Protocol string     `json:"protocol,omitempty"` // geneve, the default, or vxlan
	UDPPort  uint16     `json:"udp_port,omitempty"`
	InnerMAC string     `json:"inner_mac,omitempty"`
	InnerSrc string     `json:"inner_src_mac,omitempty"`
	OVN      *OVN       `json:"ovn,omitempty"`
}

// OVN is OVN's Geneve option.
type OVN struct {
	Inport  uint16 `json:"inport"`
	Outport uint16 `json:"outport"`
}

// Bound is what became of a binding.
type Bound struct {
	Binding *Binding `json:"binding,omitempty"` // in force now; absent when nothing is
	Notes   []string `json:"notes,omitempty"`
}

// Reloaded is what a reload has changed.
type Reloaded struct {
	Changed  []string `json:"changed"` // keys; empty when the file says what is in force
	Warnings []string `json:"warnings,omitempty"`
}

// Error is every answer that is not a success.
type Error struct {
	Error string `json:"error"`
}
