package pcapport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

var _ dataplane.Port = (*Port)(nil)

// Config describes a port.
type Config struct {
	ID   fib.PortID
	Name string    // "" is the name of the input file, or else of the output file
	MAC  encap.MAC // zero takes frames for any station

	In  string // capture file to receive from; "": nothing is received
	Out string // pcap file to write, made anew; "": what is sent is discarded

	MTU      int    // largest IP packet in bytes that is sent; 0 is 1500. Input may be larger
	Headroom int    // bytes in front of every frame; 0 is 256, negative is none
	Group    *Group // ports that share their frames' times; nil: this port alone
}

// Group is ports of one worker among which a frame keeps its time of capture. The
// zero value has no members; Open makes its port one.
type Group struct{ members map[fib.PortID]bool }

// Port is a port over capture files. All methods belong to one goroutine.
type Port struct {
	info   dataplane.PortInfo
	group  *Group
	bufs   [dataplane.BurstSize][]byte
	closed bool

	in    *reader
	rxErr error // why no more is read: io.EOF, or what Err says ...
	told  bool  // ... which Rx has returned

	file    *os.File
	buf     *bufio.Writer
	out     *pcapgo.Writer
	written int64
	txErr   error
}

// Open opens the files. It fails when the input is not a capture of Ethernet frames.
func Open(c Config) (*Port, error) {
	p, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("pcapport: %w", err)
	}
	return p, nil
}

func open(c Config) (_ *Port, err error) {
	if c.Name == "" {
		if c.Name = filepath.Base(c.In); c.In == "" {
			c.Name = filepath.Base(c.Out)
		}
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	switch {
	case c.Headroom == 0:
		c.Headroom = 256
	case c.Headroom < 0:
		c.Headroom = 0
	}
	if c.Group == nil {
		c.Group = new(Group)
	}
	p := &Port{group: c.Group, rxErr: io.EOF, info: dataplane.PortInfo{
		ID: c.ID, Name: c.Name, MAC: c.MAC, MTU: c.MTU, Headroom: c.Headroom,
	}}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if c.In != "" {
		if p.in, err = openReader(c.In); err != nil {
			return nil, err
		}
		p.rxErr = nil
	}
	if c.Out != "" {
		if err := p.create(c.Out); err != nil {
			return nil, err
		}
	}
	if c.Group.members == nil {
		c.Group.members = map[fib.PortID]bool{}
	}
	c.Group.members[c.ID] = true
	return p, nil
}

// create makes the output file. It is not to be the one that is read.
func (p *Port) create(path string) (err error) {
	if p.in != nil {
		in, err1 := p.in.file.Stat()
		out, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(in, out) {
			return fmt.Errorf("%s: is the input as well: expected another file for the output", path)
		}
	}
	if p.file, err = os.Create(path); err != nil {
		return err
	}
	p.buf = bufio.NewWriterSize(p.file, 1<<16)
	p.out = pcapgo.NewWriterNanos(p.buf)
	return p.out.WriteFileHeader(maxFrame, layers.LinkTypeEthernet)
}

// Info implements dataplane.Port.
func (p *Port) Info() dataplane.PortInfo { return p.info }

// Err is why reading ended before the end of the input; nil when it did not.
func (p *Port) Err() error {
	if p.rxErr == nil || errors.Is(p.rxErr, io.EOF) {
		return nil
	}
	return p.rxErr
}

// Rx implements dataplane.Port. At the end of the input it returns io.EOF. An error in
// the input is returned once, after the frames before it, and io.EOF from then on: a
// broken file ends a replay, too.
func (p *Port) Rx(b *dataplane.Burst) (int, error) {
	b.N = 0
	if p.closed {
		return 0, fmt.Errorf("pcapport: %s: receive: %w", p.info.Name, net.ErrClosed)
	}
	for p.rxErr == nil && b.N < dataplane.BurstSize {
		frame, captured, err := p.in.next()
		if err != nil {
			p.rxErr = err
			break
		}
		f := &b.F[b.N]
		f.Attach(p.buffer(b.N, frame), p.info.Headroom, len(frame))
		f.Cookie, f.In = uint64(captured.UnixNano()), p.info.ID
		b.N++
	}
	switch {
	case b.N > 0:
		return b.N, nil
	case p.told || errors.Is(p.rxErr, io.EOF):
		return 0, io.EOF
	}
	p.told = true
	return 0, p.rxErr
}

// buffer is the i-th buffer of a burst, with the frame in it.
func (p *Port) buffer(i int, frame []byte) []byte {
	if need := p.info.Headroom + len(frame); len(p.bufs[i]) < need {
		p.bufs[i] = make([]byte, max(need, p.info.Headroom+p.info.MaxFrame()))
	}
	copy(p.bufs[i][p.info.Headroom:], frame)
	return p.bufs[i]
}

// Tx implements dataplane.Port. It takes everything, unless writing has failed.
func (p *Port) Tx(frames []*dataplane.Frame) int {
	if p.closed || p.txErr != nil {
		return 0
	}
	for i, f := range frames {
		at := time.UnixMicro(p.written)
		if p.group.members[f.In] {
			at = time.Unix(0, int64(f.Cookie))
		}
		if p.out != nil {
			info := gopacket.CaptureInfo{Timestamp: at.UTC(), CaptureLength: f.Len(), Length: f.Len()}
			if p.txErr = p.out.WritePacket(info, f.Bytes()); p.txErr != nil {
				return i
			}
		}
		p.written++
	}
	return len(frames)
}

// Flush implements dataplane.Port: what was sent is in the file.
func (p *Port) Flush() error {
	if p.closed {
		return fmt.Errorf("pcapport: %s: flush: %w", p.info.Name, net.ErrClosed)
	}
	if p.buf != nil && p.txErr == nil {
		p.txErr = p.buf.Flush()
	}
	if p.txErr != nil {
		return fmt.Errorf("pcapport: %s: write: %w", p.info.Name, p.txErr)
	}
	return nil
}

// Release implements dataplane.Port.
func (p *Port) Release(b *dataplane.Burst) { b.N = 0 }

// Close implements dataplane.Port. It fails when not all that was sent is in the file.
func (p *Port) Close() error {
	if p.closed {
		return nil
	}
	var errs []error
	if p.in != nil {
		errs = append(errs, p.in.file.Close())
	}
	if p.file != nil {
		errs = append(errs, p.Flush(), p.file.Close())
	}
	p.closed = true
	return errors.Join(errs...)
}
