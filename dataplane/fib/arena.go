package fib

// arena is the memory of all that readers reach by line: nodes, hash pages,
// entries and groups. Blocks that readers may hold go through the bin. The table's
// writer owns it.
type arena struct {
	*pool
	epochs  *epochs
	bin     bin
	packed  packed      // scratch of repack
	dense   [256]uint32 // scratch of makeDense
	scratch runs        // scratch of tidy

	dry  bool // painting changes nothing, and need counts the lines that it would take
	need int
}

// retireLine puts away a block that has been taken out of the table.
func (a *arena) retireLine(line uint32) {
	if a.dry {
		return
	}
	a.bin.add(retired{when: a.epochs.now.Load(), what: line})
}

// retireSlot puts away a slot that no prefix names any more.
func (a *arena) retireSlot(v Value) {
	a.bin.add(retired{when: a.epochs.now.Load(), what: uint32(v), slot: true})
}

// newNode makes a node of class c, and returns its line. In a dry run there is no node, and the
// line is one that no node has.
func (a *arena) newNode(c class) uint32 {
	if !a.dry {
		return a.alloc(c)
	}
	a.need += int(classLines[c])
	return uint32(len(a.chunks)*chunkLines + a.need)
}
