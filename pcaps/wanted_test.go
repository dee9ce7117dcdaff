package pcaps

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/encap"
)

// tunnelPackets are the tunnel packets among the frames that leave a port: outer
// fragments, which come one behind the other, are put together again, ICMP errors are
// checked here and left out.
func tunnelPackets(t *testing.T, frames [][]byte) (all [][]byte) {
	t.Helper()
	var parts [][]byte
	for _, f := range frames {
		p := l3(f)
		switch {
		case p[0]>>4 == 4 && binary.BigEndian.Uint16(p[6:])&0x3fff != 0, p[0]>>4 == 6 && p[6] == 44:
			parts = append(parts, f)
			if last := offsetWord(p); last&1 == 0 {
				all, parts = append(all, reassemble(t, parts)), nil
			}
		case p[0]>>4 == 4 && p[9] == 1:
			assert.Zero(t, encap.Checksum(p[:20], 0))
			assert.Zero(t, encap.Checksum(p[20:], 0))
			assert.LessOrEqual(t, len(p), 576)
		case p[0]>>4 == 6 && p[6] == 58:
			assert.Zero(t, encap.Checksum(p[8:], uint32(len(p)-40+58)))
			assert.LessOrEqual(t, len(p), 1280)
		default:
			all = append(all, f)
		}
	}
	assert.Empty(t, parts, "the last fragment is missing")
	return all
}

// l3 is a frame's IP packet.
func l3(frame []byte) []byte {
	at := 12
	for t := binary.BigEndian.Uint16(frame[at:]); t == 0x8100 || t == 0x88a8; t = binary.BigEndian.Uint16(frame[at:]) {
		at += 4
	}
	return frame[at+2:]
}

// offsetWord is a fragment's offset in bytes, and 1 if more follow.
func offsetWord(p []byte) int {
	if p[0]>>4 == 6 {
		return int(binary.BigEndian.Uint16(p[42:]))
	}
	word := binary.BigEndian.Uint16(p[6:])
	return int(word&0x1fff)<<3 | int(word>>13&1)
}

// reassemble is the frame that these fragments were cut from. None is missing, none
// overlaps, and all but the last carry a multiple of 8 bytes.
func reassemble(t *testing.T, parts [][]byte) []byte {
	t.Helper()
	first := l3(parts[0])
	frame := bytes.Clone(parts[0][:len(parts[0])-len(first)])
	header := 20
	if first[0]>>4 == 6 {
		header = 40
	}
	head, body := bytes.Clone(first[:header]), []byte(nil)
	for i, f := range parts {
		p := l3(f)
		data := p[header:]
		if header == 40 {
			require.Equal(t, first[44:48], p[44:48], "identification")
			data = p[48:]
		} else {
			require.Equal(t, first[4:6], p[4:6], "identification")
		}
		require.Equal(t, len(body), offsetWord(p)&^7)
		require.Equal(t, i < len(parts)-1, offsetWord(p)&1 != 0)
		if i < len(parts)-1 {
			require.Zero(t, len(data)%8)
		}
		body = append(body, data...)
	}
	if header == 40 {
		head[6] = first[40]
		binary.BigEndian.PutUint16(head[4:], uint16(len(body)))
	} else {
		binary.BigEndian.PutUint16(head[2:], uint16(header+len(body)))
		head[6], head[7], head[10], head[11] = 0, 0, 0, 0
		binary.BigEndian.PutUint16(head[10:], encap.Checksum(head, 0))
	}
	return append(append(frame, head...), body...)
}
