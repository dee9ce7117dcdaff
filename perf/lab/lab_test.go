package lab_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what a busy machine may be late with.
const patience = 30 * time.Second

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c
}

// pair is two namespaces and a veth pair, 10.0.0.0/24 and fd00::/64.
func pair(t *testing.T, o lab.VethOptions) (a, b *lab.NS) {
	l := lab.T(t)
	a, b = l.NS("a"), l.NS("b")
	l.Veth(
		lab.End{NS: a, Name: "v0", MAC: "02:00:00:00:00:0a", Addrs: []netip.Prefix{pfx("10.0.0.1/24"), pfx("fd00::1/64")}, Pfifo: 64},
		lab.End{NS: b, Name: "v0", MAC: "02:00:00:00:00:0b", Addrs: []netip.Prefix{pfx("10.0.0.2/24"), pfx("fd00::2/64")}}, o)
	return a, b
}

func TestVethCarriesBothFamiliesAtOnce(t *testing.T) {
	a, b := pair(t, lab.VethOptions{MTU: 1600, Queues: 2})
	var ln net.Listener
	require.NoError(t, b.Do(func() (err error) {
		ln, err = net.Listen("tcp", "[::]:7")
		return err
	}))
	defer ln.Close()
	for _, to := range []string{"10.0.0.2:7", "[fd00::2]:7"} {
		require.NoError(t, a.Do(func() error {
			c, err := net.DialTimeout("tcp", to, patience)
			if err != nil {
				return err
			}
			return c.Close()
		}))
	}
	link, err := a.Link("v0")
	require.NoError(t, err)
	assert.Equal(t, 1600, link.Attrs().MTU)
	assert.Equal(t, "02:00:00:00:00:0a", link.Attrs().HardwareAddr.String())
	assert.Equal(t, 2, link.Attrs().NumRxQueues)
	qdiscs, err := a.Handle().QdiscList(link)
	require.NoError(t, err)
	require.Len(t, qdiscs, 1)
	assert.Equal(t, "pfifo", qdiscs[0].Type())
}

func TestOffloadsAreOffOnBothEnds(t *testing.T) {
	a, b := pair(t, lab.VethOptions{})
	lab.Need(t, lab.Tool("ethtool"))
	for _, ns := range []*lab.NS{a, b} {
		out, err := ns.Output(ctx(t), "ethtool", "-k", "v0")
		require.NoError(t, err)
		for _, feature := range []string{"rx-checksumming", "tx-checksumming", "tx-tcp-segmentation",
			"generic-segmentation-offload", "generic-receive-offload"} {
			assert.Contains(t, out, feature+": off")
		}
	}
}

func TestCommandRunsInsideAndIsKilledByClose(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("nsenter"))
	ns, err := lab.New("cmd")
	require.NoError(t, err)
	defer ns.Close()
	out, err := ns.Output(ctx(t), "ip", "-o", "link")
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(out, "\n"), "only loopback: %s", out)

	sleep := ns.Command(ctx(t), "sleep", "60")
	require.NoError(t, sleep.Start())
	require.Eventually(t, func() bool {
		here, err := os.Stat(ns.Path())
		its, errIts := os.Stat("/proc/" + itoa(sleep.Process.Pid) + "/ns/net")
		return err == nil && errIts == nil && os.SameFile(here, its)
	}, patience, time.Millisecond)
	waited := make(chan error, 1)
	go func() { waited <- sleep.Wait() }()
	require.NoError(t, ns.Close())
	assert.ErrorContains(t, <-waited, "killed")
	assert.NoFileExists(t, ns.Path())
	assert.NoError(t, ns.Close(), "a second Close does nothing")

	assert.Error(t, ns.Command(ctx(t), "no-such-program").Start())
}

func TestDoComesBackWhateverHappensInside(t *testing.T) {
	lab.Need(t, lab.Root)
	ns, err := lab.New("do")
	require.NoError(t, err)
	defer ns.Close()
	before, err := os.Readlink("/proc/thread-self/ns/net")
	require.NoError(t, err)

	assert.ErrorIs(t, ns.Do(func() error { return os.ErrDeadlineExceeded }), os.ErrDeadlineExceeded)
	assert.PanicsWithValue(t, "inside", func() { _ = ns.Do(func() error { panic("inside") }) })
	exited := make(chan bool)
	go func() {
		defer close(exited)
		_ = ns.Do(func() error { runtimeGoexit(); return nil })
		exited <- true
	}()
	assert.False(t, <-exited, "Goexit must end the caller too")

	for range 100 { // whichever threads those ran on, none may still be inside
		after, err := os.Readlink("/proc/thread-self/ns/net")
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

func TestCaptureSeesWhatSenderSends(t *testing.T) {
	a, b := pair(t, lab.VethOptions{})
	frame := append([]byte{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x88, 0xb5}, make([]byte, 50)...)
	tagged := append([]byte{2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x81, 0, 0x20, 5, 0x88, 0xb5}, make([]byte, 50)...)
	mine := func(f []byte) bool { return f[12] == 0x88 || f[12] == 0x81 }
	in, err := b.Capture("v0", lab.CaptureOptions{Filter: mine})
	require.NoError(t, err)
	defer in.Close()
	count, err := a.Capture("v0", lab.CaptureOptions{Filter: mine, Outgoing: true, CountOnly: true})
	require.NoError(t, err)
	defer count.Close()
	ignored, err := a.Capture("v0", lab.CaptureOptions{Filter: mine})
	require.NoError(t, err)

	s, err := a.Sender("v0")
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Send(frame))
	require.NoError(t, s.Send(tagged))
	require.NoError(t, in.Wait(ctx(t), 2))
	require.NoError(t, count.Wait(ctx(t), 2))
	assert.Equal(t, [][]byte{frame, tagged}, in.Frames())
	assert.Empty(t, count.Frames())
	require.NoError(t, ignored.Close())
	assert.Zero(t, ignored.Count(), "outgoing frames are not wanted")
	dropped, err := in.Dropped()
	require.NoError(t, err)
	assert.Zero(t, dropped)

	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	assert.ErrorContains(t, in.Wait(short, 3), "has 2 frames, want 3")
	in.Reset()
	assert.Zero(t, in.Count())
}

func TestRoutes(t *testing.T) {
	a, _ := pair(t, lab.VethOptions{})
	require.NoError(t, a.Route(pfx("192.0.2.0/24"), lab.Via("10.0.0.2")))
	require.NoError(t, a.Route(pfx("192.0.2.0/24"), lab.Via("10.0.0.2"), lab.Hop{Via: netip.MustParseAddr("10.0.0.3"), Weight: 3}))
	require.NoError(t, a.Route(pfx("198.51.100.0/24"), lab.Hop{Via: netip.MustParseAddr("fd00::2"), Dev: "v0"}))
	require.NoError(t, a.Route(pfx("2001:db8::/32"), lab.Via("fd00::2")))
	require.NoError(t, a.Route(pfx("203.0.113.9/32"), lab.Dev("v0")))
	routes, err := a.Handle().RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	require.NoError(t, err)
	found := map[string]netlink.Route{}
	for _, r := range routes {
		found[r.Dst.String()] = r
	}
	require.Len(t, found["192.0.2.0/24"].MultiPath, 2)
	assert.Equal(t, 2, found["192.0.2.0/24"].MultiPath[1].Hops)
	assert.NotNil(t, found["198.51.100.0/24"].Via)
	assert.Contains(t, found, "203.0.113.9/32")
	require.NoError(t, a.RemoveRoute(pfx("192.0.2.0/24")))
	assert.Error(t, a.RemoveRoute(pfx("192.0.2.0/24")))
}

func TestBridgeAndLinkState(t *testing.T) {
	l := lab.T(t)
	h1, sw, h2 := l.NS("h1"), l.NS("sw"), l.NS("h2")
	l.Veth(lab.End{NS: h1, Name: "up", Addrs: []netip.Prefix{pfx("10.0.0.1/24")}}, lab.End{NS: sw, Name: "p1"}, lab.VethOptions{})
	l.Veth(lab.End{NS: h2, Name: "up", Addrs: []netip.Prefix{pfx("10.0.0.2/24")}}, lab.End{NS: sw, Name: "p2"}, lab.VethOptions{})
	l.Check(sw.Bridge("br0", "p1", "p2"), sw.WaitUp("br0"))
	_, err := h1.Output(ctx(t), "ping", "-c1", "-W20", "10.0.0.2")
	require.NoError(t, err)
	l.Check(h1.Down("up"), h1.SetMAC("up", "02:00:00:00:00:77"), h1.Up("up"), h1.WaitUp("up"))
	link, err := h1.Link("up")
	require.NoError(t, err)
	assert.Equal(t, "02:00:00:00:00:77", link.Attrs().HardwareAddr.String())
	l.Check(h1.DeleteLink("up"))
	_, err = sw.Link("p1")
	assert.Error(t, err, "both ends are gone")
}

func TestSysctl(t *testing.T) {
	l := lab.T(t)
	ns := l.NS("sysctl")
	v, err := ns.ReadSysctl("net.ipv4.ip_forward")
	require.NoError(t, err)
	assert.Equal(t, "1", v)
	l.Check(ns.Sysctl("net.ipv4.ip_forward", "0"))
	v, err = ns.ReadSysctl("net.ipv4.ip_forward")
	require.NoError(t, err)
	assert.Equal(t, "0", v)
	assert.ErrorContains(t, ns.Sysctl("net.ipv4.no_such", "1"), "no_such")
}

func TestRunClosesAndSweepLeavesTheLiving(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("true"))
	var path string
	err := lab.Run(t.Context(), func(ctx context.Context, l *lab.Lab) error {
		ns, err := l.NS("run")
		path = ns.Path()
		assert.FileExists(t, path)
		return err
	})
	require.NoError(t, err)
	assert.NoFileExists(t, path)

	const stranger = "/run/netns/somebody"
	require.NoError(t, os.WriteFile(stranger, nil, 0o444))
	defer os.Remove(stranger)
	own, err := lab.New("alive")
	require.NoError(t, err)
	defer own.Close()
	removed, err := lab.Sweep()
	require.NoError(t, err)
	assert.NotContains(t, removed, own.Name())
	assert.FileExists(t, own.Path())
	assert.FileExists(t, stranger)
}

func TestRunEndsWithASignal(t *testing.T) {
	lab.Need(t, lab.Root)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if signal.Ignored(sig) {
			continue // the tests run under nohup, and Run respects that
		}
		var path string
		err := lab.Run(t.Context(), func(ctx context.Context, l *lab.Lab) error {
			ns, err := l.NS("signal")
			require.NoError(t, err)
			path = ns.Path()
			require.NoError(t, unix.Kill(os.Getpid(), sig))
			<-ctx.Done()
			return ctx.Err()
		})
		assert.ErrorIs(t, err, context.Canceled)
		assert.NoFileExists(t, path)
	}
}

// The maker of a namespace is killed while a command of its runs inside. Another test
// process may sweep first; what counts is that both are gone.
func TestSweepRemovesWhatADeadProcessLeft(t *testing.T) {
	lab.Need(t, lab.Root, lab.Tool("ip"))
	maker := exec.Command("sleep", "60")
	require.NoError(t, maker.Start())
	start, err := lab.StartTime(maker.Process.Pid)
	require.NoError(t, err)
	name := "eipgw-" + itoa(maker.Process.Pid) + "-" + start + "-1-dead"
	require.NoError(t, exec.Command("ip", "netns", "add", name).Run())
	left := exec.Command("ip", "netns", "exec", name, "sleep", "60")
	require.NoError(t, left.Start())
	require.Eventually(t, func() bool {
		want, err := os.Stat("/run/netns/" + name)
		have, errHave := os.Stat("/proc/" + itoa(left.Process.Pid) + "/ns/net")
		return err == nil && errHave == nil && os.SameFile(want, have)
	}, patience, time.Millisecond)
	_, err = lab.Sweep()
	require.NoError(t, err)
	assert.FileExists(t, "/run/netns/"+name, "its maker is alive")

	waited := make(chan error, 1)
	go func() { waited <- left.Wait() }()
	require.NoError(t, maker.Process.Kill())
	assert.Error(t, maker.Wait())
	_, err = lab.Sweep()
	require.NoError(t, err)
	assert.ErrorContains(t, <-waited, "killed")
	assert.Eventually(t, func() bool {
		_, err := os.Stat("/run/netns/" + name)
		return os.IsNotExist(err)
	}, patience, time.Millisecond)
}
