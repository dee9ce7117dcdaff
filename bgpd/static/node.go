package static

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxProblems is how many problems of one file are worded; the rest is counted.
const maxProblems = 20

// document is a parsed YAML file and what is wrong with it.
type document struct {
	name     string
	anchors  map[string]ast.Node
	problems []string
	more     int // problems beyond maxProblems
}

// place is a value in a document and the way to it.
type place struct {
	doc    *document
	above  *place
	name   string // key, or empty for an element of a list
	index  int
	node   ast.Node // without anchors, aliases and tags; nil when there is nothing
	line   int
	broken bool // a problem of it has been noted
}

// path is the way to the place: bindings[2].tunnels[0].vni.
func (p *place) path() string {
	switch {
	case p.above == nil:
		return ""
	case p.name == "":
		return p.above.path() + "[" + strconv.Itoa(p.index) + "]"
	case p.above.above == nil:
		return p.name
	default:
		return p.above.path() + "." + p.name
	}
}

// bad notes a problem of the place.
func (p *place) bad(format string, args ...any) {
	p.broken = true
	p.doc.note(p.line, p.path(), fmt.Sprintf(format, args...))
}

// note words a problem as "file:line: key: text".
func (d *document) note(line int, path, text string) {
	if len(d.problems) == maxProblems {
		d.more++
		return
	}
	where := d.name + ":"
	if line > 0 {
		where += strconv.Itoa(line) + ":"
	}
	if path != "" {
		where += " " + path + ":"
	}
	d.problems = append(d.problems, where+" "+text)
}

// count is how many problems there are so far.
func (d *document) count() int { return len(d.problems) + d.more }

// err is all problems in one error, nil when there are none.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	text := strings.Join(d.problems, "\n")
	if d.more > 0 {
		text += fmt.Sprintf("\nand %d problems more", d.more)
	}
	return errors.New(text)
}

// open parses the text. A panic of the parser, which is fed with whatever a file
// holds, is a problem of that file.
func (d *document) open(text []byte) (root *place) {
	defer func() {
		if r := recover(); r != nil {
			d.note(0, "", fmt.Sprintf("not YAML: the parser gave up (%v)", r))
			root = nil
		}
	}()
	f, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	docs := slices.DeleteFunc(f.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch len(docs) {
	case 0:
		d.note(0, "", `the file is empty: expected "bindings:" with a list, [] for none`)
		return nil
	case 1:
	default:
		d.note(lineOf(docs[1].Body), "", "a second YAML document: expected one")
		return nil
	}
	root = &place{doc: d, line: lineOf(docs[0].Body)}
	root.set(docs[0].Body)
	return root
}

func (d *document) syntax(err error) {
	line, text := 0, err.Error()
	var at yaml.Error
	if errors.As(err, &at) {
		text = at.GetMessage()
		if t := at.GetToken(); t != nil && t.Position != nil {
			line = t.Position.Line
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	d.note(line, "", "not YAML: "+text)
}

// set gives the place its value, looking through anchors, aliases and tags.
func (p *place) set(n ast.Node) {
	for range 16 {
		switch x := n.(type) {
		case *ast.AnchorNode:
			p.doc.anchors[x.Name.String()] = x.Value
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.String()
			if n = p.doc.anchors[name]; n == nil {
				p.bad("alias *%s: expected an anchor &%s before it", shorten(name), shorten(name))
				return
			}
		case *ast.TagNode:
			n = x.Value
		case *ast.NullNode:
			return
		default:
			p.node = n
			return
		}
	}
	p.bad("anchors and aliases are nested too deep: expected at most 16 levels")
}

// keys hands the value under every key to read, in the order of the file, reports
// keys that are unknown or there twice, and returns the keys that are there.
func (p *place) keys(known []string, read func(key string, v *place)) (there map[string]bool) {
	pairs, ok := pairsOf(p.node)
	if !ok {
		if !p.broken {
			p.bad("%s: expected keys %s", describe(p.node), strings.Join(known, ", "))
		}
		return nil
	}
	there = make(map[string]bool, len(pairs))
	seen := make(map[string]int, len(pairs))
	for _, kv := range pairs {
		key := keyOf(kv.Key)
		v := &place{doc: p.doc, above: p, name: key, line: lineOf(kv.Key)}
		switch first, twice := seen[key]; {
		case twice:
			v.bad("there twice: first in line %d", first)
		case !slices.Contains(known, key):
			v.bad("unknown key: expected one of %s", strings.Join(known, ", "))
		default:
			v.set(kv.Value)
			read(key, v)
		}
		there[key] = true
		if seen[key] == 0 {
			seen[key] = v.line
		}
	}
	return there
}

// list hands every element of a list to read.
func (p *place) list(read func(v *place)) {
	seq, ok := p.node.(*ast.SequenceNode)
	if !ok {
		if !p.broken {
			p.bad("%s: expected a list", describe(p.node))
		}
		return
	}
	for i, e := range seq.Values {
		v := &place{doc: p.doc, above: p, index: i, line: lineOf(e)}
		v.set(e)
		if pairs, ok := pairsOf(v.node); ok && len(pairs) > 0 && v.node == e {
			v.line = lineOf(pairs[0].Key)
		}
		read(v)
	}
}

// text is a scalar as it is written, without quotes.
func (p *place) text() (string, bool) {
	switch n := p.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode, nil:
		return "", false
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// keyOf is a key as it is written, quoted when it would spoil a message.
func keyOf(k ast.MapKeyNode) string {
	name := k.String()
	if s, ok := k.(*ast.StringNode); ok {
		name = s.Value
	}
	if q := strconv.Quote(name); q != `"`+name+`"` {
		name = q
	}
	return shorten(name)
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// describe says what a node is, in few words.
func describe(n ast.Node) string {
	switch x := n.(type) {
	case nil:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case ast.ScalarNode:
		return strconv.Quote(shorten(x.GetToken().Value))
	}
	return n.Type().String()
}

// shorten keeps a wrong value from flooding a message.
func shorten(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}
