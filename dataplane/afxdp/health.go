package afxdp

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/dataplane"
)

// How often the link is looked at: as a rule, after a send that went wrong, and for a
// deleted interface to be there again.
const (
	healthPeriod  = 10 * time.Millisecond
	suspectPeriod = time.Millisecond
	reopenPeriod  = 100 * time.Millisecond
)

// began is what now counts from.
var began = time.Now()

// now reads the clock. A time.Time refers to its zone, which could not be stored outside of
// the runtime.
func now() time.Duration { return time.Since(began) }

// condition is how a port is.
type condition uint8

const (
	works condition = iota
	down            // the link; it is looked at until it is up
	gone            // the interface; one of its name is looked for
)

// healthy looks at the link when it is time, and returns why the port has stopped to work. A socket
// does not tell by itself: its rings just stay as they are. Outside nothing is noted, so
// that inside it is looked at once more.
func (p *Port) healthy() error {
	t, c := now(), p.told
	if c == works {
		if since := t - p.checked; since < suspectPeriod || since < healthPeriod && !p.suspect {
			return nil
		}
		c = p.look()
	}
	if c != works && p.out {
		p.suspect = true
		return dataplane.ErrInside
	}
	p.checked, p.suspect, p.told = t, false, works
	if c != works {
		p.fail(c)
	}
	return p.err
}

// look asks the kernel for the state of the socket and the link.
func (p *Port) look() condition {
	if c := conditionOf(kickRx(p.s.fd)); c != works {
		return c
	}
	p.probe.value = uint32(p.index)
	if p.probe.get(p.iface.ctl, unix.SIOCGIFNAME) != 0 || p.probe.get(p.iface.ctl, unix.SIOCGIFFLAGS) != 0 {
		return gone
	}
	const working = unix.IFF_UP | unix.IFF_RUNNING
	if p.probe.flags()&working != working {
		return down
	}
	return works
}

// conditionOf is what an errno of its socket tells of a port.
func conditionOf(errno unix.Errno) condition {
	switch errno {
	case unix.ENETDOWN:
		return down
	case unix.ENXIO, unix.ENODEV:
		return gone
	}
	return works
}

// fail notes that the port does not work. It is not for outside.
//
//go:noinline
func (p *Port) fail(c condition) {
	retry, why := healthPeriod, ErrDown
	if c == gone {
		retry, why = reopenPeriod, ErrGone
	}
	p.is = c
	p.setErr(retry, fmt.Errorf("afxdp: %s queue %d: %w", p.info.Name, p.queue, why))
}

// revive notes that the port works.
func (p *Port) revive() {
	p.is, p.told = works, works
	p.setErr(0, nil)
}

// mend is called by Rx while the port does not work. It sees to that when it is time, and returns
// why the port still does not work. Outside it only sees whether there is anything to be done.
func (p *Port) mend() error {
	switch {
	case !p.unfit && (p.retry == 0 || now()-p.checked < p.retry):
		return p.err
	case p.out && !p.unfit && p.still():
		p.checked = now()
		return p.err
	case p.out:
		return dataplane.ErrInside
	case p.unfit:
		p.refuse()
		return p.err
	case !p.recovered():
		return p.err
	}
	return nil
}

// still says that a port which is down is down, or that there is no interface for one that has
// let go of its socket.
func (p *Port) still() bool {
	if p.s != nil {
		return p.is == down && p.look() == down
	}
	p.probe.setName(p.info.Name)
	return p.is == gone && p.probe.get(p.iface.ctl, unix.SIOCGIFINDEX) == unix.ENODEV
}

// recovered is called when no burst is out: no frame of the old socket is in use when a new
// one takes its place. It is not for outside.
//
//go:noinline
func (p *Port) recovered() bool {
	p.checked = now()
	if p.is == gone {
		return p.reopen()
	}
	if c := p.look(); c != works {
		p.fail(c)
		return false
	}
	p.revive()
	return true
}

// reopen looks for an interface of the old name and takes a new socket on it. It
// blocks the worker for some ten milliseconds, once to let go of the old socket, once to get the new.
func (p *Port) reopen() bool {
	err := p.dropSocket()
	var s *socket
	var index int
	if err == nil {
		s, index, err = p.iface.reopen(p.queue, p.jumbo != nil)
	}
	switch {
	case err != nil:
		p.setErr(reopenPeriod, fmt.Errorf("afxdp: %s queue %d: %w: %w", p.info.Name, p.queue, ErrGone, err))
		return false
	case s == nil:
		return false // still none
	}
	p.adopt(s, index)
	if c := p.look(); c != works {
		p.fail(c)
		return false
	}
	return true
}
