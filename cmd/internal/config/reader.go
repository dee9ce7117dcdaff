package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// reader walks a YAML document and collects all that is wrong with it, so that one
// run of validate shows every mistake. It never stops at the first.
type reader struct {
	file     string
	problems []Problem
	warnings []Problem
	lines    map[string]int      // key path → line, for checks made after reading
	anchors  map[string]ast.Node // &name, in document order

	known, shown map[string]bool // keys that could be read, and that stood there; indexes left out
}

// value is one place in the document: a node and the path of keys that leads to it.
type value struct {
	r    *reader
	key  string
	node ast.Node // anchors and aliases resolved; nil where there is nothing
	line int
}

// open parses data and returns its root, or nothing and a problem.
func (r *reader) open(data []byte) (root value, ok bool) {
	// The parser is a library fed with whatever a file holds: a panic in it is a
	// syntax error of that file, not the end of a running gateway.
	defer func() {
		if p := recover(); p != nil {
			r.problems = append(r.problems, Problem{File: r.file, Text: fmt.Sprintf("not YAML: the parser gave up (%v)", p)})
			ok = false
		}
	}()
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.problems = append(r.problems, r.syntaxProblem(err))
		return value{}, false
	}
	docs := slices.DeleteFunc(f.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(docs) > 1 {
		r.problems = append(r.problems, Problem{File: r.file, Line: lineOf(docs[1].Body), Text: "a second YAML document: expected one"})
		return value{}, false
	}
	root = value{r: r}
	if len(docs) == 1 {
		root.node = r.resolve(docs[0].Body, "")
	}
	return root, true
}

func (r *reader) syntaxProblem(err error) Problem {
	p := Problem{File: r.file, Text: "not YAML: " + firstLine(err.Error())}
	var at yaml.Error
	if errors.As(err, &at) {
		p.Text = "not YAML: " + firstLine(at.GetMessage())
		if t := at.GetToken(); t != nil && t.Position != nil {
			p.Line = t.Position.Line
		}
	}
	return p
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// resolve looks through anchors, aliases and tags.
func (r *reader) resolve(n ast.Node, key string) ast.Node {
	for range 16 {
		switch x := n.(type) {
		case *ast.AnchorNode:
			r.anchors[x.Name.String()] = x.Value
			n = x.Value
		case *ast.AliasNode:
			target, ok := r.anchors[x.Value.String()]
			if !ok {
				name := firstLine(x.Value.String())
				r.bad(key, lineOf(x), "alias *%s: no anchor &%s stands before it", name, name)
				return nil
			}
			n = target
		case *ast.TagNode:
			n = x.Value
		case *ast.NullNode:
			return nil
		default:
			return n
		}
	}
	r.bad(key, lineOf(n), "anchors and aliases are nested too deep")
	return nil
}

func (r *reader) bad(key string, line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// bad notes a problem of the value.
func (v value) bad(format string, args ...any) { v.r.bad(v.key, v.line, format, args...) }

// child is the value under a key or index of v.
func (v value) child(key string, n ast.Node, line int) value {
	v.r.lines[key] = line
	return value{r: v.r, key: key, node: v.r.resolve(n, key), line: line}
}

// fields says what each key of a mapping does.
type fields map[string]func(value)

// mapping hands the value of every key to its function, in the order of the
// document, and reports unknown keys and keys that stand there twice.
func (v value) mapping(known fields) {
	for k := range known {
		v.r.known[pattern(join(v.key, k))] = true
	}
	m, ok := asMapping(v.node)
	if !ok {
		if v.node != nil {
			v.bad("%s: expected keys and values: %s", describe(v.node), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		return
	}
	seen := map[string]int{}
	for _, kv := range m {
		name, line := keyName(kv.Key), lineOf(kv.Key)
		path := join(v.key, name)
		if first, twice := seen[name]; twice {
			v.r.bad(path, line, "there twice: first in line %d", first)
			continue
		}
		seen[name] = line
		read, ok := known[name]
		if !ok {
			v.r.unknown(path, line, name, slices.Sorted(maps.Keys(known)))
			continue
		}
		v.r.shown[pattern(path)] = true
		read(v.child(path, kv.Value, line))
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// pattern is a key without indexes: neighbors[1].asn is neighbors[].asn.
func pattern(key string) string { return indexes.ReplaceAllString(key, "[]") }

func (r *reader) unknown(path string, line int, name string, known []string) {
	if name == "<<" {
		r.bad(path, line, "merge keys are not read: write the keys out")
		return
	}
	if s := suggest(name, known); s != "" {
		r.bad(path, line, "unknown key: did you mean %s?", s)
		return
	}
	r.bad(path, line, "unknown key: expected one of %s", strings.Join(known, ", "))
}

// list returns the elements of a sequence.
func (v value) list() []value {
	if v.node == nil {
		return nil
	}
	seq, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.bad("%s: expected a list", describe(v.node))
		return nil
	}
	out := make([]value, 0, len(seq.Values))
	for i, n := range seq.Values {
		line := lineOf(n)
		if m, ok := asMapping(n); ok && len(m) > 0 {
			line = lineOf(m[0].Key)
		}
		out = append(out, v.child(fmt.Sprintf("%s[%d]", v.key, i), n, line))
	}
	return out
}

// text is a scalar as it is written, quotes removed.
func (v value) text() (string, bool) {
	switch n := v.node.(type) {
	case nil:
		return "", false
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.StringNode:
		return n.Value, true
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func asMapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// keyName is a key as it is written; one that would spoil a message is quoted.
func keyName(k ast.MapKeyNode) string {
	name := k.String()
	if s, ok := k.(*ast.StringNode); ok {
		name = s.Value
	} else if k.GetToken() != nil {
		name = k.GetToken().Value
	}
	if q := strconv.Quote(name); q != `"`+name+`"` || len(name) > 60 {
		return shorten(q)
	}
	return name
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
		return fmt.Sprintf("%q", shorten(x.GetToken().Value))
	}
	return n.Type().String()
}

// shorten keeps a wrong value from flooding the message.
func shorten(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}

func newReader(file string) *reader {
	return &reader{
		file: file, lines: map[string]int{}, anchors: map[string]ast.Node{},
		known: map[string]bool{}, shown: map[string]bool{},
	}
}
