package afxdp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// How often the link is looked at: as a rule, after a send that went wrong, and for a
// deleted interface to be there again.
const (
	healthPeriod  = 10 * time.Millisecond
	suspectPeriod = time.Millisecond
	reopenPeriod  = 100 * time.Millisecond
)

// healthy looks at the link when it is time, and sets err when the port has stopped to
// work. A socket does not tell by itself: its rings just stay as they are.
func (p *Port) healthy() bool {
	now := time.Now()
	if since := now.Sub(p.checked); since < suspectPeriod || since < healthPeriod && !p.suspect {
		return true
	}
	p.checked, p.suspect = now, false
	p.hold.Let()
	defer p.hold.Take()
	if err := p.look(); err != nil {
		p.setErr(err)
		return false
	}
	return true
}

// look asks the kernel for the state of the socket and the link; nil is up.
func (p *Port) look() error {
	if err := p.stateOf(kickRx(p.s.fd)); err != nil {
		return err
	}
	p.probe.SetUint32(uint32(p.index))
	if err := unix.IoctlIfreq(p.iface.ctl, unix.SIOCGIFNAME, p.probe); err != nil {
		return p.state(ErrGone)
	}
	if err := unix.IoctlIfreq(p.iface.ctl, unix.SIOCGIFFLAGS, p.probe); err != nil {
		return p.state(ErrGone)
	}
	const working = unix.IFF_UP | unix.IFF_RUNNING
	if p.probe.Uint16()&working != working {
		return p.state(ErrDown)
	}
	return nil
}

// recovered is called by Rx while the port does not work, so when no burst is out: no
// frame of the old socket is in use when a new one takes its place.
func (p *Port) recovered() bool {
	p.hold.Let()
	defer p.hold.Take()
	now := time.Now()
	switch {
	case errors.Is(p.err, ErrDown):
		if now.Sub(p.checked) < healthPeriod {
			return false
		}
		p.checked = now
		p.setErr(p.look())
		return p.err == nil
	case errors.Is(p.err, ErrGone):
		if now.Sub(p.checked) < reopenPeriod {
			return false
		}
		p.checked = now
		return p.reopen()
	}
	return false
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
		p.setErr(fmt.Errorf("afxdp: %s queue %d: %w: %w", p.info.Name, p.queue, ErrGone, err))
		return false
	case s == nil:
		return false // still none
	}
	p.adopt(s, index)
	if err := p.look(); err != nil {
		p.setErr(err)
		return false
	}
	return true
}
