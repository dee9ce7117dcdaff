package underlay

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

// pair is an errorSocket for IPv4 and what writes to it in the place of the kernel.
func pair(t *testing.T, count func(Outcome)) (*errorSocket, func([]byte)) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Close(fds[1])) })
	s, err := newErrorSocket("ICMP", fds[0])
	require.NoError(t, err)
	s.parse, s.count = func(b []byte, _ netip.Addr) (report, Outcome) { return parse4(b) }, count
	return s, func(b []byte) {
		_, err := unix.Write(fds[1], b)
		require.NoError(t, err)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	var ignored int
	s, write := pair(t, func(Outcome) { ignored++ })
	for range maxReports + 1 {
		write(tooBig4())
	}
	write(with(tooBig4(), 48, 0, 1))
	require.NoError(t, s.receive())
	assert.Equal(t, maxReports, s.batch.n)
	assert.Zero(t, ignored)
	require.NoError(t, s.receive())
	assert.Equal(t, 1, s.batch.n)
	assert.Equal(t, addr("192.0.2.1"), s.batch.list[0].dst)
	assert.Equal(t, 1, ignored)
	write(make([]byte, 2*maxError))
	require.NoError(t, s.receive(), "what is too long is cut off")
	assert.Equal(t, 2, ignored)
	require.NoError(t, s.close())
	assert.Error(t, s.receive())
}

func TestReceivingDoesNotAllocate(t *testing.T) {
	s, write := pair(t, func(Outcome) {})
	defer s.close()
	bad, good := with(tooBig4(), 48, 0, 1), tooBig4()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		write(bad)
		write(good)
		if s.receive() != nil || s.batch.n != 1 {
			panic("not received")
		}
	}))
}

// From the socket to Resolve, with a flood of other things beside it.
func TestRunHeedsErrors(t *testing.T) {
	cfg, err := Config{Ports: []Port{{ID: 1, Name: "sw0"}}}.withDefaults()
	require.NoError(t, err)
	var log strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	u := newUnderlay(cfg, smallWorld())
	s, write := pair(t, u.count)
	u.errors = []*errorSocket{s}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	u.Track(far)
	eventually(t, u, far, oneWay)
	bad := with(tooBig4(), 48, 0, 1)
	for range 50 {
		write(bad)
	}
	write(tooBig4())
	eventually(t, u, far, func(w []Way, _ error) bool { return w[0].MTU == 1400 })
	n := u.Outcomes()
	assert.Equal(t, uint64(50), n[IgnoredNotTunnel])
	assert.Equal(t, uint64(1), n[Lowered])
	cancel()
	require.NoError(t, <-done)
	assert.ErrorIs(t, s.close(), os.ErrClosed, "Run has closed it")
	assert.Equal(t, 1, strings.Count(log.String(), "level=INFO"), "the change")
	assert.NotContains(t, log.String(), "ERROR", "to be closed is no failure")
}

func TestWithoutThePrivilegeItSaysSo(t *testing.T) {
	lab.Need(t, lab.Root)
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its lack of privilege
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var c [2]unix.CapUserData
		if err := unix.Capget(&h, &c[0]); err != nil {
			errs <- err
			return
		}
		c[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&h, &c[0]); err != nil {
			errs <- err
			return
		}
		_, err := New(Config{Ports: []Port{{ID: 1, Name: "sw0"}}})
		errs <- err
	}()
	assert.EqualError(t, <-errs, "underlay: raw ICMP socket: operation not permitted: path MTU discovery needs CAP_NET_RAW")
}

// A socket that cannot be read is tried again, and is no reason to end.
func TestAFailingSocketIsNotTheEnd(t *testing.T) {
	r, w, err := os.Pipe() // recvfrom fails with ENOTSOCK
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, unix.SetNonblock(int(w.Fd()), true))
	fd, err := unix.Dup(int(w.Fd()))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	u := newUnderlay(Config{}, newFakeKernel())
	s, err := newErrorSocket("ICMP", fd)
	require.NoError(t, err)
	assert.ErrorIs(t, s.receive(), unix.ENOTSOCK)
	u.cfg, err = Config{Ports: []Port{{ID: 1, Name: "sw0"}}}.withDefaults()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	u.hear(ctx, s) // returns when ctx ends
	assert.Error(t, ctx.Err())
	require.NoError(t, s.close())
}
