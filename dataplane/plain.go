package dataplane

import "github.com/eipgw/eipgw/dataplane/fib"

// Plain is what of the rules concerns the plainest packets, in the form in which a program
// in the kernel reads it: package afxdp's lane. The packets are those of IPv4 without
// options that are no fragments; where Plain does not let one through, the Forwarder
// decides about it.
type Plain struct {
	First4 [256]uint8 // not 0: an address with this first byte may be a martian
	Own4   [256]uint8 // not 0: a source with this hash (ownHash4) may be the machine's own
	TOS    [256]uint8 // outer TOS by inner one
	Clamp  bool       // SYNs to some destinations get another MSS
	PCP    bool       // the outermost tag's priority is the upper three bits of the outer TOS

	vlans []vlanSet
}

// Untagged says whether a port takes frames without a tag.
func (p *Plain) Untagged(id fib.PortID) bool { return has(p.vlans, id, VLAN{}) }

// Plain is what is in force of the rules for plain packets.
func (r *Rules) Plain() Plain {
	c := r.load()
	return Plain{
		First4: c.suspects.first4, Own4: c.suspects.hash4, TOS: c.tos, Clamp: !c.clamp.empty(), PCP: c.pcp,
		vlans: c.vlans,
	}
}
