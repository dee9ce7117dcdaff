package loadgen

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/perf/lab"
)

func TestBucketsFollowEachOther(t *testing.T) {
	assert.Equal(t, 0, bucketOf(-time.Second), "clocks that differ")
	assert.Equal(t, 63, bucketOf(63))
	assert.Equal(t, 64, bucketOf(64))
	assert.Equal(t, 64, bucketOf(65))
	assert.Equal(t, buckets-1, bucketOf(1<<longestBits-1))
	assert.Equal(t, buckets-1, bucketOf(time.Hour))
	for i := range buckets {
		mid := timeOf(i)
		require.Equal(t, i, bucketOf(mid), "bucket %d", i)
		if i > 0 {
			step := mid - timeOf(i-1)
			require.Positive(t, step)
			require.LessOrEqual(t, step, max(1, mid/32+1), "bucket %d", i)
		}
	}
}

func TestQuantilesOfTimes(t *testing.T) {
	var d Delays
	assert.Zero(t, d.Quantile(0.5))
	r := rand.New(rand.NewPCG(1, 2))
	var times []time.Duration
	for range 20_000 {
		ns := time.Duration(1) << r.IntN(30)
		ns += time.Duration(r.Int64N(int64(ns)))
		times = append(times, ns)
		d.Add(ns)
	}
	slices.Sort(times)
	assert.EqualValues(t, len(times), d.Count())
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := times[min(int(q*float64(len(times))), len(times)-1)]
		assert.InEpsilon(t, float64(want), float64(d.Quantile(q)), 1.0/32, "%v", q)
	}
}

func TestTimesAddUp(t *testing.T) {
	var a, b Delays
	a.Add(10)
	b.Add(10)
	b.Add(time.Second)
	both := a.Plus(b)
	assert.EqualValues(t, 3, both.Count())
	assert.Equal(t, b, both.Sub(a))
}

// What goes from the generator to the sink has a time, and the sink finds it in every
// frame, in one of the sizes that have just room for it as well.
func TestSinkTimesWhatTheGeneratorSends(t *testing.T) {
	small6 := config6
	small6.Size = small6.leastStamped()
	for name, c := range map[string]Config{"IPv4": config4, "IPv6": config6, "IPv6 small": small6} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c)
			const frames = 3000
			load := Load{Rate: 50_000, Frames: frames, Stamped: true, Burst: 32}
			r.run(t, load)
			r.arrived(t, frames)
			assert.Zero(t, r.delays(t).Count(), "nobody looks for times")
			require.NoError(t, r.sink.Time(true))
			start := time.Now()
			r.run(t, load)
			r.arrived(t, 2*frames)
			require.Eventually(t, func() bool { return r.delays(t).Count() >= frames }, patience, time.Millisecond)
			longest := time.Since(start)
			assert.EqualValues(t, 2*frames, r.counts(t).Plain.Frames)
			d := r.delays(t)
			assert.EqualValues(t, frames, d.Count())
			assert.Positive(t, d.Quantile(0))
			assert.Less(t, d.Quantile(1)*31/32, longest)
			load.Stamped = false
			r.run(t, load)
			r.arrived(t, 3*frames)
			assert.Equal(t, d, r.delays(t), "frames without a time")
			load.Stamped = true
			require.NoError(t, r.sink.objs.Timing.Set(uint64(monotonic(t)+time.Hour)))
			r.run(t, load)
			r.arrived(t, 4*frames)
			assert.Equal(t, d, r.delays(t), "frames sent too early")
		})
	}
}

func (r *rig) delays(t *testing.T) Delays {
	t.Helper()
	d, err := r.sink.Delays()
	require.NoError(t, err)
	return d
}

func TestNoRoomForATime(t *testing.T) {
	c := config6
	c.Size = c.leastStamped() - 1
	r := newRig(t, c)
	assert.ErrorContains(t, r.gen.Run(t.Context(), Load{Frames: 1, Stamped: true}), "no room for a time: expected at least 70")
	assert.Zero(t, r.gen.Sent())
}

// The times in frames that contenders sent, in tunnels of all kinds, are found, and what
// has none is left alone.
func TestSinkFindsTimesInTunnels(t *testing.T) {
	lab.Need(t, lab.Root)
	r := newRig(t, config4)
	require.NoError(t, r.sink.objs.Timing.Set(uint64(1)))
	now := func() uint64 { return uint64(monotonic(t)) }
	inner4 := func(stamp uint64) []byte {
		return innerFrame(t, config4.Source.AsSlice(), config4.FirstDst.AsSlice(), stamp)
	}
	inner6 := func(stamp uint64) []byte {
		return innerFrame(t, config6.Source.AsSlice(), config6.FirstDst.AsSlice(), stamp)
	}
	outer := func(port uint16, tunnel string, inner []byte) []byte {
		eth := layers.Ethernet{SrcMAC: config4.SrcMAC[:], DstMAC: config4.DstMAC[:], EthernetType: layers.EthernetTypeIPv4}
		ip := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 2}, DstIP: []byte{10, 0, 0, 1}}
		return serialize(t, &eth, &ip, &layers.UDP{SrcPort: 50000, DstPort: layers.UDPPort(port)}, gopacket.Payload(append([]byte(tunnel), inner...)))
	}
	const (
		geneve  = "\x00\x00\x65\x58\x00\x13\x88\x00"
		options = "\x02\x40\x65\x58\x00\x13\x88\x00\x01\x02\x80\x01\x00\x02\x00\x01"
		ip      = "\x00\x00\x08\x00\x00\x13\x88\x00"
		vxlan   = "\x08\x00\x00\x00\x00\x13\x88\x00"
	)
	const ago = uint64(time.Second)
	timed := [][]byte{
		outer(6081, geneve, inner4(now()-ago)), outer(6081, options, inner4(now()-ago)), outer(6081, options, inner6(now()-ago)),
		outer(4789, vxlan, inner4(now()-ago)), outer(6081, vxlan, inner6(now()-ago)),
	}
	untimed := [][]byte{
		outer(6081, geneve, inner4(0)), outer(6081, ip, inner4(now()-ago)), outer(4789, vxlan, inner4(now() - ago)[:49]),
		outer(6081, geneve, nil), outer(6081, "", nil), outer(6081, "\x3f\x00\x65\x58\x00\x13\x88\x00", inner4(now()-ago)),
		outer(4789, "\x00\x00\x00\x00\x00\x13\x88\x00", inner4(now()-ago)), // no VNI
	}
	s, err := r.a.Sender("a0")
	require.NoError(t, err)
	defer s.Close()
	for _, f := range append(timed, untimed...) {
		require.NoError(t, s.Send(f))
	}
	require.Eventually(t, func() bool {
		return r.counts(t).Tunneled.Frames >= uint64(len(timed)+len(untimed)) && r.delays(t).Count() >= uint64(len(timed))
	}, patience, time.Millisecond)
	d := r.delays(t)
	assert.EqualValues(t, len(timed), d.Count())
	assert.Greater(t, d.Quantile(0), time.Second*31/32)
}

// innerFrame is the generator's frame with a time of the caller's.
func innerFrame(t *testing.T, src, dst []byte, stamp uint64) []byte {
	payload := gopacket.Payload(binary.BigEndian.AppendUint64(nil, stamp))
	eth := layers.Ethernet{SrcMAC: config4.SrcMAC[:], DstMAC: config4.DstMAC[:], EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: 1024, DstPort: port}
	if len(src) == 16 {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: src, DstIP: dst}
		return serialize(t, &eth, &ip, udp, payload)
	}
	ip := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src, DstIP: dst}
	return serialize(t, &eth, &ip, udp, payload)
}

// The program's buckets are bucketOf's, over the whole range of times.
func TestProgramAndGoAgreeOnBuckets(t *testing.T) {
	r := newRig(t, config4)
	require.NoError(t, r.sink.objs.Timing.Set(uint64(1)))
	uptime := monotonic(t)
	for ago := time.Nanosecond; ago < uptime; ago = ago*5/4 + 1 {
		earlier := r.delays(t)
		stamp := monotonic(t) - ago
		frame := innerFrame(t, config4.Source.AsSlice(), config4.FirstDst.AsSlice(), uint64(stamp))
		soonest := monotonic(t) - stamp
		_, err := r.sink.objs.Sink.Run(&ebpf.RunOptions{Data: frame})
		require.NoError(t, err)
		latest := monotonic(t) - stamp
		d := r.delays(t).Sub(earlier)
		require.EqualValues(t, 1, d.Count())
		got := slices.Index(d.frames[:], 1)
		assert.GreaterOrEqual(t, got, bucketOf(soonest), "%v ago", ago)
		assert.LessOrEqual(t, got, bucketOf(latest), "%v ago", ago)
	}
}

// monotonic is the time of stamps: since the machine was started.
func monotonic(t *testing.T) time.Duration {
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return time.Duration(now.Nano())
}
