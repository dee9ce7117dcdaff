package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// files are the case's files by name.
func (c *Case) files() (map[string][]byte, error) {
	description, err := c.yaml()
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	counters, err := json.MarshalIndent(c.counters(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	files := map[string][]byte{"case.yaml": description, "counters.json": append(counters, '\n')}
	for port, frames := range c.in {
		files["in."+port+".pcap"] = pcap(frames)
	}
	for port, frames := range c.out {
		files["want."+port+".pcap"] = pcap(frames)
	}
	return files, nil
}

func (c *Case) yaml() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by pcaps/gen. Change the case there, then run: make generate\n")
	e := yaml.NewEncoder(&b, yaml.IndentSequence(true))
	if err := e.Encode(c.Gateway); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// counters are those that change: frames and bytes per port and direction, and per
// Reason, and events. What stays zero is absent.
func (c *Case) counters() map[string]int {
	all := map[string]int{}
	set := func(prefix, unit string, frames [][]byte) {
		for _, f := range frames {
			all[prefix+unit+"_packets"]++
			all[prefix+unit+"_bytes"] += len(f)
		}
	}
	for port, frames := range c.in {
		set("port."+port+".", "rx", frames)
	}
	for port, frames := range c.out {
		set("port."+port+".", "tx", frames)
	}
	for reason, d := range c.drops {
		all["drop."+reason+".packets"] = d.packets
		all["drop."+reason+".bytes"] = d.bytes
	}
	for event, n := range c.events {
		if n != 0 {
			all["event."+event] = n
		}
	}
	return all
}

// pcap is a capture file in the classic format, little-endian, of link type Ethernet.
// Frame n has the timestamp n microseconds.
func pcap(frames [][]byte) []byte {
	const snapLen, linkEthernet = 65535 + 18, 1
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	b = binary.LittleEndian.AppendUint16(b, 2) // version 2.4
	b = binary.LittleEndian.AppendUint16(b, 4)
	for _, field := range []uint32{0, 0, snapLen, linkEthernet} { // zone, accuracy
		b = binary.LittleEndian.AppendUint32(b, field)
	}
	for n, f := range frames {
		for _, field := range []uint32{0, uint32(n), uint32(len(f)), uint32(len(f))} { // seconds, µs, kept, length
			b = binary.LittleEndian.AppendUint32(b, field)
		}
		b = append(b, f...)
	}
	return b
}

// generate writes everything into the folder of package pcaps: cases/ then holds these
// cases and nothing else, and the README their index.
func generate(dir string, cases []*Case) error {
	files, err := allFiles(dir, cases)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(dir, "cases")); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[path], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// allFiles is everything that generate writes, by path.
func allFiles(dir string, cases []*Case) (map[string][]byte, error) {
	readme := filepath.Join(dir, "README.md")
	old, err := os.ReadFile(readme)
	if err != nil {
		return nil, err
	}
	text, err := withIndex(string(old), cases)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", readme, err)
	}
	all := map[string][]byte{readme: []byte(text)}
	for _, c := range cases {
		files, err := c.files()
		if err != nil {
			return nil, err
		}
		for name, b := range files {
			all[filepath.Join(dir, "cases", c.Name, name)] = b
		}
	}
	return all, nil
}

// The index stands between these lines of the README.
const (
	indexBegin = "<!-- index of cases: written by gen -->\n"
	indexEnd   = "<!-- end of index -->\n"
)

// withIndex is the README with the index of these cases in place of the one it has.
func withIndex(readme string, cases []*Case) (string, error) {
	before, rest, ok := strings.Cut(readme, indexBegin)
	_, after, ok2 := strings.Cut(rest, indexEnd)
	if !ok || !ok2 {
		return "", fmt.Errorf("no %q and %q", strings.TrimSpace(indexBegin), strings.TrimSpace(indexEnd))
	}
	return before + indexBegin + index(cases) + indexEnd + after, nil
}

func index(cases []*Case) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d cases.\n", len(cases))
	heading := ""
	for _, c := range cases {
		if c.Topic != heading {
			heading = c.Topic
			fmt.Fprintf(&b, "\n### %s\n\n| Case | What it shows | What it rests on | In → out |\n|---|---|---|---|\n", heading)
		}
		fmt.Fprintf(&b, "| [%s](cases/%s) | %s | %s | %s |\n", c.Name, c.Name, c.Title, c.RFC, c.outcome())
	}
	b.WriteByte('\n')
	return b.String()
}

// outcome is "3 → 2, ttl_expired 1".
func (c *Case) outcome() string {
	in, out := 0, 0
	for _, frames := range c.in {
		in += len(frames)
	}
	for _, frames := range c.out {
		out += len(frames)
	}
	s := fmt.Sprintf("%d → %d", in, out)
	for _, reason := range slices.Sorted(maps.Keys(c.drops)) {
		s += fmt.Sprintf(", %s %d", reason, c.drops[reason].packets)
	}
	return s
}
