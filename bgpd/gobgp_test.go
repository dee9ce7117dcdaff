package bgpd

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/eipgw/eipgw/bgpd/rib"
	"github.com/eipgw/eipgw/encap"
)

// plain is an ordinary GoBGP that the gateway has as a neighbor.
type plain struct {
	*server.BgpServer
	t *testing.T
}

// startPlain runs a GoBGP at addr with the gateway as its passive neighbor. All of
// them have to be started before the speaker: GoBGP sets variables of the process.
func startPlain(t *testing.T, as uint32, addr, gateway netip.Addr) *plain {
	t.Helper()
	ctx := context.Background()
	silent := &libLogger{log: slog.New(slog.DiscardHandler), gate: &gate{closed: true}}
	s := server.NewBgpServer(server.LoggerOption(silent))
	go s.Serve()
	require.NoError(t, s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: as, RouterId: "10.9.0." + addr.String()[len(addr.String())-1:],
		ListenPort: testPort, ListenAddresses: []string{addr.String()},
	}}))
	t.Cleanup(func() { assert.NoError(t, s.StopBgp(ctx, &api.StopBgpRequest{})) })
	var families []*api.AfiSafi
	for _, f := range []Family{IPv4, IPv6} {
		families = append(families, &api.AfiSafi{Config: &api.AfiSafiConfig{Family: apiFamily[f], Enabled: true}})
	}
	require.NoError(t, s.AddPeer(ctx, &api.AddPeerRequest{Peer: &api.Peer{
		Conf:            &api.PeerConf{NeighborAddress: gateway.String(), PeerAsn: testASN},
		Transport:       &api.Transport{PassiveMode: true},
		GracefulRestart: &api.GracefulRestart{Enabled: true, RestartTime: 60},
		AfiSafis:        families,
	}}))
	return &plain{s, t}
}

func (p *plain) add(prefix, nextHop string, more ...*anypb.Any) {
	x := netip.MustParsePrefix(prefix)
	attrs := append([]*anypb.Any{pack(&api.OriginAttribute{}), pack(&api.NextHopAttribute{NextHop: nextHop})}, more...)
	_, err := p.AddPath(context.Background(), &api.AddPathRequest{Path: &api.Path{
		Family: apiFamily[IPv4], Pattrs: attrs,
		Nlri: pack(&api.IPAddressPrefix{Prefix: x.Addr().String(), PrefixLen: uint32(x.Bits())}),
	}})
	require.NoError(p.t, err)
}

func (p *plain) del(prefix, nextHop string) {
	x := netip.MustParsePrefix(prefix)
	require.NoError(p.t, p.DeletePath(context.Background(), &api.DeletePathRequest{Path: &api.Path{
		Family: apiFamily[IPv4], Pattrs: []*anypb.Any{pack(&api.OriginAttribute{}), pack(&api.NextHopAttribute{NextHop: nextHop})},
		Nlri: pack(&api.IPAddressPrefix{Prefix: x.Addr().String(), PrefixLen: uint32(x.Bits())}),
	}}))
}

// routes lists prefix → next hop of what the gateway has told.
func (p *plain) routes(f Family) map[string]string {
	got := make(map[string]string)
	err := p.ListPath(context.Background(), &api.ListPathRequest{TableType: api.TableType_GLOBAL, Family: apiFamily[f]},
		func(d *api.Destination) {
			for _, x := range d.Paths {
				for _, a := range x.Pattrs {
					var nh api.NextHopAttribute
					var mp api.MpReachNLRIAttribute
					if a.UnmarshalTo(&nh) == nil {
						got[d.Prefix] = nh.NextHop
					} else if a.UnmarshalTo(&mp) == nil {
						got[d.Prefix] = mp.NextHops[0]
					}
				}
			}
		})
	require.NoError(p.t, err)
	return got
}

// TestWithGoBGP: the gateway dials two ordinary GoBGPs, a switch and a virtual router
// that uses GoBGP's own encoder of attribute 23.
func TestWithGoBGP(t *testing.T) {
	n := newNetwork()
	sw, vr := n.host(2), n.host(3)
	s := startPlain(t, 65001, sw, n.gateway())
	v := startPlain(t, 65100, vr, n.gateway())
	dialed := func(a netip.Addr, role Role, as uint32) Neighbor {
		return Neighbor{Address: a, Role: role, ASN: as, Port: testPort, Local: n.gateway()}
	}
	cfg := n.config(dialed(sw, Switch, 65001), dialed(vr, VirtualRouter, 65100))
	cfg.Listen = nil
	r := start(t, cfg)
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/24"), segment("2001:db8::/48")}))
	eventually(t, "sessions", func() bool { return r.neighbor(sw).State == stateUp && r.neighbor(vr).State == stateUp })
	assert.Equal(t, n.gateway(), r.neighbor(vr).Local)
	eventually(t, "End-of-RIB", func() bool { return r.isSynced(vr) })

	v.add("203.0.113.1/32", "10.255.0.1", pack(&api.TunnelEncapAttribute{Tlvs: []*api.TunnelEncapTLV{{Type: 19, Tlvs: []*anypb.Any{
		pack(&api.TunnelEncapSubTLVEgressEndpoint{Address: "10.0.0.11"}),
		pack(&api.TunnelEncapSubTLVEncapsulation{Key: 0xc0<<24 | 5001, Cookie: octets("02000000000b 0000")}),
		pack(&api.TunnelEncapSubTLVUDPDestPort{Port: 6081}),
	}}}}))
	v.add("203.0.113.2/32", "10.0.0.12", pack(&api.LargeCommunitiesAttribute{Communities: []*api.LargeCommunity{
		{GlobalAdmin: testASN, LocalData1: 0x0a00000d, LocalData2: 5002},
	}}))
	c := r.claimed(t, vr, "203.0.113.1/32", rib.CarrierTunnelEncap)
	assert.Equal(t, encap.Tunnel{
		VTEP: netip.MustParseAddr("10.0.0.11"), VNI: 5001, InnerDst: encap.MAC{2, 0, 0, 0, 0, 0x0b}, Port: 6081,
	}, c.Tunnel)
	c = r.claimed(t, vr, "203.0.113.2/32", rib.CarrierLargeCommunity)
	assert.Equal(t, encap.Tunnel{VTEP: netip.MustParseAddr("10.0.0.13"), VNI: 5002}, c.Tunnel)
	eventually(t, "segment of IPv4", func() bool { return s.routes(IPv4)["203.0.113.0/24"] == n.gateway().String() })
	eventually(t, "segment of IPv6", func() bool { return s.routes(IPv6)["2001:db8::/48"] == service6.String() })
	assert.Len(t, s.routes(IPv4), 1)
	assert.Len(t, v.routes(IPv4), 2, "its own")

	v.del("203.0.113.1/32", "10.255.0.1")
	eventually(t, "withdrawal", func() bool { return r.held(vr) == 1 })
	require.NoError(t, r.Announce([]rib.Segment{segment("203.0.113.0/25"), segment("203.0.113.128/25")}))
	eventually(t, "split", func() bool { return len(s.routes(IPv4)) == 2 && len(s.routes(IPv6)) == 0 })

	// GoBGP offers graceful restart; the gateway does not wait for it.
	require.NoError(t, v.ShutdownPeer(context.Background(), &api.ShutdownPeerRequest{Address: n.gateway().String(), Communication: "tea"}))
	eventually(t, "void", func() bool { return r.held(vr) == 0 })
	assert.Empty(t, r.violations())
}
