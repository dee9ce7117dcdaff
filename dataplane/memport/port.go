package memport

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/eipgw/eipgw/dataplane"
)

var (
	_ dataplane.Port   = (*Port)(nil)
	_ dataplane.Waiter = (*Port)(nil)
)

// Info implements dataplane.Port.
func (p *Port) Info() dataplane.PortInfo { return p.info }

// Rx implements dataplane.Port.
func (p *Port) Rx(b *dataplane.Burst) (int, error) {
	b.N = 0
	switch {
	case p.closed:
		return 0, fmt.Errorf("memport: %s: receive: %w", p.info.Name, net.ErrClosed)
	case len(p.cfg.Repeat) > 0:
		p.repeat(b)
		return b.N, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.down != nil:
		return 0, p.down
	case len(p.in) == 0 && p.ended:
		return 0, io.EOF
	}
	n := min(len(p.in), len(p.free), dataplane.BurstSize)
	for _, frame := range p.in[:n] {
		i := p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		copy(p.bufs[i][p.cfg.Headroom:], frame)
		p.attach(b, i, len(frame))
	}
	if p.in = p.in[n:]; len(p.in) == 0 {
		p.in = nil // let go of what has been read
	}
	return n, nil
}

// repeat fills a burst with the next frames, in the next buffers.
func (p *Port) repeat(b *dataplane.Burst) {
	restore := p.cfg.Restore
	for range min(dataplane.BurstSize, len(p.bufs)) {
		at := p.bufs[p.turn][p.cfg.Headroom:]
		if restore > 0 {
			copy(at, p.heads[p.next*restore:(p.next+1)*restore])
		} else {
			copy(at, p.cfg.Repeat[p.next])
		}
		p.attach(b, uint32(p.turn), p.sizes[p.next])
		if p.turn++; p.turn == len(p.bufs) {
			p.turn = 0
		}
		if p.next++; p.next == len(p.sizes) {
			p.next = 0
		}
	}
}

func (p *Port) attach(b *dataplane.Burst, buf uint32, n int) {
	f := &b.F[b.N]
	f.Attach(p.bufs[buf], p.cfg.Headroom, n)
	f.Cookie, f.In = uint64(buf), p.info.ID
	b.N++
}

// owns says whether the frame lies in one of the port's lent buffers.
func (p *Port) owns(f *dataplane.Frame) bool {
	if f.In != p.info.ID || f.Cookie >= uint64(len(p.bufs)) || len(p.cfg.Repeat) > 0 {
		return false
	}
	return &f.Buffer()[0] == &p.bufs[f.Cookie][0]
}

// Tx implements dataplane.Port.
func (p *Port) Tx(frames []*dataplane.Frame) int {
	if p.closed || p.isDown() {
		return 0
	}
	took := min(len(frames), p.cfg.TxQueue-len(p.queue))
	for _, f := range frames[:took] {
		q := queued{buf: foreign, off: len(p.staging), n: f.Len()}
		switch {
		case p.owns(f):
			q.buf, q.off = uint32(f.Cookie), f.Offset()
			f.Taken = true
		case !p.cfg.Discard:
			p.staging = append(p.staging, f.Bytes()...)
		}
		p.queue = append(p.queue, q)
	}
	return took
}

func (p *Port) isDown() bool {
	if len(p.cfg.Repeat) > 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down != nil
}

// Flush implements dataplane.Port: queued frames reach Collect, buffers the pool.
func (p *Port) Flush() error {
	if p.closed {
		return fmt.Errorf("memport: %s: flush: %w", p.info.Name, net.ErrClosed)
	}
	if len(p.queue) > 0 {
		p.sent.Add(uint64(len(p.queue)))
		p.deliver()
		p.queue, p.staging = p.queue[:0], p.staging[:0]
	}
	if len(p.cfg.Repeat) > 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

func (p *Port) deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.queue {
		from := p.staging
		if q.buf != foreign {
			from = p.bufs[q.buf]
		}
		if !p.cfg.Discard {
			p.out = append(p.out, from[q.off:q.off+q.n]...)
			p.ends = append(p.ends, len(p.out))
		}
		if q.buf != foreign {
			p.giveBack(q.buf)
		}
	}
}

// Release implements dataplane.Port.
func (p *Port) Release(b *dataplane.Burst) {
	for i := range b.F[:b.N] {
		if f := &b.F[i]; !f.Taken && p.owns(f) {
			p.giveBack(uint32(f.Cookie))
		}
	}
	b.N = 0
}

func (p *Port) giveBack(buf uint32) {
	if p.cfg.Poison {
		b := p.bufs[buf]
		for i := range b {
			b[i] = poison
		}
	}
	p.free = append(p.free, buf)
}

// Wait implements dataplane.Waiter.
func (p *Port) Wait(d time.Duration) {
	if p.closed || len(p.cfg.Repeat) > 0 {
		return
	}
	p.mu.Lock()
	ready := len(p.in) > 0
	p.mu.Unlock()
	if ready {
		return
	}
	p.timer.Reset(d)
	select {
	case <-p.wake:
	case <-p.timer.C:
	}
}

// Close implements dataplane.Port. What was sent stays for Collect.
func (p *Port) Close() error {
	p.closed = true
	p.timer.Stop()
	return nil
}
