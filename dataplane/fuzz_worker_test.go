package dataplane_test

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/encap"
)

// guarded is a port whose received frames end where a page of memory ends, with a page
// behind it that nobody may touch: one byte read too far ends the program. In front of
// the headroom lies such a page too.
type guarded struct {
	info  dataplane.PortInfo
	slots [][]byte
	next  [][]byte // to be received
	sent  [][]byte
}

const (
	guardPage     = 4096
	guardHeadroom = 256
	guardRoom     = 3 * guardPage // for headroom and frame
	guardSlots    = 8
	guardLongest  = guardRoom - guardHeadroom
)

func newGuarded(t testing.TB, info dataplane.PortInfo) *guarded {
	t.Helper()
	const stride = guardRoom + guardPage
	m, err := syscall.Mmap(-1, 0, guardSlots*stride+guardPage, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(m)) })
	info.Headroom, info.Tailroom = guardHeadroom, 0
	g := &guarded{info: info}
	for i := range guardSlots {
		require.NoError(t, syscall.Mprotect(m[i*stride:i*stride+guardPage], syscall.PROT_NONE))
		g.slots = append(g.slots, m[i*stride+guardPage:(i+1)*stride:(i+1)*stride])
	}
	require.NoError(t, syscall.Mprotect(m[guardSlots*stride:], syscall.PROT_NONE))
	return g
}

func (g *guarded) Info() dataplane.PortInfo { return g.info }

// Rx lays frames of any length at the end of their slots; headroom is what PortInfo
// promises, not a byte more.
func (g *guarded) Rx(b *dataplane.Burst) (int, error) {
	b.N = 0
	for i, frame := range g.next[:min(len(g.next), guardSlots)] {
		buf := g.slots[i][guardRoom-guardHeadroom-len(frame):]
		copy(buf[guardHeadroom:], frame)
		b.F[i].Attach(buf, guardHeadroom, len(frame))
		b.F[i].In = g.info.ID
		b.N++
	}
	g.next = g.next[b.N:]
	return b.N, nil
}

func (g *guarded) Tx(frames []*dataplane.Frame) int {
	for _, f := range frames {
		g.sent = append(g.sent, bytes.Clone(f.Bytes()))
	}
	return len(frames)
}

func (g *guarded) Flush() error               { return nil }
func (g *guarded) Release(b *dataplane.Burst) { b.N = 0 }
func (g *guarded) Close() error               { return nil }

// collect is what was sent since the last call.
func (g *guarded) collect() [][]byte {
	out := g.sent
	g.sent = nil
	return out
}

// guardedRig is a worker between two guarded ports.
type guardedRig struct {
	worker       *dataplane.Worker
	north, south *guarded
	rules        dataplane.Rules
	last         dataplane.WorkerStats
}

func newGuardedRig(t testing.TB, c dataplane.RulesConfig) *guardedRig {
	t.Helper()
	r := &guardedRig{
		north: newGuarded(t, dataplane.PortInfo{ID: north, Name: "north", MAC: macNorth, MTU: 9000}),
		south: newGuarded(t, dataplane.PortInfo{ID: south, Name: "south", MAC: macSouth, MTU: 1500}),
	}
	require.NoError(t, r.rules.Set(c))
	reader, _ := newReader(t, resolver(), bindings())
	var err error
	r.worker, err = dataplane.NewWorker(dataplane.WorkerConfig{
		Ports: []dataplane.Port{r.north, r.south}, Reader: reader, CPU: -1, Rules: &r.rules,
	})
	require.NoError(t, err)
	r.last = r.worker.Snapshot()
	return r
}

// pass has the worker make one round over frames, and checks that every frame is
// accounted for. It returns what left.
func (r *guardedRig) pass(frames ...[]byte) (toNorth, toSouth [][]byte, err error) {
	r.north.next = frames
	r.worker.Round()
	toNorth, toSouth = r.north.collect(), r.south.collect()
	now := r.worker.Snapshot()
	received, made := now.Received()-r.last.Received(), now.Made()-r.last.Made()
	sent, dropped := now.Sent()-r.last.Sent(), now.Dropped()-r.last.Dropped()
	r.last = now
	switch {
	case received != uint64(len(frames)):
		err = fmt.Errorf("%d frames received, %d counted", len(frames), received)
	case received+made != sent+dropped:
		err = fmt.Errorf("%d received and %d made, %d sent and %d dropped", received, made, sent, dropped)
	case sent != uint64(len(toNorth)+len(toSouth)):
		err = fmt.Errorf("%d frames sent, %d counted", len(toNorth)+len(toSouth), sent)
	}
	return toNorth, toSouth, err
}

// guardedRules are rules under which every way of a packet is gone.
func guardedRules() []dataplane.RulesConfig {
	sources := dataplane.AnswerConfig{Default: dataplane.AnswerSource{V4: local4, V6: local6}}
	limited := sources
	limited.Rate, limited.Burst, limited.SourceRate, limited.SourceBurst = 100, 10, 10, 5
	strict := strict()
	strict.Unbound, strict.Unresolved, strict.Oversize, strict.Answers = dataplane.HostUnreachable, dataplane.AdminProhibited, dataplane.RefuseOversize, sources
	return []dataplane.RulesConfig{
		{},
		strict,
		{Unbound: dataplane.NetUnreachable, Oversize: dataplane.FragmentOuter, Martians: dataplane.AllowMartians, Answers: sources, ClampMSS: everything, PCP: true},
		{Unbound: dataplane.AdminProhibited, Unresolved: dataplane.NetUnreachable, Answers: limited, ClampMSS: everything,
			DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPMap, Map: map[uint8]uint8{46: 10}}},
		{Answers: sources},
	}
}

// FuzzWorker puts arbitrary frames through a whole worker, on memory where a byte read or
// written outside of a frame and its headroom ends the program. Whatever they are:
//
//   - received and made is sent and dropped;
//   - what leaves is a sound packet, and no larger than its port sends;
//   - a sound frame beside them is forwarded as if it were alone.
func FuzzWorker(f *testing.F) {
	for rules := range guardedRules() {
		for _, seed := range [][]byte{
			{}, udp7, udp8, tcp6to7, tcp6to8, sized4(7, 1450), sized4(7, 1451), sized6(8, 1422), sized6(8, 4000), sized4(11, 1350),
			patch4(sized4(7, 4001), 20, 0, 0), patch4(sized4(8, 8999), 20, 0x20, 0), patch4(sized4(7, 3000), 20, 0x20, 0x10), sized6(11, 1351), sized6(11, 1260),
			tags(udp7, 0x8100_0064), tags(tcp6to8, 0x88a8_0064, 0x8100_0007), tags(udp7, 0x8100_0001, 0x8100_0001, 0x8100_0001),
			tags(patch4(udp7, 22, 1), 0x88a8_0001, 0x8100_0001), patch4(udp7, 20, 0x20, 0), patch4(udp7, 33, 13), ext6(frag, make([]byte, 8)),
			ext6(hopopts, make([]byte, 8), routing, make([]byte, 8), dstopts, make([]byte, 8)), syn4(mss1460), syn6(mss1460), options4(7, 7, 4, 0, 0, 0, 0),
			append(append([]byte{}, udp7...), 1, 2, 3), udp7[:14], tcp6to7[:50],
		} {
			f.Add(uint8(rules), seed)
		}
		for _, seed := range drops() {
			f.Add(uint8(rules), seed)
		}
		for _, seed := range strictDrops() {
			f.Add(uint8(rules), seed)
		}
	}
	var rigs []*guardedRig
	for _, c := range guardedRules() {
		rigs = append(rigs, newGuardedRig(f, c))
	}
	sound := newRig(f, nil).forward(udp7)
	f.Fuzz(func(t *testing.T, n uint8, frame []byte) {
		frame = frame[:min(len(frame), guardLongest)] // the longest that there is room for
		fixChecksum(frame)
		r := rigs[int(n)%len(rigs)]
		toNorth, toSouth, err := r.pass(frame, udp7)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range toNorth {
			if err := soundFrame(out, 9000); err != nil {
				t.Fatalf("sent to north %x: %v", out, err)
			}
		}
		for _, out := range toSouth {
			if err := soundFrame(out, 1500); err != nil {
				t.Fatalf("sent to south %x: %v", out, err)
			}
		}
		if len(toSouth) == 0 || int(n)%len(rigs) == 0 && !bytes.Equal(toSouth[len(toSouth)-1], sound) {
			t.Fatal("a sound frame beside it fared otherwise")
		}
	})
}

// soundFrame checks what may be checked of any frame that leaves: one IP packet, with
// lengths and checksums that agree, not larger than mtu, behind at most two tags.
func soundFrame(b []byte, mtu int) error {
	at := 12
	for len(b) >= at+6 && (b[at] == 0x81 && b[at+1] == 0 || b[at] == 0x88 && b[at+1] == 0xa8) {
		at += 4
	}
	if len(b) < at+2 {
		return fmt.Errorf("%d bytes", len(b))
	}
	p := b[at+2:]
	switch {
	case len(p) > mtu:
		return fmt.Errorf("a packet of %d bytes, the port sends %d", len(p), mtu)
	case b[at] == 0x08 && b[at+1] == 0x00:
		return soundIPv4(p)
	case b[at] == 0x86 && b[at+1] == 0xdd:
		return soundIPv6(p)
	}
	return fmt.Errorf("type %x", b[at:at+2])
}

func soundIPv4(p []byte) error {
	if len(p) < 20 || p[0] != 0x45 || int(p[2])<<8|int(p[3]) != len(p) {
		return fmt.Errorf("IPv4 header %x of %d bytes", p[:min(len(p), 20)], len(p))
	}
	if encap.Checksum(p[:20], 0) != 0 {
		return fmt.Errorf("IPv4 header checksum")
	}
	if p[9] == 1 && encap.Checksum(p[20:], 0) != 0 {
		return fmt.Errorf("ICMP checksum")
	}
	if p[9] == 1 && len(p) > 576 {
		return fmt.Errorf("ICMP error of %d bytes", len(p))
	}
	return nil
}

func soundIPv6(p []byte) error {
	if len(p) < 40 || p[0]>>4 != 6 || int(p[4])<<8|int(p[5]) != len(p)-40 {
		return fmt.Errorf("IPv6 header %x of %d bytes", p[:min(len(p), 40)], len(p))
	}
	if sum := encap.Sum(p[8:40], uint32(p[6])+uint32(len(p)-40)); (p[6] == 58 || p[6] == 17) && encap.Checksum(p[40:], sum) != 0 {
		return fmt.Errorf("checksum of protocol %d", p[6])
	}
	if p[6] == 58 && len(p) > 1280 {
		return fmt.Errorf("ICMPv6 error of %d bytes", len(p))
	}
	return nil
}
