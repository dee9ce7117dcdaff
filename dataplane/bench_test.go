package dataplane_test

import (
	"testing"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// BenchmarkProcess is the forwarder alone, on a burst whose frames, bindings and
// entries are in the nearest cache: the instructions that a packet costs. Receiving
// the burst anew, which "receive" shows, is part of each figure.
func BenchmarkProcess(b *testing.B) {
	for name, frame := range map[string][]byte{
		"IPv4 in IPv4": udp7, "IPv6 in IPv4": tcp6to7, "IPv4 in IPv6": udp8, "IPv6 in IPv6": tcp6to8,
		"group": patch4(udp7, 33, 13), "no binding": patch4(udp7, 33, 200), "TTL 1": patch4(udp7, 22, 1),
		"receive": nil,
	} {
		b.Run(name, func(b *testing.B) { benchProcess(b, frame) })
	}
}

// BenchmarkClassify is the first pass alone: parse, check, hash. "receive" of
// BenchmarkProcess is part of each figure here, too.
func BenchmarkClassify(b *testing.B) {
	tagged := append(append(append([]byte(nil), udp7[:12]...), 0x81, 0, 0, 100), udp7[12:]...)
	for name, frame := range map[string][]byte{"IPv4": udp7, "IPv6": tcp6to7, "IPv4 tagged": tagged} {
		b.Run(name, func(b *testing.B) { benchForwarder(b, newRig(b, nil).fw.Classify, frame) })
	}
}

// BenchmarkAnswer is what an ICMP error costs, and one that a limit holds back.
func BenchmarkAnswer(b *testing.B) {
	few := dataplane.AnswerConfig{Rate: 1, Burst: 1, SourceRate: 1, SourceBurst: 1}
	most := dataplane.AnswerConfig{Rate: 1_000_000, Burst: 1_000_000, SourceRate: 1_000_000, SourceBurst: 1_000_000}
	for name, c := range map[string]struct {
		frame  []byte
		limits dataplane.AnswerConfig
	}{
		"IPv4": {patch4(udp7, 22, 1), most}, "IPv6": {patch(tcp6to7, 21, 1), most},
		"largest IPv4": {patch4(sized4(7, 1000), 22, 1), most}, "largest IPv6": {patch(sized6(7, 1400), 21, 1), most},
		"held back": {patch4(udp7, 22, 1), few},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, nil).with(withLimits(c.limits))
			now := int64(1)
			r.fw.SetClock(func() int64 { now += dataplane.BurstSize * 1000; return now })
			benchForwarder(b, r.fw.Process, c.frame)
		})
	}
}

func benchProcess(b *testing.B, frame []byte) {
	process := func(*dataplane.Burst) {}
	if frame == nil {
		frame = udp7
	} else {
		r := newRig(b, nil)
		process = r.fw.Process
	}
	benchForwarder(b, process, frame)
}

func benchForwarder(b *testing.B, process func(*dataplane.Burst), frame []byte) {
	in := memport.New(memport.Config{ID: north, MAC: macNorth, Buffers: dataplane.BurstSize, Repeat: [][]byte{frame}, Restore: len(frame)})
	var burst dataplane.Burst
	for b.Loop() {
		if _, err := in.Rx(&burst); err != nil {
			b.Fatal(err)
		}
		process(&burst)
		in.Release(&burst)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*dataplane.BurstSize), "ns/packet")
	b.ReportMetric(0, "ns/op")
}
