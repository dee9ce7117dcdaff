package underlay

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlink is the kernel of the network namespace in which it was opened.
type rtnetlink struct {
	*monitor
	conn *conn
}

func openRtnetlink(receiveBuffer int) (*rtnetlink, error) {
	m, err := openMonitor(receiveBuffer)
	if err != nil {
		return nil, err
	}
	c, err := dial()
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return &rtnetlink{m, c}, nil
}

// release frees the request socket, when the loop has ended.
func (k *rtnetlink) release() error { return k.conn.close() }

// dumpTries is how often a dump is begun again when the table changes under it. The last
// one counts: what it missed comes as events.
const dumpTries = 5

func (k *rtnetlink) dump(kind int, body nl.NetlinkRequestData, start func(), each func([]byte)) error {
	var err error
	for range dumpTries {
		start()
		req := nl.NewNetlinkRequest(kind, unix.NLM_F_DUMP)
		req.AddData(body)
		if err = k.conn.do(req, func(_ uint16, b []byte) { each(b) }); !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return nil
}

func (k *rtnetlink) links() (links []link, err error) {
	err = k.dump(unix.RTM_GETLINK, nl.NewIfInfomsg(unix.AF_UNSPEC), func() { links = nil }, func(b []byte) {
		if l, ok := decodeLink(b); ok {
			links = append(links, l)
		}
	})
	return links, err
}

func (k *rtnetlink) neighbors() (neighbors []neighbor, err error) {
	err = k.dump(unix.RTM_GETNEIGH, &netlink.Ndmsg{}, func() { neighbors = nil }, func(b []byte) {
		if n, ok := decodeNeighbor(b); ok {
			neighbors = append(neighbors, n)
		}
	})
	return neighbors, err
}

// routeRequest is RTM_GETROUTE for one address.
func routeRequest(dst netip.Addr, flags uint32) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: family(dst), Dst_len: uint8(dst.BitLen()), Flags: flags}}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, dst.AsSlice()))
	return req
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// local says whether an IPv4 or IPv6 address is one of this machine. The kernel refuses
// to route from an IPv4 address that is not.
func (k *rtnetlink) local(a netip.Addr) (bool, error) {
	r, err := k.route(a, netip.Addr{})
	if errors.Is(err, errNoAnswer) {
		return false, err
	}
	return err == nil && r.kind == unix.RTN_LOCAL, nil
}

// route asks for the matching entry of the tables (RTM_F_FIB_MATCH), which has all next
// hops, and not for the one next hop that a packet would take.
func (k *rtnetlink) route(dst, src netip.Addr) (route, error) {
	req := routeRequest(dst, unix.RTM_F_FIB_MATCH)
	if src.IsValid() {
		req.AddData(nl.NewRtAttr(unix.RTA_SRC, src.AsSlice()))
	}
	var (
		r   route
		obj uint32
		ok  bool
	)
	err := k.conn.do(req, func(kind uint16, b []byte) {
		if kind == unix.RTM_NEWROUTE {
			r, obj, ok = decodeRoute(b)
		}
	})
	if err != nil {
		return route{}, err
	}
	if !ok {
		return route{}, fmt.Errorf("%w with a route", errNoAnswer)
	}
	if obj != 0 && len(r.hops) == 0 {
		err = k.expand(&r, obj)
	}
	return r, err
}

// expand fills in the hops of a route that names a next hop object only, as the kernel
// gives them with net.ipv4.nexthop_compat_mode=0.
func (k *rtnetlink) expand(r *route, id uint32) error {
	top, err := k.object(id)
	if err != nil {
		return err
	}
	members := []object{top}
	if len(top.group) > 0 {
		members = members[:0]
		for _, id := range top.group {
			o, err := k.object(id)
			if err != nil {
				return err
			}
			members = append(members, o)
		}
	}
	for _, o := range members {
		if o.blackhole {
			r.kind = unix.RTN_BLACKHOLE
			continue
		}
		r.hops = append(r.hops, o.hop)
	}
	return nil
}

func (k *rtnetlink) object(id uint32) (object, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETNEXTHOP, 0)
	req.AddData(rawData(make([]byte, nhLen)))
	req.AddData(nl.NewRtAttr(unix.NHA_ID, nl.Uint32Attr(id)))
	var (
		o  object
		ok bool
	)
	err := k.conn.do(req, func(_ uint16, b []byte) { o, ok = decodeObject(b) })
	if err == nil && !ok {
		err = fmt.Errorf("%w with the object", errNoAnswer)
	}
	if err != nil {
		return o, fmt.Errorf("next hop object %d: %w", id, err)
	}
	return o, nil
}

// rawData is a message body as bytes.
type rawData []byte

func (d rawData) Len() int          { return len(d) }
func (d rawData) Serialize() []byte { return d }

func (k *rtnetlink) source(dst netip.Addr, index int) (netip.Addr, error) {
	req := routeRequest(dst, 0)
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	var src netip.Addr
	err := k.conn.do(req, func(_ uint16, b []byte) {
		if r, _, ok := decodeRoute(b); ok {
			src = r.src
		}
	})
	return src, err
}

// use asks for NTF_USE: the kernel does as if it had a packet for the neighbor.
func (k *rtnetlink) use(n neighborKey) error {
	return k.setNeighbor(n, unix.NLM_F_CREATE, netlink.Ndmsg{Flags: unix.NTF_USE})
}

// probe moves the neighbor to NUD_PROBE: the kernel asks it at once, by unicast, three
// times, a second apart. It names no link-layer address, so the one known stays.
func (k *rtnetlink) probe(n neighborKey) error {
	return k.setNeighbor(n, 0, netlink.Ndmsg{State: unix.NUD_PROBE})
}

func (k *rtnetlink) setNeighbor(n neighborKey, flags int, msg netlink.Ndmsg) error {
	msg.Family = family(n.addr)
	msg.Index = uint32(n.index)
	req := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, flags|unix.NLM_F_ACK)
	req.AddData(&msg)
	req.AddData(nl.NewRtAttr(unix.NDA_DST, n.addr.AsSlice()))
	return k.conn.do(req, nil)
}
