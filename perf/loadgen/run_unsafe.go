package loadgen

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// runAttr is the part of union bpf_attr that BPF_PROG_RUN takes, up to batch_size.
type runAttr struct {
	progFD     uint32
	_          uint32 // retval
	dataSizeIn uint32
	_          uint32 // data_size_out
	dataIn     unsafe.Pointer
	_          [8 - unsafe.Sizeof(uintptr(0))]byte
	_          uint64 // data_out
	repeat     uint32
	_          uint32    // duration
	_          [2]uint32 // ctx_size_in, ctx_size_out
	_          [2]uint64 // ctx_in, ctx_out
	flags      uint32
	_          uint32 // cpu
	batchSize  uint32
	_          uint32
}

// runLive has the kernel run an XDP program on copies of frame, repeat times, and do
// with each what the program says, batch by batch. It returns EINTR when a signal arrives: package
// cilium/ebpf would start over then.
func runLive(progFD int, frame []byte, repeat uint32, batch int) unix.Errno {
	attr := runAttr{
		progFD: uint32(progFD), dataIn: unsafe.Pointer(unsafe.SliceData(frame)), dataSizeIn: uint32(len(frame)),
		repeat: repeat, flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, batchSize: uint32(batch),
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	return errno
}
