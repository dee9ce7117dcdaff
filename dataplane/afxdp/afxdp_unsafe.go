package afxdp

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// at is element i of the array that starts at base; the caller keeps i inside.
func at[T any](base *T, i uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(base), uintptr(i)*unsafe.Sizeof(*base)))
}

// memory is one mapping of a ring, outside of what the garbage collector knows.
type memory struct {
	base unsafe.Pointer
	size uintptr
}

// mapRing maps the ring that lies at page offset pgoff of the socket, with the given
// number of slots, and finds its parts.
func mapRing[T element](fd int, pgoff int64, off unix.XDPRingOffset, slots int) (memory, shared, *T, error) {
	m := memory{size: ringSize[T](off, slots)}
	var err error
	m.base, err = unix.MmapPtr(fd, pgoff, nil, m.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return memory{}, shared{}, nil, fmt.Errorf("mmap: %w", err)
	}
	return m, shared{
		producer: (*uint32)(unsafe.Add(m.base, off.Producer)),
		consumer: (*uint32)(unsafe.Add(m.base, off.Consumer)),
		flags:    (*uint32)(unsafe.Add(m.base, off.Flags)),
	}, (*T)(unsafe.Add(m.base, off.Desc)), nil
}

func ringSize[T element](off unix.XDPRingOffset, slots int) uintptr {
	var v T
	return uintptr(off.Desc) + uintptr(slots)*unsafe.Sizeof(v)
}

func (m *memory) unmap() error {
	if m.base == nil {
		return nil
	}
	err := unix.MunmapPtr(m.base, m.size)
	*m = memory{}
	return err
}

// unmapForeign undoes a syscall.Mmap of exactly size bytes at addr that somebody else
// in this process made.
func unmapForeign(addr, size uintptr) error {
	return syscall.Munmap(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), addr)), size))
}

// ringSizes are the exact sizes of the mappings that asavie/xdp makes, by page offset.
func ringSizes(off *unix.XDPMmapOffsets, g geometry) map[uint64]uintptr {
	return map[uint64]uintptr{
		unix.XDP_PGOFF_RX_RING:              ringSize[xdp.Desc](off.Rx, g.ring()),
		unix.XDP_PGOFF_TX_RING:              ringSize[xdp.Desc](off.Tx, g.ring()),
		unix.XDP_UMEM_PGOFF_FILL_RING:       ringSize[uint64](off.Fr, g.ring()),
		unix.XDP_UMEM_PGOFF_COMPLETION_RING: ringSize[uint64](off.Cr, g.frames),
	}
}

// owns says whether buf lies in the memory of frames that starts at umem.
func owns(umem, buf []byte) bool {
	d := uintptr(unsafe.Pointer(unsafe.SliceData(buf))) - uintptr(unsafe.Pointer(unsafe.SliceData(umem)))
	return d < uintptr(len(umem))
}

// getsockopt reads a socket option of level SOL_XDP into v, which the kernel fills from
// the front; what it does not know stays zero.
func getsockopt[T any](fd, name int, v *T) error {
	size := uint32(unsafe.Sizeof(*v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(name),
		uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// receiveQueues asks the driver how many receive queues are in use (ETHTOOL_GCHANNELS).
func receiveQueues(fd int, name string) (int, error) {
	const getChannels = 0x3c
	// struct ethtool_channels: cmd, max_{rx,tx,other,combined}, {rx,tx,other,combined}.
	channels := [9]uint32{getChannels}
	// struct ifreq: the name, then a union of 24 bytes that begins with the pointer.
	req := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: unsafe.Pointer(&channels)}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return 0, errno
	}
	n := int(channels[5] + channels[8])
	if n == 0 {
		return 0, unix.EOPNOTSUPP
	}
	return n, nil
}

// ifreq is struct ifreq: an interface's name, and what is asked about it. A call fills in the
// one or the other.
type ifreq struct {
	name  [unix.IFNAMSIZ]byte
	value uint32
	_     [20]byte
}

// setName has the next call ask about the interface of that name, which is none too long.
func (r *ifreq) setName(name string) {
	clear(r.name[:])
	copy(r.name[:unix.IFNAMSIZ-1], name)
}

// get has the kernel answer. It does not block, and as the two calls below it does not tell the Go
// scheduler.
func (r *ifreq) get(fd int, request uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(r)))
	return errno
}

// flags is what SIOCGIFFLAGS answers.
func (r *ifreq) flags() uint16 { return *(*uint16)(unsafe.Pointer(&r.value)) }

// kickTx makes the kernel work on the TX ring. It does not block and does not
// tell the Go scheduler, for it is called once per burst.
func kickTx(fd int) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// kickRx makes the kernel work on the FILL ring, and says what state the socket is in.
func kickRx(fd int) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return errno
}
