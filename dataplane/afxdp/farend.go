package afxdp

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// farEnds looks at the far ends of the veth pairs that have an end in one network
// namespace.
type farEnds struct {
	socket *nl.NetlinkSocket
}

// askFarEnds opens the socket to ask by, in the network namespace of the calling thread.
func askFarEnds() (*farEnds, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("route netlink: %w", err)
	}
	return &farEnds{socket: s}, nil
}

// noNamespace is a link's NetNsID where its far end is in the same namespace.
const noNamespace = -1

// native says whether the far end of a veth device has an XDP program of its own in
// native mode. That may lie in another network namespace, over which this process has to
// have CAP_NET_ADMIN. One caller at a time.
func (f *farEnds) native(index int) (bool, error) {
	near, err := f.link(index, noNamespace)
	if err != nil {
		return false, err
	}
	far, err := f.link(near.ParentIndex, near.NetNsID)
	if err != nil {
		return false, fmt.Errorf("far end: %w", err)
	}
	return far.Xdp != nil && far.Xdp.Attached && far.Xdp.AttachMode == nl.XDP_ATTACHED_DRV, nil
}

// link is what the kernel says of a device, in the namespace of that number.
func (f *farEnds) link(index, namespace int) (*netlink.LinkAttrs, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: f.socket}}
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	if namespace != noNamespace {
		req.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(namespace))))
	}
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, fmt.Errorf("route netlink: %w", err)
	}
	if len(msgs) != 1 {
		return nil, fmt.Errorf("route netlink: %d answers about a device", len(msgs))
	}
	l, err := netlink.LinkDeserialize(nil, msgs[0])
	if err != nil {
		return nil, fmt.Errorf("route netlink: %w", err)
	}
	return l.Attrs(), nil
}

func (f *farEnds) close() {
	if f != nil {
		f.socket.Close()
	}
}
