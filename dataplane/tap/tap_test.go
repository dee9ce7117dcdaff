package tap_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/dataplane/porttest"
	"github.com/eipgw/eipgw/dataplane/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	porttest.Run(t, porttest.Harness{
		Tagged: true,
		Open: func(t testing.TB, _ [][]byte) *porttest.Link {
			m := memport.New(memport.Config{ID: 3, Poison: true})
			p, _, err := tap.Wrap(m, io.Discard, tap.Options{Slots: 8})
			require.NoError(t, err)
			return &porttest.Link{
				Port: p, Send: m.Inject, Received: m.Collect, End: m.End,
				Down: func() { m.SetDown(errors.New("pulled")) },
				Up:   func() { m.SetDown(nil) },
			}
		},
	})
}

// captured is what a stream holds, by interface name.
func captured(t *testing.T, stream []byte) map[string][][]byte {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(stream), pcapgo.DefaultNgReaderOptions)
	require.NoError(t, err)
	frames := map[string][][]byte{}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return frames
		}
		require.NoError(t, err)
		face, err := r.Interface(info.InterfaceIndex)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), info.Timestamp, time.Minute)
		frames[face.Name] = append(frames[face.Name], data)
	}
}

// echo has a port receive frames, change them, and send them back.
func echo(t *testing.T, p dataplane.Port) {
	t.Helper()
	var b dataplane.Burst
	n, err := p.Rx(&b)
	require.NoError(t, err)
	var fs []*dataplane.Frame
	for i := range b.F[:n] {
		b.F[i].Bytes()[0] = 'X'
		fs = append(fs, &b.F[i])
	}
	p.Tx(fs)
	require.NoError(t, p.Flush())
	p.Release(&b)
}

func TestCapturesBothWays(t *testing.T) {
	m := memport.New(memport.Config{ID: 3, Name: "sw0", TxQueue: 2})
	var stream bytes.Buffer
	p, tp, err := tap.Wrap(m, &stream, tap.Options{})
	require.NoError(t, err)
	m.Inject([]byte("one"), []byte("two"), []byte("three"))
	echo(t, p)
	require.NoError(t, p.Close())
	assert.Equal(t, map[string][][]byte{
		"sw0 in":  {[]byte("one"), []byte("two"), []byte("three")}, // as received
		"sw0 out": {[]byte("Xne"), []byte("Xwo")},                  // the third was not taken
	}, captured(t, stream.Bytes()))
	assert.Equal(t, tap.Stats{Captured: 5}, tp.Stats())
}

func TestLimits(t *testing.T) {
	m := memport.New(memport.Config{})
	var stream bytes.Buffer
	p, tp, err := tap.Wrap(m, &stream, tap.Options{SnapLen: 4, Frames: 3})
	require.NoError(t, err)
	m.Inject([]byte("a long one"), []byte("abc"))
	echo(t, p)
	require.NoError(t, p.Close())
	got := captured(t, stream.Bytes())
	assert.Equal(t, [][]byte{[]byte("a lo"), []byte("abc")}, got["mem0 in"])
	assert.Equal(t, [][]byte{[]byte("X lo")}, got["mem0 out"])
	assert.Equal(t, tap.Stats{Captured: 3}, tp.Stats())
}

// gate is a writer that blocks until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
	pass bool // what comes first, the header, passes
}

func (g *gate) Write(b []byte) (int, error) {
	if !g.pass {
		g.pass = true
	} else {
		<-g.open
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(b)
}

// A writer that is stuck costs the capture frames, and the port nothing.
func TestSlowWriter(t *testing.T) {
	m := memport.New(memport.Config{ID: 1})
	g := &gate{open: make(chan struct{})}
	p, tp, err := tap.Wrap(m, g, tap.Options{Slots: 10})
	require.NoError(t, err)
	for range 100 {
		m.Inject([]byte("frame"))
		echo(t, p)
	}
	assert.Len(t, m.Collect(), 100)
	assert.GreaterOrEqual(t, tp.Stats().Missed, uint64(100))
	close(g.open)
	require.NoError(t, p.Close())
	st := tp.Stats()
	assert.EqualValues(t, 200, st.Captured+st.Missed)
	got := captured(t, g.buf.Bytes())
	assert.EqualValues(t, st.Captured, len(got["mem1 in"])+len(got["mem1 out"]))
}

func TestWriteError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	m := memport.New(memport.Config{Name: "sw0"})
	_, _, err = tap.Wrap(m, full, tap.Options{})
	assert.ErrorContains(t, err, "tap: sw0: ")

	r, w := io.Pipe()
	go func() { _, _ = io.CopyN(io.Discard, r, 20); r.CloseWithError(errors.New("reader gone")) }()
	_, _, err = tap.Wrap(m, w, tap.Options{})
	assert.ErrorContains(t, err, "reader gone")

	g := &breaking{left: 1}
	p, tp, err := tap.Wrap(m, g, tap.Options{})
	require.NoError(t, err)
	m.Inject([]byte("frame"))
	echo(t, p)
	require.Eventually(t, func() bool { return tp.Stats().Err != nil }, 30*time.Second, time.Millisecond)
	m.Inject([]byte("frame"))
	echo(t, p)
	assert.Len(t, m.Collect(), 2, "the port goes on")
	assert.ErrorContains(t, p.Close(), "tap: write: broken")
	assert.ErrorContains(t, p.Close(), "tap: write: broken")
}

// breaking is a writer that fails after some writes.
type breaking struct{ left int }

func (b *breaking) Write(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errors.New("broken")
	}
	b.left--
	return len(p), nil
}

// plain hides what a port can do beside the least; withFD adds a descriptor.
type plain struct{ dataplane.Port }

type withFD struct{ dataplane.Port }

func (withFD) FD() int { return 7 }

type waiterFD struct{ *memport.Port }

func (waiterFD) FD() int { return 8 }

// A wrapped port can wait just as the port itself can.
func TestKeepsAbilities(t *testing.T) {
	m := memport.New(memport.Config{})
	for name, c := range map[string]struct {
		port     dataplane.Port
		waits    bool
		fd       int
		describe bool
	}{
		"plain":      {port: plain{m}},
		"waiter":     {port: m, waits: true},
		"descriptor": {port: withFD{plain{m}}, describe: true, fd: 7},
		"both":       {port: waiterFD{m}, waits: true, describe: true, fd: 8},
	} {
		p, _, err := tap.Wrap(c.port, io.Discard, tap.Options{Slots: 1})
		require.NoError(t, err)
		w, waits := p.(dataplane.Waiter)
		assert.Equal(t, c.waits, waits, name)
		if waits {
			w.Wait(time.Microsecond)
		}
		d, describes := p.(dataplane.Descriptor)
		require.Equal(t, c.describe, describes, name)
		if describes {
			assert.Equal(t, c.fd, d.FD())
		}
		require.NoError(t, p.Close())
	}
}

// Capturing allocates nothing, whether there are slots or not.
func TestDoesNotAllocate(t *testing.T) {
	m := memport.New(memport.Config{Repeat: [][]byte{make([]byte, 60)}, Discard: true})
	p, tp, err := tap.Wrap(m, io.Discard, tap.Options{Slots: 100})
	require.NoError(t, err)
	var b dataplane.Burst
	fs := make([]*dataplane.Frame, 0, dataplane.BurstSize)
	allocs := testing.AllocsPerRun(200, func() {
		_, _ = p.Rx(&b)
		fs = fs[:0]
		for i := range b.F[:b.N] {
			fs = append(fs, &b.F[i])
		}
		p.Tx(fs)
		_ = p.Flush()
		p.Release(&b)
	})
	assert.Zero(t, allocs)
	require.NoError(t, p.Close())
	assert.Positive(t, tp.Stats().Captured)
	assert.Positive(t, tp.Stats().Missed)
}
