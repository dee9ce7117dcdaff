package encap

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strings"
)

// MaxOptions is the most bytes of Geneve options that a tunnel carries.
const MaxOptions = 24

// An option is a header of four bytes and up to 124 bytes of data (RFC 8926
// section 3.5):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-+-------------+-----+---------+
//	|         option class          |C|    type     | rsv | length  |  length in words
//	+-------------------------------+-+-------------+-----+---------+  of four bytes,
//	|                     data, length x 4 bytes                    |  without this one
//	+---------------------------------------------------------------+
const (
	optionHeaderLen = 4
	optionCritical  = 0x80 // C, the high bit of the type
	optionWords     = 0x1f // the length field
)

// OVN's port option: its data is rsv(1) | inport(15) | outport(16).
const (
	ovnClass     = 0x0102
	ovnType      = 0x80
	ovnMaxInport = 1<<15 - 1
)

// Option is one Geneve option. Data is borrowed.
type Option struct {
	Class uint16
	Type  uint8  // with the critical bit
	Data  []byte // a multiple of 4 bytes
}

// Critical says whether an endpoint that does not know the option must drop the
// packet (RFC 8926 section 3.5).
func (o Option) Critical() bool { return o.Type&optionCritical != 0 }

// OVN reads the logical ports out of OVN's option; ok is false for any other.
// Inport keeps the reserved bit, so a value above 32767 is not OVN's.
func (o Option) OVN() (inport, outport uint16, ok bool) {
	if o.Class != ovnClass || o.Type != ovnType || len(o.Data) != 4 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(o.Data), binary.BigEndian.Uint16(o.Data[2:]), true
}

// String is "ovn(inport 2, outport 1)", or class, type and data in hexadecimal:
// "0x0103/0x01(00112233)".
func (o Option) String() string {
	if in, out, ok := o.OVN(); ok {
		return fmt.Sprintf("ovn(inport %d, outport %d)", in, out)
	}
	return fmt.Sprintf("0x%04x/0x%02x(%x)", o.Class, o.Type, o.Data)
}

// RawOptions is a chain of Geneve options as it lies in a packet, of any length.
type RawOptions []byte

// Check verifies that every option ends where the next one begins, and the last
// one at the end of the chain.
func (r RawOptions) Check() error {
	for at := 0; at < len(r); {
		left := len(r) - at
		if left < optionHeaderLen {
			return fmt.Errorf("encap: options: %d bytes left at byte %d, want an option header of %d", left, at, optionHeaderLen)
		}
		n := optionHeaderLen + 4*int(r[at+3]&optionWords)
		if n > left {
			return fmt.Errorf("encap: options: option 0x%04x/0x%02x at byte %d is %d bytes long, %d are left",
				binary.BigEndian.Uint16(r[at:]), r[at+2], at, n, left)
		}
		at += n
	}
	return nil
}

// All walks the options in wire order, up to the first that Check would refuse.
func (r RawOptions) All() iter.Seq[Option] {
	return func(yield func(Option) bool) {
		for b := r; len(b) >= optionHeaderLen; {
			n := optionHeaderLen + 4*int(b[3]&optionWords)
			if n > len(b) {
				return
			}
			o := Option{Class: binary.BigEndian.Uint16(b), Type: b[2], Data: b[optionHeaderLen:n:n]}
			if !yield(o) {
				return
			}
			b = b[n:]
		}
	}
}

// Critical says whether any option is critical: the C bit of the tunnel header.
func (r RawOptions) Critical() bool {
	for o := range r.All() {
		if o.Critical() {
			return true
		}
	}
	return false
}

// UnknownCritical is the first critical option that is not OVN's. An endpoint
// that does not know it either must drop the packet (RFC 8926 section 3.5).
func (r RawOptions) UnknownCritical() (Option, bool) {
	for o := range r.All() {
		if _, _, ovn := o.OVN(); o.Critical() && !ovn {
			return o, true
		}
	}
	return Option{}, false
}

// String lists the options, "none" when there are none.
func (r RawOptions) String() string {
	if len(r) == 0 {
		return "none"
	}
	var s []string
	for o := range r.All() {
		s = append(s, o.String())
	}
	return strings.Join(s, " ")
}

// Options holds the Geneve options of a tunnel in wire form. The zero value has
// none. It is comparable: equal means the same bytes in the same order.
type Options struct {
	n uint8
	b [MaxOptions]byte
}

// ParseOptions takes a chain of options in wire form, which it copies.
func ParseOptions(wire []byte) (Options, error) {
	if len(wire) > MaxOptions {
		return Options{}, fmt.Errorf("encap: options: %d bytes, want at most %d", len(wire), MaxOptions)
	}
	if len(wire)%4 != 0 {
		return Options{}, fmt.Errorf("encap: options: %d bytes, want a multiple of 4", len(wire))
	}
	if err := RawOptions(wire).Check(); err != nil {
		return Options{}, err
	}
	o := Options{n: uint8(len(wire))}
	copy(o.b[:], wire)
	return o, nil
}

// OVNOptions is the one option by which OVN delivers a packet: the tunnel keys of
// the logical port that it comes from, up to 32767, and of the one that it goes
// to, not 0. It takes other values too, and Tunnel.Validate refuses them: so a
// port never becomes another one by masking.
func OVNOptions(inport, outport uint16) Options {
	o := Options{n: optionHeaderLen + 4}
	binary.BigEndian.PutUint16(o.b[0:], ovnClass)
	o.b[2] = ovnType
	o.b[3] = 1
	binary.BigEndian.PutUint16(o.b[4:], inport)
	binary.BigEndian.PutUint16(o.b[6:], outport)
	return o
}

// Len is the length in bytes, a multiple of 4.
func (o Options) Len() int { return int(o.n) }

// AppendTo appends the wire form.
func (o Options) AppendTo(b []byte) []byte { return append(b, o.b[:o.n]...) }

// All walks the options in wire order.
func (o Options) All() iter.Seq[Option] { return RawOptions(o.AppendTo(nil)).All() }

// Critical says whether any option is critical.
func (o Options) Critical() bool { return RawOptions(o.b[:o.n]).Critical() }

// String lists the options, "none" when there are none.
func (o Options) String() string { return RawOptions(o.b[:o.n]).String() }

// validate refuses OVN's option with ports that OVN never gives out (the man page
// ovn-architecture, "Tunnel Encapsulations").
func (o Options) validate() error {
	for opt := range o.All() {
		in, out, ok := opt.OVN()
		switch {
		case !ok:
		case in > ovnMaxInport:
			return fmt.Errorf("OVN inport %d, want at most %d", in, ovnMaxInport)
		case out == 0:
			return fmt.Errorf("OVN outport 0, want the tunnel key of the port to deliver to")
		}
	}
	return nil
}
