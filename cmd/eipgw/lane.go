package main

import (
	"log/slog"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/fib"
)

// lane is the fast lane, where it is on: all interfaces share it. nil is none.
type lane struct {
	*afxdp.Lane
	foreign *fib.Foreign
	failure string // what refresh said last; "" is nothing
}

// openLane makes the lane, and has the table be made in its memory.
func (g *gateway) openLane(o *fib.TableOptions) error {
	l, err := g.parts.lane()
	if err != nil {
		return err
	}
	g.lane = &lane{Lane: l}
	g.closing(l.Close)
	o.LookupSpace = g.cfg.Forwarding.FastLaneMemory << 20
	o.DistinctSpace = laneDistinct
	o.Memory, err = l.Memory()
	return err
}

// laneDistinct is the bytes for distinct sets of tunnels: a million sets.
const laneDistinct = 4 << 20

// follow has the table keep what programs in the kernel may hold.
func (l *lane) follow(t *fib.Table) (err error) {
	l.foreign, err = t.NewForeign(l.Synchronize)
	return err
}

// unfollow comes after the programs have been taken off the interfaces.
func (l *lane) unfollow() error { return l.foreign.Close() }

// kernel is the lane as the interfaces know it, nil if there is none.
func (l *lane) kernel() *afxdp.Lane {
	if l == nil {
		return nil
	}
	return l.Lane
}

// refresh looks at what the devices can do now, and logs what fails in a new way. One
// goroutine calls it.
func (l *lane) refresh(log *slog.Logger) {
	if l == nil {
		return
	}
	err, failure := l.Refresh(), ""
	if err == nil {
		err = l.foreign.Err()
	}
	if err != nil {
		failure = err.Error()
	}
	if failure != "" && failure != l.failure {
		log.Error("fast lane, trying again", "err", err)
	}
	l.failure = failure
}

// laneTraffic is the lane's share of a port's traffic.
type laneTraffic struct {
	rx, tx admin.Traffic
	lost   uint64
}

func (l *laneTraffic) view(st *afxdp.LaneStatus) *admin.Lane {
	return &admin.Lane{On: st != nil, Rx: l.rx, Tx: l.tx, Lost: l.lost}
}

// laneTotals is the lane's share by port.
type laneTotals map[fib.PortID]laneTraffic

// add counts what came in by a port.
func (t laneTotals) add(in fib.PortID, st *afxdp.LaneStatus) {
	if st == nil {
		return
	}
	for _, c := range st.Carried {
		from := t[in]
		from.rx = from.rx.Plus(admin.Traffic{Packets: c.Frames + c.Lost, Bytes: c.Received})
		from.lost += c.Lost
		t[in] = from
		to := t[c.Out]
		to.tx = to.tx.Plus(admin.Traffic{Packets: c.Frames, Bytes: c.Sent})
		t[c.Out] = to
	}
}

// carried is what the lane has forwarded, empty where it is off. A device that cannot be
// read has carried nothing.
func (g *gateway) carried() laneTotals {
	t := laneTotals{}
	if g.lane == nil {
		return t
	}
	for i, d := range g.devices {
		if st, err := d.Status(); err == nil {
			t.add(portID(i), st.Lane)
		}
	}
	return t
}
