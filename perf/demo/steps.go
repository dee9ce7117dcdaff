package demo

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/peers"
)

var (
	segment4    = netip.MustParsePrefix("203.0.113.0/24")
	segment6    = netip.MustParsePrefix("2001:db8:e1b::/64")
	half1       = netip.MustParsePrefix("203.0.113.0/25")
	half2       = netip.MustParsePrefix("203.0.113.128/25")
	newSegment  = netip.MustParsePrefix("192.0.2.0/24")
	eip1        = netip.MustParseAddr("203.0.113.11") // behind vr1
	eip2        = netip.MustParseAddr("203.0.113.12") // behind vr2
	eip1v6      = netip.MustParseAddr("2001:db8:e1b::11")
	eip2v6      = netip.MustParseAddr("2001:db8:e1b::12")
	movingEIP   = netip.MustParseAddr("203.0.113.50")
	eipInNew    = netip.MustParseAddr("192.0.2.9")
	unboundEIP  = netip.MustParseAddr("203.0.113.200")
	vr1MAC      = [6]byte{0x02, 0, 0, 0, 0x01, 0x11}
	vr2MAC      = [6]byte{0x02, 0, 0, 0, 0x02, 0x12}
	convergence = 20 * time.Second // longest wait for BGP to say something new
)

// segmentsArrive is step 1.
func (d *demo) segmentsArrive(ctx context.Context) error {
	d.next("The switches learn the EIP segments from the gateway, by BGP alone.")
	for _, e := range []struct {
		r    *router
		eips []netip.Addr
	}{{d.vr1, []netip.Addr{eip1, eip1v6, movingEIP}}, {d.vr2, []netip.Addr{eip2, eip2v6}}} {
		for _, eip := range e.eips {
			if err := e.r.take(eip, 100); err != nil {
				return err
			}
		}
		d.saw("%s announces %v to the gateway; its tunnel (VTEP %s, VNI %d) by %s",
			e.r.name, e.eips, e.r.addr, e.r.vni, e.r.carrier())
	}
	want := map[netip.Prefix]netip.Addr{segment4: gatewayAddr, segment6: serviceAddr6}
	for _, sw := range []*lab.NS{d.net.switchA, d.net.switchB} {
		if err := d.expectRoutes(ctx, sw, want); err != nil {
			return err
		}
	}
	return d.expectBindings(ctx, eip1, eip1v6, movingEIP, eip2, eip2v6)
}

// expectRoutes checks that exactly the wanted segments come to stand in a switch.
// Switch B sees the gateway through switch A, so that only A's next hop is compared.
func (d *demo) expectRoutes(ctx context.Context, sw *lab.NS, want map[netip.Prefix]netip.Addr) error {
	var have map[netip.Prefix]netip.Addr
	took, ok, err := until(ctx, convergence, func() (bool, error) {
		var err error
		if have, err = learnedRoutes(sw); err != nil {
			return false, err
		}
		return sameKeys(have, want), nil
	})
	if err != nil {
		return err
	}
	d.check(ok, "%s has exactly %s (after %v)", sw.Label(), routeList(have), took.Round(time.Millisecond))
	if sw == d.net.switchA {
		for p, via := range have {
			direct := via == want[p] || via == gatewayAddr6
			d.check(direct, "%s: next hop of %s is the gateway, %s", sw.Label(), p, via)
		}
	}
	return nil
}

// expectBindings waits until the gateway forwards every one of the EIPs.
func (d *demo) expectBindings(ctx context.Context, eips ...netip.Addr) error {
	for _, eip := range eips {
		var why peers.Why
		_, ok, err := until(ctx, convergence, func() (bool, error) {
			var err error
			why, err = d.gw.Why(ctx, eip)
			return why.Forwarded(), err
		})
		if err != nil {
			return err
		}
		d.check(ok, "eipgw why %s: %s", eip, why.Summary)
	}
	return nil
}

// trafficFlows is step 2.
func (d *demo) trafficFlows(ctx context.Context) error {
	d.next("A client in the Internet reaches EIPs behind both virtual routers; answers come back directly.")
	eips := map[netip.Addr]bool{eip1: true, eip2: true, eip1v6: true, eip2v6: true}
	requests, err := d.watchGateway(func(a addresses) bool { return a.tunneled && eips[a.inner.dst] })
	if err != nil {
		return err
	}
	defer requests.Close()
	replies, err := d.watchGateway(func(a addresses) bool { return eips[a.outer.src] || eips[a.inner.src] })
	if err != nil {
		return err
	}
	defer replies.Close()
	for _, eip := range []netip.Addr{eip1, eip1v6, eip2, eip2v6} {
		p, err := d.ping(ctx, eip, 10*time.Millisecond, time.Second)
		if err != nil {
			return err
		}
		d.check(p.lost == 0 && p.sent > 0, "ping %s: %v", eip, p)
	}
	const size = 8 << 20
	for _, eip := range []netip.Addr{eip1, eip2, eip2v6} {
		took, err := transfer(d.net.client, netip.AddrPortFrom(eip, echoPort), size)
		if err != nil {
			d.check(false, "%v", err)
			continue
		}
		d.check(true, "TCP with %s: %d MiB there and back, equal, in %v", eip, size>>20, took.Round(time.Millisecond))
	}
	d.check(requests.Count() > 0, "%d requests left the gateway in Geneve", requests.Count())
	d.check(replies.Count() == 0, "%d answers crossed the gateway's link", replies.Count())
	return nil
}

// eipMoves is step 3.
func (d *demo) eipMoves(ctx context.Context) error {
	d.next("EIP %s moves from vr1 to vr2 by BGP while pings run at 1 ms.", movingEIP)
	p, err := d.pingAlong(movingEIP)
	if err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	at1, err := d.vr1.delivered()
	if err != nil {
		return err
	}
	at2, err := d.vr2.delivered()
	if err != nil {
		return err
	}
	if err := d.vr2.take(movingEIP, 50); err != nil { // a lower MED is better
		return err
	}
	took, moved, err := until(ctx, convergence, func() (bool, error) {
		n, err := d.vr2.delivered()
		return n > at2, err
	})
	if err != nil {
		return err
	}
	if err := d.vr1.Withdraw(d.vr1.route(movingEIP, 100)); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	settled1, err := d.vr1.delivered()
	if err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	end1, err := d.vr1.delivered()
	if err != nil {
		return err
	}
	r, err := p.finish()
	if err != nil {
		return err
	}
	d.check(moved, "first ping at vr2 %v after it announced the EIP with a better MED", took.Round(time.Millisecond))
	d.check(end1 == settled1, "none at vr1 any more (%d before the move)", at1)
	d.check(r.lost == 0, "ping %s: %v", movingEIP, r)
	return nil
}

// segmentsChange is step 4.
func (d *demo) segmentsChange(ctx context.Context) error {
	d.next("Segments change while traffic runs: %s is split into halves, %s is new.", segment4, newSegment)
	along := []netip.Addr{eip1, eip2}
	var ps []*pinger
	for _, eip := range along {
		p, err := d.pingAlong(eip)
		if err != nil {
			return err
		}
		ps = append(ps, p)
	}
	for _, args := range [][]string{
		{"segment", "add", half1.String()}, {"segment", "add", half2.String()},
		{"segment", "withdraw", segment4.String()}, {"segment", "add", newSegment.String()},
	} {
		if _, err := d.gw.Run(ctx, args...); err != nil {
			return err
		}
		d.saw("eipgw %s", strings.Join(args, " "))
	}
	want := map[netip.Prefix]netip.Addr{half1: gatewayAddr, half2: gatewayAddr, newSegment: gatewayAddr, segment6: serviceAddr6}
	for _, sw := range []*lab.NS{d.net.switchA, d.net.switchB} {
		if err := d.expectRoutes(ctx, sw, want); err != nil {
			return err
		}
	}
	if err := d.vr2.take(eipInNew, 100); err != nil {
		return err
	}
	if err := d.expectBindings(ctx, eipInNew); err != nil {
		return err
	}
	n, err := d.ping(ctx, eipInNew, 10*time.Millisecond, 500*time.Millisecond)
	if err != nil {
		return err
	}
	d.check(n.lost == 0 && n.sent > 0, "ping %s, in the new segment: %v", eipInNew, n)
	for i, p := range ps {
		r, err := p.finish()
		if err != nil {
			return err
		}
		d.check(r.lost == 0, "ping %s all along: %v", along[i], r)
	}
	return nil
}

// unboundGoesNowhere is step 5.
func (d *demo) unboundGoesNowhere(ctx context.Context) error {
	d.next("%s lies in a segment, but no virtual router has it: it goes nowhere, and its sender is told.", unboundEIP)
	toGateway, err := d.net.switchA.Capture(gatewaySide, lab.CaptureOptions{Outgoing: true, Filter: func(f []byte) bool {
		return frameAddresses(f).outer.dst == unboundEIP
	}})
	if err != nil {
		return err
	}
	defer toGateway.Close()
	fromGateway, err := d.net.switchA.Capture(gatewaySide, lab.CaptureOptions{Filter: func(f []byte) bool {
		a := frameAddresses(f)
		return a.outer.dst == unboundEIP || a.inner.dst == unboundEIP
	}})
	if err != nil {
		return err
	}
	defer fromGateway.Close()
	answers, err := d.net.switchA.Capture(gatewaySide, lab.CaptureOptions{Filter: func(f []byte) bool {
		return isHostUnreachable(f, unboundEIP)
	}})
	if err != nil {
		return err
	}
	defer answers.Close()
	before, err := d.gw.Counters(ctx)
	if err != nil {
		return err
	}
	p, err := d.ping(ctx, unboundEIP, 10*time.Millisecond, 500*time.Millisecond)
	if err != nil {
		return err
	}
	after, err := d.gw.Counters(ctx)
	if err != nil {
		return err
	}
	dropped := after.Drop("no_binding") - before.Drop("no_binding")
	d.check(p.lost == p.sent, "ping %s: %d sent, none answered", unboundEIP, p.sent)
	d.check(toGateway.Count() == p.sent, "%d frames for it on the gateway's link: each once, no loop", toGateway.Count())
	d.check(fromGateway.Count() == 0, "%d frames for it left the gateway", fromGateway.Count())
	d.check(dropped == uint64(p.sent), "%d counted as no_binding", dropped)
	made := after.Event("unreachable") - before.Event("unreachable")
	d.check(answers.Count() == p.sent && made == uint64(p.sent), "%d ICMP host unreachable came back, %d counted as made", answers.Count(), made)
	return nil
}

// routerDies is step 6.
func (d *demo) routerDies(ctx context.Context) error {
	d.next("vr2 dies without a word: its bindings go, vr1's traffic is untouched.")
	p, err := d.pingAlong(eip1)
	if err != nil {
		return err
	}
	if err := d.vr2.Kill(); err != nil {
		return err
	}
	gone := []netip.Addr{eip2, eip2v6, movingEIP, eipInNew}
	took, ok, err := until(ctx, convergence, func() (bool, error) {
		for _, eip := range gone {
			if why, err := d.gw.Why(ctx, eip); err != nil || why.Forwarded() {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	d.check(ok, "bindings of %v are gone %v after the kill", gone, took.Round(time.Millisecond))
	time.Sleep(500 * time.Millisecond)
	r, err := p.finish()
	if err != nil {
		return err
	}
	d.check(r.lost == 0 && r.sent > 0, "ping %s, behind vr1: %v", eip1, r)
	return nil
}

// everyFrameAccounted is step 7.
func (d *demo) everyFrameAccounted(ctx context.Context) error {
	d.next("Every frame is accounted for.")
	table, err := d.gw.Run(ctx, "show", "counters")
	if err != nil {
		return err
	}
	d.saw("%s", strings.TrimRight(table, "\n"))
	var c peers.Counters
	_, ok, err := until(ctx, 5*time.Second, func() (bool, error) {
		c, err = d.gw.Counters(ctx)
		return c.AddUp(), err
	})
	if err != nil {
		return err
	}
	d.check(ok && c.Received.Packets > 0, "%d frames in + %d made = %d out + %d dropped", c.Received.Packets, c.Made, c.Sent.Packets, c.Dropped())
	return nil
}

// gatewayStops closes the demo.
func (d *demo) gatewayStops(ctx context.Context) error {
	d.next("The gateway stops: it withdraws first, forwards a little longer, then ends.")
	p, err := d.pingAlong(eip1)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- d.gw.Stop(20 * time.Second) }()
	_, ok, err := until(ctx, convergence, func() (bool, error) {
		have, err := learnedRoutes(d.net.switchA)
		return len(have) == 0, err
	})
	if err != nil {
		return err
	}
	d.check(ok, "switch A has no segment any more")
	stopped := <-ended
	d.check(stopped == nil, "the gateway ended with %s", exitWord(stopped))
	_, err = p.finish() // pings after the withdrawal have nowhere to go
	return err
}

func exitWord(err error) string {
	if err == nil {
		return "status 0"
	}
	return err.Error()
}

func sameKeys(a, b map[netip.Prefix]netip.Addr) bool {
	if len(a) != len(b) {
		return false
	}
	for p := range a {
		if _, ok := b[p]; !ok {
			return false
		}
	}
	return true
}

func sortedPrefixes(m map[netip.Prefix]netip.Addr) []netip.Prefix {
	return slices.SortedFunc(maps.Keys(m), netip.Prefix.Compare)
}

func routeList(m map[netip.Prefix]netip.Addr) string {
	var out []string
	for _, p := range sortedPrefixes(m) {
		out = append(out, fmt.Sprintf("%s via %s", p, m[p]))
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}
