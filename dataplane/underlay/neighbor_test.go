package underlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

const reprobe = 10 * time.Second

func is(state uint16) neighbor { return neighbor{key: router.key, mac: routerMAC, state: state} }

func TestHopOfAMissingNeighbor(t *testing.T) {
	f := newFakeKernel()
	now := time.Unix(1000, 0)
	var h hop
	h.observe(neighbor{}, now, reprobe)
	assert.Equal(t, now, h.due, "solicit at once")

	// The kernel fails three times; the pauses grow.
	for _, pause := range []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		h.act(f, router.key, neighbor{}, now, reprobe)
		assert.Equal(t, now.Add(solicitTime), h.due, "again if nothing is heard")
		now = now.Add(3 * time.Second)
		h.observe(is(unix.NUD_FAILED), now, reprobe)
		assert.Equal(t, now.Add(pause), h.due)
		now = h.due
	}
	assert.Equal(t, 8, f.used[router.key])

	h.observe(is(unix.NUD_REACHABLE), now, reprobe)
	assert.Equal(t, now.Add(reprobe), h.due)
	h.observe(is(unix.NUD_FAILED), now, reprobe)
	assert.Equal(t, now, h.due, "a new failure begins without a pause")
}

func TestHopOfAUsableNeighbor(t *testing.T) {
	f := newFakeKernel()
	now := time.Unix(1000, 0)
	var h hop
	h.observe(is(unix.NUD_STALE), now, reprobe)
	assert.Equal(t, now, h.due, "stale: ask at once")
	h.act(f, router.key, is(unix.NUD_STALE), now, reprobe)
	assert.Equal(t, 1, f.probed[router.key])
	assert.Zero(t, f.used[router.key])
	h.observe(is(unix.NUD_PROBE), now, reprobe)
	h.observe(is(unix.NUD_REACHABLE), now, reprobe)
	assert.Equal(t, now.Add(reprobe), h.due)
	h.observe(is(unix.NUD_STALE), now, reprobe)
	assert.Equal(t, now.Add(minProbeGap), h.due, "but not all the time")

	h.observe(neighbor{}, now, reprobe)
	assert.Equal(t, now, h.due, "deleted: solicit")
}

func TestHopOfAFixedNeighbor(t *testing.T) {
	now := time.Unix(1000, 0)
	learned := is(unix.NUD_REACHABLE)
	learned.flags = unix.NTF_EXT_LEARNED
	for _, n := range []neighbor{is(unix.NUD_PERMANENT), is(unix.NUD_NOARP), learned} {
		h := hop{due: now, failures: 3, err: assert.AnError}
		h.observe(n, now, reprobe)
		assert.Equal(t, hop{}, h)
	}
	assert.False(t, neighbor{state: unix.NUD_PERMANENT}.usable(), "no address to send to")
}

func TestHopWhoseSolicitationIsRefused(t *testing.T) {
	f := newFakeKernel()
	f.useErr = unix.ENOBUFS
	now := time.Unix(1000, 0)
	var h hop
	h.act(f, router.key, neighbor{}, now, reprobe)
	h.act(f, router.key, neighbor{}, now, reprobe)
	assert.Equal(t, now.Add(minBackoff), h.due)
	assert.ErrorIs(t, h.err, unix.ENOBUFS)
	f.useErr = nil
	h.act(f, router.key, neighbor{}, now, reprobe)
	assert.NoError(t, h.err)
}

func TestBackoff(t *testing.T) {
	assert.Zero(t, backoff(0))
	assert.Equal(t, minBackoff, backoff(1))
	assert.Equal(t, maxBackoff, backoff(6))
	assert.Equal(t, maxBackoff, backoff(1<<30))
}
