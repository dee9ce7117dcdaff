package afxdp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/encap"
)

// Port is one queue of an Interface. Its worker owns all but Info; Interface.Status
// reads beside it.
type Port struct {
	iface *Interface
	queue int
	info  dataplane.PortInfo

	s       *socket // nil while there is no interface, and after Close
	pool    pool
	offset  uint64 // mask of an address's offset in its chunk
	longest int    // bytes of a frame to be sent
	jumbo   *jumbo // nil where every frame fits a chunk

	err     error         // why the port does not work, nil while it does
	retry   time.Duration // how long after the last look it is seen to again; 0: never
	index   int           // of the interface that the socket is bound to
	rounds  uint32        // calls of Rx
	checked time.Duration // when health was looked at last, by now
	suspect bool          // something went wrong since
	told    condition     // what a send has told, until Rx takes note
	is      condition     // how the port is, by the last look inside
	probe   ifreq         // reused by every look
	poll    [1]unix.PollFd
	proven  bool // the first frame had the headroom that is promised
	unfit   bool // it had not; to be said
	leaves  int  // what it had then
	out     bool // the worker calls from outside of the runtime

	mu       sync.Mutex            // held while s changes, and while Status uses it
	shownErr atomic.Pointer[error] // err, for Status
	counters portCounters
}

// portCounters are written by the worker, once per burst at most.
type portCounters struct {
	jumbo     atomic.Uint64
	rxTooLong atomic.Uint64
	copied    atomic.Uint64
	tooLong   atomic.Uint64
	kicks     atomic.Uint64
	again     atomic.Uint64
	refused   atomic.Uint64
	failed    atomic.Uint64
}

func newPort(i *Interface, queue int) *Port {
	info := dataplane.PortInfo{
		ID: i.cfg.ID, Name: i.cfg.Name, Queue: queue, MAC: i.dev.mac, Headroom: headroom,
	}
	if i.cfg.AnyMAC {
		info.MAC = encap.MAC{}
	}
	return &Port{iface: i, queue: queue, info: info, offset: i.offset()}
}

// fit sets the MTU, before the port is used. With jumbo, a frame of it may take several chunks.
func (p *Port) fit(mtu int, jumbo bool) {
	p.info.MTU = mtu
	p.longest = p.info.MaxFrame()
	if jumbo {
		p.jumbo = newJumbo(mtu)
	}
}

// adopt starts to use a fresh socket: all frames are free, half of them go to the kernel.
func (p *Port) adopt(s *socket, index int) {
	if p.jumbo != nil {
		p.jumbo.reset()
	}
	p.mu.Lock()
	p.s = s
	p.mu.Unlock()
	p.index, p.pool = index, newPool(s.geometry)
	p.poll[0] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN}
	p.refill()
	p.revive()
}

// Outside implements dataplane.Outsider. The way of frames is fit for it, and so is looking whether
// the port still works; to say that it does not, or to take a new socket, takes the runtime.
func (p *Port) Outside(on bool) { p.out = on }

// Info implements dataplane.Port.
func (p *Port) Info() dataplane.PortInfo { return p.info }

// FD implements dataplane.Descriptor. A worker asks for it before it sleeps, which may
// be for long: the next empty round looks at the clock.
func (p *Port) FD() int {
	if p.s == nil || p.err != nil {
		return -1
	}
	p.rounds |= clockIdle - 1
	return p.s.fd
}

// How many rounds go by before the clock is looked at: rounds with frames, and rounds
// without, which may be as short as a memory access or as long as a worker sleeps.
const (
	clockBusy = 256
	clockIdle = 16
)

// Rx implements dataplane.Port: frames stay where the kernel wrote them, but for those in
// several chunks.
func (p *Port) Rx(b *dataplane.Burst) (int, error) {
	b.N = 0
	if p.err != nil || p.unfit {
		if err := p.mend(); err != nil {
			return 0, err
		}
	}
	s := p.s
	n := int(s.rx.ready(dataplane.BurstSize))
	p.rounds++
	if p.suspect || p.rounds%clockBusy == 0 || n == 0 && p.rounds%clockIdle == 0 {
		if err := p.healthy(); err != nil {
			return 0, err
		}
	}
	if n == 0 {
		p.wakeRx()
		return 0, nil
	}
	if p.jumbo != nil {
		return p.rxJumbo(b, n)
	}
	for i := range n {
		d := s.rx.take()
		at := d.Addr & p.offset
		chunk := d.Addr - at
		f := &b.F[i]
		f.AttachKept(s.umem[chunk:chunk+p.offset+1], int(at), int(d.Len))
		f.Cookie, f.In = chunk, p.info.ID
	}
	s.rx.release()
	b.N = n
	if !p.proven && !p.prove(b) {
		return 0, p.mend()
	}
	return n, nil
}

// prove checks the promise of headroom at the first frame that lies where the kernel
// wrote it. A kernel that does not keep it is no good to us.
func (p *Port) prove(b *dataplane.Burst) bool {
	for i := range b.F[:b.N] {
		f := &b.F[i]
		if f.Cookie&jumboMark != 0 {
			continue
		}
		if p.leaves = f.Headroom(); p.leaves < p.info.Headroom {
			p.Release(b)
			p.unfit = true
			return false
		}
		p.proven = true
		break
	}
	return true
}

// refuse says that the kernel does not keep the promise. It is not for outside.
//
//go:noinline
func (p *Port) refuse() {
	p.unfit = false
	p.setErr(0, fmt.Errorf("afxdp: %s queue %d: the driver leaves %d bytes in front of a frame, expected %d: use generic mode or zero-copy off",
		p.info.Name, p.queue, p.leaves, p.info.Headroom))
}

// Release implements dataplane.Port.
func (p *Port) Release(b *dataplane.Burst) {
	switch {
	case p.s == nil:
	case p.jumbo != nil:
		p.giveBack(b)
		p.refill()
	default:
		for i := range b.F[:b.N] {
			if f := &b.F[i]; !f.Taken {
				p.pool.put(uint32(f.Cookie))
			}
		}
		p.refill()
	}
	b.N = 0
}

// refillBatch is how many frames are given to the kernel at once, at least.
const refillBatch = 32

// refill gives free frames to the kernel until it has half of them all. What it
// has is known from our own indices, so the kernel's are not touched.
func (p *Port) refill() {
	s := p.s
	has := s.fill.next - s.rx.next
	n := min(s.fill.mask+1-has, uint32(p.pool.n))
	if n < refillBatch {
		return
	}
	for range n {
		s.fill.put(uint64(p.pool.get()))
	}
	s.fill.publish()
}

// Tx implements dataplane.Port.
func (p *Port) Tx(frames []*dataplane.Frame) int {
	if p.err != nil || len(frames) == 0 {
		return 0
	}
	if p.jumbo != nil {
		return p.txJumbo(frames)
	}
	s := p.s
	room := int(s.tx.room(uint32(len(frames))))
	took, copied := 0, 0
	for _, f := range frames[:min(len(frames), room)] {
		if f.Len() <= p.longest && owns(s.umem, f.Buffer()) {
			s.tx.put(xdp.Desc{Addr: f.Cookie + uint64(f.Offset()), Len: uint32(f.Len())})
			f.Taken = true
		} else if !p.copyIn(f) {
			break
		} else {
			copied++
		}
		took++
	}
	s.tx.publish()
	if copied > 0 {
		p.counters.copied.Add(uint64(copied))
	}
	return took
}

// copyIn queues a copy of another port's frame; false says that no frame is free. One
// that is longer than the interface sends is swallowed and counted: waiting does not
// make it shorter.
func (p *Port) copyIn(f *dataplane.Frame) bool {
	if f.Len() > p.longest {
		p.counters.tooLong.Add(1)
		return true
	}
	if p.pool.n == 0 && p.collect() == 0 {
		return false
	}
	chunk := uint64(p.pool.get())
	n := copy(p.s.umem[chunk:chunk+p.offset+1], f.Bytes())
	p.s.tx.put(xdp.Desc{Addr: chunk, Len: uint32(n)})
	return true
}

// Close implements dataplane.Port. The queue can be opened again by Interface.Port.
func (p *Port) Close() error { return p.iface.forget(p) }

// shut releases the socket for good. The caller holds the interface's lock.
func (p *Port) shut() error {
	p.setErr(0, fmt.Errorf("afxdp: %s queue %d: %w", p.info.Name, p.queue, ErrClosed))
	return p.dropSocket()
}

func (p *Port) dropSocket() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s == nil {
		return nil
	}
	s := p.s
	p.counters.refused.Add(s.unsent()) // nobody takes them any more
	p.s, p.pool = nil, pool{}
	p.poll[0].Fd = -1
	if err := s.close(); err != nil {
		return fmt.Errorf("afxdp: %s queue %d: closing: %w", p.info.Name, p.queue, err)
	}
	return nil
}

// setErr says why the port does not work, and after what time to see to it again.
func (p *Port) setErr(retry time.Duration, err error) {
	p.err, p.retry = err, retry
	p.shownErr.Store(&err)
}
