package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/bgpd"
	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/cmd/internal/admin"
	"github.com/eipgw/eipgw/cmd/internal/config"
)

// tellingSpeaker tells of what has changed about its routers one by one, as the real
// one does, and looks after each what they may say.
type tellingSpeaker struct {
	*wordSpeaker
	look func() string
	seen []string
}

func (s *tellingSpeaker) Reconfigure(c bgpd.Config) error {
	s.seen = append(s.seen, s.look())
	if err := s.wordSpeaker.Reconfigure(c); err != nil {
		return err
	}
	for _, n := range c.Neighbors {
		if n.Role == bgpd.VirtualRouter {
			c.OnSource(bgpd.Source{ID: rib.SourceID(n.Address.String()), Name: n.Name, Configured: true, Allow: n.Allow})
			s.seen = append(s.seen, s.look())
		}
	}
	return nil
}

// A reload that BGP refuses changes nothing about what routers may say, not even for a
// moment; and one that it takes changes it for all of them at once.
func TestReloadChangesPoliciesAtOnce(t *testing.T) {
	const two = `
gateway: {asn: 64512, router-id: 10.255.0.1, service-addresses: [10.255.0.1]}
segments: [{prefix: 203.0.113.0/24}]
announce: {settle: 10ms, initial-wait: 100ms, damping: 10ms, when-empty: true}
neighbors:
  - {address: 10.1.0.1, role: virtual-router, asn: 65100, allow: [203.0.113.0/25], profile: {vni: 7}}
  - {address: 10.1.0.2, role: virtual-router, asn: 65100, allow: [203.0.113.128/25], profile: {vni: 7}}
ports: [{name: mem1}]
admin: {socket: SOCKET}
stop: {linger: 50ms}
`
	dir := t.TempDir()
	w := &world{
		t: t, socket: filepath.Join(dir, "s"), file: filepath.Join(dir, "eipgw.yaml"), log: &lockedBuffer{},
		signals: make(chan os.Signal, 4), done: make(chan error, 1),
	}
	w.configure(two)
	cfg, err := config.Load(w.file)
	require.NoError(t, err)
	var s *tellingSpeaker
	p := w.parts()
	p.speaker = func(c bgpd.Config) (speaker, error) {
		w.speaker = &wordSpeaker{cfg: c}
		s = &tellingSpeaker{wordSpeaker: w.speaker, look: func() string {
			var words []string
			for _, x := range w.g.rib.Status().Sources {
				if _, err := netip.ParseAddr(string(x.ID)); err == nil {
					words = append(words, string(x.ID)+" "+x.Policy.Allow[0].String())
				}
			}
			slices.Sort(words)
			return strings.Join(words, ", ")
		}}
		return s, nil
	}
	w.g, err = newGateway(cfg, gatewayOptions{
		File: w.file, Parts: p, Log: newLogger(w.log, config.FormatText, new(slog.LevelVar)), Level: new(slog.LevelVar),
	})
	require.NoError(t, err)
	go func() { w.done <- w.g.serve(context.Background(), w.signals) }()
	w.client = admin.NewClient(w.socket)
	t.Cleanup(w.end)
	w.logged("eipgw is ready")

	const before, after = "10.1.0.1 203.0.113.0/25, 10.1.0.2 203.0.113.128/25", "10.1.0.1 203.0.113.128/25, 10.1.0.2 203.0.113.0/25"
	w.configure(strings.NewReplacer("[203.0.113.0/25]", "[203.0.113.128/25]", "[203.0.113.128/25]", "[203.0.113.0/25]").Replace(two))
	refuse := func(err error) {
		w.speaker.mu.Lock()
		defer w.speaker.mu.Unlock()
		w.speaker.refuse = err
	}
	refuse(errors.New("bgpd: no"))
	_, err = w.g.Reload(context.Background())
	require.ErrorContains(t, err, "bgpd: no")
	assert.Equal(t, []string{before}, s.seen)
	assert.Equal(t, before, s.look())

	refuse(nil)
	s.seen = nil
	_, err = w.g.Reload(context.Background())
	require.NoError(t, err)
	assert.Equal(t, []string{before, before, before}, s.seen)
	assert.Equal(t, after, s.look())
}
