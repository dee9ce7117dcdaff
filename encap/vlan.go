package encap

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// VLAN is the tags of an outer frame, each as its tag control information: PCP,
// DEI and identifier (802.1Q section 9.6). The zero value is untagged; with both,
// the service tag comes first, as 802.1ad has it.
//
//	{C: 100}          0x8100 100
//	{S: 100}          0x88a8 100
//	{S: 100, C: 200}  0x88a8 100, 0x8100 200
type VLAN struct {
	S uint16 // service tag, 802.1ad, 0x88a8; 0: none
	C uint16 // customer tag, 802.1Q, 0x8100; 0: none
}

// maxVID is the largest VLAN identifier; 4095 is reserved (802.1Q table 9-2).
const maxVID = 4094

// ParseVLAN reads the form that String writes: "100" is an 802.1Q tag, "100.200" an
// 802.1ad tag with an 802.1Q tag behind it, "100.0" an 802.1ad tag alone, "0" or
// nothing untagged.
func ParseVLAN(s string) (VLAN, error) {
	outer, inner, two := strings.Cut(s, ".")
	var v VLAN
	var ok, ok2 bool
	switch {
	case s == "":
		return v, nil
	case two:
		v.S, ok = parseVID(outer)
		v.C, ok2 = parseVID(inner)
		ok = ok && ok2 && v.S != 0
	default:
		v.C, ok = parseVID(outer)
	}
	if !ok {
		return VLAN{}, fmt.Errorf("encap: %q is not a VLAN, such as 100, or 100.200 for 802.1Q 200 inside 802.1ad 100, each at most %d", s, maxVID)
	}
	return v, nil
}

// parseVID reads a VLAN identifier, 0 included.
func parseVID(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n <= maxVID
}

// String is the identifiers in the form that ParseVLAN reads, "0" when untagged. It
// leaves out priorities.
func (v VLAN) String() string {
	if v.S == 0 {
		return strconv.Itoa(int(v.C & 0xfff))
	}
	return fmt.Sprintf("%d.%d", v.S&0xfff, v.C&0xfff)
}

// IsZero says whether there is no tag.
func (v VLAN) IsZero() bool { return v == VLAN{} }

// MarshalText is String, and nothing when untagged.
func (v VLAN) MarshalText() ([]byte, error) {
	if v.IsZero() {
		return nil, nil
	}
	return []byte(v.String()), nil
}

// UnmarshalText is ParseVLAN.
func (v *VLAN) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVLAN(string(text))
	return err
}

// validate refuses identifiers that are reserved.
func (v VLAN) validate() error {
	for _, tci := range []uint16{v.S, v.C} {
		if tci&0xfff > maxVID {
			return fmt.Errorf("VLAN tag 0x%04x: identifier %d, want at most %d", tci, tci&0xfff, maxVID)
		}
	}
	return nil
}

// appendTo appends the tags.
func (v VLAN) appendTo(b []byte) []byte {
	if v.S != 0 {
		b = binary.BigEndian.AppendUint16(b, etherTypeQinQ)
		b = binary.BigEndian.AppendUint16(b, v.S)
	}
	if v.C != 0 {
		b = binary.BigEndian.AppendUint16(b, etherTypeVLAN)
		b = binary.BigEndian.AppendUint16(b, v.C)
	}
	return b
}
