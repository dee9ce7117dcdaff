package encap

import (
	"errors"
	"fmt"
	"net/netip"
)

// Validate refuses a tunnel that no underlay could make usable.
func (t Tunnel) Validate() error {
	if err := validAddr(t.VTEP); err != nil {
		return fmt.Errorf("encap: tunnel: VTEP %w", err)
	}
	if t.Protocol > VXLAN {
		return fmt.Errorf("encap: tunnel to %s: protocol %d, want %d (%s) or %d (%s)",
			t.VTEP, uint8(t.Protocol), uint8(Geneve), Geneve, uint8(VXLAN), VXLAN)
	}
	if t.Protocol == VXLAN && t.Options.Len() > 0 {
		return fmt.Errorf("encap: tunnel to %s: options %s, want none: vxlan has no room for options (RFC 7348 section 5)", t.VTEP, t.Options)
	}
	if t.VNI > MaxVNI {
		return fmt.Errorf("encap: tunnel to %s: VNI %d, want at most %d", t.VTEP, t.VNI, MaxVNI)
	}
	if t.InnerDst.isGroup() {
		return fmt.Errorf("encap: tunnel to %s: inner destination MAC %s, want a unicast address", t.VTEP, t.InnerDst)
	}
	if t.InnerSrc.isGroup() {
		return fmt.Errorf("encap: tunnel to %s: inner source MAC %s, want a unicast address", t.VTEP, t.InnerSrc)
	}
	if err := t.Options.validate(); err != nil {
		return fmt.Errorf("encap: tunnel to %s: options: %w", t.VTEP, err)
	}
	return nil
}

// validate refuses a way that cannot lead to vtep.
func (o Outer) validate(vtep netip.Addr) error {
	switch {
	case o.Dst.IsZero() || o.Dst.isGroup():
		return fmt.Errorf("destination MAC %s, want the next hop's unicast address", o.Dst)
	case o.Src.IsZero() || o.Src.isGroup():
		return fmt.Errorf("source MAC %s, want the port's unicast address", o.Src)
	}
	if err := o.VLAN.validate(); err != nil {
		return err
	}
	if err := validAddr(o.Local); err != nil {
		return fmt.Errorf("source address %w", err)
	}
	if o.Local.Is4() != vtep.Is4() {
		return fmt.Errorf("source address %s, want one of the VTEP's family", o.Local)
	}
	if o.Local == vtep {
		return fmt.Errorf("source address %s, want another than the VTEP", o.Local)
	}
	return nil
}

// ttl is the outer TTL or hop limit, with the default filled in.
func (o Outer) ttl() uint8 {
	if o.TTL == 0 {
		return defaultTTL
	}
	return o.TTL
}

// validAddr refuses an address that cannot be an end of a tunnel; the error begins
// with it.
func validAddr(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("missing, want an IPv4 or IPv6 unicast address")
	case a.Is4In6():
		return fmt.Errorf("%s is IPv4-mapped, want %s", a, a.Unmap())
	case a.Zone() != "", a.Is6() && a.IsLinkLocalUnicast():
		return fmt.Errorf("%s has link-local scope, want an address that means the same on every gateway", a)
	case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a == broadcast:
		return fmt.Errorf("%s is not unicast on a link, want an address that is", a)
	}
	return nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
