package memport

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Config describes a port. The zero value of every field but ID is usable.
type Config struct {
	ID    fib.PortID
	Name  string // "" is memN
	Queue int
	MAC   encap.MAC // zero takes frames for any station

	MTU      int // largest IP packet in bytes; 0 is 1500
	Headroom int // bytes in front of every frame; 0 is 256, negative is none
	Tailroom int // bytes behind every frame
	Buffers  int // frames that the port can lend at once; 0 is 256
	TxQueue  int // frames that wait for Flush at most; 0 is 1024

	// Repeat, unless empty, holds the frames that the port receives over and over,
	// in order. There is no Inject then, and frames are never sent in place.
	Repeat [][]byte

	// Restore is how many of its first bytes are written anew each time a frame is
	// repeated, at no more cost than that. Behind them all frames have to be equal,
	// and the worker must not change them. 0 writes frames anew as a whole.
	Restore int

	// Discard counts what is sent instead of keeping it for Collect.
	Discard bool

	// Poison overwrites a buffer when it is given back, so that who still reads it
	// gets garbage.
	Poison bool
}

// poison is what a returned buffer is filled with.
const poison = 0xDB

// Port is a port in memory. The dataplane.Port methods belong to one goroutine, the
// worker; Inject, Collect, End, SetDown and Sent to any.
type Port struct {
	info dataplane.PortInfo
	cfg  Config

	// Of the worker alone.
	bufs    [][]byte
	free    []uint32 // indices into bufs of what is not lent
	turn    int      // Repeat: next buffer ...
	next    int      // ... and next frame
	heads   []byte   // Repeat: the first Restore bytes of every frame, side by side
	sizes   []int    // Repeat: their lengths
	queue   []queued // sent, waiting for Flush
	staging []byte   // bytes of the queued frames of other ports
	timer   *time.Timer
	closed  bool

	sent atomic.Uint64
	wake chan struct{} // a token says: look at the input

	mu    sync.Mutex
	in    [][]byte // waiting for Rx
	ended bool
	down  error
	out   []byte // what was sent, one frame behind the other ...
	ends  []int  // ... each ending here
}

// queued is a frame on its way out: n bytes at off, in the port's own buffer buf or,
// when that is foreign, in staging.
type queued struct {
	buf    uint32
	off, n int
}

const foreign = ^uint32(0)

// New makes a port. It panics when a repeated frame is larger than the port takes.
func New(c Config) *Port {
	setDefault(&c.MTU, 1500)
	setDefault(&c.Headroom, 256)
	setDefault(&c.Buffers, 256)
	setDefault(&c.TxQueue, 1024)
	c.Headroom = max(c.Headroom, 0)
	if c.Name == "" {
		c.Name = fmt.Sprintf("mem%d", c.ID)
	}
	p := &Port{
		cfg:  c,
		wake: make(chan struct{}, 1),
		info: dataplane.PortInfo{ID: c.ID, Name: c.Name, Queue: c.Queue, MAC: c.MAC,
			MTU: c.MTU, Headroom: c.Headroom, Tailroom: c.Tailroom},
		timer: time.NewTimer(0),
		queue: make([]queued, 0, c.TxQueue),
	}
	p.makeBuffers()
	p.prepareRepeat()
	return p
}

func setDefault(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

// makeBuffers lays all buffers out in one piece of memory, each on its own cache lines.
func (p *Port) makeBuffers() {
	c := &p.cfg
	size := (c.Headroom + p.info.MaxFrame() + c.Tailroom + 63) &^ 63
	slab := make([]byte, size*c.Buffers)
	for i := range c.Buffers {
		p.bufs = append(p.bufs, slab[i*size:(i+1)*size:(i+1)*size])
		p.free = append(p.free, uint32(i))
	}
	slices.Reverse(p.free) // lend them in order
}

// prepareRepeat checks the repeated frames and lays them out for repeat.
func (p *Port) prepareRepeat() {
	c := &p.cfg
	var longest []byte
	for _, frame := range c.Repeat {
		p.check(frame)
		p.sizes = append(p.sizes, len(frame))
		if len(frame) > len(longest) {
			longest = frame
		}
		if c.Restore > 0 {
			p.heads = append(p.heads, frame[:min(c.Restore, len(frame))]...)
			p.heads = append(p.heads, make([]byte, max(0, c.Restore-len(frame)))...)
		}
	}
	for _, buf := range p.bufs {
		copy(buf[c.Headroom:], longest)
	}
}

func (p *Port) check(frame []byte) {
	if len(frame) > p.info.MaxFrame() {
		panic(fmt.Sprintf("memport: %s: a frame of %d bytes; the port takes %d", p.info.Name, len(frame), p.info.MaxFrame()))
	}
}

// Inject has the port receive copies of the frames, in order. It panics when one is
// larger than PortInfo.MaxFrame.
func (p *Port) Inject(frames ...[]byte) {
	copies := make([][]byte, len(frames))
	for i, f := range frames {
		p.check(f)
		copies[i] = slices.Clone(f)
	}
	p.change(func() { p.in = append(p.in, copies...) })
}

// End says that nothing more will be injected: once all is read, Rx returns io.EOF.
func (p *Port) End() { p.change(func() { p.ended = true }) }

// SetDown has Rx and Flush return err and Tx take nothing, until SetDown(nil).
func (p *Port) SetDown(err error) { p.change(func() { p.down = err }) }

// change changes the input's state and wakes who waits for it.
func (p *Port) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Collect returns copies of the frames sent since the last call, in order.
func (p *Port) Collect() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var frames [][]byte
	at := 0
	for _, end := range p.ends {
		frames = append(frames, slices.Clone(p.out[at:end]))
		at = end
	}
	p.out, p.ends = p.out[:0], p.ends[:0]
	return frames
}

// Sent counts the frames that have left the port since it was made.
func (p *Port) Sent() uint64 { return p.sent.Load() }
