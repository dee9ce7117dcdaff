package afxdp

import (
	"time"

	"golang.org/x/sys/unix"
)

// longestNap bounds Wait while the port does not work, so that recovery is not put off.
const longestNap = healthPeriod

// Wait implements dataplane.Waiter. It also lets the kernel send what is queued.
func (p *Port) Wait(d time.Duration) {
	if p.FD() < 0 { // it also has the next round look at the clock
		time.Sleep(min(d, longestNap))
		return
	}
	if p.s.rx.ready(1) > 0 {
		return
	}
	timeout := unix.NsecToTimespec(int64(max(d, 0)))
	n, err := unix.Ppoll(p.poll[:], &timeout, nil)
	if err == nil && n > 0 && p.poll[0].Revents&^unix.POLLIN != 0 {
		p.suspect = true
	}
}

// wakeRx has the kernel take frames from the FILL ring, where it asks for that or where
// receiving is our own work.
func (p *Port) wakeRx() {
	if p.s.busyPoll > 0 || p.s.zeroCopy && p.s.fill.needsWakeup() {
		kickRx(p.s.fd)
	}
}
