package afxdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What a device can do with XDP (linux/netdev.h).
const (
	featureBasic   = 1 << 0 // ABORTED, DROP, PASS, TX
	featureNdoXmit = 1 << 2 // takes frames that others redirect to it
)

// Numbers of the generic netlink family "netdev".
const (
	netdevFamily      = "netdev"
	netdevGet         = 1 // NETDEV_CMD_DEV_GET
	netdevIndex       = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
	netdevVersion     = 1
	genlHeader        = 4 // bytes in front of a message's attributes
)

// features asks devices of one network namespace what they can do.
type features struct {
	socket *nl.NetlinkSocket
	family uint16
}

// askFeatures opens the socket to ask by, in the network namespace of the calling thread.
func askFeatures() (*features, error) {
	f, err := netlink.GenlFamilyGet(netdevFamily)
	if errors.Is(err, unix.ENOENT) {
		return nil, errors.New("the kernel can't say which devices take redirected frames (Linux 6.3 or later can)")
	}
	if err != nil {
		return nil, fmt.Errorf("generic netlink family %s: %w", netdevFamily, err)
	}
	s, err := nl.Subscribe(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("generic netlink: %w", err)
	}
	return &features{socket: s, family: f.ID}, nil
}

// of is the features of a device. One caller at a time.
func (f *features) of(index int) (uint64, error) {
	req := nl.NewNetlinkRequest(int(f.family), 0)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_GENERIC: {Socket: f.socket}}
	// The header's last two bytes have to be 0, which those of an nl.Genlmsg are by chance only.
	header := [genlHeader]byte{netdevGet, netdevVersion}
	req.AddRawData(append(header[:], nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))).Serialize()...))
	msgs, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return 0, fmt.Errorf("generic netlink: %w", err)
	}
	for _, m := range msgs {
		if len(m) < genlHeader {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[genlHeader:])
		if err != nil {
			return 0, fmt.Errorf("generic netlink: %w", err)
		}
		if x, ok := xdpFeatures(attrs); ok {
			return x, nil
		}
	}
	return 0, errors.New("generic netlink: an answer without XDP features")
}

func xdpFeatures(attrs []syscall.NetlinkRouteAttr) (uint64, bool) {
	for _, a := range attrs {
		if a.Attr.Type == netdevXDPFeatures && len(a.Value) >= 8 {
			return binary.NativeEndian.Uint64(a.Value), true
		}
	}
	return 0, false
}

func (f *features) close() {
	if f != nil {
		f.socket.Close()
	}
}
