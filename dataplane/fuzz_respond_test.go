package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/memport"
)

// FuzzRespond puts arbitrary frames through a gateway that answers whatever may be
// answered, martians among it. Whatever they are:
//
//   - what is answered goes back to the station that it came from, with its tags;
//   - the answer is a sound ICMP error from the gateway to the source, no larger than
//     576 or 1280 bytes, nor than the port sends, that quotes the packet as it came;
//   - no ICMP error, later fragment, or packet of no single host is answered;
//   - each frame that is dropped counts for at most one event, and is left alone.
func FuzzRespond(f *testing.F) {
	eight := make([]byte, 8)
	for _, seed := range [][]byte{
		udp7, tcp6to7, patch4(udp7, 22, 1), patch(tcp6to7, 21, 1), sized4(7, 1451), sized6(7, 1451), sized4(11, 1351),
		message4(3), message4(8), message6(1), patch(message6(128, hopopts, eight), 21, 1), patch(message6(1, dstopts, eight), 21, 1),
		patch(ext6(frag, []byte{0, 0, 0, 1, 0, 0, 0, 9}), 21, 1), patch(ext6(frag, []byte{0, 0, 0, 17, 0, 0, 0, 9}), 21, 1),
		patch4(patch4(udp7, 22, 1), 20, 0x20, 1), patch4(options4(1, 1, 1, 1), 22, 1),
		tags(patch4(udp7, 22, 1), 0x8100_0064), tags(patch(tcp6to7, 21, 1), 0x88a8_0064, 0x8100_0007),
		append(patch4(udp7, 22, 1), 1, 2, 3),
	} {
		f.Add(seed)
	}
	for _, seed := range drops() {
		f.Add(seed)
	}
	rules := answers()
	rules.Martians = dataplane.AllowMartians
	r := newRig(f, &memport.Config{MTU: 2000, Buffers: 8, MAC: macNorth}).with(rules)
	f.Fuzz(func(t *testing.T, frame []byte) {
		frame = frame[:min(len(frame), 2018)] // the longest that there is room for
		fixChecksum(frame)
		r.t = t
		before := r.fw.Events()
		got := r.process(frame)[0]
		r.south.Collect()
		happened := uint64(0)
		for e, n := range r.fw.Events() {
			if dataplane.Event(e) <= dataplane.EventLimitedGlobal {
				happened += n - before[e]
			}
		}
		if happened > 1 || got.Verdict == dataplane.Reply && happened != 1 {
			t.Fatalf("%v for %v: %d events", got.Verdict, got.Reason, happened)
		}
		switch got.Verdict {
		case dataplane.Drop:
			if !bytes.HasPrefix(frame, got.Bytes()) {
				t.Fatalf("dropped for %v, and changed", got.Reason)
			}
		case dataplane.Reply:
			checkAnswer(t, frame, got.Bytes())
		}
		r.release()
	})
}

// checkAnswer checks what was answered to a frame.
func checkAnswer(t *testing.T, frame, answer []byte) {
	l3 := 14
	for frame[l3-2] == 0x81 && frame[l3-1] == 0 || frame[l3-2] == 0x88 && frame[l3-1] == 0xa8 {
		l3 += 4
	}
	link := slices.Concat(frame[6:12], frame[:6], frame[12:l3])
	if !bytes.Equal(answer[:l3], link) || answer[0]&1 != 0 {
		t.Fatalf("link header %x, want %x", answer[:l3], link)
	}
	p, was := answer[l3:], frame[l3:]
	checkError(t, p)
	var quote []byte
	if was[0]>>4 == 4 {
		quote, was = p[28:], was[:binary.BigEndian.Uint16(was[2:])]
		if len(p) > 576 || len(p) < 576 && len(quote) != len(was) || p[9] != 1 || !slices.Contains([]byte{3, 11}, p[20]) ||
			!bytes.Equal(p[12:16], []byte{192, 0, 2, 1}) || !bytes.Equal(p[16:20], was[12:16]) || !answerable4(was) {
			t.Fatalf("answered %x to %x", p, was)
		}
	} else {
		quote, was = p[48:], was[:40+int(binary.BigEndian.Uint16(was[4:]))]
		if len(p) > 1280 || len(p) < 1280 && len(quote) != len(was) || p[6] != 58 || p[40] < 1 || p[40] > 3 ||
			!bytes.Equal(p[8:24], wire(source6)) || !bytes.Equal(p[24:40], was[8:24]) || !answerable6(was, p[40] == 2) {
			t.Fatalf("answered %x to %x", p, was)
		}
	}
	if !bytes.HasPrefix(was, quote) {
		t.Fatalf("quoted %x of %x", quote, was)
	}
}

// answerable4 says whether a packet may be answered, in other words than the gateway's.
func answerable4(p []byte) bool {
	for _, first := range []byte{p[12], p[16]} {
		if first == 0 || first == 127 || first > 223 {
			return false
		}
	}
	if p[6]&0x1f != 0 || p[7] != 0 {
		return false
	}
	message := p[4*(p[0]&15):]
	return p[9] != 1 || len(message) > 0 && slices.Contains([]byte{0, 8, 13, 14, 15, 16, 17, 18}, message[0])
}

func answerable6(p []byte, tooBig bool) bool {
	zero := make([]byte, 10)
	switch {
	case p[8] == 0xff, p[24] == 0xff && !tooBig:
		return false
	case bytes.Equal(p[8:18], zero) && (p[18] == 0xff && p[19] == 0xff || bytes.Equal(p[18:23], zero[:5]) && p[23] <= 1):
		return false
	}
	next, b := p[6], p[40:]
	for {
		n := 0
		switch next {
		case 58:
			return len(b) > 0 && b[0] >= 128 && b[0] != 137
		case 0, 43, 60, 135, 139, 140:
			if len(b) < 2 {
				return false
			}
			n = 8 + 8*int(b[1])
		case 51:
			if len(b) < 2 {
				return false
			}
			n = 8 + 4*int(b[1])
		case 44:
			if len(b) < 8 || b[2] != 0 || b[3]>>3 != 0 {
				return false
			}
			n = 8
		default:
			return true
		}
		if len(b) < n {
			return false
		}
		next, b = b[0], b[n:]
	}
}
