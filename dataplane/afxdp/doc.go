// Package afxdp is a dataplane.Port over AF_XDP: one queue of one interface. The
// NIC, or the kernel, writes frames straight into memory of this process and sends
// them from there; a frame that leaves by the queue it came in on is never copied.
//
// # Files, in the order in which a port comes to be and works
//
//	config.go      InterfaceConfig, modes, defaults, what is impossible
//	interface.go   Interface: the program on the device, its ports, and their recovery
//	attach.go      the XDP program by bpf_link; foreign programs are named, never evicted
//	bpf/, generate.go, filter_bpfel.*, lane_bpfel.*   the programs and what bpf2go makes of them
//	segments.go    which addresses are redirected, kept current
//	socket.go      opening, registering and binding, by asavie/xdp
//	mappings.go    the ring mappings that asavie/xdp leaves behind, released
//	rings.go       the four rings: cached indices, one acquire and one release per batch
//	pool.go        free frames, last in first out
//	port.go        Port: Rx, Tx, Release
//	jumbo.go       the same where a frame may take several chunks
//	flush.go       completions and the kick that makes the kernel send
//	health.go      link down, interface gone, recovery
//	lane.go        Lane: what the fast lanes of all interfaces share; lane_memory.go the table's memory
//	lane_interface.go   an interface's part of it; features.go and farend.go what its device can do
//	lane_segments.go    which segments its program need not look up
//	wait.go        sleeping until a frame comes
//	status.go      what was asked for, what was got, what the kernel counts
//	explain.go     errors of the kernel in words: what is missing and who can give it
//	afxdp_unsafe.go   every use of unsafe: ring memory, mmap, raw socket options
//
// # A frame's way
//
//	FILL ring ─ kernel receives ─► RX ring ─► Rx: lent to the worker ─┬─► Tx: TX ring ─ kernel sends ─► completion ring
//	   ▲                                                              │                                      │
//	   └────────────── pool of free frames ◄── Release ◄──────────────┘        pool ◄──────── Flush ◄────────┘
//
// Every frame is in exactly one of those places. Half of them, at most, are in the
// receiving half (FILL ring, kernel, RX ring), so a flood that comes in leaves the
// other half to send with, and the RX ring, as large as that, never overflows: what is
// too much is counted by the kernel as "fill ring empty".
//
// A received frame starts 256 bytes into its chunk (XDP_PACKET_HEADROOM), which is the
// headroom that PortInfo promises; the first frame received is checked for it.
//
// # Jumbo frames
//
// Where a packet of the interface's MTU does not fit one chunk of 4096 bytes behind headroom, Ethernet
// and two VLAN tags, so from an MTU of 3819 on, the port is bound with XDP_USE_SG. The kernel then hands
// over larger frames as chains of chunks and takes such chains to be sent. Ports of smaller MTUs
// know nothing of it.
//
//   - What comes in is copied into one of the port's jumbo buffers, with the same headroom; the chain's
//     chunks are free at once. There are as many buffers as one burst of descriptors can fill, so
//     a burst never waits for one.
//   - Tx copies a frame that lies elsewhere, so also one in a jumbo buffer, into as many chunks as it
//     needs. It takes all of a frame or nothing.
//   - The largest MTU is 11498, three chunks. A larger frame is lost and counted.
//
// A jumbo that finds less in the FILL ring than it needs is counted by the kernel as dropped.
//
// Linux before 6.6 knows no XDP_USE_SG, and a driver may have no chains in zero-copy mode: with zero-copy
// required the port then works for packets of up to 3818 bytes, which is the MTU that it names, and Status
// has a note; with zero-copy auto the kernel falls back to copying.
//
// # The fast lane
//
// With a Lane an interface gets another program: the same filter, which forwards a
// frame of the gateway's by itself if that is plain, and leaves every other to the ports, untouched.
// It reads the table of package fib in place, takes the same steps as package dataplane, and
// its frames are the same byte for byte; the forwarder is what says how they have to be, and
// tests compare. Where a socket has to copy, that is most of a frame's cost, and this spares it.
//
// A frame is plain that
//
//   - is untagged, where the port takes such, and lies in one buffer;
//   - is IPv4 without options, sound, no fragment, and has hops left;
//   - has no address that rules look at: martians, the machine's own;
//   - is no TCP SYN while the MSS of any is lowered;
//   - is for an EIP with a resolved tunnel, over IPv4, or over IPv6 without a UDP checksum
//     (tunnel.udp6-checksum: zero); groups and several ways choose as they always do;
//   - fits its way, which leads out of an interface that takes frames from programs.
//
// So packets of IPv6 and what needs an answer are never plain.
//
//	table        regions root4, slots and lines are BPF arrays, mapped (laneMemory)
//	segments     a bit for each /24 that is in one as a whole, 2 MiB an interface, spares the search for the longest prefix
//	freeing      the program is a fib.Foreign: Lane.Synchronize waits for its runs
//	rules        a map of maps: a change replaces the inner map, so no frame sees half of one
//	interfaces   a DEVMAP by port ID; flags and MTUs are part of the rules
//	counters     per CPU, by the port that frames left by; Status and the totals of all commands have them
//
// The arrays are taken as a whole when the table is made, as memory of the kernel's in small
// pages: workers look up in small pages too, then. A table that is full refuses bindings.
//
// The lane goes on while a worker stalls or a port has no socket: what is plain is better
// forwarded than lost until switches have heard that the segments are withdrawn, which depends on the
// same conditions as without it. It ends with the program, so also with the process.
//
// What the kernel loses of a frame that the lane gave to a device is not in the lane's counters, which
// have it as sent. A device that is down or has a smaller MTU than when the port was opened:
// tracepoint xdp:xdp_redirect_err. A full ring: xdp:xdp_devmap_xmit; veth counts those in
// tx_queue_N_xdp_xmit_errors and the far end's rx_queue_N_drops (ethtool -S), many drivers likewise. Only a
// device that has gone is seen by the program: such frames count as lost.
//
// The CPU that receives does the work: spread receive queues as for any router (RSS, IRQ affinity). On
// veth that is the CPU of whoever sends, unless NAPI has a thread (/sys/class/net/DEV/threaded). With
// zero-copy sockets there is no copy to spare, and a frame that the lane sends is copied into a page of
// its own: leave it off there.
//
// # What asavie/xdp does here and what not
//
// github.com/asavie/xdp makes the socket, its memory (UMEM) and its rings, registers
// them, binds, and puts the socket into the XSK map (its Program type over this
// package's own maps). Its ring calls stay off the packet path: they have no memory
// barriers, search free frames one by one, give frames back that are still to be sent, and
// panic when the link goes down. So the rings are mapped a second time from FD, and
// rings.go moves descriptors. Four more of its habits are met in socket.go:
//
//   - Bind flags are a package variable. One mutex covers every NewSocket.
//   - It never unmaps its rings, and a mapped ring keeps the queue bound. Its mappings
//     are found in /proc/self/maps and unmapped as soon as NewSocket returns, also when
//     it fails.
//   - Its errors hold the errno only as text. It is read back from the text, so that a
//     caller can tell a queue in use from a missing privilege.
//   - Its sockets survive an exec, and would keep a queue bound in a child. They are marked
//     close-on-exec while no fork can happen.
//
// It can't use huge pages that the kernel does not give by itself
// (/sys/kernel/mm/transparent_hugepage/enabled = always), nor share one UMEM
// between sockets: a frame that leaves by another queue is copied once.
//
// # For operators
//
// Linux 5.18 or later. CAP_NET_RAW opens the socket, CAP_BPF and CAP_NET_ADMIN load and
// attach the program; CAP_IPC_LOCK, or a limit on locked memory of two UMEMs per queue,
// covers the frames.
//
// A packet that the local kernel sends over veth to a port has no checksum yet: the
// sending side leaves it to a NIC that is not there, and a socket sees it as it is.
// Turn it off on the far end: ethtool -K PEER tx off tso off gso off. Turn VLAN
// stripping off on the port itself, or tags are lost: ethtool -K PORT rxvlan off.
// Frames larger than the MTU are lost: turn GRO and LRO off as well. After the MTU of an
// interface was raised, restart: a port keeps the MTU that it was opened with.
//
// In generic mode veth delivers everything on its first queue.
//
// On veth, a full ring drops unless the port's end has a real queue: tc qdisc
// replace dev PORT root pfifo limit 1000 makes it hold the sender back instead. For
// an XDP program to redirect frames into a veth end, the lane's among them, the peer needs a
// program or GRO on (ethtool -K PEER gro on). Status says so where it has not. With a program in native
// mode frames that leave by the device that they came in on are returned (XDP_TX), which takes
// less; with GRO alone they would lie there until something else wakes the peer up, so they are
// redirected. Which it is the lane sees at its next Refresh, so where a peer's program goes away
// frames may be late or lost until then. To see a peer in another network namespace takes CAP_NET_ADMIN there;
// who can't is redirected to. What the lane sends does not pass that pfifo: a full ring drops.
//
// The lane wants Linux 6.3, which can tell what a device takes, and CAP_PERFMON beside the others.
//
// Frames for a segment on a receive queue without a port go to the kernel, which has
// no use for them: give every queue a port, or make the NIC use fewer (ethtool -L PORT
// combined N). They are counted as unserved.
package afxdp
