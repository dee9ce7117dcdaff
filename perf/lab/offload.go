package lab

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offloads are the ETHTOOL_S* commands of linux/ethtool.h that take an on/off value,
// in an order in which each may be turned off.
var offloads = []offload{
	{"tso", 0x1f},
	{"gso", 0x24},
	gro,
	{"tx-checksum", 0x17},
	{"rx-checksum", 0x15},
}

type offload struct {
	name string
	cmd  uint32
}

var gro = offload{"gro", 0x2c}

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqData is struct ifreq with a pointer as its union; the union is 24 bytes.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// OffloadsOff turns checksum and segmentation offloads of a link off, as "ethtool -K
// X tx off rx off tso off gso off gro off" does. What a driver cannot change is left.
func (ns *NS) OffloadsOff(link string) error { return ns.ethtool(link, offloads, 0) }

// GROOn turns generic receive offload of a link on. An end of a veth pair then takes the
// frames that an XDP program on the other end redirects or sends back (Linux 5.13).
func (ns *NS) GROOn(link string) error { return ns.ethtool(link, []offload{gro}, 1) }

func (ns *NS) ethtool(link string, what []offload, value uint32) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("lab: socket: %w", err)
		}
		defer func() { _ = unix.Close(fd) }()
		for _, o := range what {
			v := ethtoolValue{cmd: o.cmd, data: value}
			req := ifreqData{data: unsafe.Pointer(&v)}
			if copy(req.name[:unix.IFNAMSIZ-1], link) != len(link) {
				return fmt.Errorf("lab: interface name %q is longer than %d bytes", link, unix.IFNAMSIZ-1)
			}
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
			if errno != 0 && !errors.Is(errno, unix.EOPNOTSUPP) {
				return fmt.Errorf("lab: %s %d on %s:%s: %w", o.name, value, ns.label, link, errno)
			}
		}
		return nil
	})
}
