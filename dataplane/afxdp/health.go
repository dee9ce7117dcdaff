package afxdp

import (
	"errors"
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

// longAgo is a look that is longer ago than any period.
const longAgo = -time.Hour

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
	t := now()
	if since := t - p.checked; since < suspectPeriod || since < healthPeriod && !p.suspect {
		return nil
	}
	c := p.look()
	if c != works && p.out {
		p.suspect = true
		return dataplane.ErrInside
	}
	p.checked, p.suspect = t, false
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
	p.setErr(retry, fmt.Errorf("afxdp: %s queue %d: %w", p.info.Name, p.queue, why))
}

// mend is called by Rx while the port does not work. It sees to that when it is time, but not
// outside, and returns why the port still does not work.
func (p *Port) mend() error {
	switch {
	case !p.unfit && (p.retry == 0 || now()-p.checked < p.retry):
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

// recovered is called when no burst is out: no frame of the old socket is in use when a new
// one takes its place. It is not for outside.
//
//go:noinline
func (p *Port) recovered() bool {
	p.checked = now()
	if errors.Is(p.err, ErrGone) {
		return p.reopen()
	}
	c := p.look()
	if c != works {
		p.fail(c)
		return false
	}
	p.setErr(0, nil)
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
