package pcaps

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/afxdp"
	"github.com/eipgw/eipgw/dataplane/replay"
	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
)

// onlyInProcess are the cases that veth and AF_XDP cannot carry, and why.
var onlyInProcess = map[string]string{
	"runt":        tooShort,
	"mtu-largest": tooLong,
}

const (
	tooShort = "no interface sends a frame that is shorter than an Ethernet header"
	tooLong  = "a frame of AF_XDP lies in at most three pages, each with 256 bytes of headroom"
)

// The segments of every case. What is bound outside of them is a segment of that case.
var segments = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:e1b::/48")}

const patience = time.Minute

// Every case again, between AF_XDP sockets over veth pairs, with native and with
// generic XDP.
//
//	far namespace                      gateway's namespace
//	Sender  ── far-sw0 ═══ veth ═══ sw0 ── XDP ── AF_XDP ─┐
//	Capture ── far-vr0 ═══ veth ═══ vr0 ── XDP ── AF_XDP ─┴─ Worker
func TestWire(t *testing.T) {
	lab.Need(t, lab.Root)
	all := cases(t)
	for _, mode := range []afxdp.Mode{afxdp.ModeNative, afxdp.ModeGeneric} {
		t.Run(mode.String(), func(t *testing.T) {
			rigs := map[string]*rig{} // by what the ports are: cases with the same ports share one
			for _, c := range all {
				if why := unable(c); why != "" {
					assert.Equal(t, onlyInProcess[c.name], why, c.name)
					continue
				}
				assert.NotContains(t, onlyInProcess, c.name, "it can run over the wire")
				t.Run(c.name, func(sub *testing.T) {
					key := portsKey(c)
					if rigs[key] == nil {
						rigs[key] = newRig(t, c, mode)
					}
					rigs[key].run(sub, c)
				})
			}
		})
	}
}

// And with the fast lane on, which forwards what it can by itself and leaves the rest to
// the worker. Between both of them there is no order.
func TestWireWithLane(t *testing.T) {
	lab.Need(t, lab.Root)
	var carried uint64
	taken := 0
	for _, c := range cases(t) {
		if unable(c) != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r := newLaneRig(t, c)
			r.run(t, c)
			_, n := r.carried(t, c)
			if carried += n; n > 0 {
				taken++
			}
		})
	}
	t.Logf("the lane forwarded %d frames, of %d cases", carried, taken)
	assert.Greater(t, taken, 20, "cases of which the lane took something")
}

// unable says why a case cannot be on the wire, or nothing.
func unable(c testCase) string {
	for _, p := range c.Ports {
		if p.MTU > 3*(4096-256)-22 {
			return tooLong
		}
		for _, f := range c.in[p.Name] {
			if len(f) < 14 {
				return tooShort
			}
		}
	}
	return ""
}

func portsKey(c testCase) (key string) {
	for _, p := range c.Ports {
		key += fmt.Sprint(p.ID, p.Name, p.MAC, p.MTU, "/")
	}
	return key
}

// run has a worker of its own forward the case's frames between the rig's ports.
func (r *rig) run(t *testing.T, c testCase) {
	reader, done := r.program(t, c)
	defer done()
	want, passed := r.expected(t, c)
	before := r.passed(t)
	for _, capture := range r.captures {
		capture.Reset()
	}

	rules, err := c.CompileRules()
	require.NoError(t, err)
	if r.lane != nil {
		require.NoError(t, r.lane.Refresh())
		require.NoError(t, r.lane.SetRules(rules.Plain()))
	}
	lab.Pin(t)
	cpu, err := lab.CPU()
	require.NoError(t, err)
	worker, err := dataplane.NewWorker(dataplane.WorkerConfig{
		Name: c.name, Ports: r.ports, Reader: reader, CPU: cpu, Rules: rules, Identification: replay.Identification,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	halt := sync.OnceValue(func() error { stop(); return <-ended })
	defer func() { assert.NoError(t, halt()) }() // before the table closes, whatever fails

	for port, frames := range c.in {
		for _, f := range frames {
			require.NoError(t, r.senders[port].Send(f))
		}
	}
	var received uint64
	for _, p := range c.Ports {
		received += want.counters["port."+p.Name+".rx_packets"]
	}
	until(t, func() bool {
		s := worker.Snapshot()
		_, lane := r.carried(t, c)
		return s.Received()+lane >= received && r.passed(t)-before >= passed
	})
	require.NoError(t, halt()) // so the ports have sent what they took
	stats := worker.Snapshot()
	got := outcome{map[string][][]byte{}, countersOf(&stats)}
	lane, _ := r.carried(t, c)
	for name, n := range lane {
		got.counters[name] += n
	}
	for name, capture := range r.captures {
		wait, cancel := context.WithTimeout(t.Context(), patience)
		assert.NoError(t, capture.Wait(wait, int(got.counters["port."+name+".tx_packets"])), "port %s", name)
		cancel()
		if frames := capture.Frames(); len(frames) > 0 {
			got.out[name] = frames
		}
	}
	assert.Equal(t, passed, r.passed(t)-before, "frames that the XDP program leaves to the kernel")
	if len(c.in) > 1 || r.lane != nil { // their order among each other is up to chance
		sortFrames(want.out)
		sortFrames(got.out)
	}
	expect(t, want, got)
}

// expected is what the case wants less what the XDP program keeps from the pipeline,
// and how many frames that are. Each of them would have been dropped without an answer,
// and how it counts is found by a replay of them alone.
func (r *rig) expected(t *testing.T, c testCase) (want outcome, passed uint64) {
	prefixes := slices.Clone(segments)
	for _, b := range c.Bindings {
		prefixes = append(prefixes, b.Prefix)
	}
	for _, iface := range r.ifaces {
		require.NoError(t, iface.SetSegments(prefixes))
	}
	kept := c.Case
	kept.Ports = slices.Clone(c.Ports)
	for i, p := range c.Ports {
		frames := slices.DeleteFunc(slices.Clone(c.in[p.Name]), func(f []byte) bool { return redirected(f, encap.MAC(p.MAC), prefixes) })
		passed += uint64(len(frames))
		kept.Ports[i].In = writePcap(t, p.Name, frames)
	}
	want = c.want.clone()
	if passed == 0 {
		return want, 0
	}
	result, err := replay.Run(kept)
	require.NoError(t, err)
	require.Empty(t, result.Out, "the XDP program would keep a frame that is to be forwarded or answered")
	for name, n := range result.Counters {
		if want.counters[name] -= n; want.counters[name] == 0 {
			delete(want.counters, name)
		}
	}
	return want, passed
}

// writePcap makes a file of these frames.
func writePcap(t *testing.T, port string, frames [][]byte) (path string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), port+".pcap"))
	require.NoError(t, err)
	w := pcapgo.NewWriter(f)
	require.NoError(t, w.WriteFileHeader(1<<16, layers.LinkTypeEthernet))
	for _, b := range frames {
		require.NoError(t, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(b), Length: len(b)}, b))
	}
	require.NoError(t, f.Close())
	return f.Name()
}

// redirected says what the XDP program should do with a frame: redirect those that are
// sent to this station, for an address in a segment, behind at most two VLAN tags; it
// looks at the header no further than at that address.
func redirected(frame []byte, own encap.MAC, segments []netip.Prefix) bool {
	etherType, l3 := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	for tags := 0; tags < 2 && (etherType == 0x8100 || etherType == 0x88a8) && len(l3) >= 4; tags++ {
		etherType, l3 = binary.BigEndian.Uint16(l3[2:]), l3[4:]
	}
	var dst netip.Addr
	switch {
	case etherType == 0x0800 && len(l3) >= 20:
		dst = netip.AddrFrom4([4]byte(l3[16:20]))
	case etherType == 0x86dd && len(l3) >= 40:
		dst = netip.AddrFrom16([16]byte(l3[24:40]))
	default:
		return false
	}
	in := slices.ContainsFunc(segments, func(p netip.Prefix) bool { return p.Contains(dst) })
	return in && encap.MAC(frame[:6]) == own
}

// countersOf names a worker's counters as counters.json does.
func countersOf(s *dataplane.WorkerStats) replay.Counters {
	all := replay.Counters{}
	for _, p := range s.Ports {
		prefix := "port." + p.Info.Name + "."
		all[prefix+"rx_packets"], all[prefix+"rx_bytes"] = p.RxPackets, p.RxBytes
		all[prefix+"tx_packets"], all[prefix+"tx_bytes"] = p.TxPackets, p.TxBytes
	}
	for r, n := range s.Drops {
		prefix := "drop." + dataplane.Reason(r).String() + "."
		all[prefix+"packets"], all[prefix+"bytes"] = n.Packets, n.Bytes
	}
	for e, n := range s.Events {
		all["event."+dataplane.Event(e).String()] = n
	}
	maps.DeleteFunc(all, func(_ string, n uint64) bool { return n == 0 })
	return all
}

func sortFrames(out map[string][][]byte) {
	for _, frames := range out {
		slices.SortFunc(frames, bytes.Compare)
	}
}

// until polls for a state that must come about.
func until(t *testing.T, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !reached(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Error("timed out: not every frame has arrived")
			return
		}
	}
}
