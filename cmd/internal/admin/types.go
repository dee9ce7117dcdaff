package admin

import (
	"net/netip"
	"time"
)

// Status is the gateway at a glance.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`

	// Ready says that segments are announced or none is wanted. Reasons says why not.
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`

	Config   ConfigStatus `json:"config"`
	Gate     Gate         `json:"gate"`
	Health   []Health     `json:"health"`
	Workers  []Worker     `json:"workers"`
	Table    Table        `json:"table"`
	Bindings FileStatus   `json:"bindings_file"`
	Rules    Rules        `json:"rules"`
	Summary  Summary      `json:"summary"`
}

// Rules are those in force for frames that are not simply forwarded, in the words of the
// configuration.
type Rules struct {
	Unbound       string      `json:"unbound"`
	Unresolved    string      `json:"unresolved"`
	Oversize      string      `json:"oversize"`
	Martians      string      `json:"martians"`
	TinyFragments string      `json:"tiny_fragments"`
	DSCP          string      `json:"dscp"`
	PCP           string      `json:"pcp"`
	FastLane      string      `json:"fast_lane"` // on or off
	Clamped       int         `json:"mss_clamped_segments"`
	ICMP          ICMPLimits  `json:"icmp"`
	Ports         []PortRules `json:"ports"`
}

// ICMPLimits are how many ICMP errors all workers together send, in a second and at
// once; 0 in a second is no limit.
type ICMPLimits struct {
	Rate        int `json:"rate"`
	Burst       int `json:"burst"`
	SourceRate  int `json:"source_rate"` // to one source prefix
	SourceBurst int `json:"source_burst"`
}

// PortRules are for frames that come in by one port.
type PortRules struct {
	Port        string     `json:"port"`
	ICMPSource4 netip.Addr `json:"icmp_source_ipv4,omitzero"` // absent: such packets are not answered
	ICMPSource6 netip.Addr `json:"icmp_source_ipv6,omitzero"`
	AcceptVLANs []string   `json:"accept_vlans,omitempty"` // absent: any
}

// ConfigStatus says which configuration is in force.
type ConfigStatus struct {
	File     string    `json:"file"`
	Loaded   time.Time `json:"loaded"`
	Warnings []string  `json:"warnings,omitempty"`

	// Refused says why the file, as it was at Tried, is not in force.
	Refused string    `json:"refused,omitempty"`
	Tried   time.Time `json:"tried,omitzero"`
}

// Gate says whether segments may be announced.
type Gate struct {
	Open     bool      `json:"open"`
	Reasons  []string  `json:"reasons,omitempty"` // what holds it shut
	Waiting  []string  `json:"waiting,omitempty"` // sources whose initial dump is not in
	Deadline time.Time `json:"deadline,omitzero"` // when it stops waiting for them
}

// Health is a condition that announcing depends on.
type Health struct {
	Name   string    `json:"name"`
	OK     bool      `json:"ok"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Held   bool      `json:"held,omitempty"` // good, but not yet for long enough
}

// Worker is one forwarding thread.
type Worker struct {
	Name     string    `json:"name"`
	CPU      int       `json:"cpu"`     // -1 is not pinned
	Outside  bool      `json:"outside"` // of Go's runtime, which then never stops it
	LastPoll time.Time `json:"last_poll"`
	Stalled  bool      `json:"stalled"`
	PollGaps PollGaps  `json:"poll_gaps"`
}

// PollGaps are how long a worker's ports were not looked at, from one poll to the next,
// since the start. Pauses of an idle worker are left out, but not by how much they took
// too long.
type PollGaps struct {
	Count   uint64      `json:"count"`
	Sum     string      `json:"sum"`
	P9999   string      `json:"p9999"` // which 99.99 % of them did not exceed
	Max     string      `json:"max"`
	Buckets []GapBucket `json:"buckets,omitempty"` // of WorkerCounters: those that are not empty
}

// GapBucket counts gaps up to a bound, and above that of the bucket before.
type GapBucket struct {
	UpTo  string `json:"up_to"` // "" is no bound
	Count uint64 `json:"count"`
}

// Table is what the forwarding table holds.
type Table struct {
	IPv4              int    `json:"ipv4"` // bindings
	IPv6              int    `json:"ipv6"`
	Unresolved        int    `json:"unresolved"` // bindings that are not forwarded to
	VTEPs             int    `json:"vteps"`
	Tunnels           int    `json:"tunnels"`
	UnresolvedTunnels int    `json:"unresolved_tunnels"`
	Groups            int    `json:"groups"`
	Entries           int    `json:"entries"`
	Retired           int    `json:"retired"` // blocks that wait until workers have let go
	Bytes             uint64 `json:"bytes"`
}

// FileStatus is the file of static bindings.
type FileStatus struct {
	Path     string    `json:"path,omitempty"`
	Bindings int       `json:"bindings"`
	Loaded   time.Time `json:"loaded,omitzero"`
	Error    string    `json:"error,omitempty"` // why the file as it is now is not in force
}

// Summary counts.
type Summary struct {
	SegmentsWanted     int    `json:"segments_wanted"`
	SegmentsAnnounced  int    `json:"segments_announced"`
	Switches           int    `json:"switches"`
	SwitchesUp         int    `json:"switches_up"`
	VirtualRouters     int    `json:"virtual_routers"`
	VirtualRoutersUp   int    `json:"virtual_routers_up"`
	Paths              int    `json:"paths"`
	Prefixes           int    `json:"prefixes"`
	Refused            uint64 `json:"refused"` // since the start
	Queued             int    `json:"queued"`  // prefixes that wait to be programmed
	RxPackets          uint64 `json:"rx_packets"`
	TxPackets          uint64 `json:"tx_packets"`
	DropPackets        uint64 `json:"drop_packets"`
	MadePackets        uint64 `json:"made_packets"` // answers and fragments
	ProgramLagLast     string `json:"program_lag_last"`
	ProgramLagMax      string `json:"program_lag_max"`
	BindingsProgrammed int    `json:"bindings_programmed"`
}

// Tunnel is one way to a virtual router.
type Tunnel struct {
	VTEP     netip.Addr `json:"vtep"`
	VNI      uint32     `json:"vni"`
	Protocol string     `json:"protocol"` // geneve or vxlan
	UDPPort  uint16     `json:"udp_port"`
	InnerMAC string     `json:"inner_mac"`
	InnerSrc string     `json:"inner_src_mac"`
	Options  string     `json:"options,omitempty"` // in words
}

// Binding is an EIP prefix and where its frames go.
type Binding struct {
	Prefix     netip.Prefix `json:"prefix"`
	Tunnels    []Tunnel     `json:"tunnels"`
	Sources    []string     `json:"sources"`  // that the tunnels are from
	Carriers   []string     `json:"carriers"` // that named them
	Candidates int          `json:"candidates"`
	State      string       `json:"state"` // forwarding, partial, unresolved, programming, refused
	Problem    string       `json:"problem,omitempty"`
	Learned    time.Time    `json:"learned"` // the oldest claim that is in force
}

// BindingPage is a part of all bindings in address order. Next is where the next
// part begins; it is absent at the end.
type BindingPage struct {
	Bindings []Binding     `json:"bindings"`
	Next     *netip.Prefix `json:"next,omitempty"`
}

// Segment is a prefix of EIPs, wanted or on its way out.
type Segment struct {
	Prefix           netip.Prefix `json:"prefix"`
	State            string       `json:"state"`
	Origin           string       `json:"origin"` // config, admin, or "" when no longer wanted
	Since            time.Time    `json:"since"`
	Until            time.Time    `json:"until,omitzero"`
	Communities      []string     `json:"communities,omitempty"`
	LargeCommunities []string     `json:"large_communities,omitempty"`
	MED              *uint32      `json:"med,omitempty"`
	MSSClamp         bool         `json:"mss_clamp"` // lowers the MSS of TCP SYNs
}

// Neighbor is a BGP neighbor. A range that nobody has connected from has one without
// an address, in the state listening.
type Neighbor struct {
	Name    string       `json:"name"` // what the configuration calls it
	Address netip.Addr   `json:"address,omitzero"`
	Range   netip.Prefix `json:"range,omitzero"` // that it connected from
	Role    string       `json:"role"`           // switch or virtual-router
	ASN     uint32       `json:"asn"`

	State    string     `json:"state"` // idle, active, opensent, openconfirm, established, listening
	Since    time.Time  `json:"since,omitzero"`
	RouterID netip.Addr `json:"router_id,omitzero"`
	Local    netip.Addr `json:"local,omitzero"`
	Families []string   `json:"families"` // negotiated
	Synced   bool       `json:"synced"`   // the initial dump is in

	Received   uint64 `json:"received"`   // routes that it announces now
	Accepted   uint64 `json:"accepted"`   // of them, those that became claims
	Refused    uint64 `json:"refused"`    // routes that could not, since the start
	Advertised uint64 `json:"advertised"` // segments announced to it now

	Flaps     uint64    `json:"flaps"` // sessions lost since the start
	LastError string    `json:"last_error,omitempty"`
	ErrorTime time.Time `json:"error_time,omitzero"`
}

// Roles of neighbors, and the state of a session that is up.
const (
	RoleSwitch        = "switch"
	RoleVirtualRouter = "virtual-router"
	StateEstablished  = "established"
)

// StateUp is the state of a port that works.
const StateUp = "up"

// Port is one queue of an interface.
type Port struct {
	Name     string   `json:"name"`
	ID       uint16   `json:"id"`
	Queue    int      `json:"queue"`
	Worker   string   `json:"worker"`
	State    string   `json:"state"` // up, or why not
	Mode     string   `json:"mode"`  // native, native zero-copy, generic
	MAC      string   `json:"mac"`
	MTU      int      `json:"mtu"`
	VLAN     string   `json:"vlan,omitempty"` // 100, or 100.200 for 802.1Q 200 inside 802.1ad 100; absent: untagged
	Rx       Traffic  `json:"rx"`
	Tx       Traffic  `json:"tx"`
	RxMissed uint64   `json:"rx_missed"` // frames that there was no buffer or room for, or that were too long
	TxLost   uint64   `json:"tx_lost"`   // of those in Tx, frames that the device did not send in the end
	Filter   *Filter  `json:"filter,omitempty"`
	Lane     *Lane    `json:"lane,omitempty"` // absent: the fast lane is off
	Notes    []string `json:"notes,omitempty"`
}

// Filter counts what became of all frames that came in by an interface, before any
// worker saw them. It stands at the interface's first queue, for all of them.
type Filter struct {
	Redirected uint64 `json:"redirected"` // to a worker
	Passed     uint64 `json:"passed"`     // to the kernel: not for a segment
	Foreign    uint64 `json:"foreign"`    // to the kernel: for a segment, but another Ethernet address
	Unserved   uint64 `json:"unserved"`   // to the kernel: for a segment, on a queue without a worker
}

// Lane is the fast lane's share of a port's Rx and Tx. It stands at the interface's first
// queue, for all of them.
type Lane struct {
	On   bool    `json:"on"` // whether frames that come in by this interface take it
	Rx   Traffic `json:"rx"`
	Tx   Traffic `json:"tx"`
	Lost uint64  `json:"lost"` // of Rx, frames that left by an interface which had gone
}

// LaneCounters is the fast lane's share of what was received and sent.
type LaneCounters struct {
	Received Traffic `json:"received"`
	Sent     Traffic `json:"sent"`
}

// Traffic counts frames and their bytes.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Plus is the sum of both.
func (t Traffic) Plus(u Traffic) Traffic { return Traffic{t.Packets + u.Packets, t.Bytes + u.Bytes} }

// Counters is all that workers count. Received plus Made is always Sent plus all Drops.
// Sent is what ports took; what their devices then lost is Port.TxLost.
type Counters struct {
	Received Traffic `json:"received"`
	Made     uint64  `json:"made"` // frames of the gateway's own: answers and fragments
	Sent     Traffic `json:"sent"`
	Drops    []Drop  `json:"drops"`  // every Reason, also those at zero
	Events   []Event `json:"events"` // every Event, also those at zero

	Workers []WorkerCounters `json:"workers"`
	Lane    *LaneCounters    `json:"lane,omitempty"` // absent: the fast lane is off
}

// WorkerCounters is one worker's share.
type WorkerCounters struct {
	Name     string `json:"name"`
	Received uint64 `json:"received"`
	Made     uint64 `json:"made"`
	Sent     uint64 `json:"sent"`
	Dropped  uint64 `json:"dropped"`
	Bursts   uint64 `json:"bursts"` // rounds that moved frames
	Sleeps   uint64 `json:"sleeps"` // rounds after which the worker slept

	PollGaps PollGaps `json:"poll_gaps"`
}

// Drop counts what was dropped for one Reason.
type Drop struct {
	Reason string `json:"reason"`
	Doc    string `json:"doc"`
	Traffic
}

// Event counts frames to which something happened beside their end. Those that were made
// add up to Counters.Made.
type Event struct {
	Event   string `json:"event"`
	Doc     string `json:"doc"`
	Made    bool   `json:"made"` // the frame is one that the gateway made
	Packets uint64 `json:"packets"`
}

// Source is who may claim EIPs.
type Source struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Rank        int               `json:"rank"`
	Allow       []netip.Prefix    `json:"allow"` // null is every segment
	MaxPrefixes int               `json:"max_prefixes"`
	Synced      bool              `json:"synced"`
	Paths       int               `json:"paths"`
	Accepted    int               `json:"accepted"`
	Refused     int               `json:"refused"`
	NotHeld     int               `json:"not_held"`
	Refusals    map[string]uint64 `json:"refusals"` // since the start, by reason
}

// Refusal is a claim that was not accepted.
type Refusal struct {
	Source string       `json:"source"`
	Prefix netip.Prefix `json:"prefix"`
	Reason string       `json:"reason"`
	Detail string       `json:"detail"`
	Time   time.Time    `json:"time"`
	Count  uint64       `json:"count"`
}

// VTEP is a tunnel end that bindings name, and the ways to it.
type VTEP struct {
	Address netip.Addr `json:"address"`
	State   string     `json:"state"` // resolved, or why not
	Since   time.Time  `json:"since,omitzero"`
	Ways    []Way      `json:"ways"`
	PathMTU *PathMTU   `json:"path_mtu,omitempty"` // that routers have reported; no way's MTU is above it
}

// PathMTU is what routers of the underlay say that the path to a VTEP carries.
type PathMTU struct {
	MTU      uint16     `json:"mtu"`      // largest outer IP packet
	Reporter netip.Addr `json:"reporter"` // the router that said so last
	Reported time.Time  `json:"reported"` // when
}

// Way is one next hop.
type Way struct {
	Port    string     `json:"port"`
	NextHop netip.Addr `json:"next_hop,omitzero"`
	SrcMAC  string     `json:"src_mac"`
	DstMAC  string     `json:"dst_mac"`
	VLAN    string     `json:"vlan,omitempty"` // as a port's
	Local   netip.Addr `json:"local"`
	MTU     uint16     `json:"mtu"`                 // largest outer IP packet
	Inner   uint16     `json:"inner_mtu,omitempty"` // largest inner IP packet
	MSS     uint16     `json:"mss,omitempty"`       // what a larger MSS of a TCP SYN is lowered to
	Header  string     `json:"header,omitempty"`    // the entry's bytes, hexadecimal
}

// Why explains what happens to frames for one address.
type Why struct {
	Address  netip.Addr `json:"address"`
	Verdict  string     `json:"verdict"`          // forwarded, dropped, not ours
	Summary  string     `json:"summary"`          // in a sentence
	Answer   string     `json:"answer,omitempty"` // what the sender of a dropped packet hears
	Segment  *Segment   `json:"segment,omitempty"`
	Prefixes []WhyEIP   `json:"prefixes,omitempty"` // that cover the address, longest first
	Tunnels  []WhyWay   `json:"tunnels,omitempty"`  // of the one in force
	Choice   *Choice    `json:"choice,omitempty"`   // of the flow that was asked for
	Refusals []Refusal  `json:"refusals,omitempty"` // of prefixes that cover the address
}

// Flow is what tells flows to one address apart. Ports are 0 where there are none: in
// fragments, and but for TCP, UDP, SCTP and UDP-Lite.
type Flow struct {
	From     netip.Addr
	FromPort uint16
	ToPort   uint16
	Protocol uint8
}

// Choice is which of the tunnels, and which of its ways, a flow takes: the same on
// every gateway.
type Choice struct {
	Hash       string `json:"hash"`        // hexadecimal
	SourcePort uint16 `json:"source_port"` // of the outer UDP header
	Tunnel     int    `json:"tunnel"`      // index into Why.Tunnels
	Way        int    `json:"way"`         // index into its ways
}

// WhyEIP is a bound prefix and who claims it.
type WhyEIP struct {
	Prefix     netip.Prefix `json:"prefix"`
	InForce    bool         `json:"in_force"`
	Problem    string       `json:"problem,omitempty"`
	Candidates []Candidate  `json:"candidates"`
}

// Candidate is one claim and how it fared.
type Candidate struct {
	Source    string     `json:"source"`
	Router    netip.Addr `json:"router,omitzero"`
	Carrier   string     `json:"carrier"`
	Tunnel    Tunnel     `json:"tunnel"`
	Chosen    bool       `json:"chosen"`
	Refused   string     `json:"refused,omitempty"`
	Why       string     `json:"why"`
	LocalPref uint32     `json:"local_pref"`
	ASPathLen uint16     `json:"as_path_length"`
	MED       uint32     `json:"med"`
	Learned   time.Time  `json:"learned"`
}

// WhyWay is one tunnel in force, and the ways it takes.
type WhyWay struct {
	Tunnel     Tunnel   `json:"tunnel"`
	Unresolved string   `json:"unresolved,omitempty"`
	Ways       []Way    `json:"ways,omitempty"`
	PathMTU    *PathMTU `json:"path_mtu,omitempty"` // of its VTEP
}
