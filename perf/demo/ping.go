package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// pinger sends echo requests (RFC 792, RFC 4443) from a namespace's kernel at a
// fixed interval and remembers which came back.
type pinger struct {
	conn     *net.IPConn
	to       netip.Addr
	id       uint16
	interval time.Duration
	stop     chan struct{}
	sender   sync.WaitGroup
	receiver sync.WaitGroup

	mu       sync.Mutex
	sentAt   []time.Time
	answered []bool
	got      int
	rttSum   time.Duration
	rttMax   time.Duration
	sendErr  error
}

// pings is what a pinger saw.
type pings struct {
	sent, lost int
	avg, max   time.Duration // round trip times
}

func (p pings) String() string {
	return fmt.Sprintf("%d sent, %d lost, round trip avg %v max %v",
		p.sent, p.lost, p.avg.Round(time.Microsecond), p.max.Round(time.Microsecond))
}

// straggle is how long an answer may be under way after the last request.
const straggle = time.Second

func startPing(ns *lab.NS, to netip.Addr, id uint16, every time.Duration) (*pinger, error) {
	p := &pinger{to: to, id: id, interval: every, stop: make(chan struct{})}
	network := "ip4:icmp"
	if to.Is6() {
		network = "ip6:ipv6-icmp"
	}
	err := ns.Do(func() (err error) {
		p.conn, err = net.DialIP(network, nil, &net.IPAddr{IP: to.AsSlice()})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("demo: ping %s: %w", to, err)
	}
	if err := p.conn.SetReadBuffer(4 << 20); err != nil {
		return nil, fmt.Errorf("demo: ping %s: %w", to, err)
	}
	p.sender.Go(p.send)
	p.receiver.Go(p.receive)
	return p, nil
}

// finish stops sending, waits for what is still under way, and says what it saw.
func (p *pinger) finish() (pings, error) {
	close(p.stop)
	p.sender.Wait()
	deadline := time.Now().Add(straggle)
	for time.Now().Before(deadline) && !p.complete() {
		time.Sleep(10 * time.Millisecond)
	}
	p.conn.Close()
	p.receiver.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	r := pings{sent: len(p.sentAt), lost: len(p.sentAt) - p.got, max: p.rttMax}
	if p.got > 0 {
		r.avg = p.rttSum / time.Duration(p.got)
	}
	return r, p.sendErr
}

func (p *pinger) complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got == len(p.sentAt)
}

func (p *pinger) send() {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	msg := make([]byte, 8+56)
	for seq := 0; ; seq++ {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.request(msg, seq)
		p.mu.Lock()
		p.sentAt = append(p.sentAt, time.Now())
		p.answered = append(p.answered, false)
		p.mu.Unlock()
		if _, err := p.conn.Write(msg); err != nil {
			p.mu.Lock()
			p.sendErr = fmt.Errorf("demo: ping %s: %w", p.to, err)
			p.mu.Unlock()
			return
		}
	}
}

// request fills in an echo request. The full sequence number is in the payload,
// since the header's has 16 bits.
func (p *pinger) request(msg []byte, seq int) {
	msg[0], msg[1] = 8, 0
	if p.to.Is6() {
		msg[0] = 128
	}
	binary.BigEndian.PutUint16(msg[2:], 0)
	binary.BigEndian.PutUint16(msg[4:], p.id)
	binary.BigEndian.PutUint16(msg[6:], uint16(seq))
	binary.BigEndian.PutUint64(msg[8:], uint64(seq))
	if p.to.Is4() { // the kernel fills in ICMPv6's
		binary.BigEndian.PutUint16(msg[2:], encap.Checksum(msg, 0))
	}
}

func (p *pinger) receive() {
	buf := make([]byte, 2048)
	for {
		n, _, err := p.conn.ReadFromIP(buf) // without the IPv4 header
		if err != nil {
			select {
			case <-p.stop:
				return // closed by finish
			default:
				continue // an ICMP error about a request: that request counts as lost
			}
		}
		p.reply(buf[:n], time.Now())
	}
}

func (p *pinger) reply(m []byte, now time.Time) {
	want := byte(0)
	if p.to.Is6() {
		want = 129
	}
	if len(m) < 16 || m[0] != want || binary.BigEndian.Uint16(m[4:]) != p.id {
		return
	}
	seq := binary.BigEndian.Uint64(m[8:])
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq >= uint64(len(p.answered)) || p.answered[seq] {
		return
	}
	p.answered[seq] = true
	p.got++
	rtt := now.Sub(p.sentAt[seq])
	p.rttSum += rtt
	p.rttMax = max(p.rttMax, rtt)
}

// pingFor sends for d and says what came back.
func pingFor(ctx context.Context, ns *lab.NS, to netip.Addr, id uint16, every, d time.Duration) (pings, error) {
	p, err := startPing(ns, to, id, every)
	if err != nil {
		return pings{}, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return p.finish()
}
