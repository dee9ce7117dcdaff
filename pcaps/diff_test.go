package pcaps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// diff explains how two frames differ. Package gopacket prints; that they differ was
// decided on the bytes alone.
func diff(want, got []byte) string {
	switch {
	case want == nil:
		return "no such frame is wanted; got\n" + describe(got) + dump("+", got)
	case got == nil:
		return "this frame is missing; want\n" + describe(want) + dump("-", want)
	}
	var b strings.Builder
	w, g := dissect(want), dissect(got)
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(g):
			fmt.Fprintf(&b, "  %s: missing\n", w[i].name)
		case i >= len(w):
			fmt.Fprintf(&b, "  %s: not wanted\n", g[i].name)
		case w[i].name != g[i].name:
			fmt.Fprintf(&b, "  %s, want %s\n", g[i].name, w[i].name)
		default:
			if d := fieldDiff(w[i].fields, g[i].fields); d != "" {
				fmt.Fprintf(&b, "  %s: %s\n", w[i].name, d)
			}
		}
	}
	fmt.Fprintf(&b, "  %d bytes, want %d; - is wanted, + is what came:\n", len(got), len(want))
	b.WriteString(hexDiff(want, got))
	return b.String()
}

// layer is a header for people to read.
type layer struct {
	name   string
	fields []string // Name=Value
}

func describe(frame []byte) string {
	var b strings.Builder
	for _, l := range dissect(frame) {
		fmt.Fprintf(&b, "  %s: %s\n", l.name, strings.Join(l.fields, " "))
	}
	return b.String()
}

// dissect takes a tunnel packet apart: what is in front of Geneve or VXLAN and the frame
// inside by gopacket, the tunnel header here, for gopacket's decoder mistakes Geneve's
// lengths, and knows VXLAN by its port only.
func dissect(frame []byte) []layer {
	outer := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	var all []layer
	for _, l := range outer.Layers() {
		all = append(all, describeLayer(l))
		if l.LayerType() == layers.LayerTypeUDP {
			if b := l.LayerPayload(); len(b) >= 8 && b[0]&8 != 0 && b[2] == 0 && b[3] == 0 {
				return append(all, dissectVXLAN(b)...)
			}
			return append(all, dissectGeneve(l.LayerPayload())...)
		}
	}
	return all
}

func dissectGeneve(b []byte) []layer {
	if len(b) < 8 || len(b) < 8+4*int(b[0]&63) {
		return []layer{{"Geneve", []string{fmt.Sprintf("Truncated=%x", b)}}}
	}
	options, inner := b[8:8+4*int(b[0]&63)], b[8+4*int(b[0]&63):]
	g := layer{"Geneve", []string{
		fmt.Sprintf("Version=%d", b[0]>>6),
		fmt.Sprintf("O=%d", b[1]>>7), fmt.Sprintf("C=%d", b[1]>>6&1), fmt.Sprintf("Reserved1=%#x", b[1]&63),
		fmt.Sprintf("Protocol=%#04x", binary.BigEndian.Uint16(b[2:])),
		fmt.Sprintf("VNI=%d", binary.BigEndian.Uint32(b[4:])>>8), fmt.Sprintf("Reserved2=%#x", b[7]),
		"Options=" + describeOptions(options),
	}}
	return append([]layer{g}, dissectInner(inner)...)
}

func dissectVXLAN(b []byte) []layer {
	v := layer{"VXLAN", []string{
		fmt.Sprintf("Flags=%#02x", b[0]), fmt.Sprintf("Reserved1=%x", b[1:4]),
		fmt.Sprintf("VNI=%d", binary.BigEndian.Uint32(b[4:])>>8), fmt.Sprintf("Reserved2=%#x", b[7]),
	}}
	return append([]layer{v}, dissectInner(b[8:])...)
}

func dissectInner(inner []byte) (all []layer) {
	for _, l := range gopacket.NewPacket(inner, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true}).Layers() {
		d := describeLayer(l)
		d.name = "inner " + d.name
		all = append(all, d)
	}
	return all
}

// describeOptions is class/type(data) of each.
func describeOptions(b []byte) string {
	var all []string
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+4*int(b[3]&31) {
			return strings.Join(append(all, fmt.Sprintf("truncated(%x)", b)), ",")
		}
		n := 4 + 4*int(b[3]&31)
		all = append(all, fmt.Sprintf("%x/%x(%x)", b[:2], b[2:3], b[4:n]))
		b = b[n:]
	}
	return strings.Join(all, ",")
}

// describeLayer cuts gopacket's one-line form of a layer into its fields.
func describeLayer(l gopacket.Layer) layer {
	text := gopacket.LayerString(l)
	name, rest, _ := strings.Cut(text, "\t")
	_, rest, _ = strings.Cut(rest, "{")
	d := layer{name: name}
	for _, f := range strings.Split(strings.TrimSuffix(rest, "}"), " ") {
		if strings.Contains(f, "=") || len(d.fields) == 0 {
			d.fields = append(d.fields, f)
		} else {
			d.fields[len(d.fields)-1] += " " + f
		}
	}
	return d
}

func fieldDiff(want, got []string) string {
	var all []string
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			all = append(all, "no "+want[i])
		case i >= len(want):
			all = append(all, got[i]+" not wanted")
		case want[i] != got[i]:
			_, value, _ := strings.Cut(want[i], "=")
			all = append(all, got[i]+", want "+value)
		}
	}
	return strings.Join(all, "; ")
}

const rowLen = 16

// hexDiff shows the rows that differ, the wanted one first, with marks beneath the
// bytes; of equal rows only that they are there.
func hexDiff(want, got []byte) string {
	var b strings.Builder
	equal := 0
	flush := func() {
		if equal > 0 {
			fmt.Fprintf(&b, "  .... %d equal rows\n", equal)
		}
		equal = 0
	}
	for at := 0; at < max(len(want), len(got)); at += rowLen {
		w, g := row(want, at), row(got, at)
		if bytes.Equal(w, g) {
			equal++
			continue
		}
		flush()
		fmt.Fprintf(&b, "  -%04x %s\n  +%04x %s\n        %s\n", at, spaced(w), at, spaced(g), marks(w, g))
	}
	flush()
	return b.String()
}

func row(b []byte, at int) []byte {
	return b[min(at, len(b)):min(at+rowLen, len(b))]
}

func spaced(b []byte) string { return fmt.Sprintf("% x", b) }

func marks(a, b []byte) string {
	var m strings.Builder
	for i := range max(len(a), len(b)) {
		if i < len(a) && i < len(b) && a[i] == b[i] {
			m.WriteString("   ")
		} else {
			m.WriteString("^^ ")
		}
	}
	return strings.TrimRight(m.String(), " ")
}

// dump is a whole frame in hexadecimal.
func dump(mark string, b []byte) string {
	var s strings.Builder
	for at := 0; at < len(b); at += rowLen {
		fmt.Fprintf(&s, "  %s%04x %s\n", mark, at, spaced(row(b, at)))
	}
	return s.String()
}
