package admin

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// decodeBindMany is decode for a BindMany. Requests have up to 10000 prefixes, and come a hundred times a
// second: what is written plainly is read by plainBindMany, and everything else as any request is, which
// says what is wrong with it.
func decodeBindMany(r *http.Request, b *BindMany) error {
	buf := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(r.Body, maxRequest)); err != nil {
		return notExpected(err)
	}
	body := buf.String()
	if plainBindMany(body, b) {
		return nil
	}
	*b = BindMany{}
	return decodeFrom(strings.NewReader(body), b)
}

// bodies are buffers that requests are read into.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// plainBindMany reads a request that has each key once and prefixes without escapes. It says false of all
// others, right or wrong, and leaves b half read then. What it takes means what it means to package json.
func plainBindMany(body string, b *BindMany) bool {
	p := plain{rest: body}
	if !p.skip('{') {
		return false
	}
	tunnels := ""
	for {
		key, ok := p.text()
		if !ok || !p.skip(':') {
			return false
		}
		switch {
		case key == "prefixes" && b.Prefixes == nil:
			ok = p.prefixes(&b.Prefixes)
		case key == "tunnels" && tunnels == "":
			tunnels, ok = p.array()
		default:
			return false
		}
		if !ok {
			return false
		}
		if !p.skip(',') {
			break
		}
	}
	return p.skip('}') && p.end() && tunnels != "" && decodeFrom(strings.NewReader(tunnels), &b.Tunnels) == nil
}

// plain reads JSON from the front of rest.
type plain struct{ rest string }

// space goes past white space.
func (p *plain) space() {
	for p.rest != "" && (p.rest[0] == ' ' || p.rest[0] == '\n' || p.rest[0] == '\t' || p.rest[0] == '\r') {
		p.rest = p.rest[1:]
	}
}

// skip goes past c and white space around it, if it comes next.
func (p *plain) skip(c byte) bool {
	p.space()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *plain) end() bool {
	p.space()
	return p.rest == ""
}

// text is a string that means what stands in it.
func (p *plain) text() (string, bool) {
	if !p.skip('"') {
		return "", false
	}
	end := strings.IndexByte(p.rest, '"')
	if end < 0 || strings.IndexByte(p.rest[:end], '\\') >= 0 {
		return "", false
	}
	s := p.rest[:end]
	p.rest = p.rest[end+1:]
	return s, true
}

// prefixes reads a list of them, one at least.
func (p *plain) prefixes(to *[]netip.Prefix) bool {
	if !p.skip('[') {
		return false
	}
	// A prefix takes 12 bytes or more, with what is around it.
	*to = make([]netip.Prefix, 0, min(1+strings.Count(p.rest, ","), maxPage+1, len(p.rest)/12+1))
	for {
		s, ok := p.text()
		if !ok {
			return false
		}
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return false
		}
		*to = append(*to, prefix)
		if !p.skip(',') {
			return p.skip(']')
		}
	}
}

// array cuts out what may be an array: up to the bracket that closes it. Who decodes it finds out.
func (p *plain) array() (string, bool) {
	p.space()
	if p.rest == "" || p.rest[0] != '[' {
		return "", false
	}
	depth, quoted := 0, false
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\':
			return "", false
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				s := p.rest[:i+1]
				p.rest = p.rest[i+1:]
				return s, true
			}
		}
	}
	return "", false
}
