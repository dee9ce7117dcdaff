package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Plots are SVG. Text is measured with Liberation Sans, which the library brings along: no
// font of this machine is needed. Whoever looks at it needs one of the same widths.
const (
	sameWidths = "Liberation Sans,Arial,Helvetica,sans-serif"

	plotWidth  = 18 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// plots draws what the report is about into a directory.
func (r *report) plots(dir string) error {
	var p *plot.Plot
	var err error
	height := plotHeight
	switch r.Settings.Series {
	case seriesEIPs:
		p, err = r.plotEIPs()
	case seriesLatency:
		p, err = r.plotDelays()
	case seriesSoak:
		return nil // one point: its table says all
	default:
		height = vg.Length(len(r.Summary)+2) * vg.Centimeter
		p, err = r.plotRates()
	}
	if err != nil {
		return fmt.Errorf("plot of %s: %w", r.name(), err)
	}
	return save(p, height, filepath.Join(dir, r.name()+".svg"))
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, f := range []*font.Font{
		&p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		f.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	return p
}

func save(p *plot.Plot, height vg.Length, file string) error {
	c := vgsvg.New(plotWidth, height)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(file, bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:"+sameWidths)), 0o644)
}

// series is points with the range around each.
type points []struct{ x, y, low, high float64 }

// Len, XY and YError implement what plotter takes.
func (p points) Len() int                         { return len(p) }
func (p points) XY(i int) (x, y float64)          { return p[i].x, p[i].y }
func (p points) YError(i int) (low, high float64) { return p[i].y - p[i].low, p[i].high - p[i].y }

// plotRates draws bars, a contender each, the first on top, and the rounds' range.
func (r *report) plotRates() (*plot.Plot, error) {
	p := newPlot("Mpps at the sink: median and range of the rounds", "")
	values, ranges := make(plotter.Values, len(r.Summary)), make(whiskers, len(r.Summary))
	names := make([]string, len(r.Summary))
	for i, m := range r.Summary {
		at := len(names) - 1 - i
		values[at], names[at] = m.Rate.Median/1e6, m.Contender
		ranges[at].x, ranges[at].low, ranges[at].high = float64(at), m.Rate.Min/1e6, m.Rate.Max/1e6
		ranges[at].y = values[at]
	}
	bars, err := plotter.NewBarChart(values, 14)
	if err != nil {
		return nil, err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, plotutil.SoftColors[2], 0
	errs, err := plotter.NewXErrorBars(ranges)
	if err != nil {
		return nil, err
	}
	p.Add(bars, errs)
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, 1.05*p.X.Max
	p.Y.Min, p.Y.Max = -0.6, float64(len(names))-0.4
	return p, nil
}

// whiskers are points lying on their side: x counts them, y is the value.
type whiskers points

// Len, XY and XError implement what plotter takes.
func (w whiskers) Len() int                         { return len(w) }
func (w whiskers) XY(i int) (x, y float64)          { return w[i].y, w[i].x }
func (w whiskers) XError(i int) (low, high float64) { return points(w).YError(i) }

// plotEIPs draws the rate against the number of EIPs, a line for each contender.
func (r *report) plotEIPs() (*plot.Plot, error) {
	p := newPlot("EIPs", "Mpps at the sink: median, range of rounds")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, shortTicks{}
	names, lines := []string{}, map[string]points{}
	for _, m := range r.Summary {
		name, _, _ := strings.Cut(m.Contender, ", ")
		if lines[name] == nil {
			names = append(names, name)
		}
		lines[name] = append(lines[name], struct{ x, y, low, high float64 }{m.X, m.Rate.Median / 1e6, m.Rate.Min / 1e6, m.Rate.Max / 1e6})
	}
	for i, name := range names {
		if err := addLine(p, name, i, false, lines[name]); err != nil {
			return nil, err
		}
	}
	p.Y.Min, p.Y.Max = 0, 1.3*p.Y.Max // room for the legend
	return p, nil
}

// shortTicks are those of a logarithmic scale, in short numbers.
type shortTicks struct{}

// Ticks implements plot.Ticker.
func (shortTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.LogTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = short(t.Value)
		}
	}
	return ticks
}

// plotDelays draws the delays' median and 99th percentile against the rate that was offered.
func (r *report) plotDelays() (*plot.Plot, error) {
	p := newPlot("Mpps offered", "delay in µs, range of rounds")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, shortTicks{}
	p.Legend.Left = true
	for i, m := range r.Summary {
		for n, f := range []func(latencySummary) spread{
			func(l latencySummary) spread { return l.P50 }, func(l latencySummary) spread { return l.P99 },
		} {
			var line points
			for _, l := range m.Latencies {
				s := f(l)
				line = append(line, struct{ x, y, low, high float64 }{l.Offered / 1e6, s.Median, s.Min, s.Max})
			}
			if err := addLine(p, m.Contender+[]string{" p50", " p99"}[n], i, n > 0, line); err != nil {
				return nil, err
			}
		}
	}
	p.X.Min = 0
	return p, nil
}

// addLine draws points, the line between them and their ranges in the i-th color.
func addLine(p *plot.Plot, name string, i int, dashed bool, at points) error {
	line, dots, err := plotter.NewLinePoints(at)
	if err != nil {
		return err
	}
	ranges, err := plotter.NewYErrorBars(at)
	if err != nil {
		return err
	}
	line.Color, dots.Color, ranges.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
	dots.Shape = draw.CircleGlyph{}
	if dashed {
		line.Dashes = []vg.Length{4, 3}
	}
	p.Add(line, dots, ranges)
	p.Legend.Add(name, line, dots)
	return nil
}
