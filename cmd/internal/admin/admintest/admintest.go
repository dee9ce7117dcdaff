// Package admintest has an admin.Gateway made of fixed words and numbers, for tests of
// everything that shows a gateway.
package admintest

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
)

// Now is the time at which the fixed gateway is looked at.
var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Gateway answers with fixed values and notes what it was asked to change. Err, where
// set, is the answer to every change.
type Gateway struct {
	Err error

	mu      sync.Mutex
	changes []any
}

var _ admin.Gateway = (*Gateway)(nil)

func (g *Gateway) note(v any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changes = append(g.changes, v)
}

// Changes lists the changes asked for, in order.
func (g *Gateway) Changes() []any {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]any(nil), g.changes...)
}

func ago(d time.Duration) time.Time { return Now.Add(-d) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Status implements admin.Gateway: a gateway with a bit of everything that can be off.
func (g *Gateway) Status() admin.Status {
	return admin.Status{
		Version: "v1.2.3 go1.26", PID: 4711, Started: ago(26 * time.Hour),
		Reasons: []string{"worker 1: has not polled its ports for 4s"},
		Config: admin.ConfigStatus{
			File: "/etc/eipgw/eipgw.yaml", Loaded: ago(26 * time.Hour), Tried: ago(2 * time.Minute),
			Refused:  "/etc/eipgw/eipgw.yaml:8: log.levl: unknown key: did you mean level?",
			Warnings: []string{"/etc/eipgw/eipgw.yaml:21: neighbors[1].allow: not set: 10.1.0.1 may claim every EIP of every segment"},
		},
		Gate: admin.Gate{Reasons: []string{"worker 1: has not polled its ports for 4s"}},
		Health: []admin.Health{
			{Name: "ports", OK: true, Since: ago(time.Hour)},
			{Name: "port eth1", OK: true, Since: ago(3 * time.Second), Held: true},
			{Name: "worker 1", Reason: "has not polled its ports for 4s", Since: ago(3 * time.Second)},
		},
		Workers: []admin.Worker{
			{Name: "worker 0", CPU: 1, Outside: true, LastPoll: ago(4 * time.Millisecond), PollGaps: gaps(false)},
			{
				Name: "worker 1", CPU: -1, LastPoll: ago(4 * time.Second), Stalled: true,
				PollGaps: admin.PollGaps{Sum: "0s", P9999: "0s", Max: "0s"},
			},
		},
		Table: admin.Table{
			IPv4: 1_000_000, IPv6: 12, Unresolved: 3, VTEPs: 40, Tunnels: 120, UnresolvedTunnels: 1,
			Groups: 2, Entries: 124, Retired: 1, Bytes: 96 << 20,
		},
		Bindings: admin.FileStatus{
			Path: "/etc/eipgw/bindings.yaml", Bindings: 7, Loaded: ago(time.Hour),
			Error: "bindings.yaml:3: prefix: \"203.0.113.7/33\": expected a prefix",
		},
		Rules: admin.Rules{
			Unbound: "host-unreachable", Unresolved: "drop", Oversize: "fragment-inner", Martians: "drop", TinyFragments: "allow",
			DSCP: "{af41: 34, ef: cs5}", PCP: "from-dscp", FastLane: "on", Clamped: 1, ICMP: admin.ICMPLimits{Rate: 1000, Burst: 500, SourceBurst: 50},
			Ports: []admin.PortRules{
				{Port: "eth1", ICMPSource4: addr("10.0.1.2"), ICMPSource6: addr("fd00:1::2"), AcceptVLANs: []string{"untagged", "100.200"}},
				{Port: "eth2", ICMPSource4: addr("10.255.0.1")},
				{Port: "eth3"},
			},
		},
		Summary: admin.Summary{
			SegmentsWanted: 3, SegmentsAnnounced: 1, Switches: 2, SwitchesUp: 1, VirtualRouters: 40, VirtualRoutersUp: 39,
			Paths: 1_000_100, Prefixes: 1_000_012, Refused: 17, Queued: 5, BindingsProgrammed: 1_000_012,
			RxPackets: 1_234_567, TxPackets: 1_234_530, DropPackets: 567, MadePackets: 530, ProgramLagLast: "1.2ms", ProgramLagMax: "48ms",
		},
	}
}

var tunnels = []admin.Tunnel{
	{VTEP: addr("10.0.2.11"), VNI: 5001, Protocol: "geneve", UDPPort: 6081, InnerMAC: "02:65:69:70:76:72", InnerSrc: "02:65:69:70:67:77"},
	{VTEP: addr("10.0.2.12"), VNI: 5001, Protocol: "geneve", UDPPort: 6081, InnerMAC: "02:00:00:00:0a:01", InnerSrc: "02:65:69:70:67:77", Options: "ovn(inport 2, outport 1)"},
	{VTEP: addr("fd00:2::13"), VNI: 16777215, Protocol: "vxlan", UDPPort: 4789, InnerMAC: "02:65:69:70:76:72", InnerSrc: "02:65:69:70:67:77"},
}

var bindings = []admin.Binding{
	{
		Prefix: prefix("203.0.113.7/32"), Tunnels: tunnels[:1], Sources: []string{"10.1.0.1"}, Carriers: []string{"large-community"},
		Candidates: 1, State: "forwarding", Learned: ago(192 * time.Second),
	},
	{
		Prefix: prefix("203.0.113.8/32"), Tunnels: tunnels[:2], Sources: []string{"10.1.0.1", "10.1.0.2"}, Carriers: []string{"large-community"},
		Candidates: 2, State: "partial", Learned: ago(25 * time.Hour),
	},
	{
		Prefix: prefix("2001:db8:e1b::9/128"), Tunnels: tunnels[2:], Sources: []string{"static"}, Carriers: []string{"static"},
		Candidates: 1, State: "unresolved", Learned: ago(time.Hour),
	},
}

// Bindings implements admin.Gateway.
func (g *Gateway) Bindings(q admin.BindingQuery) admin.BindingPage {
	page := admin.BindingPage{Bindings: []admin.Binding{}}
	for _, b := range bindings {
		switch {
		case q.From.IsValid() && b.Prefix.Compare(q.From) < 0:
		case q.Under.IsValid() && !q.Under.Overlaps(b.Prefix):
		case len(page.Bindings) == q.Limit:
			page.Next = &b.Prefix
			return page
		default:
			page.Bindings = append(page.Bindings, b)
		}
	}
	return page
}

// Segments implements admin.Gateway.
func (g *Gateway) Segments() []admin.Segment {
	med := uint32(10)
	return []admin.Segment{
		{
			Prefix: prefix("203.0.113.0/24"), State: "announced", Origin: "config", Since: ago(26 * time.Hour), MED: &med, MSSClamp: true,
			Communities: []string{"64512:100", "no-export"}, LargeCommunities: []string{"64512:1:2"},
		},
		{Prefix: prefix("198.51.100.0/24"), State: "lingering", Since: ago(time.Second), Until: Now.Add(time.Second)},
		{Prefix: prefix("2001:db8:e1b::/64"), State: "held", Origin: "admin", Since: ago(time.Minute)},
	}
}

// Neighbors implements admin.Gateway.
func (g *Gateway) Neighbors() []admin.Neighbor {
	return []admin.Neighbor{
		{
			Name: "leaf 1", Address: addr("10.0.1.1"), Role: admin.RoleSwitch, ASN: 65001, State: "established", Since: ago(26 * time.Hour),
			RouterID: addr("10.0.1.1"), Local: addr("10.0.1.2"), Families: []string{"ipv4", "ipv6"}, Synced: true, Advertised: 1,
		},
		{
			Name: "10.0.1.3", Address: addr("10.0.1.3"), Role: admin.RoleSwitch, ASN: 65001, State: "active", Since: ago(time.Minute),
			Flaps: 3, LastError: "hold timer expired", ErrorTime: ago(time.Minute),
		},
		{
			Name: "10.1.0.0/24", Address: addr("10.1.0.1"), Range: prefix("10.1.0.0/24"), Role: admin.RoleVirtualRouter, ASN: 65100,
			State: "established", Since: ago(time.Hour), Synced: true, Received: 1002, Accepted: 1002, Refused: 2,
		},
		{Name: "10.2.0.0/24", Range: prefix("10.2.0.0/24"), Role: admin.RoleVirtualRouter, ASN: 65100, State: "listening"},
	}
}

// Ports implements admin.Gateway.
func (g *Gateway) Ports() []admin.Port {
	return []admin.Port{
		{
			Name: "eth1", ID: 1, Queue: 0, Worker: "worker 0", State: admin.StateUp, Mode: "native zero-copy", MAC: "02:00:00:00:00:01", MTU: 1600,
			Rx: admin.Traffic{Packets: 1_234_567, Bytes: 79_012_288}, Tx: admin.Traffic{Packets: 1_234_000, Bytes: 140_676_000}, RxMissed: 2,
			TxLost: 3, Filter: &admin.Filter{Redirected: 1_234_569, Passed: 4711, Foreign: 12, Unserved: 5},
			Lane:  &admin.Lane{On: true, Rx: admin.Traffic{Packets: 1000, Bytes: 64_000}, Tx: admin.Traffic{Packets: 999, Bytes: 113_886}, Lost: 1},
			Notes: []string{"1 of 2 receive queues have a port; frames on the others are not forwarded (ethtool -L eth1 combined 1)"},
		},
		{
			Name: "eth1", ID: 1, Queue: 1, Worker: "worker 1", State: "afxdp: eth1 queue 1: link is down", Mode: "native", MAC: "02:00:00:00:00:01",
			MTU: 1600, VLAN: "100",
		},
	}
}

// Counters implements admin.Gateway.
func (g *Gateway) Counters() admin.Counters {
	c := admin.Counters{
		Received: admin.Traffic{Packets: 1_234_567, Bytes: 79_012_288}, Sent: admin.Traffic{Packets: 1_234_530, Bytes: 140_676_000},
		Made: 530,
		Lane: &admin.LaneCounters{Received: admin.Traffic{Packets: 1000, Bytes: 64_000}, Sent: admin.Traffic{Packets: 999, Bytes: 113_886}},
		Workers: []admin.WorkerCounters{
			{Name: "worker 0", Received: 1_234_567, Made: 530, Sent: 1_234_530, Dropped: 567, Bursts: 40_000, Sleeps: 12, PollGaps: gaps(true)},
			{Name: "worker 1", PollGaps: admin.PollGaps{Sum: "0s", P9999: "0s", Max: "0s"}},
		},
	}
	for r := dataplane.ReasonNone + 1; r < dataplane.NumReasons; r++ {
		d := admin.Drop{Reason: r.String(), Doc: r.Doc()}
		switch r {
		case dataplane.ReasonNoBinding:
			d.Traffic = admin.Traffic{Packets: 560, Bytes: 33_600}
		case dataplane.ReasonTTLExpired:
			d.Traffic = admin.Traffic{Packets: 7, Bytes: 420}
		}
		c.Drops = append(c.Drops, d)
	}
	for e := range dataplane.NumEvents {
		v := admin.Event{Event: e.String(), Doc: e.Doc(), Made: e.Made()}
		switch e {
		case dataplane.EventUnreachable:
			v.Packets = 500
		case dataplane.EventFragment:
			v.Packets = 30
		case dataplane.EventLimitedSource:
			v.Packets = 67
		case dataplane.EventFragmentedInner:
			v.Packets = 20
		}
		c.Events = append(c.Events, v)
	}
	return c
}

// Sources implements admin.Gateway.
func (g *Gateway) Sources() []admin.Source {
	return []admin.Source{
		{ID: "10.1.0.1", Name: "10.1.0.0/24", Rank: 2, Allow: []netip.Prefix{prefix("203.0.113.0/25"), prefix("2001:db8:e1b::/65")}, MaxPrefixes: 10000,
			Synced: true, Paths: 1002, Accepted: 1000, Refused: 2, Refusals: map[string]uint64{"not_allowed": 2}},
		{ID: "10.1.0.2", Rank: 2, Allow: []netip.Prefix{}, Refusals: map[string]uint64{}},
		{ID: "admin", Rank: 0, Synced: true, Refusals: map[string]uint64{}},
	}
}

var refusals = []admin.Refusal{
	{Source: "10.1.0.1", Prefix: prefix("203.0.113.200/32"), Reason: "not_allowed", Detail: "the neighbor may claim 203.0.113.0/25, 2001:db8:e1b::/65", Time: ago(5 * time.Second), Count: 2},
}

// Refusals implements admin.Gateway.
func (g *Gateway) Refusals() []admin.Refusal { return refusals }

// Underlay implements admin.Gateway.
func (g *Gateway) Underlay() []admin.VTEP {
	return []admin.VTEP{
		{Address: addr("10.0.2.11"), State: "resolved", Since: ago(time.Hour), Ways: []admin.Way{way, second}, PathMTU: &pathMTU},
		{Address: addr("10.0.2.12"), State: "no route", Since: ago(time.Minute), Ways: []admin.Way{}},
	}
}

var (
	way = admin.Way{
		Port: "eth1", NextHop: addr("10.0.1.1"), SrcMAC: "02:00:00:00:00:01", DstMAC: "02:00:00:00:00:fe",
		Local: addr("10.0.1.2"), MTU: 1600, Inner: 1550, MSS: 1510, Header: "0200000000fe",
	}
	second = admin.Way{
		Port: "eth2", NextHop: addr("10.0.3.1"), SrcMAC: "02:00:00:00:00:02", DstMAC: "02:00:00:00:00:fd", VLAN: "100",
		Local: addr("10.0.3.2"), MTU: 1600, Inner: 1550, MSS: 1510, Header: "0200000000fd",
	}
	pathMTU = admin.PathMTU{MTU: 1600, Reporter: addr("10.0.9.1"), Reported: ago(192 * time.Second)}
)

// Why implements admin.Gateway: 203.0.113.7 is forwarded, all else is refused.
func (g *Gateway) Why(a netip.Addr, flow *admin.Flow) admin.Why {
	segment := g.Segments()[0]
	if a != addr("203.0.113.7") {
		return admin.Why{
			Address: a, Verdict: "dropped", Summary: "no claim on it was accepted; counted as no_binding", Segment: &segment, Refusals: refusals,
			Answer: "ICMP host unreachable (3/1) from 10.0.1.2 on eth1, 10.255.0.1 on eth2",
		}
	}
	var choice *admin.Choice
	if flow != nil {
		g.note(*flow)
		choice = &admin.Choice{Hash: "0xbf39b835", SourcePort: 0xf835, Way: 1}
	}
	return admin.Why{
		Address: a, Verdict: "forwarded", Choice: choice, Summary: "203.0.113.7/32 is bound, 1 of 1 tunnel resolved", Segment: &segment,
		Prefixes: []admin.WhyEIP{{
			Prefix: prefix("203.0.113.7/32"), InForce: true,
			Candidates: []admin.Candidate{
				{Source: "10.1.0.1", Router: addr("10.1.0.1"), Carrier: "large-community", Tunnel: tunnels[0], Chosen: true, Why: "highest LOCAL_PREF 200", LocalPref: 200, Learned: ago(192 * time.Second)},
				{Source: "10.1.0.2", Router: addr("10.1.0.9"), Carrier: "next-hop", Tunnel: tunnels[1], Why: "lower LOCAL_PREF 100", LocalPref: 100, Learned: ago(time.Hour)},
			},
		}},
		Tunnels: []admin.WhyWay{{Tunnel: tunnels[0], Ways: []admin.Way{way, second}, PathMTU: &pathMTU}},
	}
}

// gaps are poll gaps of worker 0.
func gaps(buckets bool) admin.PollGaps {
	g := admin.PollGaps{Count: 2_000_000, Sum: "9s", P9999: "12.3µs", Max: "1.23ms"}
	if buckets {
		g.Buckets = []admin.GapBucket{{UpTo: "1.024µs", Count: 1_900_000}, {UpTo: "12.288µs", Count: 99_999}, {UpTo: "1.31072ms", Count: 1}}
	}
	return g
}

// Metrics implements admin.Gateway.
func (g *Gateway) Metrics() admin.Metrics {
	return admin.Metrics{
		Status: g.Status(), Counters: g.Counters(), Ports: g.Ports(), Neighbors: g.Neighbors(), Segments: g.Segments(),
		PollGaps: []admin.WorkerGaps{{
			Worker: "worker 0", Max: 1_230_000 * time.Nanosecond,
			Gaps: admin.Histogram{
				Count: 2_000_000, Sum: 9 * time.Second,
				Bounds: []time.Duration{1024, 1 << 20}, Counts: []uint64{1_900_000, 99_999, 1},
			},
		}},
		VTEPs: 40, VTEPsUp: 39, PathMTUs: 2, TooBig: map[string]uint64{"lowered": 3, "foreign_source": 5},
		RIB: admin.RIBMetrics{
			Updates: 100, Received: 1_000_200, Coalesced: 50, Batches: 90, Programs: 1_000_100, Announces: 3,
			Refused: map[string]uint64{"not_allowed": 15, "no_vni": 2, "conflict": 0},
			Lag: admin.Histogram{
				Count: 6, Sum: 60 * time.Millisecond,
				Bounds: []time.Duration{time.Millisecond, 10 * time.Millisecond}, Counts: []uint64{1, 3, 2},
			},
		},
	}
}

// ChangeSegments implements admin.Gateway.
func (g *Gateway) ChangeSegments(_ context.Context, c admin.SegmentChange) (admin.Plan, error) {
	g.note(c)
	return admin.Plan{
		DryRun: c.DryRun,
		Steps: []admin.Step{
			{Kind: "announce", After: "0s", Prefixes: []netip.Prefix{prefix("203.0.113.0/25"), prefix("203.0.113.128/25")}, Why: "more specific routes stand first"},
			{Kind: "withdraw", After: "2s", Prefixes: []netip.Prefix{prefix("203.0.113.0/24")}, Why: "covered by what stands now"},
		},
		Notes: []string{"nothing is announced now: worker 1: has not polled its ports for 4s"},
	}, g.Err
}

// Bind implements admin.Gateway.
func (g *Gateway) Bind(_ context.Context, b admin.Bind) (admin.Bound, error) {
	g.note(b)
	return admin.Bound{Binding: &bindings[0]}, g.Err
}

// BindMany implements admin.Gateway.
func (g *Gateway) BindMany(_ context.Context, b admin.BindMany) (admin.BoundMany, error) {
	g.note(b)
	return admin.BoundMany{Bound: len(b.Prefixes)}, g.Err
}

// Unbind implements admin.Gateway.
func (g *Gateway) Unbind(_ context.Context, p netip.Prefix) (admin.Bound, error) {
	g.note(p)
	return admin.Bound{}, g.Err
}

// Reload implements admin.Gateway.
func (g *Gateway) Reload(context.Context) (admin.Reloaded, error) {
	g.note("reload")
	return admin.Reloaded{Changed: []string{"segments", "log.level"}}, g.Err
}
