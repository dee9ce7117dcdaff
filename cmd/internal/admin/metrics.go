package admin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is one look at all that Prometheus reads.
type Metrics struct {
	Status    Status
	Counters  Counters
	PollGaps  []WorkerGaps
	Ports     []Port
	Neighbors []Neighbor
	Segments  []Segment
	RIB       RIBMetrics
	VTEPs     int // that bindings name
	VTEPsUp   int // of these, with a way
	PathMTUs  int // of these, with a path MTU that routers have reported

	TooBig map[string]uint64 // ICMP errors about tunnel packets, by what came of them
}

// RIBMetrics is what the RIB counts.
type RIBMetrics struct {
	Updates, Received, Coalesced, Batches, Programs, Announces uint64

	Refused map[string]uint64 // claims refused since the start, by reason
	Lag     Histogram         // how long bindings take from being said until they forward
}

// WorkerGaps are the poll gaps of one worker.
type WorkerGaps struct {
	Worker string
	Gaps   Histogram
	Max    time.Duration
}

// Histogram counts durations.
type Histogram struct {
	Count  uint64
	Sum    time.Duration
	Bounds []time.Duration
	Counts []uint64 // per bound, not cumulative; one more than Bounds
}

// Collector hands a gateway's Metrics to Prometheus. It keeps nothing: every scrape
// takes one look.
type Collector struct{ gateway Gateway }

// NewCollector makes the collector of a gateway.
func NewCollector(g Gateway) *Collector { return &Collector{g} }

// metric is one family of the page.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("eipgw_"+name, help, labels, nil), prometheus.CounterValue}
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("eipgw_"+name, help, labels, nil), prometheus.GaugeValue}
}

// Everything on the page. Names end in their unit; counters in _total.
var (
	buildInfo  = gauge("build_info", "1, with the version as label.", "version")
	ready      = gauge("ready", "Whether the gateway is ready: segments are announced, or none is wanted.")
	gateOpen   = gauge("announce_gate_open", "Whether segments may be announced.")
	healthOK   = gauge("health_ok", "Conditions that announcing depends on.", "condition")
	configOK   = gauge("config_reload_ok", "Whether the configuration file, as last read, is in force.")
	configTime = gauge("config_loaded_timestamp_seconds", "When the configuration in force was read.")

	portUp       = gauge("port_up", "Whether the queue of the port works.", "port", "queue")
	portRx       = counter("port_rx_packets_total", "Frames received.", "port", "queue")
	portRxBytes  = counter("port_rx_bytes_total", "Bytes of frames received.", "port", "queue")
	portTx       = counter("port_tx_packets_total", "Frames that the port took to be sent.", "port", "queue")
	portTxBytes  = counter("port_tx_bytes_total", "Bytes of frames that the port took to be sent.", "port", "queue")
	portRxMissed = counter("port_rx_missed_packets_total", "Frames that there was no room for in the port's rings, or that were too long.", "port", "queue")

	portTxLost = counter("port_tx_lost_packets_total", "Of the frames that the port took to be sent, those that its device refused or the kernel found too long or invalid.", "port", "queue")
	portFilter = counter("port_filter_packets_total", "Frames that came in by the port, by what the XDP filter did: redirected to a worker, or to the kernel as passed (for no segment), foreign (for another Ethernet address) or unserved (on a queue without a worker).", "port", "way")

	laneRx   = counter("port_lane_rx_packets_total", "Of the frames received, those that the fast lane forwarded.", "port")
	laneTx   = counter("port_lane_tx_packets_total", "Of the frames sent, those that the fast lane did.", "port")
	laneLost = counter("port_lane_lost_packets_total", "Frames that the fast lane took and lost, as the interface to send by had gone. They count as dropped for port-down.", "port")

	drops       = counter("drop_packets_total", "Frames dropped, by reason.", "reason")
	dropBytes   = counter("drop_bytes_total", "Bytes of frames dropped, by reason.", "reason")
	madePackets = counter("made_packets_total", "Frames that the gateway made, ICMP errors by kind and fragments: received and made is sent and dropped.", "event")
	events      = counter("event_packets_total", "Frames to which something happened beside their end: fragmented, MSS clamped, or dropped and not answered, and why.", "event")
	bursts      = counter("worker_bursts_total", "Rounds of polling that moved frames.", "worker")
	sleeps      = counter("worker_sleeps_total", "Rounds of polling after which the worker slept.", "worker")
	workerPoll  = gauge("worker_last_poll_timestamp_seconds", "When the worker last polled.", "worker")
	workerOK    = gauge("worker_ok", "Whether the worker polls.", "worker")
	pollGap     = prometheus.NewDesc("eipgw_worker_poll_gap_seconds", "How long the worker's ports were not looked at, from one poll to the next; pauses of an idle worker are left out, but not by how much they took too long.", []string{"worker"}, nil)
	pollGapMax  = gauge("worker_longest_poll_gap_seconds", "The longest of them since the start.", "worker")

	bindings   = gauge("bindings", "Bindings in the table.", "family")
	unresolved = gauge("bindings_unresolved", "Bindings that are kept but not forwarded to: no VTEP of theirs has a way.")
	entries    = gauge("table_entries", "Compiled tunnel headers in the table.")
	tunnels    = gauge("table_tunnels", "Distinct tunnels in the table.")
	groups     = gauge("table_groups", "Distinct sets of several tunnels in the table.")
	retired    = gauge("table_retired_blocks", "Blocks of memory that wait until workers have let go.")
	tableBytes = gauge("table_bytes", "Memory in use by the table.")
	vteps      = gauge("vteps", "VTEPs that bindings name.", "state")
	pathMTUs   = gauge("vtep_path_mtus", "VTEPs whose path carries less than the way to them, by what routers have reported.")
	tooBig     = counter("path_mtu_reports_total", "ICMP errors of the kinds that report too big packets, by what came of them; all but lowered and confirmed were ignored.", "outcome")

	ribPaths     = gauge("rib_paths", "Claims held, accepted or not.")
	ribPrefixes  = gauge("rib_prefixes", "EIP prefixes with at least one claim.")
	ribQueued    = gauge("rib_queued_prefixes", "EIP prefixes that wait to be programmed.")
	ribUpdates   = counter("rib_updates_total", "Updates from sources.")
	ribReceived  = counter("rib_claims_total", "Claims and withdrawals in them.")
	ribCoalesced = counter("rib_coalesced_claims_total", "Of these, overtaken by a later word on the same claim before they were applied.")
	ribBatches   = counter("rib_batches_total", "Batches handed to the table.")
	ribPrograms  = counter("rib_programmed_bindings_total", "Bindings handed to the table.")
	ribAnnounces = counter("rib_announces_total", "Sets of segments handed to the speaker.")
	ribRefused   = counter("rib_refused_claims_total", "Claims refused, by reason.", "reason")
	ribLag       = prometheus.NewDesc("eipgw_rib_program_lag_seconds", "Time from a source's update until workers see the binding.", nil, nil)

	neighborUp  = gauge("neighbor_up", "Whether the BGP session is established.", "neighbor", "role")
	neighborIn  = gauge("neighbor_received_routes", "Routes that the neighbor announces.", "neighbor")
	neighborOut = gauge("neighbor_advertised_segments", "Segments announced to the neighbor.", "neighbor")
	neighborBad = counter("neighbor_refused_routes_total", "Routes that could not be turned into claims.", "neighbor")
	flaps       = counter("neighbor_flaps_total", "Sessions lost.", "neighbor")
	announced   = gauge("segment_announced", "Whether the segment is announced to the switches.", "segment")
)

// Describe implements prometheus.Collector. It says nothing, because which labels
// there are is known at the time of a scrape only.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	m := c.gateway.Metrics()
	e := emitter{ch}
	e.status(&m.Status)
	e.ports(m.Ports)
	e.counters(&m.Counters)
	for _, g := range m.PollGaps {
		e.histogram(pollGap, &g.Gaps, g.Worker)
		e.send(pollGapMax, g.Max.Seconds(), g.Worker)
	}
	e.table(&m)
	e.rib(&m)
	e.bgp(&m)
}

type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) send(m metric, v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
}

func (e emitter) yes(m metric, ok bool, labels ...string) {
	v := 0.0
	if ok {
		v = 1
	}
	e.send(m, v, labels...)
}

func (e emitter) histogram(desc *prometheus.Desc, h *Histogram, labels ...string) {
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, b := range h.Bounds {
		sum += h.Counts[i]
		buckets[b.Seconds()] = sum
	}
	e.ch <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum.Seconds(), buckets, labels...)
}

func (e emitter) time(m metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		e.send(m, float64(t.UnixMilli())/1000, labels...)
	}
}

func (e emitter) status(s *Status) {
	e.send(buildInfo, 1, s.Version)
	e.yes(ready, s.Ready)
	e.yes(gateOpen, s.Gate.Open)
	e.yes(configOK, s.Config.Refused == "")
	e.time(configTime, s.Config.Loaded)
	for _, h := range s.Health {
		e.yes(healthOK, h.OK, h.Name)
	}
	for _, w := range s.Workers {
		e.yes(workerOK, !w.Stalled, w.Name)
		e.time(workerPoll, w.LastPoll, w.Name)
	}
}

func (e emitter) ports(ports []Port) {
	for _, p := range ports {
		q := strconv.Itoa(p.Queue)
		e.yes(portUp, p.State == StateUp, p.Name, q)
		e.send(portRx, float64(p.Rx.Packets), p.Name, q)
		e.send(portRxBytes, float64(p.Rx.Bytes), p.Name, q)
		e.send(portTx, float64(p.Tx.Packets), p.Name, q)
		e.send(portTxBytes, float64(p.Tx.Bytes), p.Name, q)
		e.send(portRxMissed, float64(p.RxMissed), p.Name, q)
		e.send(portTxLost, float64(p.TxLost), p.Name, q)
		if l := p.Lane; l != nil {
			e.send(laneRx, float64(l.Rx.Packets), p.Name)
			e.send(laneTx, float64(l.Tx.Packets), p.Name)
			e.send(laneLost, float64(l.Lost), p.Name)
		}
		if f := p.Filter; f != nil {
			e.send(portFilter, float64(f.Redirected), p.Name, "redirected")
			e.send(portFilter, float64(f.Passed), p.Name, "passed")
			e.send(portFilter, float64(f.Foreign), p.Name, "foreign")
			e.send(portFilter, float64(f.Unserved), p.Name, "unserved")
		}
	}
}

func (e emitter) counters(c *Counters) {
	for _, d := range c.Drops {
		e.send(drops, float64(d.Packets), d.Reason)
		e.send(dropBytes, float64(d.Bytes), d.Reason)
	}
	for _, v := range c.Events {
		m := events
		if v.Made {
			m = madePackets
		}
		e.send(m, float64(v.Packets), v.Event)
	}
	for _, w := range c.Workers {
		e.send(bursts, float64(w.Bursts), w.Name)
		e.send(sleeps, float64(w.Sleeps), w.Name)
	}
}

func (e emitter) table(m *Metrics) {
	t := &m.Status.Table
	e.send(bindings, float64(t.IPv4), "ipv4")
	e.send(bindings, float64(t.IPv6), "ipv6")
	e.send(unresolved, float64(t.Unresolved))
	e.send(entries, float64(t.Entries))
	e.send(tunnels, float64(t.Tunnels))
	e.send(groups, float64(t.Groups))
	e.send(retired, float64(t.Retired))
	e.send(tableBytes, float64(t.Bytes))
	e.send(vteps, float64(m.VTEPsUp), "resolved")
	e.send(vteps, float64(m.VTEPs-m.VTEPsUp), "unresolved")
	e.send(pathMTUs, float64(m.PathMTUs))
	for outcome, n := range m.TooBig {
		e.send(tooBig, float64(n), outcome)
	}
}

func (e emitter) rib(m *Metrics) {
	s, r := &m.Status.Summary, &m.RIB
	e.send(ribPaths, float64(s.Paths))
	e.send(ribPrefixes, float64(s.Prefixes))
	e.send(ribQueued, float64(s.Queued))
	e.send(ribUpdates, float64(r.Updates))
	e.send(ribReceived, float64(r.Received))
	e.send(ribCoalesced, float64(r.Coalesced))
	e.send(ribBatches, float64(r.Batches))
	e.send(ribPrograms, float64(r.Programs))
	e.send(ribAnnounces, float64(r.Announces))
	for reason, n := range r.Refused {
		e.send(ribRefused, float64(n), reason)
	}
	e.histogram(ribLag, &r.Lag)
}

// bgp skips what is listed twice, a prefix as wanted and on its way out: two values of
// one metric would spoil the whole page.
func (e emitter) bgp(m *Metrics) {
	seen := map[string]bool{}
	for _, n := range m.Neighbors {
		name := NeighborName(&n)
		if seen[name] {
			continue
		}
		seen[name] = true
		e.yes(neighborUp, n.State == StateEstablished, name, n.Role)
		e.send(neighborIn, float64(n.Received), name)
		e.send(neighborOut, float64(n.Advertised), name)
		e.send(neighborBad, float64(n.Refused), name)
		e.send(flaps, float64(n.Flaps), name)
	}
	states := map[string]bool{}
	for _, s := range m.Segments {
		p := s.Prefix.String()
		states[p] = states[p] || s.State == "announced"
	}
	for p, up := range states {
		e.yes(announced, up, p)
	}
}

// NeighborName is the neighbor's address, or the range that nobody has connected from.
func NeighborName(n *Neighbor) string {
	if n.Address.IsValid() {
		return n.Address.String()
	}
	return n.Range.String()
}
