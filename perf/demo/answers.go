package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
)

// whyAnswer is what the demo reads of `eipgw why --json`.
type whyAnswer struct {
	Verdict string `json:"verdict"`
	Summary string `json:"summary"`
}

func (w whyAnswer) forwarded() bool { return w.Verdict == "forwarded" }

// why asks what happens to frames for an address.
func (g *gateway) why(ctx context.Context, eip netip.Addr) (whyAnswer, error) {
	var w whyAnswer
	out, err := g.run(ctx, "why", eip.String(), "--json")
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal([]byte(out), &w); err != nil {
		return w, fmt.Errorf("demo: eipgw why %s --json: %w", eip, err)
	}
	return w, nil
}

// ready waits for the daemon's socket: whether the gateway answers at all.
func (g *gateway) ready(ctx context.Context) (bool, error) {
	select {
	case err := <-g.exited:
		return false, fmt.Errorf("demo: the gateway ended while it started: %w", err)
	default:
	}
	_, err := g.run(ctx, "show", "status")
	return err == nil, nil
}

// counters is what the demo reads of `eipgw show counters --json`.
type counters struct {
	Received struct{ Packets uint64 } `json:"received"`
	Sent     struct{ Packets uint64 } `json:"sent"`
	Drops    []struct {
		Reason  string
		Packets uint64
	} `json:"drops"`
}

func (g *gateway) counters(ctx context.Context) (counters, error) {
	var c counters
	return c, g.show(ctx, &c, "counters")
}

func (c counters) dropped() uint64 {
	var n uint64
	for _, d := range c.Drops {
		n += d.Packets
	}
	return n
}

func (c counters) drop(reason string) uint64 {
	for _, d := range c.Drops {
		if d.Reason == reason {
			return d.Packets
		}
	}
	return 0
}
