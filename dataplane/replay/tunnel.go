package replay

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/eipgw/eipgw/encap"
)

// Encap is the tunnel as the forwarder takes it.
func (t *Tunnel) Encap() (encap.Tunnel, error) {
	e := encap.Tunnel{
		VTEP: t.VTEP, VNI: t.VNI, Protocol: encap.Protocol(t.Protocol), Port: t.UDPPort,
		InnerDst: encap.MAC(t.InnerMAC), InnerSrc: encap.MAC(t.InnerSrcMAC),
	}
	switch {
	case !t.VTEP.IsValid() || t.VTEP.Is4In6():
		return e, fmt.Errorf("vtep: %s: expected an IPv4 or IPv6 address", t.VTEP)
	case t.VNI > encap.MaxVNI:
		return e, fmt.Errorf("vni: %d: expected 24 bits, 0 to %d", t.VNI, encap.MaxVNI)
	}
	options, err := t.options()
	e.Options = options
	if err == nil && e.Protocol != encap.Geneve && options.Len() > 0 {
		err = fmt.Errorf("protocol: %s: expected %s, which alone has options", e.Protocol, encap.Geneve)
	}
	return e, err
}

func (t *Tunnel) options() (encap.Options, error) {
	switch {
	case t.OVN != nil && t.Options != "":
		return encap.Options{}, errors.New("ovn and options: expected one of them")
	case t.OVN != nil:
		return encap.OVNOptions(t.OVN.Inport, t.OVN.Outport), nil
	case t.Options == "":
		return encap.Options{}, nil
	}
	wire, err := hex.DecodeString(t.Options)
	if err != nil {
		return encap.Options{}, fmt.Errorf("options: %q: expected hexadecimal digits", t.Options)
	}
	o, err := encap.ParseOptions(wire)
	if err != nil {
		return encap.Options{}, fmt.Errorf("options: %w", err)
	}
	return o, nil
}
