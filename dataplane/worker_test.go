package dataplane_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// shop is a worker between ports in memory.
type shop struct {
	t            *testing.T
	w            *dataplane.Worker
	north, south *memport.Port
	fib          *fib.Compiler
	cancel       context.CancelFunc
	done         chan error
}

// newShop makes the worker; change may change its configuration.
func newShop(t *testing.T, change func(*dataplane.WorkerConfig)) *shop {
	t.Helper()
	s := &shop{
		t:     t,
		north: memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Poison: true}),
		south: memport.New(memport.Config{ID: south, MAC: macSouth, Poison: true}),
	}
	reader, compiler := newReader(t, resolver(), bindings())
	s.fib = compiler
	c := dataplane.WorkerConfig{Name: "w0", Ports: []dataplane.Port{s.north, s.south}, Reader: reader, CPU: -1}
	if change != nil {
		change(&c)
	}
	var err error
	s.w, err = dataplane.NewWorker(c)
	require.NoError(t, err)
	return s
}

// start runs the worker until stop.
func (s *shop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan error, 1)
	go func() { s.done <- s.w.Run(ctx) }()
	s.t.Cleanup(func() {
		if s.done != nil {
			s.stop()
		}
	})
}

// stop stops it and waits.
func (s *shop) stop() {
	s.t.Helper()
	s.cancel()
	assert.NoError(s.t, s.wait())
}

// wait waits until Run returns by itself.
func (s *shop) wait() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.done = nil
		return err
	case <-time.After(30 * time.Second):
		require.Fail(s.t, "the worker does not stop")
		return nil
	}
}

// run runs the worker to the end of its ports' input.
func (s *shop) run() dataplane.WorkerStats {
	s.t.Helper()
	s.north.End()
	s.south.End()
	require.NoError(s.t, s.w.Run(context.Background()))
	return s.w.Snapshot()
}

// until polls.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 30*time.Second, 200*time.Microsecond, what)
}

// closed checks that nothing is lost: every frame that came in or was made is sent or
// dropped.
func closed(t *testing.T, s dataplane.WorkerStats) {
	t.Helper()
	require.Equal(t, s.Received()+s.Made(), s.Sent()+s.Dropped(), "received + made = sent + dropped")
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every Reason that Process gives, several times, and forwarded frames among them:
// the counters add up, frame by frame and byte by byte.
func TestWorkerCounts(t *testing.T) {
	s := newShop(t, nil)
	all := drops()
	var rxPackets, rxBytes, txBytes, sent uint64
	for round := range 3 {
		for reason, frame := range all {
			for range int(reason) {
				s.north.Inject(frame)
				rxPackets++
				rxBytes += uint64(len(frame))
			}
		}
		for range round + 1 {
			s.north.Inject(udp7, udp8)
			rxPackets += 2
			rxBytes += uint64(len(udp7) + len(udp8))
			txBytes += uint64(len(udp7)+50) + uint64(len(udp8)+78)
			sent += 2
		}
	}
	st := s.run()
	closed(t, st)
	assert.Equal(t, dataplane.PortCounters{RxPackets: rxPackets, RxBytes: rxBytes}, st.Ports[0].PortCounters)
	assert.Equal(t, dataplane.PortCounters{TxPackets: sent, TxBytes: txBytes}, st.Ports[1].PortCounters)
	for reason := range dataplane.NumReasons {
		want := dataplane.Count{Packets: 3 * uint64(reason), Bytes: 3 * uint64(reason) * uint64(len(all[reason]))}
		if all[reason] == nil {
			want = dataplane.Count{}
		}
		assert.Equal(t, want, st.Drops[reason], reason.String())
	}
	assert.Len(t, s.south.Collect(), int(sent))
	assert.Positive(t, st.Bursts)
	assert.Equal(t, "w0", st.Name)
	assert.Equal(t, -1, st.CPU)
	assert.Equal(t, s.north.Info(), st.Ports[0].Info)
}

// Frames of one flow leave in the order in which they came, over many bursts.
func TestWorkerKeepsOrder(t *testing.T) {
	s := newShop(t, nil)
	const n = 1000
	for i := range n {
		s.north.Inject(patch4(udp7, 18, byte(i>>8), byte(i)))
	}
	closed(t, s.run())
	out := s.south.Collect()
	require.Len(t, out, n)
	for i, frame := range out {
		p := inner(t, frame)
		require.Equal(t, i, int(p[4])<<8|int(p[5]))
	}
}

// One arm: frames leave by the port that they came by, in place.
func TestWorkerOneArm(t *testing.T) {
	arm := memport.New(memport.Config{ID: south, MAC: macNorth, Poison: true, Buffers: 64})
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports = []dataplane.Port{arm} })
	for range 500 {
		arm.Inject(udp7, tcp6to8, drops()[dataplane.ReasonNoBinding])
	}
	arm.End()
	require.NoError(t, s.w.Run(context.Background()))
	st := s.w.Snapshot()
	closed(t, st)
	out := arm.Collect()
	require.Len(t, out, 1000)
	for i, frame := range out {
		want := udp7
		if i%2 == 1 {
			want = tcp6to8
		}
		got := inner(t, frame)
		require.Equal(t, want[14+20:], got[20:])
	}
	assert.EqualValues(t, 1500, st.Ports[0].RxPackets)
	assert.EqualValues(t, 1000, st.Ports[0].TxPackets)
	assert.EqualValues(t, 500, st.Drops[dataplane.ReasonNoBinding].Packets)
}

// What a port does not take is dropped and counted, at its length on arrival.
func TestWorkerTxFull(t *testing.T) {
	full := memport.New(memport.Config{ID: south, TxQueue: 10})
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports[1] = full })
	for range dataplane.BurstSize {
		s.north.Inject(udp7)
	}
	s.north.End()
	full.End()
	require.NoError(t, s.w.Run(context.Background()))
	st := s.w.Snapshot()
	closed(t, st)
	assert.EqualValues(t, 10, st.Ports[1].TxPackets)
	assert.Equal(t, dataplane.Count{Packets: 54, Bytes: 54 * uint64(len(udp7))}, st.Drops[dataplane.ReasonTxFull])
	assert.Len(t, full.Collect(), 10)
}

// A frame that is answered is dropped, and the answer is a frame more.
func TestWorkerReplies(t *testing.T) {
	var rules dataplane.Rules
	require.NoError(t, rules.Set(answers()))
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Rules = &rules })
	ttl, big := patch4(udp7, 22, 1), sized6(7, 1451)
	for range 100 {
		s.north.Inject(ttl, udp7, big, message4(3), patch4(udp7, 33, 200))
	}
	st := s.run()
	closed(t, st)
	assert.EqualValues(t, 300, st.Made())
	assert.Equal(t, dataplane.Count{Packets: 200, Bytes: 100 * uint64(len(ttl)+len(message4(3)))}, st.Drops[dataplane.ReasonTTLExpired])
	assert.Equal(t, dataplane.Count{Packets: 100, Bytes: 100 * uint64(len(big))}, st.Drops[dataplane.ReasonPacketTooBig])
	want := dataplane.EventCounters{}
	want[dataplane.EventTimeExceeded], want[dataplane.EventTooBig], want[dataplane.EventUnreachable] = 100, 100, 100
	want[dataplane.EventAnswerForbidden] = 100
	assert.Equal(t, want, st.Events)
	assert.Len(t, s.south.Collect(), 100)
	assert.Len(t, s.north.Collect(), 300)
	assert.Equal(t, dataplane.PortCounters{
		RxPackets: 500, RxBytes: 100 * uint64(len(ttl)+len(udp7)+len(big)+len(message4(3))+len(udp7)),
		TxPackets: 300, TxBytes: 100 * (14 + 60 + 14 + 1280 + 14 + 60),
	}, st.Ports[0].PortCounters)
}

// An answer that its port does not take counts as one drop more, with its own length.
func TestWorkerReplyTxFull(t *testing.T) {
	var rules dataplane.Rules
	require.NoError(t, rules.Set(answers()))
	full := memport.New(memport.Config{ID: north, MAC: macNorth, TxQueue: 10, Poison: true})
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports[0], c.Rules = full, &rules })
	for range dataplane.BurstSize {
		full.Inject(patch4(udp7, 22, 1))
	}
	full.End()
	s.south.End()
	require.NoError(t, s.w.Run(context.Background()))
	st := s.w.Snapshot()
	closed(t, st)
	assert.EqualValues(t, 64, st.Made())
	assert.EqualValues(t, 10, st.Sent())
	assert.Equal(t, dataplane.Count{Packets: 64, Bytes: 64 * uint64(len(udp7))}, st.Drops[dataplane.ReasonTTLExpired])
	assert.Equal(t, dataplane.Count{Packets: 54, Bytes: 54 * (14 + 60)}, st.Drops[dataplane.ReasonTxFull])
	assert.Len(t, full.Collect(), 10)
}

// A port that goes down does not end the worker, nor does it disturb the others; when
// it comes back it is used again.
func TestWorkerSurvivesPorts(t *testing.T) {
	s := newShop(t, nil)
	s.start()
	s.north.Inject(udp7)
	until(t, "a frame", func() bool { return s.south.Sent() == 1 })
	assert.NoError(t, s.w.Snapshot().Ports[1].Err)

	pulled := errors.New("cable pulled")
	s.south.SetDown(pulled)
	until(t, "the failure is seen", func() bool { return s.w.Snapshot().Ports[1].Err != nil })
	s.north.Inject(udp7, udp7)
	until(t, "frames for a port that is down are dropped", func() bool {
		return s.w.Snapshot().Drops[dataplane.ReasonPortDown].Packets == 2
	})
	st := s.w.Snapshot()
	closed(t, st)
	assert.ErrorIs(t, st.Ports[1].Err, pulled)
	assert.EqualValues(t, 1, st.Ports[1].Failures, "failures, not polls")
	assert.NoError(t, st.Ports[0].Err)

	gone := errors.New("card pulled as well")
	s.south.SetDown(gone)
	until(t, "the other reason is seen", func() bool { return errors.Is(s.w.Snapshot().Ports[1].Err, gone) })
	assert.EqualValues(t, 1, s.w.Snapshot().Ports[1].Failures, "the same failure still")

	s.south.SetDown(nil)
	until(t, "the recovery is seen", func() bool { return s.w.Snapshot().Ports[1].Err == nil })
	s.north.Inject(udp7)
	until(t, "a frame afterwards", func() bool { return s.south.Sent() == 2 })
	s.stop()
	closed(t, s.w.Snapshot())
}

func TestWorkerStops(t *testing.T) {
	for _, idle := range []dataplane.IdleMode{dataplane.Adaptive, dataplane.Busy} {
		t.Run(idle.String(), func(t *testing.T) {
			s := newShop(t, func(c *dataplane.WorkerConfig) { c.Idle = idle })
			assert.Zero(t, s.w.LastPoll())
			s.start()
			until(t, "the heartbeat", func() bool { return time.Since(s.w.LastPoll()) < time.Second })
			first := s.w.LastPoll()
			until(t, "the next heartbeat", func() bool { return s.w.LastPoll().After(first) })
			start := time.Now()
			s.stop()
			assert.Less(t, time.Since(start), 10*time.Second)

			err := s.w.Run(context.Background())
			assert.ErrorContains(t, err, "runs once")
		})
	}
}

// slowPort keeps the worker for a while, once.
type slowPort struct {
	dataplane.Port
	hang time.Duration
}

func (p *slowPort) Rx(b *dataplane.Burst) (int, error) {
	time.Sleep(p.hang)
	p.hang = 0
	return p.Port.Rx(b)
}

// TestWorkerCountsGaps: a port that hangs is a gap, and every round counts.
func TestWorkerCountsGaps(t *testing.T) {
	const hang = 30 * time.Millisecond
	s := newShop(t, func(c *dataplane.WorkerConfig) {
		c.Idle = dataplane.Busy
		c.Ports[0] = &slowPort{c.Ports[0], hang}
	})
	assert.Zero(t, s.w.Snapshot().Gaps)
	begin := time.Now()
	s.start()
	s.north.Inject(udp7)
	until(t, "the frame", func() bool { return s.south.Sent() == 1 })
	until(t, "the gap", func() bool { return s.w.Snapshot().Gaps.Max >= hang }) // seen in the round after it
	s.stop()
	took := time.Since(begin)
	st := s.w.Snapshot()
	assert.LessOrEqual(t, st.Gaps.Sum, took)
	assert.GreaterOrEqual(t, st.Gaps.Sum, st.Gaps.Max)
	assert.Positive(t, st.Gaps.Count())
	assert.Equal(t, st.Gaps.Max, st.Gaps.Quantile(1))
}

// The ends of input: a worker goes on while one port may still receive.
func TestWorkerEnds(t *testing.T) {
	s := newShop(t, nil)
	s.start()
	s.south.End()
	s.north.Inject(udp7)
	until(t, "a frame to a port that has ended", func() bool { return s.south.Sent() == 1 })
	s.north.Inject(udp7)
	s.north.End()
	assert.NoError(t, s.wait())
	assert.EqualValues(t, 2, s.south.Sent(), "what was taken is sent before the end")
	closed(t, s.w.Snapshot())
}

func TestWorkerPinned(t *testing.T) {
	cpu := allowedCPU(t)
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.CPU = cpu })
	s.start()
	s.north.Inject(udp7)
	until(t, "a frame", func() bool { return s.south.Sent() == 1 })
	assert.Equal(t, cpu, s.w.Snapshot().CPU)
	s.stop()

	for _, impossible := range []int{8191, 100_000} {
		s := newShop(t, func(c *dataplane.WorkerConfig) { c.CPU = impossible })
		err := s.w.Run(context.Background())
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), "dataplane: w0: "), err.Error())
		assert.ErrorContains(t, err, "CPU ")
	}
}

// allowedCPU is the last CPU that the process may use.
func allowedCPU(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	last := regexp.MustCompile(`Cpus_allowed_list:.*?(\d+)\n`).FindSubmatch(status)
	require.NotNil(t, last)
	cpu, err := strconv.Atoi(string(last[1]))
	require.NoError(t, err)
	return cpu
}

func TestNewWorkerRefuses(t *testing.T) {
	reader, _ := newReader(t, resolver(), bindings())
	a, b := memport.New(memport.Config{ID: 1, Name: "a"}), memport.New(memport.Config{ID: 1, Name: "b"})
	for want, c := range map[string]dataplane.WorkerConfig{
		"at least one port":      {Reader: reader},
		"a table reader":         {Ports: []dataplane.Port{a}},
		"ports a and b have":     {Reader: reader, Ports: []dataplane.Port{a, b}},
		"port neg: MTU -18":      {Reader: reader, Ports: []dataplane.Port{memport.New(memport.Config{Name: "neg", MTU: -18})}},
		"dataplane: worker: exp": {},
	} {
		_, err := dataplane.NewWorker(c)
		assert.ErrorContains(t, err, want)
	}
}

// Snapshots taken at any time, by several goroutines, add up; what they show only
// grows.
func TestSnapshotIsOfOneMoment(t *testing.T) {
	frames := [][]byte{udp7, tcp6to8, drops()[dataplane.ReasonNoBinding], drops()[dataplane.ReasonTTLExpired]}
	in := memport.New(memport.Config{ID: north, MAC: macNorth, Repeat: frames, Discard: true})
	out := memport.New(memport.Config{ID: south, Discard: true})
	var rules dataplane.Rules
	require.NoError(t, rules.Set(answers()))
	s := newShop(t, func(c *dataplane.WorkerConfig) {
		c.Ports = []dataplane.Port{in, out}
		c.Idle, c.Rules = dataplane.Busy, &rules
	})
	s.start()
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var last dataplane.WorkerStats
			for range 2000 {
				st := s.w.Snapshot()
				if st.Received()+st.Made() != st.Sent()+st.Dropped() {
					t.Errorf("received %d, made %d, sent %d, dropped %d", st.Received(), st.Made(), st.Sent(), st.Dropped())
					return
				}
				if st.Received() < last.Received() || st.Sent() < last.Sent() {
					t.Error("counters went back")
					return
				}
				last = st
			}
		})
	}
	readers.Wait()
	until(t, "frames", func() bool { return s.w.Snapshot().Sent() > 1000 })
	s.stop()
	st := s.w.Snapshot()
	closed(t, st)
	assert.Equal(t, out.Sent()+in.Sent(), st.Sent())
	assert.Equal(t, in.Sent(), st.Made())
	assert.Equal(t, st.Drops[dataplane.ReasonNoBinding].Packets, st.Drops[dataplane.ReasonTTLExpired].Packets)
}

// Bindings come and go while the worker forwards: each frame fares by one or the
// other, none is lost, and none leaves with the bytes of both.
func TestWorkerUnderChange(t *testing.T) {
	in := memport.New(memport.Config{ID: north, MAC: macNorth, Repeat: [][]byte{udp7, tcp6to8}})
	tap := &checker{Port: memport.New(memport.Config{ID: south, Discard: true}), t: t}
	res := resolver()
	reader, compiler := newReader(t, res, bindings())
	w, err := dataplane.NewWorker(dataplane.WorkerConfig{
		Ports: []dataplane.Port{in, tap}, Reader: reader, CPU: -1,
	})
	require.NoError(t, err)
	s := &shop{t: t, w: w}
	s.start()
	prefix := netip.MustParsePrefix("203.0.113.7/32")
	for i := range 300 {
		tunnels := [][]encap.Tunnel{
			nil,
			{{VTEP: netip.MustParseAddr("10.0.2.11"), VNI: encap.VNI(i)}},
			{{VTEP: netip.MustParseAddr("fd00:2::11"), VNI: encap.VNI(i)}},
			{{VTEP: netip.MustParseAddr("10.0.2.13"), VNI: 7}, {VTEP: netip.MustParseAddr("10.0.2.15"), VNI: 8}},
		}[i%4]
		_, err := compiler.Apply([]fib.Binding{{Prefix: prefix, Tunnels: tunnels}})
		require.NoError(t, err)
		if i%10 == 0 {
			res.Set(netip.MustParseAddr("10.0.2.15"), fibtest.Adjacency(south, local4, byte(i)))
			compiler.Refresh([]netip.Addr{netip.MustParseAddr("10.0.2.15")})
		}
	}
	until(t, "frames", func() bool { return w.Snapshot().Sent() > 1000 })
	s.stop()
	closed(t, w.Snapshot())
}

// checker is a port that takes what it is sent apart.
type checker struct {
	dataplane.Port
	t *testing.T
}

func (c *checker) Tx(frames []*dataplane.Frame) int {
	for _, f := range frames {
		p, err := encap.Parse(f.Bytes())
		if err != nil || p.IPChecksum == encap.ChecksumBad || p.UDPChecksum == encap.ChecksumBad || len(p.Packet) < 32 {
			c.t.Errorf("sent %x: %+v, %v", f.Bytes(), p, err)
		}
	}
	return c.Port.Tx(frames)
}

// The whole round allocates nothing: receive, forward, drop or answer, send, count.
func TestWorkerDoesNotAllocate(t *testing.T) {
	var frames [][]byte
	for _, f := range drops() {
		frames = append(frames, f, udp7, tcp6to8)
	}
	in := memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Repeat: frames, Discard: true})
	out := memport.New(memport.Config{ID: south, Discard: true, TxQueue: 20}) // some tx_full too
	var rules dataplane.Rules
	require.NoError(t, rules.Set(answers()))
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports, c.Rules = []dataplane.Port{in, out}, &rules })
	s.start()
	until(t, "warm", func() bool { return out.Sent() > 10_000 })
	best := ^uint64(0)
	for range 20 { // other goroutines of the test binary may allocate: the best counts
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := out.Sent()
		for out.Sent() < sent+2000 {
			runtime.Gosched()
		}
		runtime.ReadMemStats(&after)
		best = min(best, after.Mallocs-before.Mallocs)
	}
	s.stop()
	assert.Zero(t, best, "allocations while 2000 frames were sent")
}
