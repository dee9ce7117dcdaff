package pcaps

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/replay"
	"github.com/eipgw/eipgw/encap"
)

// Every case, through the forwarder in this process.
func TestReplay(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			result, err := replay.Run(c.Case)
			require.NoError(t, err)
			expect(t, c.want, outcome{result.Out, result.Counters})
		})
	}
}

// Whatever a case wants, it wants every frame in exactly one place.
func TestFramesAddUp(t *testing.T) {
	for _, c := range cases(t) {
		var in, out uint64
		for name, n := range c.want.counters {
			switch {
			case strings.HasSuffix(name, ".rx_packets"):
				in += n
			case strings.HasSuffix(name, ".tx_packets"), strings.HasPrefix(name, "drop.") && strings.HasSuffix(name, ".packets"):
				out += n
			case made(name):
				in += n
			}
		}
		assert.Equal(t, in, out, c.name)
		assert.NotZero(t, in, c.name)
	}
}

// made says whether a counter is that of an event that stands for a frame that was made.
func made(counter string) bool {
	for e := range dataplane.NumEvents {
		if counter == "event."+e.String() {
			return e.Made()
		}
	}
	return false
}

// Every Reason that frames alone can bring about is in some case.
func TestEveryReason(t *testing.T) {
	elsewhere := map[dataplane.Reason]string{
		dataplane.ReasonNoPort:     "a case's ways lead to its ports",
		dataplane.ReasonNoHeadroom: "ports of cases have headroom for every header",
		dataplane.ReasonTxFull:     "ports of cases take every frame",
		dataplane.ReasonPortDown:   "ports of cases stay up",
	}
	seen := map[string]bool{}
	for _, c := range cases(t) {
		for name := range c.want.counters {
			seen[name] = true
		}
	}
	for r := dataplane.ReasonNone + 1; r < dataplane.NumReasons; r++ {
		if why, ok := elsewhere[r]; ok {
			assert.False(t, seen["drop."+r.String()+".packets"], "%s: %s", r, why)
		} else {
			assert.True(t, seen["drop."+r.String()+".packets"], "no case has a frame dropped for %s", r)
		}
	}
}

// Every wanted frame is one that a tunnel endpoint takes, by the reading half of
// package encap: a third opinion on what gen writes.
func TestWantedFramesParse(t *testing.T) {
	for _, c := range cases(t) {
		for port, frames := range c.want.out {
			for i, f := range unfragmented(frames) {
				p, err := encap.Parse(f)
				require.NoError(t, err, "%s, port %s, frame %d", c.name, port, i)
				assert.NotEqual(t, encap.ChecksumBad, p.IPChecksum, "%s, port %s, frame %d", c.name, port, i)
				assert.NotEqual(t, encap.ChecksumBad, p.UDPChecksum, "%s, port %s, frame %d", c.name, port, i)
				assert.False(t, p.Control)
				assert.Equal(t, p.Options.Critical(), p.Critical, "%s, port %s, frame %d", c.name, port, i)
				if p.InnerType == 0x0800 {
					assert.Zero(t, encap.Checksum(p.Packet[:4*int(p.Packet[0]&15)], 0), "%s, port %s, frame %d", c.name, port, i)
				}
			}
		}
	}
}

// unfragmented is frames with those together again whose outer packet was cut; pieces of
// one follow each other. The headers are the first's, with lengths that are right.
func unfragmented(frames [][]byte) (all [][]byte) {
	var open []byte
	for _, f := range frames {
		v4 := f[12] == 0x08
		var header int
		var cut, more bool
		switch {
		case v4:
			header, cut, more = 14+20, f[14+6]&0x3f|f[14+7] != 0, f[14+6]&0x20 != 0
		case f[12] == 0x86 && f[14+6] == 44:
			header, cut, more = 14+40+8, true, f[14+43]&1 != 0
		}
		if !cut {
			all = append(all, f)
			continue
		}
		if open == nil {
			open = slices.Clone(f[:header])
			if !v4 { // without the fragment header
				open = open[:14+40]
				open[14+6] = f[14+40]
			}
		}
		if open = append(open, f[header:]...); more {
			continue
		}
		if n := len(open) - 14; v4 {
			open[14+2], open[14+3], open[14+6], open[14+7], open[14+10], open[14+11] = byte(n>>8), byte(n), 0, 0, 0, 0
			sum := encap.Checksum(open[14:14+20], 0)
			open[14+10], open[14+11] = byte(sum>>8), byte(sum)
		} else {
			open[14+4], open[14+5] = byte((n-40)>>8), byte(n-40)
		}
		all, open = append(all, open), nil
	}
	return all
}
