package afxdp

import (
	"sync/atomic"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// element is what a ring holds: chunk addresses (FILL, completion) or descriptors (RX,
// TX).
type element interface{ ~uint64 | xdp.Desc }

// shared is the part of a ring that both sides see: free-running 32-bit indices, each
// written by one side and read by the other.
type shared struct {
	producer *uint32
	consumer *uint32
	flags    *uint32
}

// producer is our end of the FILL or the TX ring: we put in, the kernel takes out. One
// goroutine, the port's worker, owns it.
type producer[T element] struct {
	shared
	slots *T
	mask  uint32 // slots - 1; their number is a power of two
	next  uint32 // slots put in so far; the shared producer index is the same or behind
	taken uint32 // the kernel's consumer index as last read: the same or behind
}

// room is how many slots are free, at least, when want are wanted. The kernel's index
// is read only when what is known of it does not do.
func (r *producer[T]) room(want uint32) uint32 {
	free := r.mask + 1 - (r.next - r.taken)
	if free < want {
		r.taken = atomic.LoadUint32(r.consumer)
		free = r.mask + 1 - (r.next - r.taken)
	}
	return free
}

// put writes the next slot. The kernel does not see it before publish. The caller has
// asked for room.
func (r *producer[T]) put(v T) {
	*at(r.slots, r.next&r.mask) = v
	r.next++
}

// publish hands everything put in so far to the kernel: once per batch, for it is
// the one expensive store.
func (r *producer[T]) publish() { atomic.StoreUint32(r.producer, r.next) }

// pending is how many published slots the kernel has not taken out yet.
func (r *producer[T]) pending() uint32 {
	r.taken = atomic.LoadUint32(r.consumer)
	return r.next - r.taken
}

// needsWakeup says that the kernel works on the ring only when it is called.
func (r *producer[T]) needsWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// consumer is our end of the RX or the completion ring: the kernel puts in, we take
// out. One goroutine, the port's worker, owns it.
type consumer[T element] struct {
	shared
	slots *T
	mask  uint32
	next  uint32 // slots taken out so far; the shared consumer index is the same or behind
	given uint32 // the kernel's producer index as last read: the same or behind
}

// ready is how many slots can be taken out, at most want.
func (r *consumer[T]) ready(want uint32) uint32 {
	n := r.given - r.next
	if n < want {
		r.given = atomic.LoadUint32(r.producer)
		n = r.given - r.next
	}
	return min(n, want)
}

// take reads the next slot, which ready has announced.
func (r *consumer[T]) take() T {
	v := *at(r.slots, r.next&r.mask)
	r.next++
	return v
}

// release gives everything taken so far back to the kernel: once per batch.
func (r *consumer[T]) release() { atomic.StoreUint32(r.consumer, r.next) }
