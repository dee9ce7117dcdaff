package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table prints aligned columns. A title that ends in '>' aligns its column to the
// right, as numbers want it.
type table struct {
	titles []string
	right  []bool
	rows   [][]string
}

func newTable(titles ...string) *table {
	t := &table{right: make([]bool, len(titles))}
	for i, title := range titles {
		var name string
		name, t.right[i] = strings.CutSuffix(title, ">")
		t.titles = append(t.titles, name)
	}
	return t
}

// row adds a row; an empty cell prints as "-", a blank one as nothing.
func (t *table) row(cells ...any) {
	row := make([]string, len(t.titles))
	for i := range row {
		row[i] = "-"
		if i < len(cells) {
			if s := fmt.Sprint(cells[i]); s != "" {
				row[i] = s
			}
		}
	}
	t.rows = append(t.rows, row)
}

// print writes the table, or says that there is nothing.
func (t *table) print(w io.Writer, none string) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, none)
		return err
	}
	widths := make([]int, len(t.titles))
	for _, row := range append([][]string{t.titles}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.titles}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.right[i] {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printJSON writes v, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// jsonList writes an array of JSON, element by element, as printJSON would at once. An array
// that was not ended is none: what reads it can tell.
type jsonList struct {
	w *bufio.Writer
	n int
}

func newJSONList(w io.Writer) *jsonList { return &jsonList{w: bufio.NewWriter(w)} }

// add writes one element.
func (l *jsonList) add(v any) error {
	text, err := json.MarshalIndent(v, "  ", "  ")
	if err != nil {
		return err
	}
	before := "[\n  "
	if l.n > 0 {
		before = ",\n  "
	}
	l.n++
	_, err1 := l.w.WriteString(before)
	_, err2 := l.w.Write(text)
	return cmp.Or(err1, err2)
}

// end closes the array.
func (l *jsonList) end() error {
	after := "\n]\n"
	if l.n == 0 {
		after = "[]\n"
	}
	_, err := l.w.WriteString(after)
	return cmp.Or(err, l.w.Flush())
}

// blank is a cell that prints as nothing: the row continues the one above.
const blank = " "

// age is how long ago t was, with two units at most: 3m12s, 5d4h.
func (c *cli) age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return length(c.now().Sub(t))
}

// length is a time with two units at most.
func length(d time.Duration) string {
	day := 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// count is a number with thousands apart, 1 234 567.
func count[T ~int | ~uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 && s[i-1] != '-' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// size is a number of bytes with a unit, 1.5 GiB.
func size(n uint64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// plural is "1 worker", "2 workers", "2 switches".
func plural(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "ch"):
		what += "es"
	default:
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}
