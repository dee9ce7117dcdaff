// Package fib turns bindings into entries, and finds the entry of a packet. It is
// the one place where control plane and data plane meet.
//
//	Binding   what is wanted: prefix → tunnels. Knows nothing of the underlay
//	Value     what the table holds for an address: a number for the set of its tunnels
//	Entry     a tunnel compiled for one way of the underlay: header bytes, port, MTU
//
// Any number of workers read the table, each by a Reader of its own, and never wait:
// not for each other, not for the one writer, the Compiler. What a lookup finds is
// what was bound before some change or after it, never anything between.
//
// # A change, from binding to table
//
//  1. Apply checks prefix and tunnels. Bad ones are refused, the old binding stays.
//  2. Equal sets of tunnels are one set, with one Value. For a new one the ways to
//     its VTEPs are asked of the Resolver, entries are compiled, and the slot that
//     the Value names gets to point to them.
//  3. The list of prefixes takes the change. It says which addresses it concerns:
//     those that the prefix covers and no longer prefix in it does. When a prefix
//     goes, it says what they fall back to.
//  4. These addresses are painted with the Value, neighbors in one go. Whatever takes another shape is
//     built apart, and takes the place of the old by one store.
//  5. What has been replaced is freed when no reader can hold it any more.
//
// A change in the underlay, Refresh, is step 2 alone: it rewrites one slot, however
// many prefixes name it.
//
// # A lookup
//
//	Begin → Lookup4, Lookup6: addresses → values → Entry: flow hash chooses → End
//
// IPv4 is a table of 2^24 words for the first 24 bits, and nodes for the last 8. IPv6
// is a hash table for what is longer than /120, and a trie of 16+8+8+... bits for the
// rest. Both have the same words and nodes.
//
// # Memory
//
// Everything that grows with the number of bindings lies outside of the Go heap, in
// 32-bit words that are addressed by index, and the garbage collector never looks at
// it. Words are in the host's byte order. The comments at Table, node.go, buckets.go
// and slots.go say all that another program needs to read a table. One in the kernel
// reads it where it lies, if its Memory is the kernel's as well: the lane of package
// afxdp. Such a reader is a Foreign.
//
// What it may rely on: every word that changes under readers changes by one store of 32
// bits; nodes' bits, groups and entries never change while they can be found, and were
// written before the word that leads to them was (Go's atomic stores release; on x86 every
// store does). A reader's loads each need the address that the one before brought, so
// that no processor takes them out of order.
//
// # Files
//
//	binding.go     what goes in: Binding, Adjacency, Resolver
//	compiler.go    the writer's face: Apply, Refresh, Lookup, Walk, Stats
//	apply.go       change sets; sorter.go puts large ones in order
//	tunnels.go     tunnels and sets of them, known once; their entries
//	group.go       rendezvous: which tunnel of several a flow takes
//	explain.go     what Lookup and Walk say; report.go what Apply and Stats say
//
//	table.go       options, regions, life of a table
//	write.go       one prefix set or unset
//	rib.go         the list of prefixes, a B+ tree; ribwalk.go how it is searched
//	paint.go       the addresses that a change concerns
//	trie.go        IPv4, and IPv6 up to /120
//	node.go        words and nodes, packed and dense; packed.go the packed ones
//	buckets.go     IPv6 beyond /120; pages.go how it grows and shrinks
//	slots.go       values → entries and groups
//	addr.go        addresses and prefixes as numbers
//
//	reader.go      the readers' face; entry.go what they get
//	lookup4.go     IPv4 in bursts
//	lookup6.go     IPv6 in bursts
//	dense_*.go     a burst of dense nodes only
//	prefetch_*.go  nodes of a burst fetched at once
//
//	memory.go      regions, and where they come from (memory_linux.go)
//	pool.go        blocks of a region
//	arena.go       blocks that readers may hold
//	turns.go       who writes next
//	epoch.go       when they hold them no more
//	foreign.go     the same for readers in the kernel
package fib
