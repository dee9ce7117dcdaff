package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
	"github.com/eipgw/eipgw/encap"
)

// FuzzProcess puts arbitrary frames, each twice in a burst among sound ones, through
// the whole forwarder. Whatever they are:
//
//   - every frame is forwarded, cut or dropped, and a drop has a Reason;
//   - what is forwarded is a sound tunnel packet, no larger than the port sends,
//     that holds the inner packet as it was but for TTL and checksum;
//   - what is cut adds up to the inner packet in the same way, and no piece is too large;
//   - what is dropped is as it was received;
//   - equal frames fare equally, and the sound ones as if they were alone.
func FuzzProcess(f *testing.F) {
	for _, seed := range [][]byte{
		{}, udp7, udp8, tcp6to7, tcp6to8, sized4(7, 1450), sized4(7, 1451), sized6(8, 1422), sized4(11, 1350),
		tags(udp7, 0x8100_0064), tags(tcp6to8, 0x88a8_0064, 0x8100_0007), tags(udp7, 0x8100_0001, 0x8100_0001, 0x8100_0001),
		patch4(sized4(7, 1451), 20, 0, 0), patch4(sized4(11, 1900), 20, 0x20, 9), patch4(sized4(8, 1700), 20, 0, 0),
		patch4(udp7, 20, 0x20, 0), patch4(udp7, 33, 13), ext6(frag, make([]byte, 8)),
		ext6(hopopts, make([]byte, 8), routing, make([]byte, 8), dstopts, make([]byte, 8)),
		append(append([]byte{}, udp7...), 1, 2, 3), udp7[:14], tcp6to7[:50],
	} {
		f.Add(seed)
	}
	for _, seed := range drops() {
		f.Add(seed)
	}
	r := newRig(f, &memport.Config{MTU: 2000, Buffers: 8})
	sound := r.forward(udp7)
	f.Fuzz(func(t *testing.T, frame []byte) {
		frame = frame[:min(len(frame), 2018)] // the longest that there is room for
		fixChecksum(frame)
		r.t = t
		got := r.process(udp7, frame, frame, udp7)
		out := r.south.Collect()
		for _, g := range got {
			if g.Verdict == dataplane.Drop && (g.Reason == dataplane.ReasonNone || g.Reason >= dataplane.NumReasons) {
				t.Fatalf("dropped for no reason: %v", g.Reason)
			}
		}
		if got[1].Verdict != got[2].Verdict || got[1].Reason != got[2].Reason || got[1].Hash() != got[2].Hash() {
			t.Fatalf("twice the same frame: %v %v, %v %v", got[1].Verdict, got[1].Reason, got[2].Verdict, got[2].Reason)
		}
		switch {
		case got[1].Verdict == dataplane.Drop && !bytes.HasPrefix(frame, got[1].Bytes()):
			t.Fatalf("dropped for %v, and changed", got[1].Reason)
		case got[1].Verdict == dataplane.Forward:
			checkTunnel(t, frame, out[1])
		case got[1].Verdict == dataplane.Split:
			checkFragments(t, r.fw, frame, got[1])
		}
		if want := 2 + 2*btoi(got[1].Verdict == dataplane.Forward); len(out) != want {
			t.Fatalf("%d frames sent, want %d", len(out), want)
		}
		if !bytes.Equal(out[0], sound) || !bytes.Equal(out[len(out)-1], sound) {
			t.Fatal("a sound frame beside it fared otherwise")
		}
		r.release()
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fixChecksum puts a right checksum into what may be an untagged IPv4 packet, half of
// the time: else no mutation would get past it.
func fixChecksum(b []byte) {
	if len(b) < 34 || b[33]&1 == 0 || b[12] != 8 || b[13] != 0 {
		return
	}
	header := 4 * int(b[14]&15)
	if header < 20 || len(b) < 14+header {
		return
	}
	b[24], b[25] = 0, 0
	binary.BigEndian.PutUint16(b[24:], encap.Checksum(b[14:14+header], 0))
}

// checkFragments cuts a frame and checks what comes of it.
func checkFragments(t *testing.T, fw *dataplane.Forwarder, frame []byte, f *dataplane.Frame) {
	var to dataplane.Frame
	to.Attach(make([]byte, 1500+encap.MaxLen), 0, 0)
	var out [][]byte
	for s := fw.Fragments(f); s.Next(&to); {
		out = append(out, bytes.Clone(to.Bytes()))
	}
	whole := unite(t, 1500, out)
	was := frame[l3(frame):][:len(whole)]
	if len(out) < 2 || len(whole) <= 1350-78 || was[8] < 2 {
		t.Fatalf("%d fragments of %d bytes", len(out), len(whole))
	}
	if was = patch4(append(make([]byte, 14), was...), 22, was[8]-1)[14:]; !bytes.Equal(whole, was) {
		t.Fatalf("%x was %x", whole, was)
	}
}

// l3 is where a frame's IP packet begins.
func l3(frame []byte) int {
	at := 12
	for frame[at] == 0x81 && frame[at+1] == 0 || frame[at] == 0x88 && frame[at+1] == 0xa8 {
		at += 4
	}
	return at + 2
}

// checkTunnel checks what was sent for a frame.
func checkTunnel(t *testing.T, frame, out []byte) {
	p, err := encap.Parse(out)
	if err != nil {
		t.Fatalf("sent %x: %v", out, err)
	}
	if len(out) > 1514+4*p.Tags {
		t.Fatalf("sent %d bytes, the port's MTU is 1500", len(out))
	}
	if p.IPChecksum == encap.ChecksumBad || p.UDPChecksum == encap.ChecksumBad || p.VNI != 5001 {
		t.Fatalf("sent %+v", p)
	}
	was := frame[l3(frame):][:len(p.Packet)]
	switch p.InnerType {
	case 0x0800:
		if was[8] < 2 || p.Packet[8] != was[8]-1 || !bytes.Equal(p.Packet[:8], was[:8]) ||
			p.Packet[9] != was[9] || !bytes.Equal(p.Packet[12:], was[12:]) {
			t.Fatalf("inner header %x was %x", p.Packet[:20], was[:20])
		}
		if encap.Checksum(p.Packet[:4*(p.Packet[0]&15)], 0) != 0 {
			t.Fatalf("inner checksum of %x is wrong", p.Packet)
		}
	case 0x86dd:
		if was[7] < 2 || p.Packet[7] != was[7]-1 || !bytes.Equal(p.Packet[:7], was[:7]) || !bytes.Equal(p.Packet[8:], was[8:]) {
			t.Fatalf("inner header %x was %x", p.Packet[:40], was[:40])
		}
	default:
		t.Fatalf("inner type %#04x", p.InnerType)
	}
}
