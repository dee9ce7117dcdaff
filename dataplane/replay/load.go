package replay

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"github.com/goccy/go-yaml"

	"github.com/eipgw/eipgw/dataplane/fib"
)

// CaseFile is the name of the description within a case folder.
const CaseFile = "case.yaml"

// DefaultMTU is a port's MTU where a case names none.
const DefaultMTU = 1500

// Load reads a case folder, or the description in it, and points every port that
// has an in.<port>.pcap beside the description at that file.
func Load(path string) (Case, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, CaseFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return Case{}, fmt.Errorf("replay: %w", err)
	}
	defer f.Close()
	c, err := Parse(f)
	if err != nil {
		return Case{}, fmt.Errorf("replay: %s: %w", path, err)
	}
	c.Dir = filepath.Dir(path)
	for i := range c.Ports {
		in := c.File("in", c.Ports[i].Name)
		if _, err := os.Stat(in); err == nil {
			c.Ports[i].In = in
		}
	}
	return c, nil
}

// File is the path of one of the case's pcap files: kind is "in" or "want".
func (c *Case) File(kind, port string) string {
	return filepath.Join(c.Dir, kind+"."+port+".pcap")
}

// Parse reads a description, strictly: unknown keys and impossible values are
// errors that name them. Defaults are filled in. No file is opened.
func Parse(r io.Reader) (Case, error) {
	var c Case
	if err := yaml.NewDecoder(r, yaml.Strict()).Decode(&c); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the description is empty: expected title and ports at least")
		}
		return Case{}, err
	}
	if err := c.Complete(); err != nil {
		return Case{}, err
	}
	return c, nil
}

// portName is what can stand in a file name and in a counter's name.
var portName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// Complete fills in defaults and reports everything that is impossible. Parse has
// done it; a Case built in code needs it before Run.
func (c *Case) Complete() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Title == "" {
		bad("title", "missing: say in one line what the case shows")
	}
	if len(c.Ports) == 0 {
		bad("ports", "missing: expected at least one")
	}
	c.completePorts(bad)
	c.completeBindings(bad)
	c.completeUnderlay(bad)
	c.completeTunnel(bad)
	c.compileRules(bad)
	return errors.Join(errs...)
}

func (c *Case) completePorts(bad func(string, string, ...any)) {
	names, ids := map[string]bool{}, map[fib.PortID]bool{}
	for i := range c.Ports {
		p, key := &c.Ports[i], fmt.Sprintf("ports[%d]", i)
		if p.ID == 0 {
			p.ID = fib.PortID(i + 1)
		}
		if p.MTU == 0 {
			p.MTU = DefaultMTU
		}
		switch {
		case !portName.MatchString(p.Name):
			bad(key+".name", "%q: expected letters, digits, '_', '.' or '-'", p.Name)
		case names[p.Name]:
			bad(key+".name", "%q is there twice", p.Name)
		}
		if ids[p.ID] {
			bad(key+".id", "%d is there twice", p.ID)
		}
		names[p.Name], ids[p.ID] = true, true
		if p.MAC.IsZero() {
			bad(key+".mac", "missing: expected an Ethernet address such as 02:00:00:00:00:01")
		}
		if p.MTU < 68 || p.MTU > 65535 {
			bad(key+".mtu", "%d: expected 68 to 65535 bytes", p.MTU)
		}
	}
}

func (c *Case) completeBindings(bad func(string, string, ...any)) {
	seen := map[netip.Prefix]bool{}
	for i, b := range c.Bindings {
		key := fmt.Sprintf("bindings[%d]", i)
		switch {
		case !b.Prefix.IsValid():
			bad(key+".prefix", "missing: expected a prefix such as 203.0.113.7/32")
		case b.Prefix != b.Prefix.Masked():
			bad(key+".prefix", "%s has host bits set: expected %s", b.Prefix, b.Prefix.Masked())
		case seen[b.Prefix]:
			bad(key+".prefix", "%s is there twice", b.Prefix)
		}
		seen[b.Prefix] = true
		if len(b.Tunnels) == 0 {
			bad(key+".tunnels", "missing: expected at least one")
		}
		for j, t := range b.Tunnels {
			if _, err := t.Encap(); err != nil {
				bad(fmt.Sprintf("%s.tunnels[%d]", key, j), "%v", err)
			}
		}
	}
}

func (c *Case) completeUnderlay(bad func(string, string, ...any)) {
	seen := map[netip.Addr]bool{}
	for i, u := range c.Underlay {
		key := fmt.Sprintf("underlay[%d]", i)
		switch {
		case !u.VTEP.IsValid():
			bad(key+".vtep", "missing: expected an address such as 10.0.2.11")
		case seen[u.VTEP]:
			bad(key+".vtep", "%s is there twice: list its ways in one place", u.VTEP)
		}
		seen[u.VTEP] = true
		if len(u.Ways) == 0 {
			bad(key+".ways", "missing: leave the VTEP out to have it unresolved")
		}
		for j := range u.Ways {
			c.completeWay(u.VTEP, &c.Underlay[i].Ways[j], fmt.Sprintf("%s.ways[%d]", key, j), bad)
		}
	}
}

func (c *Case) completeWay(vtep netip.Addr, w *Way, key string, bad func(string, string, ...any)) {
	p := c.port(w.Port)
	if p == nil {
		bad(key+".port", "%q is none of the ports", w.Port)
		return
	}
	if w.SrcMAC.IsZero() {
		w.SrcMAC = p.MAC
	}
	if w.VLAN.IsZero() {
		w.VLAN = p.VLAN
	}
	if w.MTU == 0 {
		w.MTU = uint16(p.MTU)
	}
	if w.DstMAC.IsZero() {
		bad(key+".dst-mac", "missing: expected the next hop's Ethernet address")
	}
	if !w.Local.IsValid() || w.Local.Is4() != vtep.Is4() {
		bad(key+".local", "%s: expected an outer source address of the family of VTEP %s", w.Local, vtep)
	}
}

func (c *Case) completeTunnel(bad func(string, string, ...any)) {
	switch c.Tunnel.UDP6Checksum {
	case "":
		c.Tunnel.UDP6Checksum = ChecksumCompute
	case ChecksumCompute, ChecksumZero:
	default:
		bad("tunnel.udp6-checksum", "%q: expected compute or zero", c.Tunnel.UDP6Checksum)
	}
	if c.Tunnel.TTL == 0 {
		c.Tunnel.TTL = 64
	}
}

// port is the port of that name, or nil.
func (c *Case) port(name string) *Port {
	for i := range c.Ports {
		if c.Ports[i].Name == name {
			return &c.Ports[i]
		}
	}
	return nil
}
