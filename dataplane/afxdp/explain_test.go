package afxdp

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"
)

func TestErrnoIsReadBackFromText(t *testing.T) {
	for e := unix.Errno(1); e < 134; e++ {
		if got := errnoOf("syscall.Bind SockaddrXDP failed: " + e.Error()); got != e {
			assert.Equal(t, e.Error(), got.Error(), "errno %d", e)
		}
	}
	assert.Zero(t, errnoOf("something else"))
	assert.Zero(t, errnoOf(""))
}

func TestOpenErrorsAreExplained(t *testing.T) {
	for text, want := range map[string]string{
		"syscall.Bind SockaddrXDP failed: device or resource busy":                                "queue has an AF_XDP socket already",
		"syscall.Bind SockaddrXDP failed: invalid argument":                                       "no such queue",
		"syscall.Bind SockaddrXDP failed: operation not supported":                                "driver has no zero-copy AF_XDP",
		"unix.SetsockoptUint64 XDP_UMEM_REG failed: no buffer space available":                    "LimitMEMLOCK",
		"syscall.Mmap failed: cannot allocate memory":                                             "not enough memory",
		"unix.SetsockoptUint64 XDP_UMEM_FILL_RING failed: invalid argument":                       "XDP_UMEM_FILL_RING: invalid argument",
		"RxRingNumDescs and TxRingNumDescs cannot both be set to zero":                            "cannot both be set",
		"unix.Syscall6 getsockopt XDP_MMAP_OFFSETS failed: an error that this kernel made up now": "made up",
	} {
		assert.ErrorContains(t, explainOpen(errors.New(text)), want)
	}
	busy := explainOpen(errors.New("syscall.Bind SockaddrXDP failed: device or resource busy"))
	assert.ErrorIs(t, busy, ErrQueueBusy)
	assert.ErrorIs(t, busy, unix.EBUSY)
}

func TestKernelReleases(t *testing.T) {
	for release, old := range map[string]bool{
		"5.18.0": false, "5.17.9-generic": true, "5.4.0-150": true, "6.1.0-13-amd64": false,
		"4.19.0": true, "6.18.44-fc": false, "5.18": false, "": false, "Linux": false,
	} {
		assert.Equal(t, old, tooOld(release), release)
	}
}

func TestMappingsAreParsed(t *testing.T) {
	text := []byte(`00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus daemon
7f00a000-7f00c000 rw-s 180000000 00:08 7041                              socket:[7041]
7f00c000-7f00d000 rw-s 00000000 00:08 7041                               socket:[7041]
7f00e000-7f00f000 rw-s 100000000 00:08 7042                              socket:[7042]
7f010000-7f011000 rw-p 00000000 00:00 0
7ffc0000-7ffd0000 rw-p 00000000 00:00 0                                  [stack]
`)
	assert.Equal(t, map[uint64]mapping{
		0x7f00a000: {start: 0x7f00a000, end: 0x7f00c000, pgoff: unix.XDP_UMEM_PGOFF_COMPLETION_RING, inode: 7041},
		0x7f00c000: {start: 0x7f00c000, end: 0x7f00d000, pgoff: unix.XDP_PGOFF_RX_RING, inode: 7041},
		0x7f00e000: {start: 0x7f00e000, end: 0x7f00f000, pgoff: unix.XDP_UMEM_PGOFF_FILL_RING, inode: 7042},
	}, parseMappings(text))
}
