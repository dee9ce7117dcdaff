package dataplane_test

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// floodFrames is n frames, a quarter of them bound and sound, three quarters hostile, from
// everywhere, and how many there are of each Reason, ReasonNone being the bound ones.
func floodFrames(n int) (frames [][]byte, count map[dataplane.Reason]uint64) {
	all := drops()
	maps.Copy(all, strictDrops())
	var malformed []dataplane.Reason
	for reason := range dataplane.NumReasons {
		switch reason {
		case dataplane.ReasonNoBinding, dataplane.ReasonTTLExpired, dataplane.ReasonHopLimitExpired, dataplane.ReasonPacketTooBig:
		default:
			if all[reason] != nil {
				malformed = append(malformed, reason)
			}
		}
	}
	r := rand.New(rand.NewPCG(14, 5))
	anywhere := func() []byte { return binary.BigEndian.AppendUint32(nil, 0x0b000000+r.Uint32N(0x70000000)) } // 11.0.0.0 to 122.255.255.255
	bound := [][]byte{udp7, udp8, tcp6to7, tcp6to8}
	count = map[dataplane.Reason]uint64{}
	add := func(reason dataplane.Reason, frame []byte) {
		frames = append(frames, frame)
		count[reason]++
	}
	for i := range n / 4 {
		add(dataplane.ReasonNone, bound[i%len(bound)])
		unbound := patch4(patch4(udp7, 26, anywhere()...), 33, byte(14+r.IntN(242)))
		add(dataplane.ReasonNoBinding, unbound)
		switch i % 4 {
		case 0:
			add(dataplane.ReasonHopLimitExpired, hopFrom(0x20010000_00000000+r.Uint64N(1<<48)))
		case 1:
			add(dataplane.ReasonPacketTooBig, patch4(sized4(7, 1451), 26, anywhere()...))
		default:
			add(dataplane.ReasonTTLExpired, ttlFrom(binary.BigEndian.Uint32(anywhere())))
		}
		reason := malformed[i%len(malformed)]
		add(reason, all[reason])
	}
	return frames, count
}

// A million hostile frames: every bound one between them is forwarded, answers stay at
// their limit, each frame is counted once, and no memory is taken.
func TestFlood(t *testing.T) {
	const rate, burst, rounds, step = 1000, 200, 22_400, 100 * time.Microsecond
	rules := strict()
	rules.Unbound, rules.Unresolved = dataplane.HostUnreachable, dataplane.NetUnreachable
	rules.Answers = answers().Answers
	rules.Answers.Rate, rules.Answers.Burst, rules.Answers.SourceRate, rules.Answers.SourceBurst = rate, burst, 50, 50
	var set dataplane.Rules
	require.NoError(t, set.Set(rules))
	frames, count := floodFrames(128 * dataplane.BurstSize)
	in := memport.New(memport.Config{ID: north, MTU: 9000, MAC: macNorth, Repeat: frames, Discard: true})
	out := memport.New(memport.Config{ID: south, MAC: macSouth, Discard: true})
	s := newShop(t, func(c *dataplane.WorkerConfig) { c.Ports, c.Rules = []dataplane.Port{in, out}, &set })
	now := time.Hour
	start := now
	s.w.SetClock(func() int64 { return int64(now) })
	run := func(rounds int) {
		for range rounds {
			now += step
			s.w.Round()
		}
	}
	run(128) // all frames once
	table, routines := s.fib.Stats().Bytes, runtime.NumGoroutine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	run(rounds - 128)
	runtime.ReadMemStats(&after)
	assert.LessOrEqual(t, after.Mallocs-before.Mallocs, uint64(100), "objects made, by whomever")
	assert.LessOrEqual(t, after.HeapAlloc, before.HeapAlloc+64<<10)
	assert.Equal(t, routines, runtime.NumGoroutine())
	assert.Equal(t, table, s.fib.Stats().Bytes)

	st := s.w.Snapshot()
	closed(t, st)
	const times = rounds / 128
	require.Greater(t, times*(uint64(len(frames))-count[dataplane.ReasonNone]), uint64(1_000_000))
	assert.EqualValues(t, times*len(frames), st.Received())
	assert.Equal(t, times*count[dataplane.ReasonNone], out.Sent(), "all that is bound is forwarded")
	for reason := dataplane.ReasonNone + 1; reason < dataplane.NumReasons; reason++ {
		assert.Equal(t, times*count[reason], st.Drops[reason].Packets, reason.String())
	}

	most := float64(burst) + rate*(now-start).Seconds()
	e := st.Events
	for _, made := range []uint64{e[dataplane.EventTimeExceeded] + e[dataplane.EventUnreachable], e[dataplane.EventTooBig]} {
		assert.LessOrEqual(t, float64(made), most)
		assert.Greater(t, float64(made), 0.99*most)
	}
	assert.Equal(t, st.Made(), in.Sent(), "an answer goes back by the port that the frame came by")
	var called uint64
	for _, reason := range []dataplane.Reason{dataplane.ReasonNoBinding, dataplane.ReasonTTLExpired, dataplane.ReasonHopLimitExpired,
		dataplane.ReasonPacketTooBig, dataplane.ReasonUnresolvedVTEP, dataplane.ReasonNoPort} {
		called += st.Drops[reason].Packets
	}
	assert.Equal(t, called, st.Made()+e[dataplane.EventLimitedGlobal]+e[dataplane.EventLimitedSource]+e[dataplane.EventAnswerForbidden],
		"what called for an answer got one, or an event says why not")
}
