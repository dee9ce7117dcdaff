// Package flame draws flame graphs: a page of SVG that needs nothing else to be looked at.
package flame

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Stack is who called whom, the outermost first, and how much was seen of that.
type Stack struct {
	Frames []string
	Value  int64
}

// Stacks takes the stacks out of a profile, with its values of the given number; functions
// that were inlined are frames of their own.
func Stacks(p *profile.Profile, value int) (stacks []Stack) {
	for _, s := range p.Sample {
		var frames []string
		for _, l := range slices.Backward(s.Location) {
			for _, line := range slices.Backward(l.Line) {
				frames = append(frames, line.Function.Name)
			}
			if len(l.Line) == 0 {
				frames = append(frames, fmt.Sprintf("%#x", l.Address))
			}
		}
		stacks = append(stacks, Stack{frames, s.Value[value]})
	}
	return stacks
}

// node is a function as called from those above it.
type node struct {
	value int64 // of its stacks, callees included
	calls map[string]*node
}

func (n *node) add(frames []string, value int64) {
	n.value += value
	if len(frames) == 0 {
		return
	}
	if n.calls == nil {
		n.calls = map[string]*node{}
	}
	callee := n.calls[frames[0]]
	if callee == nil {
		callee = &node{}
		n.calls[frames[0]] = callee
	}
	callee.add(frames[1:], value)
}

// depth is how many frames stand above each other, without those too narrow to be drawn.
func (n *node) depth(least int64) int {
	most := 0
	for _, c := range n.calls {
		if c.value >= least {
			most = max(most, c.depth(least))
		}
	}
	return most + 1
}

// The picture, in pixels.
const (
	width     = 1200.0
	row       = 17
	head      = 30
	letter    = 6.6 // of the font
	narrowest = 0.3 // frames below that are left out
)

// Write draws stacks: as wide as its value is a frame, upon the one that called it, those
// beside each other by name. The exact figures show at the pointer.
func Write(w io.Writer, title, unit string, stacks []Stack) error {
	var root node
	for _, s := range stacks {
		root.add(s.Frames, s.Value)
	}
	if root.value <= 0 {
		return fmt.Errorf("flame: %s: there is nothing to draw", title)
	}
	d := drawing{Writer: bufio.NewWriter(w), unit: unit, total: root.value}
	d.rows = root.depth(int64(narrowest * float64(root.value) / width))
	height := head + d.rows*row
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %d" font-family="monospace" font-size="11">`+"\n", width, height)
	fmt.Fprintf(d, `<rect width="100%%" height="100%%" fill="#fff"/><text x="6" y="19" font-size="14">%s</text>`+"\n", escape(title))
	d.frame("all", &root, 0, 0)
	fmt.Fprintln(d, "</svg>")
	return d.Flush()
}

type drawing struct {
	*bufio.Writer
	unit  string
	total int64
	rows  int
}

// frame draws a frame with its left edge at x, and what it called above it.
func (d drawing) frame(name string, n *node, x float64, level int) {
	w := width * float64(n.value) / float64(d.total)
	if w < narrowest {
		return
	}
	y := head + (d.rows-1-level)*row
	fmt.Fprintf(d, `<g><title>%s: %d %s, %.2f %%</title><rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s" stroke="#fff" stroke-width=".4"/>`,
		escape(name), n.value, d.unit, 100*float64(n.value)/float64(d.total), x, y, w, row-1, color(name))
	if room := int(w/letter) - 1; room >= 3 {
		fmt.Fprintf(d, `<text x="%.2f" y="%d">%s</text>`, x+3, y+12, escape(cut(name, room)))
	}
	fmt.Fprintln(d, "</g>")
	for _, callee := range slices.Sorted(maps.Keys(n.calls)) {
		d.frame(callee, n.calls[callee], x, level+1)
		x += width * float64(n.calls[callee].value) / float64(d.total)
	}
}

// cut keeps the end of a name, which says more than its package.
func cut(name string, room int) string {
	r := []rune(name[strings.LastIndex(name, "/")+1:])
	if len(r) <= room {
		return string(r)
	}
	return string(r[:room-1]) + "…"
}

// color is the same for a function wherever it stands: warm, by its package and name.
func color(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	n := h.Sum32()
	return fmt.Sprintf("#%02x%02x%02x", 215+n%40, 90+n>>8%120, 40+n>>16%50)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // never fails
	return b.String()
}
