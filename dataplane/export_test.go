package dataplane

import "net/netip"

// Round makes one round over the worker's ports, without Run.
func (w *Worker) Round() {
	w.fw.takeRules()
	w.round()
}

// SetClock has the forwarder take the time from f, in nanoseconds, not 0.
func (fw *Forwarder) SetClock(f func() int64) { fw.limits.clock = f }

// SetClock has the worker take the time for its limits from f.
func (w *Worker) SetClock(f func() int64) { w.fw.SetClock(f) }

// Events is what the forwarder has counted.
func (fw *Forwarder) Events() EventCounters { return fw.events }

// Unusual says of which frames of the last burst inspect was asked, a bit for each.
func (fw *Forwarder) Unusual() uint64 { return fw.unusual }

// SourceBucket is which of the buckets of sources is that of an address.
func SourceBucket(a netip.Addr) uint64 {
	if a.Is4() {
		return sourceHash(sourceKey4(number4(a))) & sourceMask
	}
	return sourceHash(sourceKey6(number6(a))) & sourceMask
}

// MTU is what a dropped frame's sender is told.
func (f *Frame) MTU() int { return int(f.mtu) }

// Classify is the first pass of Process alone.
func (fw *Forwarder) Classify(b *Burst) {
	fw.takeRules()
	fw.classify(b)
}
