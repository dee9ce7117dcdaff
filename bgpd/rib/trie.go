package rib

// node is one prefix of a trie: a prefix with paths, or a branch. 20 bytes for IPv4,
// 32 for IPv6.
type node[K key[K]] struct {
	key   K         // first address
	child [2]uint32 // by the bit that follows the prefix
	head  uint32    // first path, 0 when none
	bits  uint8
	flags uint8
}

// trie is a binary trie with compressed paths, of one family. It gives exact
// match, all covering prefixes, and walks in address order. Nodes are addressed by
// index; a node with paths or flags stays where it is until remove.
type trie[K key[K]] struct {
	nodes arena[node[K]]
	root  uint32
	near  uint32 // see findNear; 0 for none
}

// nearBits is how many bits shorter than a prefix a node is, at least, that covers its neighbors.
const nearBits = 8

// find returns the node of exactly this prefix, 0 when there is none. A branch
// counts as none unless it has flags.
func (t *trie[K]) find(k K, n uint8) uint32 {
	i, _ := t.findFrom(t.root, k, n)
	return i
}

// findNear is find for whoever changes the trie and looks for neighbors one after the other: it
// begins at a node above the one before.
func (t *trie[K]) findNear(k K, n uint8) (found uint32) {
	from := t.root
	if t.near != 0 {
		if at := t.nodes.at(t.near); at.bits < n && k.common(at.key) >= at.bits {
			from = t.near
		}
	}
	found, t.near = t.findFrom(from, k, n)
	return found
}

// findFrom looks among what lies below a node. near is the last node on the way, or the first, that
// is so much shorter than the prefix that it covers its neighbors, too; 0 for none.
func (t *trie[K]) findFrom(i uint32, k K, n uint8) (found, near uint32) {
	for i != 0 {
		at := t.nodes.at(i)
		if at.bits+nearBits <= n {
			near = i
		}
		if at.bits >= n {
			if at.bits == n && at.key == k && (at.head != 0 || at.flags != 0) {
				return i, near
			}
			return 0, near
		}
		if k.common(at.key) < at.bits {
			return 0, near
		}
		i = at.child[k.bit(at.bits)]
	}
	return 0, near
}

// insert returns the node of exactly this prefix and makes it where there is none.
func (t *trie[K]) insert(k K, n uint8) uint32 {
	link := &t.root
	for *link != 0 {
		at := t.nodes.at(*link)
		c := min(k.common(at.key), n, at.bits)
		switch {
		case c == at.bits && c == n:
			return *link
		case c == at.bits: // the node covers the prefix
			link = &at.child[k.bit(at.bits)]
		case c == n: // the prefix covers the node
			i := t.make(k, n)
			t.nodes.at(i).child[at.key.bit(n)] = *link
			*link = i
			return i
		default: // they part at bit c
			i, b := t.make(k, n), t.make(k.first(c), c)
			branch := t.nodes.at(b)
			branch.child[k.bit(c)] = i
			branch.child[at.key.bit(c)] = *link
			*link = b
			return i
		}
	}
	*link = t.make(k, n)
	return *link
}

func (t *trie[K]) make(k K, n uint8) uint32 {
	i := t.nodes.get()
	at := t.nodes.at(i)
	at.key, at.bits = k, n
	return i
}

// remove takes the node of exactly this prefix out when it has neither paths nor
// flags, and a branch that has become useless with it.
func (t *trie[K]) remove(k K, n uint8) {
	var above *uint32 // link to the node above the one that link leads to
	link := &t.root
	for *link != 0 {
		at := t.nodes.at(*link)
		if at.bits >= n || k.common(at.key) < at.bits {
			break
		}
		above, link = link, &at.child[k.bit(at.bits)]
	}
	if *link == 0 {
		return
	}
	if at := t.nodes.at(*link); at.bits != n || at.key != k {
		return
	}
	t.splice(link)
	if above != nil {
		t.splice(above)
	}
}

// splice replaces the node that link leads to by its only child, or by nothing.
func (t *trie[K]) splice(link *uint32) {
	i := *link
	at := t.nodes.at(i)
	if at.head != 0 || at.flags != 0 || at.child[0] != 0 && at.child[1] != 0 {
		return
	}
	*link = at.child[0] | at.child[1]
	if t.near == i {
		t.near = 0
	}
	t.nodes.put(i)
}

// covering calls fn for every node that covers the prefix, shortest first.
func (t *trie[K]) covering(k K, n uint8, fn func(i uint32)) {
	for i := t.root; i != 0; {
		at := t.nodes.at(i)
		if at.bits > n || k.common(at.key) < at.bits {
			return
		}
		if at.head != 0 || at.flags != 0 {
			fn(i)
		}
		if at.bits == n {
			return
		}
		i = at.child[k.bit(at.bits)]
	}
}

// cursor walks nodes in address order, a covering prefix before what it covers. The
// trie must not change while it is in use.
type cursor[K key[K]] struct {
	t     *trie[K]
	stack []uint32
}

// seek places the cursor at the first prefix that is not before the given one.
func (t *trie[K]) seek(k K, n uint8) cursor[K] {
	c := cursor[K]{t: t, stack: make([]uint32, 0, 32)}
	for i := t.root; i != 0; {
		at := t.nodes.at(i)
		shared := min(k.common(at.key), n, at.bits)
		if shared < at.bits || at.bits == n { // not strictly above the prefix
			if shared == n || at.key.bit(shared) == 1 {
				c.stack = append(c.stack, i)
			}
			break
		}
		if k.bit(at.bits) == 0 {
			c.push(at.child[1])
		}
		i = at.child[k.bit(at.bits)]
	}
	return c
}

func (c *cursor[K]) push(i uint32) {
	if i != 0 {
		c.stack = append(c.stack, i)
	}
}

// next returns the next node with paths or flags, 0 at the end.
func (c *cursor[K]) next() uint32 {
	for len(c.stack) > 0 {
		i := c.stack[len(c.stack)-1]
		c.stack = c.stack[:len(c.stack)-1]
		at := c.t.nodes.at(i)
		c.push(at.child[1])
		c.push(at.child[0])
		if at.head != 0 || at.flags != 0 {
			return i
		}
	}
	return 0
}
