package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eipgw/eipgw/bgpd/static"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// reloadState is what became of the configuration file.
type reloadState struct {
	loaded  time.Time // when the running configuration was read
	refused string    // why the file as of tried is not in force; "" when it is
	tried   time.Time
}

// Reload implements admin.Gateway: it reads the configuration again and takes over
// what has changed, or nothing at all.
func (g *gateway) Reload(context.Context) (admin.Reloaded, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out, err := g.tryReload()
	if err != nil {
		g.reload.refused, g.reload.tried = err.Error(), time.Now()
		for _, line := range strings.Split(err.Error(), "\n") {
			g.log.Error("configuration refused, the running one stays in force", "file", g.file, "problem", line)
		}
		return out, &admin.Problem{Kind: admin.ErrConflict, Text: err.Error() + "\nthe running configuration stays in force"}
	}
	g.reload = reloadState{loaded: time.Now()}
	g.log.Info("configuration reloaded", "file", g.file, "changed", joinWords(out.Changed))
	for _, w := range out.Warnings {
		g.log.Warn("configuration", "warning", w)
	}
	return out, nil
}

func (g *gateway) tryReload() (out admin.Reloaded, err error) {
	next, err := config.Load(g.file)
	if err != nil {
		return out, err
	}
	change := config.Diff(g.cfg, next)
	if len(change.Restart) > 0 {
		return out, fmt.Errorf("%s: changed, but fixed while the daemon runs: restart it to take them over (`systemctl restart eipgw`), or change them back", joinWords(change.Restart))
	}
	segments := g.segments.withFile(next.Segments)
	if err := checkRuntimeSegments(segments, next); err != nil {
		return out, err
	}
	if file := next.Bindings.File; file != "" && file != g.cfg.Bindings.File {
		if _, err := static.Load(file); err != nil {
			return out, err
		}
	}
	if err := g.takeOver(next, segments); err != nil {
		return out, err
	}
	g.cfg, g.segments = next, segments
	out.Changed = append([]string{}, change.Reload...)
	for _, w := range next.Warnings {
		out.Warnings = append(out.Warnings, w.String())
	}
	out.Warnings = append(out.Warnings, segments.overridden()...)
	return out, nil
}

// checkRuntimeSegments finds segments that were added at runtime and that the new
// configuration can't have: a new neighbor's address inside one, for example.
func checkRuntimeSegments(s segmentSet, next *config.Config) error {
	var errs []error
	for _, seg := range s.wanted() {
		if err := next.CheckSegment(seg.Prefix); err != nil {
			errs = append(errs, fmt.Errorf("segment %w", err))
		}
	}
	return errors.Join(errs...)
}

// takeOver puts next into force. What can be refused comes first: until the speaker
// has taken its part nothing that sources may say changes. Then the policies of all of
// them change at once, and before segments do: an EIP that leaves one allow-list and
// enters another is never without a binding.
func (g *gateway) takeOver(next *config.Config, segments segmentSet) error {
	if _, err := g.rib.PlanSegments(segments.wanted()); err != nil {
		return err
	}
	rules := func(p *ruleParts) { p.cfg, p.clamp = next, segments.clamps() }
	if err := g.rules.try(rules); err != nil {
		return err
	}
	g.sources.hold(true)
	err := g.speaker.Reconfigure(g.speakerConfig(next))
	g.sources.hold(false)
	if err != nil {
		return err
	}
	g.rib.SetPolicies(g.policies(next))
	if err := g.rules.change(rules); err != nil {
		return fmt.Errorf("rules, after the neighbors were taken over: %w", err) // they were tried a moment ago
	}
	if _, err := g.rib.SetSegments(segments.wanted()); err != nil {
		// The same set was planned a moment ago, and nobody else changes it.
		return fmt.Errorf("segments, after the neighbors were taken over: %w", err)
	}
	if next.Bindings.File != g.cfg.Bindings.File {
		g.static.use(next.Bindings.File)
	} else if f := g.static.current(); f != nil {
		// The file is watched anyway; whoever reloads wants to hear of it now.
		if err := f.Reload(); err != nil {
			g.log.Error("bindings file refused, the bindings read before stay in force", "problem", err)
		}
	}
	g.level.Set(next.Log.Level)
	return nil
}
