package tap

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/eipgw/eipgw/dataplane"
)

// Options are the limits of a capture.
type Options struct {
	SnapLen int    // most bytes kept of a frame; 0 is the longest frame that the port sends
	Slots   int    // frames that wait to be written, at most; 0 is 1024
	Frames  uint64 // capturing ends after so many; 0: it does not end
}

// Stats is what a tap has done so far.
type Stats struct {
	Captured uint64 // frames handed to the writer
	Missed   uint64 // frames that found no free slot
	Err      error  // why writing failed; capturing has ended then
}

// Tap is the capture of one port.
type Tap struct {
	opts Options
	w    *pcapgo.NgWriter

	free, full chan *slot // every slot is in one of them, or in somebody's hands
	done       chan struct{}
	once       sync.Once
	closeErr   error

	taken    uint64      // the worker's: frames given to the writer
	off      atomic.Bool // no more is captured
	captured atomic.Uint64
	missed   atomic.Uint64
	err      atomic.Pointer[error]
}

// slot is a frame on its way to the writer.
type slot struct {
	info gopacket.CaptureInfo
	data []byte
}

// Interfaces of the stream.
const (
	rx = iota
	tx
)

// Wrap returns a port that does what p does and captures what passes to w, and the
// capture. The port waits for frames as p can, and closes p when it is closed; Close
// then waits until w has taken what was captured, so w must not block for ever. Wrap
// fails when w does not take the stream's header.
func Wrap(p dataplane.Port, w io.Writer, o Options) (dataplane.Port, *Tap, error) {
	info := p.Info()
	if o.SnapLen <= 0 {
		o.SnapLen = info.MaxFrame()
	}
	if o.Slots <= 0 {
		o.Slots = 1024
	}
	t := &Tap{opts: o, free: make(chan *slot, o.Slots), full: make(chan *slot, o.Slots), done: make(chan struct{})}
	if err := t.header(w, info.Name); err != nil {
		return nil, nil, fmt.Errorf("tap: %s: %w", info.Name, err)
	}
	memory := make([]byte, o.Slots*o.SnapLen)
	for i := range o.Slots {
		t.free <- &slot{data: memory[i*o.SnapLen : i*o.SnapLen : (i+1)*o.SnapLen]}
	}
	go t.write()
	return as(p, &port{Port: p, tap: t}), t, nil
}

// header writes the section header and the two interfaces.
func (t *Tap) header(w io.Writer, name string) (err error) {
	face := pcapgo.NgInterface{Name: name + " in", LinkType: layers.LinkTypeEthernet, SnapLength: uint32(t.opts.SnapLen)}
	section := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "eipgw"}}
	if t.w, err = pcapgo.NewNgWriterInterface(w, face, section); err != nil {
		return err
	}
	face.Name = name + " out"
	if _, err = t.w.AddInterface(face); err != nil {
		return err
	}
	return t.w.Flush()
}

// Stats may be called from any goroutine.
func (t *Tap) Stats() Stats {
	s := Stats{Captured: t.captured.Load(), Missed: t.missed.Load()}
	if err := t.err.Load(); err != nil {
		s.Err = *err
	}
	return s
}

// capture copies a frame for the writer. It belongs to the worker.
func (t *Tap) capture(face int, frame []byte, now time.Time) {
	if t.off.Load() || t.opts.Frames > 0 && t.taken >= t.opts.Frames {
		return
	}
	select {
	case s := <-t.free:
		s.data = append(s.data[:0], frame[:min(len(frame), t.opts.SnapLen)]...)
		s.info = gopacket.CaptureInfo{Timestamp: now, CaptureLength: len(s.data), Length: len(frame), InterfaceIndex: face}
		t.full <- s // has room for every slot
		t.taken++
	default:
		t.missed.Add(1)
	}
}

// write writes captured frames until close. It flushes when it has caught up, so that
// a reader at the other end of a pipe sees them at once.
func (t *Tap) write() {
	defer close(t.done)
	for s := range t.full {
		if t.err.Load() == nil {
			t.captured.Add(1)
			t.note(t.w.WritePacket(s.info, s.data))
		}
		t.free <- s
		if len(t.full) == 0 && t.err.Load() == nil {
			t.note(t.w.Flush())
		}
	}
}

// note ends capturing on the first error.
func (t *Tap) note(err error) {
	if err != nil {
		kept := err // so that only this way allocates
		t.err.Store(&kept)
		t.off.Store(true)
	}
}

// close ends capturing and waits for the writer. It belongs to the worker.
func (t *Tap) close() error {
	t.once.Do(func() {
		t.off.Store(true)
		close(t.full)
		<-t.done
		if err := t.err.Load(); err != nil {
			t.closeErr = fmt.Errorf("tap: write: %w", *err)
		}
	})
	return t.closeErr
}
