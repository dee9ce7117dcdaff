package afxdp

import "golang.org/x/sys/unix"

// Flush implements dataplane.Port: it makes the kernel send what Tx has queued and takes
// back the frames that are sent.
func (p *Port) Flush() error {
	if p.s == nil || p.s.tx.next == p.s.comp.next {
		return p.err
	}
	if p.err == nil {
		p.kick()
	}
	p.collect()
	return p.err
}

// collect takes back the frames that the kernel has sent, and returns how many. In
// copy mode their addresses come back with a changed low bit.
func (p *Port) collect() int {
	s := p.s
	n := int(s.comp.ready(uint32(s.frames)))
	if n == 0 {
		return 0
	}
	for range n {
		p.pool.put(uint32(s.comp.take() &^ p.offset))
	}
	s.comp.release()
	return n
}

// kickLimit is how many calls one Flush makes, at most. A refused frame costs one.
const kickLimit = 64

// kick calls the kernel until it has taken everything out of the TX ring, or takes no
// more for now; the next Flush tries again. In zero-copy mode one call is enough, and
// only if the driver asks for it.
func (p *Port) kick() {
	s := p.s
	pending := s.tx.pending()
	calls, again, refused := uint64(0), uint64(0), uint64(0)
	for calls < kickLimit && pending > 0 && s.tx.needsWakeup() {
		calls++
		errno := kickTx(s.fd)
		if errno == 0 {
			break
		}
		switch errno {
		case unix.EAGAIN: // budget, send buffer, or a queue that holds us back
			again++
			p.collect()
		case unix.EBUSY: // the device refused the frame: it is lost
			refused++
		case unix.EINTR:
		default:
			p.sendError(errno)
			pending = 0
			continue
		}
		left := s.tx.pending()
		if left == pending && errno != unix.EINTR {
			break
		}
		pending = left
	}
	if calls > 0 {
		p.counters.kicks.Add(calls)
	}
	if again > 0 {
		p.counters.again.Add(again)
	}
	if refused > 0 {
		p.counters.refused.Add(refused)
		p.suspect = true
	}
}

// sendError is for errors that are not about one frame. Of one that tells the port's state the
// next Rx takes note; others, ENOBUFS and ENOMEM, pass by themselves.
func (p *Port) sendError(errno unix.Errno) {
	p.counters.failed.Add(1)
	p.suspect = true
	if c := conditionOf(errno); c != works {
		p.told = c
	}
}
