package pcaps

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/eipgw/eipgw/dataplane/replay"
)

// shown is how many differing frames of a port are shown in full.
const shown = 3

// compare lists everything in which got is not want: frames by port, in order and byte
// for byte, and the exact set of counters that changed.
func compare(want, got outcome) (problems []string) {
	for _, port := range keys(want.out, got.out) {
		problems = append(problems, compareFrames(port, want.out[port], got.out[port])...)
	}
	for _, name := range keys(want.counters, got.counters) {
		if w, g := want.counters[name], got.counters[name]; w != g {
			problems = append(problems, fmt.Sprintf("counter %s: got %d, want %d", name, g, w))
		}
	}
	return problems
}

func compareFrames(port string, want, got [][]byte) (problems []string) {
	if len(want) != len(got) {
		problems = append(problems, fmt.Sprintf("port %s: %d frames left, want %d", port, len(got), len(want)))
	}
	different := 0
	for i := range max(len(want), len(got)) {
		w, g := frame(want, i), frame(got, i)
		if w != nil && g != nil && bytes.Equal(w, g) {
			continue
		}
		if different++; different <= shown {
			problems = append(problems, fmt.Sprintf("port %s, frame %d:\n%s", port, i, diff(w, g)))
		}
	}
	if different > shown {
		problems = append(problems, fmt.Sprintf("port %s: %d more frames differ", port, different-shown))
	}
	return problems
}

// frame is frame i, or nil when there are fewer.
func frame(frames [][]byte, i int) []byte {
	if i < len(frames) {
		return frames[i]
	}
	return nil
}

func keys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// expect fails the test for each problem.
func expect(t *testing.T, want, got outcome) {
	t.Helper()
	for _, p := range compare(want, got) {
		t.Error(p)
	}
}

// clone copies an outcome, so that one of the two can be spoiled.
func (o outcome) clone() outcome {
	c := outcome{map[string][][]byte{}, maps.Clone(o.counters)}
	for port, frames := range o.out {
		for _, f := range frames {
			c.out[port] = append(c.out[port], bytes.Clone(f))
		}
	}
	return c
}

// The comparison can fail: of every case, any single change to what is wanted shows.
func TestCompareFindsEveryChange(t *testing.T) {
	spoil := func(c testCase, how string, change func(outcome)) {
		spoiled := c.want.clone()
		change(spoiled)
		assert.NotEmpty(t, compare(spoiled, c.want), "%s: %s", c.name, how)
		assert.NotEmpty(t, compare(c.want, spoiled), "%s: %s", c.name, how)
	}
	const stride = 23 // bytes between the bits that are flipped, others in each case
	for n, c := range cases(t) {
		assert.Empty(t, compare(c.want.clone(), c.want), c.name)
		spoil(c, "a port more", func(o outcome) { o.out["other"] = [][]byte{{1}} })
		spoil(c, "an empty frame more", func(o outcome) { o.out["other"] = [][]byte{{}} })
		spoil(c, "a counter more", func(o outcome) { o.counters["drop.tx_full.packets"] = 1 })
		for name := range c.want.counters {
			spoil(c, name+" by one", func(o outcome) { o.counters[name]++ })
			spoil(c, name+" absent", func(o outcome) { delete(o.counters, name) })
		}
		for port, frames := range c.want.out {
			last := len(frames) - 1
			spoil(c, "no frame", func(o outcome) { delete(o.out, port) })
			spoil(c, "a frame less", func(o outcome) { o.out[port] = frames[:last] })
			spoil(c, "a frame twice", func(o outcome) { o.out[port] = append(o.out[port], frames[last]) })
			spoil(c, "a byte less", func(o outcome) { o.out[port][last] = frames[last][:len(frames[last])-1] })
			spoil(c, "a byte more", func(o outcome) { o.out[port][last] = append(o.out[port][last], 0) })
			if !bytes.Equal(frames[0], frames[last]) {
				spoil(c, "another order", func(o outcome) { f := o.out[port]; f[0], f[last] = f[last], f[0] })
			}
			for at := n % stride; at < len(frames[0]); at += stride {
				spoil(c, fmt.Sprintf("a bit of byte %d", at), func(o outcome) { o.out[port][0][at] ^= 1 << (at % 8) })
			}
		}
	}
}

// What a mismatch says: which port and frame, which fields of which layer, and where
// in the bytes.
func TestDiff(t *testing.T) {
	want := load(t, "ovn-over-ipv6").want
	got := want.clone()
	f := got.out["sw0"][0]
	f[14+7]--         // outer hop limit
	f[14+40+8+6] ^= 1 // low byte of the VNI
	f[14+40+8+8+7]++  // OVN's outport
	f[len(f)-1] = 0xee
	got.counters["port.sw0.tx_packets"] = 1
	got.counters["drop.no_binding.packets"] = 1

	text := strings.Join(compare(want, got), "\n")
	for _, part := range []string{
		"port sw0, frame 0:",
		"IPv6: HopLimit=63, want 64",
		"Geneve: VNI=5000, want 5001; Options=0102/80(00020002), want 0102/80(00020001)",
		"counter drop.no_binding.packets: got 1, want 0",
		"counter port.sw0.tx_packets: got 1, want 2",
		"-0010 ", "+0010 ",
	} {
		assert.Contains(t, text, part)
	}
	assert.NotContains(t, text, "frame 1:")
	assert.Contains(t, diff(nil, f), "no such frame is wanted")
	assert.Contains(t, diff(f, nil), "this frame is missing")
	assert.Empty(t, compare(outcome{counters: replay.Counters{}}, outcome{}), "absent and empty are the same")
}
