package underlay

import (
	"net/netip"

	"github.com/eipgw/eipgw/encap"
)

// kernel is what this package asks of the system and tells it. rtnetlink is the real
// one; tests put their own in its place. All methods but receive and close belong to the loop.
type kernel interface {
	links() ([]link, error)
	neighbors() ([]neighbor, error)

	// local says whether an address is one of this machine.
	local(netip.Addr) (bool, error)

	// route is the kernel's own choice for a packet to dst, with all next hops of the
	// matching route. src, which has to be local, selects by policy rules; zero is any. A
	// destination that the kernel refuses is its errno, see refusal. errNoAnswer says nothing
	// about the destination.
	route(dst, src netip.Addr) (route, error)

	// source is the address that the kernel would send from to dst over an interface.
	source(dst netip.Addr, index int) (netip.Addr, error)

	// use makes the kernel find a neighbor that it does not know.
	use(neighborKey) error
	// probe makes the kernel ask a neighbor that it knows whether it is still there.
	probe(neighborKey) error

	// receive blocks until there are events and returns them in order. It fails with
	// errOverrun when events were lost, and with os.ErrClosed after close.
	receive() ([]event, error)
	// close ends receive, also one that blocks.
	close() error
}

// link is an interface of the kernel.
type link struct {
	index int
	name  string
	mac   encap.MAC // zero: it has no Ethernet address
	mtu   int
	up    bool // administratively up and operational

	// A VLAN sub-interface has its parent's index here, in the same namespace.
	parent   int
	vlan     uint16
	vlanType uint16 // EtherType of the tag
}

// neighborKey names a neighbor. The address has no zone: the index tells the link.
type neighborKey struct {
	index int
	addr  netip.Addr
}

// neighbor is an entry of the kernel's neighbor tables.
type neighbor struct {
	key   neighborKey
	mac   encap.MAC
	state uint16 // NUD_*
	flags uint8  // NTF_*
}

// route is what the kernel's tables hold for a destination.
type route struct {
	kind uint8      // RTN_*
	mtu  int        // 0: the interface's
	src  netip.Addr // preferred source; zero: none
	hops []nexthop
}

// nexthop is one next hop of a route.
type nexthop struct {
	index   int
	gateway netip.Addr // zero: the destination itself is on the link
	dead    bool       // the kernel does not use it
	encap   bool       // it wants an encapsulation of its own (lwtunnel)
}

// event is a change of the kernel's state.
type event struct {
	kind     eventKind
	link     link         // linkChanged, linkGone
	neighbor neighbor     // neighborChanged, neighborGone
	prefix   netip.Prefix // routeChanged: destinations that may have another route now
}

type eventKind uint8

const (
	linkChanged eventKind = iota
	linkGone
	neighborChanged
	neighborGone
	routeChanged
	allChanged // addresses, policy rules, next hop objects: any route may be another now
)
