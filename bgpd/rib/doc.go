// Package rib brings what sources claim into the forwarding table and tells the
// switches: sources → authorize → select → program → announce. It knows neither
// BGP messages nor packets.
//
// One claim from its source to the switches, in order:
//
//	intake.go    Update: check, intern, queue; bind.go is the admin's own source
//	queue.go     what waits: by prefix, of each claim only the last word
//	work.go      one turn of Run: take a batch, change tables, program, note the outcome
//	judge.go     authorize: segments, allow-lists, prefix limits; judge again when they change
//	choose.go    select: one tunnel or a group, whatever the order of learning
//	run.go       the loop; filter and announcements; Stop and Flush
//	segments.go  the order in which segments come and go
//	gate.go      whether anything may be announced: initial dumps, health, empty table
//
// What they stand on:
//
//	rib.go       the RIB, its sources and settings
//	table.go     paths of one family, held under a trie, listed by source
//	trie.go      binary trie with compressed paths; arena.go its memory; key.go its keys
//	attrs.go     everything of a path but prefix and time, shared among paths
//	source.go    one source; sets of addresses
//	refusals.go  claims that were not accepted, counted and listed
//
// What others see: path.go, update.go, config.go are the seams; plan.go is a change of
// segments as steps; show.go answers Why and Walk, snapshot.go Status; status.go has
// their types.
//
// # Order
//
// These hold at every moment, and tests check them after every call that leaves the
// package:
//
//   - A segment is announced only when its bindings are programmed and the ports
//     redirect it; bindings go, and then the redirection, when it has been
//     withdrawn for Config.Linger.
//   - An address that the switches had, and that stays wanted, is announced,
//     redirected and bound, whatever becomes of the segments around it, unless one
//     of them covers its VTEP.
//   - No VTEP that is chosen lies inside an announced segment.
//   - Nothing is announced before every source with SourcePolicy.Initial has
//     finished its initial dump, or Config.InitialWait has passed.
//   - What waits together is applied together: a withdrawal that waits with a claim
//     of another source on the same prefix is one change of the table.
//
// # Refusal
//
// A claim that policy does not allow (segments, allow-list, limit) is held all the same,
// and accepted when policy changes; it takes the place of what was held under its key.
// Segments judge a claim twice: its prefix must lie inside them, and its VTEP must not,
// since switches would send the tunnel's packets back to be encapsulated again. A
// claim that is wrong in itself is dropped, and the claim that it should have
// replaced stays in force. A binding that the forwarding table refuses leaves the
// earlier binding programmed; the claim counts as chosen and the problem is shown. All are
// counted by reason and listed.
//
// # Locks
//
// RIB.mu guards the tables; Run's goroutine is the only one that changes them, and
// calls out without holding it. queue.mu guards the queue and the interned attributes,
// for microseconds at a time; it is taken after RIB.mu where both are. refusals.mu is
// taken last.
package rib
