package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/encap"
)

// Bind implements admin.Gateway.
func (g *gateway) Bind(ctx context.Context, b admin.Bind) (admin.Bound, error) {
	tunnels, err := g.tunnels(b.Tunnels)
	if err != nil {
		return admin.Bound{}, err
	}
	if err := g.rib.Bind(fib.Binding{Prefix: b.Prefix, Tunnels: tunnels}); err != nil {
		return admin.Bound{}, invalid("%v", err)
	}
	return g.bound(ctx, b.Prefix)
}

// BindMany implements admin.Gateway.
func (g *gateway) BindMany(ctx context.Context, b admin.BindMany) (admin.BoundMany, error) {
	tunnels, err := g.tunnels(b.Tunnels)
	if err != nil {
		return admin.BoundMany{}, err
	}
	bindings := make([]fib.Binding, len(b.Prefixes))
	for i, p := range b.Prefixes {
		bindings[i] = fib.Binding{Prefix: p, Tunnels: tunnels}
	}
	if err := g.rib.Bind(bindings...); err != nil {
		return admin.BoundMany{}, invalid("%v", err)
	}
	return admin.BoundMany{Bound: len(bindings)}, g.flush(ctx)
}

// tunnels reads the tunnels of a binding.
func (g *gateway) tunnels(list []admin.BindTunnel) (tunnels []encap.Tunnel, err error) {
	for i, t := range list {
		e, err := tunnelOf(t)
		if err != nil {
			return nil, invalid("tunnel %d: %v", i+1, err)
		}
		if g.isOwn(e.VTEP) {
			return nil, invalid("tunnel %d: VTEP %s is the gateway's own address: expected a virtual router's", i+1, e.VTEP)
		}
		tunnels = append(tunnels, e)
	}
	return tunnels, nil
}

// isOwn says whether the configuration gives addr to the gateway itself.
func (g *gateway) isOwn(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return addr == g.cfg.Tunnel.Source4 || addr == g.cfg.Tunnel.Source6 || slices.Contains(g.cfg.Gateway.ServiceAddresses, addr)
}

// Unbind implements admin.Gateway.
func (g *gateway) Unbind(ctx context.Context, p netip.Prefix) (admin.Bound, error) {
	if err := g.rib.Unbind(p); err != nil {
		return admin.Bound{}, &admin.Problem{Kind: admin.ErrNotFound, Text: err.Error()}
	}
	return g.bound(ctx, p)
}

// bound waits until a change is programmed and says what holds then.
func (g *gateway) bound(ctx context.Context, p netip.Prefix) (admin.Bound, error) {
	if err := g.flush(ctx); err != nil {
		return admin.Bound{}, err
	}
	out := admin.Bound{Binding: g.binding(p)}
	if out.Binding != nil && out.Binding.State == stateUnresolved {
		out.Notes = append(out.Notes, "the underlay knows no way to the virtual router yet: `eipgw show underlay` says why")
	}
	return out, nil
}

// flush waits until what was said is programmed.
func (g *gateway) flush(ctx context.Context) error {
	if err := g.rib.Flush(ctx); err != nil {
		return fmt.Errorf("it is taken, but not programmed yet: %w", err)
	}
	return nil
}

// tunnelOf reads a tunnel of the API.
func tunnelOf(t admin.BindTunnel) (e encap.Tunnel, err error) {
	if t.VNI == nil {
		return e, fmt.Errorf("vni: missing: expected 0 to %d", encap.MaxVNI)
	}
	e = encap.Tunnel{VTEP: t.VTEP.Unmap(), VNI: encap.VNI(*t.VNI), Port: t.UDPPort}
	if t.Protocol != "" {
		if e.Protocol, err = encap.ParseProtocol(t.Protocol); err != nil {
			return e, err
		}
	}
	if t.InnerMAC != "" {
		if e.InnerDst, err = encap.ParseMAC(t.InnerMAC); err != nil {
			return e, err
		}
	}
	if t.InnerSrc != "" {
		if e.InnerSrc, err = encap.ParseMAC(t.InnerSrc); err != nil {
			return e, err
		}
	}
	if t.OVN != nil {
		e.Options = encap.OVNOptions(t.OVN.Inport, t.OVN.Outport)
	}
	return e, e.Validate()
}
