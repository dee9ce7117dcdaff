package replay

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// ways is a fib.Resolver that knows what the case lists and never changes.
type ways map[netip.Addr][]fib.Adjacency

var errNotListed = errors.New("not listed under the case's underlay")

// Resolve implements fib.Resolver.
func (w ways) Resolve(vtep netip.Addr) ([]fib.Adjacency, error) {
	if adjs := w[vtep]; len(adjs) > 0 {
		return adjs, nil
	}
	return nil, errNotListed
}

// Track implements fib.Resolver.
func (w ways) Track(netip.Addr) {}

// Untrack implements fib.Resolver.
func (w ways) Untrack(netip.Addr) {}

// resolver makes the underlay of a complete case.
func (c *Case) resolver() ways {
	out := ways{}
	for _, u := range c.Underlay {
		for _, w := range u.Ways {
			out[u.VTEP] = append(out[u.VTEP], fib.Adjacency{
				Port: c.port(w.Port).ID, MTU: w.MTU,
				Outer: encap.Outer{
					Src: encap.MAC(w.SrcMAC), Dst: encap.MAC(w.DstMAC), VLAN: encap.VLAN(w.VLAN), Local: w.Local, TTL: c.Tunnel.TTL,
					ZeroChecksum6: c.Tunnel.UDP6Checksum == ChecksumZero,
				},
			})
		}
	}
	return out
}

// FIB lists the case's bindings as the table takes them.
func (c *Case) FIB() ([]fib.Binding, error) {
	out := make([]fib.Binding, 0, len(c.Bindings))
	for _, b := range c.Bindings {
		f := fib.Binding{Prefix: b.Prefix}
		for _, t := range b.Tunnels {
			e, err := t.Encap()
			if err != nil {
				return nil, fmt.Errorf("binding %s: %w", b.Prefix, err)
			}
			f.Tunnels = append(f.Tunnels, e)
		}
		out = append(out, f)
	}
	return out, nil
}

// program fills a new table. What the table refuses is an error: a case that means
// something else than it says is worth nothing.
func (c *Case) program(table *fib.Table) error {
	bindings, err := c.FIB()
	if err != nil {
		return err
	}
	report, err := fib.NewCompiler(table, c.resolver()).Apply(bindings)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range report.Refused {
		errs = append(errs, fmt.Errorf("binding %s: %w", r.Prefix, r.Err))
	}
	return errors.Join(errs...)
}
