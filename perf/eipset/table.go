package eipset

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
)

// NewTable is an empty table, with huge pages where the machine has them, and its compiler. The
// underlay knows a way of this MTU to every VTEP, by port 2.
func NewTable(mtu uint16) (*fib.Table, *fib.Compiler, *fibtest.Resolver, error) {
	table, err := fib.NewTable(fib.TableOptions{HugePages: true})
	if err != nil {
		return nil, nil, nil, err
	}
	res := &fibtest.Resolver{}
	for i := range Tunnels {
		way := fibtest.Adjacency(2, Addr4(10<<24+1), byte(i))
		way.MTU = mtu
		res.Set(Tunnel(i).VTEP, way)
	}
	return table, fib.NewCompiler(table, res), res, nil
}

// loadBatch is how many bindings Load makes at a time.
const loadBatch = 1 << 16

// Load binds the addresses, without ever having all bindings in memory.
func Load(c *fib.Compiler, addrs []netip.Addr) error {
	for part := range slices.Chunk(addrs, loadBatch) {
		report, err := c.Apply(Bindings(part))
		if err != nil {
			return err
		}
		if len(report.Refused) > 0 {
			return report.Refused[0].Err
		}
	}
	return nil
}

// Internet reads the prefixes of a full Internet table from a file, IPv4 before IPv6.
func Internet(file string) (v4, v6 []netip.Prefix, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		p, err := netip.ParsePrefix(lines.Text())
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		case p.Addr().Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return v4, v6, nil
}
