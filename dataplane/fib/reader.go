package fib

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Reader is one worker's view of a table. Only that worker calls its methods.
type Reader struct{ t *Table }

// NewReader adds a reader.
func (t *Table) NewReader() (*Reader, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, errors.New("fib: new reader: table is closed")
	}
	t.readers++
	return &Reader{t: t}, nil
}

// Close ends the reader. It is not inside a burst then.
func (r *Reader) Close() {
	if r.t != nil {
		r.t.mu.Lock()
		r.t.readers--
		r.t.mu.Unlock()
		r.t = nil
	}
}

// Begin starts a burst: what Lookup4, Lookup6 and Entry return from here on stays
// valid until End.
func (r *Reader) Begin() {}

// End ends the burst. Outside of Begin and End a reader holds nothing back.
func (r *Reader) End() {}

// Lookup4 finds the value of each address of dst, IPv4 in host byte order, and
// writes it to out, which is at least as long.
func (r *Reader) Lookup4(dst []uint32, out []Value) {
	r.t.mu.RLock()
	defer r.t.mu.RUnlock()
	for i, d := range dst {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], d)
		_, out[i] = r.t.lookup(netip.AddrFrom4(b))
	}
}

// Lookup6 is Lookup4 for IPv6.
func (r *Reader) Lookup6(dst []Addr6, out []Value) {
	r.t.mu.RLock()
	defer r.t.mu.RUnlock()
	for i, d := range dst {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], d.Hi)
		binary.BigEndian.PutUint64(b[8:], d.Lo)
		_, out[i] = r.t.lookup(netip.AddrFrom16(b))
	}
}

// Entry is the entry that a flow takes: of the tunnels that v, which is not 0,
// names, the resolved one that rendezvous hashing picks for hash, and of several
// ways to its VTEP one. nil says that no tunnel is resolved. The entry is valid
// until End.
func (r *Reader) Entry(v Value, hash uint32) *Entry {
	r.t.mu.RLock()
	defer r.t.mu.RUnlock()
	s := r.t.sets[v]
	if s == nil {
		return nil
	}
	x := s.explain()
	m, w, ok := x.Choose(hash)
	if !ok {
		return nil
	}
	return &Entry{Out: x.Tunnels[m].Ways[w].Port, MTU: x.Tunnels[m].Ways[w].InnerMTU, Header: x.Tunnels[m].Ways[w].Header}
}
