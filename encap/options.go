package encap

// MaxOptions is the most bytes of Geneve options that a tunnel carries.
const MaxOptions = 24

// Options holds Geneve options in wire form (RFC 8926 section 3.5). It is
// comparable.
type Options struct {
	n uint8
	b [MaxOptions]byte
}

// Len is the length in bytes, a multiple of 4.
func (o Options) Len() int { return int(o.n) }
