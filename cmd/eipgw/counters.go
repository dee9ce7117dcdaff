package main

import (
	"cmp"
	"slices"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// Ports implements admin.Gateway.
func (g *gateway) Ports() []admin.Port {
	byID, lane := map[fib.PortID]deviceView{}, laneTotals{}
	for i, d := range g.devices {
		v := viewDevice(d)
		byID[portID(i)] = v
		lane.add(portID(i), v.Lane)
	}
	out := []admin.Port{}
	for _, w := range g.workers {
		s := w.Snapshot()
		for _, p := range s.Ports {
			out = append(out, g.portView(w.name, p, byID[p.Info.ID], lane[p.Info.ID]))
		}
	}
	slices.SortStableFunc(out, func(a, b admin.Port) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Queue, b.Queue)) })
	return out
}

func (g *gateway) portView(worker string, p dataplane.PortStats, d deviceView, lane laneTraffic) admin.Port {
	v := admin.Port{
		Name: p.Info.Name, ID: uint16(p.Info.ID), Queue: p.Info.Queue, Worker: worker, State: admin.StateUp,
		Mode: d.mode(p.Info.Queue), MAC: p.Info.MAC.String(), MTU: p.Info.MTU, VLAN: vlanText(g.ports[p.Info.ID-1].VLAN),
		Rx:       admin.Traffic{Packets: p.RxPackets, Bytes: p.RxBytes},
		Tx:       admin.Traffic{Packets: p.TxPackets, Bytes: p.TxBytes},
		RxMissed: d.missed(p.Info.Queue), TxLost: d.lost(p.Info.Queue),
	}
	if p.Err != nil {
		v.State = p.Err.Error()
	}
	if p.Info.Queue == 0 {
		v.Notes = d.Notes
		if g.lane != nil {
			v.Lane = lane.view(d.Lane)
			v.Rx.Packets, v.Rx.Bytes = v.Rx.Packets+lane.rx.Packets, v.Rx.Bytes+lane.rx.Bytes
			v.Tx.Packets, v.Tx.Bytes = v.Tx.Packets+lane.tx.Packets, v.Tx.Bytes+lane.tx.Bytes
		}
		v.Filter = &admin.Filter{
			Redirected: d.Filter.Redirected, Passed: d.Filter.Passed, Foreign: d.Filter.Foreign, Unserved: d.Filter.Unserved,
		}
	}
	return v
}

// Counters implements admin.Gateway.
func (g *gateway) Counters() admin.Counters {
	var c admin.Counters
	var drops dataplane.DropCounters
	var events dataplane.EventCounters
	for _, w := range g.workers {
		s := w.Snapshot()
		for _, p := range s.Ports {
			c.Received.Packets += p.RxPackets
			c.Received.Bytes += p.RxBytes
			c.Sent.Packets += p.TxPackets
			c.Sent.Bytes += p.TxBytes
		}
		for r, d := range s.Drops {
			drops[r].Packets += d.Packets
			drops[r].Bytes += d.Bytes
		}
		for e, n := range s.Events {
			events[e] += n
		}
		c.Made += s.Made()
		c.Workers = append(c.Workers, admin.WorkerCounters{
			Name: w.name, Received: s.Received(), Made: s.Made(), Sent: s.Sent(), Dropped: s.Dropped(), Bursts: s.Bursts, Sleeps: s.Sleeps,
			PollGaps: gapsView(&s.Gaps, true),
		})
	}
	if g.lane != nil {
		c.Lane = &admin.LaneCounters{}
		for _, l := range g.carried() {
			c.Lane.Received, c.Lane.Sent = c.Lane.Received.Plus(l.rx), c.Lane.Sent.Plus(l.tx)
			drops[dataplane.ReasonPortDown].Packets += l.lost
		}
		c.Received, c.Sent = c.Received.Plus(c.Lane.Received), c.Sent.Plus(c.Lane.Sent)
	}
	for r := dataplane.ReasonNone + 1; r < dataplane.NumReasons; r++ {
		c.Drops = append(c.Drops, admin.Drop{
			Reason: r.String(), Doc: r.Doc(), Traffic: admin.Traffic{Packets: drops[r].Packets, Bytes: drops[r].Bytes},
		})
	}
	for e := range dataplane.NumEvents {
		c.Events = append(c.Events, admin.Event{Event: e.String(), Doc: e.Doc(), Made: e.Made(), Packets: events[e]})
	}
	return c
}

// deviceView is a device's status for the API.
type deviceView struct {
	afxdp.Status
	queues map[int]afxdp.QueueStatus
}

func viewDevice(d device) deviceView {
	st, err := d.Status()
	if err != nil {
		st.Notes = append(st.Notes, err.Error())
	}
	v := deviceView{Status: st, queues: map[int]afxdp.QueueStatus{}}
	for _, q := range st.Queues {
		v.queues[q.Queue] = q
	}
	return v
}

// logNotes logs once what does not look right about the interfaces; `eipgw show ports` goes
// on showing it.
func (g *gateway) logNotes() {
	for i, d := range g.devices {
		for _, note := range viewDevice(d).Notes {
			g.log.Warn("interface", "port", g.ports[i].Name, "note", note)
		}
	}
}

func (d deviceView) mode(queue int) string {
	mode := d.Mode.String()
	if d.queues[queue].ZeroCopy {
		mode += " zero-copy"
	}
	return mode
}

// missed counts frames for the gateway that the kernel could not hand over.
func (d deviceView) missed(queue int) uint64 {
	q := d.queues[queue]
	return q.RxMissed()
}

// lost counts frames that the port took and that were not sent.
func (d deviceView) lost(queue int) uint64 {
	q := d.queues[queue]
	return q.TxLost()
}
