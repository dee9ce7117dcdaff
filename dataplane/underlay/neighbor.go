package underlay

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// validStates are those in which the kernel itself would send to the neighbor.
	validStates = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP

	// fixedStates are those that the kernel does not leave of its own accord.
	fixedStates = unix.NUD_PERMANENT | unix.NUD_NOARP
)

// usable says whether frames can be sent to the neighbor.
func (n neighbor) usable() bool { return n.state&validStates != 0 && !n.mac.IsZero() }

// fixed says whether somebody else looks after the entry: an operator, or a control
// plane that marks its entries as learned by it.
func (n neighbor) fixed() bool {
	return n.state&fixedStates != 0 || n.flags&unix.NTF_EXT_LEARNED != 0
}

const (
	// solicitTime is a little more than the kernel takes to give up (three solicitations,
	// a second apart); it then reports the neighbor as failed.
	solicitTime = 4 * time.Second

	// minProbeGap keeps a neighbor that announces itself all the time from being asked
	// all the time.
	minProbeGap = time.Second

	minBackoff = 250 * time.Millisecond
	maxBackoff = 8 * time.Second
)

// hop is a neighbor that ways to VTEPs lead through. The loop owns it.
//
//	         ┌── use: every solicitTime, or backoff after a failure ──┐
//	missing, failed ─────────────────────────────────────────────► usable
//	         ▲                                                         │ probe: once stale,
//	         └────────────── the kernel gave up asking ────────────────┘ and every Reprobe
type hop struct {
	users    map[*vtep]struct{}
	due      time.Time // of the next action; zero: none
	failures int       // in a row
	probed   time.Time // the last time
	err      error     // why the kernel refused the last action
}

// observe sets when to act next, after n became what is known of the neighbor (its zero
// value: nothing).
func (h *hop) observe(n neighbor, now time.Time, reprobe time.Duration) {
	switch {
	case n.usable() && n.fixed():
		*h = hop{users: h.users}
	case n.usable():
		h.failures, h.err = 0, nil
		h.due = now.Add(reprobe)
		if n.state&unix.NUD_STALE != 0 {
			h.due = later(now, h.probed.Add(minProbeGap))
		}
	case n.state&unix.NUD_FAILED != 0:
		h.due = now.Add(backoff(h.failures))
		h.failures++
	case h.due.IsZero() || h.failures == 0:
		h.due = now
	}
}

// act does what is due: makes the kernel ask for the neighbor, and says when to act
// again should nothing be heard.
func (h *hop) act(k kernel, key neighborKey, n neighbor, now time.Time, reprobe time.Duration) {
	if n.usable() {
		h.probed = now
		h.due = now.Add(reprobe)
		// An entry that has just vanished is reported as gone by the kernel.
		_ = k.probe(key)
		return
	}
	h.due = now.Add(solicitTime)
	if err := k.use(key); err != nil {
		h.err = useError(err)
		h.due = now.Add(backoff(h.failures))
		h.failures++
		return
	}
	h.err = nil
}

func useError(err error) error {
	if errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("the kernel's neighbor table is full (raise net.ipv4.neigh.default.gc_thresh3, net.ipv6.neigh.default.gc_thresh3): %w", err)
	}
	return err
}

// backoff is the pause after a number of failures: none at first, then doubling.
func backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(minBackoff<<min(failures-1, 16), maxBackoff)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
