package bmp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/osrg/gobgp/v3/pkg/packet/bmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heard is a sink that remembers.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}

func (h *heard) Begin() { h.add("begin") }
func (h *heard) Up(s Session) {
	h.add("up %s:%d %s at %s:%d, %d, %d", s.Peer, s.PeerPort, s.PeerID, s.Local, s.LocalPort, s.Sent.MyAS, s.Received.MyAS)
}
func (h *heard) Down(p netip.Addr) { h.add("down %s", p) }
func (h *heard) Update(u Update)   { h.add("update of %s at %d: %x", u.Peer, u.Seconds, u.Body) }
func (h *heard) Lost(err error)    { h.add("lost: %v", err) }

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.lines...)
}

// hears waits until the sink has heard exactly these.
func (h *heard) hears(t *testing.T, lines ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.all()) >= len(lines) }, 30*time.Second, time.Millisecond, "%q", lines)
	got := h.all()
	require.Len(t, got, len(lines), "%q", got)
	for i, want := range lines {
		assert.True(t, strings.HasPrefix(got[i], want), "%q, expected %q", got[i], want)
	}
}

// journal is a log that can be looked at while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) has(s string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.b.String(), s)
}

func station(t *testing.T) (*Station, *heard, *journal) {
	t.Helper()
	var h heard
	var j journal
	s, err := Listen(slog.New(slog.NewTextHandler(&j, nil)), &h)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, &h, &j
}

func dial(t *testing.T, s *Station) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func message(t testing.TB, m *bmp.BMPMessage) []byte {
	t.Helper()
	b, err := m.Serialize()
	require.NoError(t, err)
	return b
}

func initiation(t testing.TB) []byte {
	return message(t, bmp.NewBMPInitiation([]bmp.BMPInfoTLVInterface{bmp.NewBMPInfoTLVString(bmp.BMP_INIT_TLV_TYPE_SYS_NAME, "test")}))
}

func header(peer string, flags uint8) bmp.BMPPeerHeader {
	return *bmp.NewBMPPeerHeader(bmp.BMP_PEER_TYPE_GLOBAL, flags, 0, peer, 65100, "10.9.0.1", 1000)
}

func up(t testing.TB, peer, local string) []byte {
	return message(t, bmp.NewBMPPeerUpNotification(header(peer, 0), local, 179, 40000,
		bgp.NewBGPOpenMessage(64512, 9, "10.0.0.1", nil), bgp.NewBGPOpenMessage(65100, 9, "10.9.0.1", nil)))
}

func route(t testing.TB, peer string, flags uint8, update []byte) []byte {
	m := bmp.NewBMPRouteMonitoring(header(peer, flags), nil)
	m.Body.(*bmp.BMPRouteMonitoring).BGPUpdatePayload = update
	return message(t, m)
}

func endOfRIB(t testing.TB) []byte {
	b, err := bgp.NewEndOfRib(bgp.RF_IPv4_UC).Serialize()
	require.NoError(t, err)
	return b
}

func down(t testing.TB, peer string) []byte {
	return message(t, bmp.NewBMPPeerDownNotification(header(peer, 0), bmp.BMP_PEER_DOWN_REASON_REMOTE_NO_NOTIFICATION, nil, nil))
}

func send(t *testing.T, c io.Writer, messages ...[]byte) {
	t.Helper()
	_, err := c.Write(bytes.Join(messages, nil))
	require.NoError(t, err)
}

func TestStation(t *testing.T) {
	s, h, _ := station(t)
	assert.True(t, s.Addr().Addr().IsLoopback())
	c := dial(t, s)
	all := bytes.Join([][]byte{
		initiation(t), up(t, "10.1.0.9", "10.1.0.1"), route(t, "10.1.0.9", bmp.BMP_PEER_FLAG_TWO_AS, endOfRIB(t)),
		up(t, "fd00::9", "fd00::1"), route(t, "fd00::9", 0, endOfRIB(t)), down(t, "10.1.0.9"),
	}, nil)
	for len(all) > 0 { // messages come in pieces
		n := min(7, len(all))
		send(t, c, all[:n])
		all = all[n:]
	}
	<-s.Begun()
	want := []string{
		"begin",
		"up 10.1.0.9:40000 10.9.0.1 at 10.1.0.1:179, 64512, 65100", "update of 10.1.0.9 at 1000: 00000000",
		"up fd00::9:40000 10.9.0.1 at fd00::1:179, 64512, 65100", "update of fd00::9 at 1000: 00000000",
		"down 10.1.0.9",
	}
	h.hears(t, want...)

	// It breaks, and comes again; another one takes its place without a break.
	c.Close()
	h.hears(t, append(want, "lost: EOF")...)
	again := dial(t, s)
	send(t, again, initiation(t))
	h.hears(t, append(want, "lost: EOF", "begin")...)
	send(t, dial(t, s), initiation(t))
	require.Eventually(t, func() bool { return len(h.all()) == len(want)+4 }, 30*time.Second, time.Millisecond)
	assert.Equal(t, "begin", h.all()[len(want)+3])
	_, err := again.Read(make([]byte, 1))
	assert.Error(t, err, "the one before is hung up on")
}

// TestStationEnd: when GoBGP says that it is done nothing is lost.
func TestStationEnd(t *testing.T) {
	s, h, _ := station(t)
	c := dial(t, s)
	send(t, c, initiation(t), message(t, bmp.NewBMPTermination([]bmp.BMPTermTLVInterface{
		bmp.NewBMPTermTLV16(bmp.BMP_TERM_TLV_TYPE_REASON, bmp.BMP_TERM_REASON_PERMANENTLY_ADMIN),
	})))
	<-s.Ended()
	_, err := c.Read(make([]byte, 1))
	assert.Error(t, err, "hung up")
	s.Close()
	h.hears(t, "begin")
}

// TestStationRefusesNonsense: where the next message would begin is not known any more.
func TestStationRefusesNonsense(t *testing.T) {
	big := initiation(t)
	big[1], big[2] = 0xff, 0xff
	for says, list := range map[string][][]byte{
		"a message of type 2, expected the initiation": {down(t, "10.1.0.9")},
		"version 4, expected 3":                        {initiation(t), {4, 0, 0, 0, 6, 4}},
		"a message of 42949017":                        {big[:6]},
		"a message of 5 octets, expected 6 to 65584":   {{3, 0, 0, 0, 5, 4}},
	} {
		s, h, _ := station(t)
		send(t, dial(t, s), list...)
		require.Eventually(t, func() bool {
			all := h.all()
			return len(all) > 0 && strings.HasPrefix(all[len(all)-1], "lost: "+says)
		}, 30*time.Second, time.Millisecond, says)
		send(t, dial(t, s), initiation(t))
		require.Eventually(t, func() bool { all := h.all(); return all[len(all)-1] == "begin" }, 30*time.Second, time.Millisecond)
	}
}

// TestStationPassesOver a message that cannot be read, and says so.
func TestStationPassesOver(t *testing.T) {
	long := route(t, "10.1.0.9", 0, endOfRIB(t))
	long[len(long)-6] = 200 // the BGP message's length
	notOpen := up(t, "10.1.0.9", "10.1.0.1")
	notOpen[commonLen+peerLen+20+18] = bgp.BGP_MSG_KEEPALIVE
	for says, m := range map[string][]byte{
		"a message of type 0 and 6 octets, expected at least": {3, 0, 0, 0, 6, 0},
		"a message of type 2 and 6 octets, expected at least": {3, 0, 0, 0, 6, 2},
		"a route of 10.1.0.9 after policy":                    route(t, "10.1.0.9", bmp.BMP_PEER_FLAG_POST_POLICY, endOfRIB(t)),
		"a BGP message of 200 octets in 23":                   long,
		"OPEN: 9 octets, expected a BGP message":              cut(up(t, "10.1.0.9", "10.1.0.1"), 20),
		"OPEN: ":                                              notOpen,
		"a Peer Up message of 60 octets":                      cut(up(t, "10.1.0.9", "10.1.0.1"), 66),
	} {
		s, h, j := station(t)
		send(t, dial(t, s), initiation(t), m, down(t, "10.1.0.9"))
		h.hears(t, "begin", "down 10.1.0.9")
		assert.True(t, j.has("level=ERROR") && j.has(says), "%s: %s", says, j.b.String())
	}
}

// cut shortens a message, and its length.
func cut(m []byte, by int) []byte {
	m = m[:len(m)-by]
	m[3], m[4] = byte(len(m)>>8), byte(len(m))
	return m
}

const strangerEnv = "BMP_TEST_STRANGER"

// TestStranger is somebody else who connects, in a process of its own.
func TestStranger(t *testing.T) {
	to := os.Getenv(strangerEnv)
	if to == "" {
		return // another test runs this
	}
	c, err := net.Dial("tcp", to)
	if errors.Is(err, syscall.ECONNRESET) {
		return // hung up on already
	}
	require.NoError(t, err)
	defer c.Close()
	_, _ = c.Write(initiation(t))
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "hung up on")
}

// TestStationTakesItsOwnProcessOnly: whoever else connects is hung up on and logged, and
// who is there goes on.
func TestStationTakesItsOwnProcessOnly(t *testing.T) {
	s, h, j := station(t)
	stranger := func() {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestStranger$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), strangerEnv+"="+s.Addr().String())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestStranger")
	}
	stranger()
	require.Eventually(t, func() bool {
		return j.has("level=WARN") && j.has("a stranger at the station") && j.has("from=127.0.0.1:")
	}, 30*time.Second, time.Millisecond)
	c := dial(t, s)
	send(t, c, initiation(t))
	h.hears(t, "begin")
	stranger()
	send(t, c, down(t, "10.1.0.9"))
	h.hears(t, "begin", "down 10.1.0.9")
}

// TestStationCloses: while nobody has connected, while somebody is silent, twice.
func TestStationCloses(t *testing.T) {
	s, _, _ := station(t)
	s.Close()
	<-s.Ended()
	s.Close()
	_, err := net.Dial("tcp", s.Addr().String())
	assert.Error(t, err)
	s, h, _ := station(t)
	send(t, dial(t, s), initiation(t))
	h.hears(t, "begin")
	s.Close()
	h.hears(t, "begin")
}

func TestParseUpdateAllocatesNothing(t *testing.T) {
	m := route(t, "fd00::9", 0, endOfRIB(t))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := parseUpdate(m); err != nil {
			t.Error(err)
		}
	}))
}

// FuzzMessage: whatever comes, the station takes it or says why not.
func FuzzMessage(f *testing.F) {
	for _, m := range [][]byte{
		initiation(f), up(f, "10.1.0.9", "10.1.0.1"), up(f, "fd00::9", "fd00::1"), down(f, "fd00::9"), route(f, "10.1.0.9", 0, endOfRIB(f)),
		{3, 0, 0, 0, 6, 5}, {3, 0, 0, 0, 6, 3},
	} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		if len(m) < commonLen {
			return
		}
		n, err := length(m)
		if err != nil || n > len(m) {
			return
		}
		s := &Station{sink: &heard{}, signalBegun: func() {}, signalEnd: func() {}}
		if err := s.take(m[:n:n]); err != nil {
			assert.NotEmpty(t, err.Error())
		}
	})
}
