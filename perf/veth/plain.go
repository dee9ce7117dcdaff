package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asavie/xdp"
	"github.com/gaissmai/bart"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/eipgw/eipgw/encap"
)

// plainFlag as the first argument makes this program the contender asavie's child. A
// plainConfig follows it.
const plainFlag = "asavie-child"

type plainConfig struct {
	Arms     int    `json:"arms"`
	EIPs     int    `json:"eips"`
	Restarts int    `json:"restarts"`
	Reason   string `json:"reason,omitempty"` // of the last
}

// plainSocket is what is asked of asavie/xdp. Its default of 128 frames is too few for a
// burst, and forwarded less; 8192 as well, since it looks for free ones from the first on.
var plainSocket = xdp.SocketOptions{
	NumFrames: 1024, FrameSize: 2048,
	FillRingNumDescs: 256, CompletionRingNumDescs: 256, RxRingNumDescs: 256, TxRingNumDescs: 256,
}

// plain is the child: one thread that forwards.
type plain struct {
	config  plainConfig
	table   bart.Fast[int]
	headers [tunnelsInUse]encap.Header
	in, out *xdp.Socket

	forwarded, dropped atomic.Uint64
}

// beChild runs the child, if that is what this process was started for, and never returns
// then.
func beChild() {
	if len(os.Args) != 3 || os.Args[1] != plainFlag {
		return
	}
	p := &plain{}
	if err := json.Unmarshal([]byte(os.Args[2]), &p.config); err != nil {
		p.fail(err)
	}
	go p.answer()
	err := p.open()
	switch {
	case err == nil:
		p.fail(p.run())
	case p.config.Restarts == 0:
		p.fail(err)
	default: // a link may be down still, or the kernel not yet rid of the sockets of before
		p.fail(p.again())
	}
}

func (p *plain) fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// answer writes a line of counters for each line that it reads, and ends the process when
// there is none any more.
func (p *plain) answer() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Printf("restarted %d times, forwarded %d, dropped %d", p.config.Restarts, p.forwarded.Load(), p.dropped.Load())
		if p.config.Restarts > 0 {
			fmt.Printf(" since; the last after %q", p.config.Reason)
		}
		fmt.Println()
	}
	os.Exit(0)
}

// open makes table, headers and sockets.
func (p *plain) open() error {
	out := p.config.Arms - 1
	for i := range p.headers {
		var err error
		if p.headers[i], err = headerTo(i, out); err != nil {
			return err
		}
	}
	for i, eip := 0, firstEIP; i < p.config.EIPs; i, eip = i+1, eip.Next() {
		p.table.Insert(netip.PrefixFrom(eip, 32), i%tunnelsInUse)
	}
	in, err := netlink.LinkByName(portNames[0])
	if err != nil {
		return err
	}
	const queue = 0
	program, err := xdp.NewProgram(queue + 1)
	if err != nil {
		return err
	}
	if err := program.Attach(in.Attrs().Index); err != nil {
		return err
	}
	if p.in, err = xdp.NewSocket(in.Attrs().Index, queue, &plainSocket); err != nil {
		return err
	}
	if err := program.Register(queue, p.in.FD()); err != nil {
		return err
	}
	p.out = p.in
	if out == 0 {
		return nil
	}
	other, err := netlink.LinkByName(portNames[out])
	if err != nil {
		return err
	}
	p.out, err = xdp.NewSocket(other.Attrs().Index, queue, &plainSocket)
	return err
}

// run forwards, on one CPU, until something fails. What asavie/xdp panics with is no end:
// its sockets cannot be opened twice in one process, since it leaves their rings mapped, so
// that the process replaces itself by a new one, with the same number.
func (p *plain) run() (err error) {
	runtime.LockOSThread()
	var only unix.CPUSet
	only.Set(workerCPU)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return err
	}
	defer func() {
		if why := recover(); why != nil {
			p.config.Restarts++
			p.config.Reason = fmt.Sprint(why)
			err = p.again()
		}
	}()
	for {
		p.in.Fill(p.in.GetDescs(p.in.NumFreeFillSlots()))
		received, err := p.poll()
		if err != nil {
			return err
		}
		p.forward(received)
	}
}

// poll waits until there are frames, or room to send some, and returns how many were
// received. Of two sockets both are waited for, since that is what makes the kernel go on
// with frames that it left in the ring.
func (p *plain) poll() (received int, err error) {
	if p.in == p.out {
		received, _, err = p.in.Poll(-1)
		return received, err
	}
	fds := []unix.PollFd{{Fd: int32(p.in.FD()), Events: unix.POLLIN}, {Fd: int32(p.out.FD())}}
	if p.out.NumTransmitted() > 0 {
		fds[1].Events = unix.POLLOUT
	}
	if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
		return 0, err
	}
	p.out.Complete(p.out.NumCompleted())
	return p.in.NumReceived(), nil
}

// again starts this program anew in the same process, without what it has open: asavie/xdp's
// sockets would be handed on.
func (p *plain) again() error {
	time.Sleep(10 * time.Millisecond) // do not start anew all the time
	config, err := json.Marshal(p.config)
	if err != nil {
		return err
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", []string{os.Args[0], plainFlag, string(config)}, os.Environ())
}

// forward copies frames, each behind its tunnel header, and sends them: as many as there is
// room for, the others wait. With one arm they are of one pool: the frames to send are
// chosen while those received still count as used.
func (p *plain) forward(received int) {
	free := p.out.GetDescs(p.out.NumFreeTxSlots())
	n := 0
	for _, d := range p.in.Receive(min(received, len(free))) {
		length := p.tunnel(p.out.GetFrame(free[n]), p.in.GetFrame(d))
		if length == 0 {
			p.dropped.Add(1)
			continue
		}
		free[n].Len = uint32(length)
		n++
	}
	p.forwarded.Add(uint64(p.out.Transmit(free[:n])))
}

// tunnel writes what is to be sent for a frame and returns how long it is, 0 when it is to
// be dropped.
func (p *plain) tunnel(out, frame []byte) int {
	const eth, ipv4, ports = 14, 20, 4
	if len(frame) < eth+ipv4+ports || binary.BigEndian.Uint16(frame[12:]) != 0x0800 {
		return 0
	}
	ip := frame[eth:]
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0] != 0x45 || ip[8] <= 1 || total < ipv4 || total > len(ip) {
		return 0
	}
	number, ok := p.table.Lookup(netip.AddrFrom4([4]byte(ip[16:20])))
	if !ok {
		return 0
	}
	h := &p.headers[number]
	length := h.Len() + total
	if length > len(out) {
		return 0
	}
	copy(out[h.Len():], ip[:total])
	inner := out[h.Len():length]
	inner[8]--
	binary.BigEndian.PutUint16(inner[10:], encap.DecrementTTL(binary.BigEndian.Uint16(inner[10:])))
	h.Apply(out[:length], encap.Inner{Hash: flowHash(inner), TOS: inner[1]})
	return length
}

// flowHash is the same for all packets of a flow: of the addresses and, but for fragments,
// the ports of UDP and TCP.
func flowHash(ip []byte) uint32 {
	x := binary.BigEndian.Uint32(ip[12:]) ^ binary.BigEndian.Uint32(ip[16:])*0x9e3779b1
	fragment := binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
	if (ip[9] == unix.IPPROTO_UDP || ip[9] == unix.IPPROTO_TCP) && !fragment && len(ip) >= 24 {
		x ^= binary.BigEndian.Uint32(ip[20:]) * 0x85ebca6b
	}
	x *= 0xc2b2ae35
	return x ^ x>>16
}
