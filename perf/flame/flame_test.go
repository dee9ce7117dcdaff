package flame

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rect is a frame of a picture.
type rect struct {
	x, width float64
	y        int
}

// frames parses a picture; a frame is told by its title.
func frames(t *testing.T, picture []byte) map[string]rect {
	t.Helper()
	found := map[string]rect{}
	title := ""
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "title":
			require.NoError(t, d.DecodeElement(&title, &start))
		case start.Name.Local == "rect" && title != "":
			var r rect
			for _, a := range start.Attr {
				v, _ := strconv.ParseFloat(a.Value, 64)
				switch a.Name.Local {
				case "x":
					r.x = v
				case "y":
					r.y = int(v)
				case "width":
					r.width = v
				}
			}
			found[title] = r
			title = ""
		}
	}
}

func TestFramesAreAsWideAsTheirValues(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Write(&b, "a <title> & more", "ns", []Stack{
		{[]string{"main", "a/b.f[...]", "leaf"}, 30}, {[]string{"main", "g"}, 50}, {[]string{"main", "a/b.f[...]"}, 20}, {[]string{"thin"}, 0},
	}))
	assert.Contains(t, b.String(), "a &lt;title&gt; &amp; more")
	got := frames(t, b.Bytes())
	require.Len(t, got, 5)
	all, main, f, g, leaf := got["all: 100 ns, 100.00 %"], got["main: 100 ns, 100.00 %"], got["a/b.f[...]: 50 ns, 50.00 %"], got["g: 50 ns, 50.00 %"], got["leaf: 30 ns, 30.00 %"]
	assert.Equal(t, rect{0, 1200, head + 3*row}, all)
	assert.Equal(t, rect{0, 1200, head + 2*row}, main)
	assert.Equal(t, rect{0, 600, head + row}, f)
	assert.Equal(t, rect{600, 600, head + row}, g, "beside the other, by name")
	assert.Equal(t, rect{0, 360, head}, leaf)
	assert.Contains(t, b.String(), ">b.f[...]<", "without the way to its package")
}

func TestNothingToDraw(t *testing.T) {
	assert.ErrorContains(t, Write(io.Discard, "idle", "ns", nil), "nothing to draw")
}

func TestNamesAreCut(t *testing.T) {
	assert.Equal(t, "b.f", cut("a/b.f", 3))
	assert.Equal(t, "b.…", cut("a/b.long", 3))
}

func TestStacksOfAProfile(t *testing.T) {
	fn := func(name string) profile.Line { return profile.Line{Function: &profile.Function{Name: name}} }
	main := &profile.Location{Line: []profile.Line{fn("main")}}
	inlined := &profile.Location{Line: []profile.Line{fn("inner"), fn("outer")}}
	nameless := &profile.Location{Address: 0x1f}
	p := &profile.Profile{Sample: []*profile.Sample{
		{Location: []*profile.Location{inlined, main}, Value: []int64{1, 10}},
		{Location: []*profile.Location{nameless, main}, Value: []int64{2, 20}},
	}}
	got := Stacks(p, 1)
	assert.Equal(t, []Stack{{[]string{"main", "outer", "inner"}, 10}, {[]string{"main", "0x1f"}, 20}}, got)
}
