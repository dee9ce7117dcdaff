package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eipgw/eipgw/encap"
)

// parse turns a scalar into a T, or says in want what was expected.
type parse[T any] func(text string) (t T, want string)

// into makes a field function that reads one scalar into dst. A value that can't be
// read leaves dst as it was.
func into[T any](dst *T, p parse[T]) func(value) {
	return func(v value) {
		text, ok := v.text()
		if !ok {
			_, want := p("")
			if want == "" {
				want = "text"
			}
			v.bad("%s: expected %s", describe(v.node), want)
			return
		}
		t, want := p(text)
		if want != "" {
			v.bad("%q: expected %s", shorten(text), want)
			return
		}
		*dst = t
	}
}

// listOf makes a field function that reads a list of scalars, each at most once.
func listOf[T comparable](dst *[]T, p parse[T]) func(value) {
	return func(v value) {
		if v.node != nil {
			*dst = []T{} // an empty list is not the same as none
		}
		for _, e := range v.list() {
			var t T
			before := len(e.r.problems)
			into(&t, p)(e)
			switch {
			case len(e.r.problems) > before:
			case slices.Contains(*dst, t):
				e.bad("there twice")
			default:
				*dst = append(*dst, t)
			}
		}
	}
}

// pointerTo makes a parse of *T from one of T, for values whose absence means something.
func pointerTo[T any](p parse[T]) parse[*T] {
	return func(text string) (*T, string) {
		t, want := p(text)
		return &t, want
	}
}

type unsigned interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int
}

// number reads a decimal between lo and hi; what names it, such as "an AS number".
func number[T unsigned](lo, hi uint64, what string) parse[T] {
	want := what + ", " + strconv.FormatUint(lo, 10) + " to " + strconv.FormatUint(hi, 10)
	return func(text string) (T, string) {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n < lo || n > hi {
			return 0, want
		}
		return T(n), ""
	}
}

func boolean(text string) (bool, string) {
	switch text {
	case "true":
		return true, ""
	case "false":
		return false, ""
	}
	return false, "true or false"
}

func anyText(text string) (string, string) { return text, "" }

// duration reads a time with its unit, hi at most.
func duration(hi time.Duration) parse[time.Duration] {
	want := "a time with its unit, such as 9s or 500ms, from 0s to " + hi.String()
	return func(text string) (time.Duration, string) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > hi {
			return 0, want
		}
		return d, ""
	}
}

// seconds reads a time of whole seconds: BGP has no finer timers.
func seconds(lo, hi time.Duration) parse[time.Duration] {
	want := "a time in whole seconds, such as 9s, from " + (lo * time.Second).String() + " to " + (hi * time.Second).String()
	return func(text string) (time.Duration, string) {
		d, err := time.ParseDuration(text)
		if err != nil || d < lo*time.Second || d > hi*time.Second || d%time.Second != 0 {
			return 0, want
		}
		return d, ""
	}
}

// vlan reads tags: 100, or 100.200.
func vlan(text string) (encap.VLAN, string) {
	v, err := encap.ParseVLAN(text)
	if err != nil || text == "" {
		return v, "a VLAN, 0 for untagged, or two of them, such as 100.200 for 802.1Q 200 inside 802.1ad 100, each at most 4094"
	}
	return v, ""
}

// word reads one of a few values by its name.
func word[T fmt.Stringer](values ...T) parse[T] {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	read := oneOf(names...)
	return func(text string) (t T, want string) {
		name, want := read(text)
		if want == "" {
			t = values[slices.Index(names, name)]
		}
		return t, want
	}
}

// oneOf reads one of a few words.
func oneOf[T ~string](words ...T) parse[T] {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return func(text string) (T, string) {
		if slices.Contains(words, T(text)) {
			return T(text), ""
		}
		want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
		if s := suggest(text, names); s != "" && text != "" {
			want += " (did you mean " + s + "?)"
		}
		return "", want
	}
}

const (
	wantAddr   = "an IP address such as 10.0.1.1 or fd00::1"
	wantAddr4  = "an IPv4 address such as 10.255.0.1"
	wantAddr6  = "an IPv6 address such as fd00::1"
	wantPrefix = "a prefix such as 203.0.113.0/24 or 2001:db8::/64"
)

// address reads an address of either family. Zones and IPv4-mapped IPv6 addresses
// are refused: the same peer must not have two spellings.
func address(text string) (netip.Addr, string) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
		return netip.Addr{}, wantAddr
	case a.Is4In6():
		return netip.Addr{}, "plain IPv4: " + a.Unmap().String()
	}
	return a, ""
}

func address4(text string) (netip.Addr, string) {
	a, want := address(text)
	if want != "" || !a.Is4() {
		return netip.Addr{}, wantAddr4
	}
	return a, ""
}

func address6(text string) (netip.Addr, string) {
	a, want := address(text)
	if want != "" || a.Is4() {
		return netip.Addr{}, wantAddr6
	}
	return a, ""
}

// prefix reads a prefix without host bits: a typing error there would silently
// cover other addresses than were meant.
func prefix(text string) (netip.Prefix, string) {
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, wantPrefix
	}
	if m := p.Masked(); m != p {
		return netip.Prefix{}, m.String() + " (the value has bits set outside its mask)"
	}
	return p, ""
}

func addrPort(text string) (netip.AddrPort, string) {
	ap, err := netip.ParseAddrPort(text)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, "an address and a port such as 127.0.0.1:9179 or [::1]:9179"
	}
	return ap, ""
}

func mac(text string) (encap.MAC, string) {
	m, err := encap.ParseMAC(text)
	if err != nil || m.IsZero() {
		return encap.MAC{}, "an Ethernet address such as 02:00:00:00:00:0b"
	}
	if m[0]&1 != 0 {
		return encap.MAC{}, "the address of one interface, not a group address"
	}
	return m, ""
}

// path reads a file name. Relative ones would depend on where the daemon was started.
func path(text string) (string, string) {
	if !strings.HasPrefix(text, "/") {
		return "", "an absolute path such as /etc/eipgw/bindings.yaml"
	}
	return text, ""
}
