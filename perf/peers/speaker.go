package peers

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/log"
	"github.com/osrg/gobgp/v3/pkg/server"
	"google.golang.org/protobuf/types/known/anypb"
)

// SpeakerConfig is a plain BGP speaker.
type SpeakerConfig struct {
	ASN      uint32     `json:"asn"`
	RouterID netip.Addr `json:"router_id"`
	Port     int32      `json:"port,omitempty"` // TCP port to listen on; 0 is 179, -1 does not listen
	Peers    []Peer     `json:"peers,omitempty"`
}

// Peer is a neighbor of a speaker.
type Peer struct {
	Address  netip.Addr    `json:"address"`
	ASN      uint32        `json:"asn"`
	Local    netip.Addr    `json:"local,omitempty"`    // source address of the session; zero lets the kernel choose
	Multihop bool          `json:"multihop,omitempty"` // eBGP over more than one hop
	Passive  bool          `json:"passive,omitempty"`
	HoldTime time.Duration `json:"hold_time,omitempty"` // 0 is 9 s
	Password string        `json:"password,omitempty"`
}

// Route is one announcement. What is left zero is not sent.
type Route struct {
	Prefix           netip.Prefix `json:"prefix"`
	NextHop          netip.Addr   `json:"next_hop"`
	MED              *uint32      `json:"med,omitempty"`
	Communities      []uint32     `json:"communities,omitempty"`
	LargeCommunities [][3]uint32  `json:"large_communities,omitempty"`
	TunnelEncap      *TunnelEncap `json:"tunnel_encap,omitempty"`
}

// TunnelEncap is attribute 23 (RFC 9012) with one Geneve or VXLAN tunnel, VNI and inner
// destination MAC in the 12-octet layout of section 3.2.1.
type TunnelEncap struct {
	Endpoint netip.Addr `json:"endpoint"`
	VNI      uint32     `json:"vni"`
	MAC      [6]byte    `json:"mac"`
	UDPPort  uint32     `json:"udp_port,omitempty"`
	VXLAN    bool       `json:"vxlan,omitempty"` // instead of Geneve
}

// Speaker is a BGP speaker in this process.
type Speaker struct {
	bgp *server.BgpServer
}

// StartSpeaker starts a speaker. It needs the rights to listen on its port.
func StartSpeaker(ctx context.Context, c SpeakerConfig) (*Speaker, error) {
	s := &Speaker{bgp: server.NewBgpServer(server.LoggerOption(silent{}))}
	go s.bgp.Serve()
	port := c.Port
	if port == 0 {
		port = 179
	}
	err := s.bgp.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: c.ASN, RouterId: c.RouterID.String(), ListenPort: port,
	}})
	if err != nil {
		return nil, fmt.Errorf("peers: start BGP as AS%d: %w", c.ASN, err)
	}
	for _, p := range c.Peers {
		if err := s.addPeer(ctx, p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Speaker) addPeer(ctx context.Context, p Peer) error {
	hold := p.HoldTime
	if hold == 0 {
		hold = 9 * time.Second
	}
	peer := &api.Peer{
		Conf: &api.PeerConf{NeighborAddress: p.Address.String(), PeerAsn: p.ASN, AuthPassword: p.Password},
		Timers: &api.Timers{Config: &api.TimersConfig{
			HoldTime: uint64(hold.Seconds()), KeepaliveInterval: uint64(hold.Seconds()) / 3,
			ConnectRetry: 1, IdleHoldTimeAfterReset: 1,
		}},
		Transport:    &api.Transport{PassiveMode: p.Passive},
		EbgpMultihop: &api.EbgpMultihop{Enabled: p.Multihop, MultihopTtl: 16},
		AfiSafis:     []*api.AfiSafi{afiSafi(ipv4), afiSafi(ipv6)},
	}
	if p.Local.IsValid() {
		peer.Transport.LocalAddress = p.Local.String()
	}
	if err := s.bgp.AddPeer(ctx, &api.AddPeerRequest{Peer: peer}); err != nil {
		return fmt.Errorf("peers: add neighbor %s: %w", p.Address, err)
	}
	return nil
}

var (
	ipv4 = &api.Family{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST}
	ipv6 = &api.Family{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST}
)

func afiSafi(f *api.Family) *api.AfiSafi {
	return &api.AfiSafi{Config: &api.AfiSafiConfig{Family: f, Enabled: true}}
}

// Announce sends r to every neighbor, in place of what was announced for its
// prefix before.
func (s *Speaker) Announce(ctx context.Context, r Route) error {
	p, err := r.path()
	if err != nil {
		return err
	}
	if _, err := s.bgp.AddPath(ctx, &api.AddPathRequest{Path: p}); err != nil {
		return fmt.Errorf("peers: announce %s: %w", r.Prefix, err)
	}
	return nil
}

// Withdraw takes the announcement of r's prefix back.
func (s *Speaker) Withdraw(ctx context.Context, r Route) error {
	p, err := r.path()
	if err != nil {
		return err
	}
	p.IsWithdraw = true
	if err := s.bgp.DeletePath(ctx, &api.DeletePathRequest{Path: p, Family: p.Family}); err != nil {
		return fmt.Errorf("peers: withdraw %s: %w", r.Prefix, err)
	}
	return nil
}

// Stop ends every session with a Cease notification.
func (s *Speaker) Stop(ctx context.Context) error {
	return s.bgp.StopBgp(ctx, &api.StopBgpRequest{})
}

// Established counts the neighbors whose session is up.
func (s *Speaker) Established(ctx context.Context) (int, error) {
	n := 0
	err := s.bgp.ListPeer(ctx, &api.ListPeerRequest{}, func(p *api.Peer) {
		if p.GetState().GetSessionState() == api.PeerState_ESTABLISHED {
			n++
		}
	})
	return n, err
}

func (r Route) path() (*api.Path, error) {
	if !r.Prefix.IsValid() || !r.NextHop.IsValid() {
		return nil, fmt.Errorf("peers: route needs a prefix and a next hop, has %v and %v", r.Prefix, r.NextHop)
	}
	family := ipv4
	if r.Prefix.Addr().Is6() {
		family = ipv6
	}
	nlri := mustAny(&api.IPAddressPrefix{Prefix: r.Prefix.Addr().String(), PrefixLen: uint32(r.Prefix.Bits())})
	attrs := []*anypb.Any{mustAny(&api.OriginAttribute{Origin: 0})}
	if r.Prefix.Addr().Is4() && r.NextHop.Is4() {
		attrs = append(attrs, mustAny(&api.NextHopAttribute{NextHop: r.NextHop.String()}))
	} else {
		attrs = append(attrs, mustAny(&api.MpReachNLRIAttribute{
			Family: family, NextHops: []string{r.NextHop.String()}, Nlris: []*anypb.Any{nlri}}))
	}
	if r.MED != nil {
		attrs = append(attrs, mustAny(&api.MultiExitDiscAttribute{Med: *r.MED}))
	}
	if len(r.Communities) > 0 {
		attrs = append(attrs, mustAny(&api.CommunitiesAttribute{Communities: r.Communities}))
	}
	if len(r.LargeCommunities) > 0 {
		lc := &api.LargeCommunitiesAttribute{}
		for _, c := range r.LargeCommunities {
			lc.Communities = append(lc.Communities, &api.LargeCommunity{GlobalAdmin: c[0], LocalData1: c[1], LocalData2: c[2]})
		}
		attrs = append(attrs, mustAny(lc))
	}
	if r.TunnelEncap != nil {
		attrs = append(attrs, r.TunnelEncap.attribute())
	}
	return &api.Path{Family: family, Nlri: nlri, Pattrs: attrs}, nil
}

// IANA BGP tunnel encapsulation attribute tunnel types.
const (
	tunnelTypeVXLAN  = 8
	tunnelTypeGeneve = 19
)

func (t *TunnelEncap) attribute() *anypb.Any {
	const vniValid, macValid = 1 << 31, 1 << 30 // the V and M flags (RFC 9012 section 3.2.1)
	cookie := append(append([]byte{}, t.MAC[:]...), 0, 0)
	sub := []*anypb.Any{
		mustAny(&api.TunnelEncapSubTLVEgressEndpoint{Address: t.Endpoint.String()}),
		mustAny(&api.TunnelEncapSubTLVEncapsulation{Key: vniValid | macValid | t.VNI, Cookie: cookie}),
	}
	if t.UDPPort != 0 {
		sub = append(sub, mustAny(&api.TunnelEncapSubTLVUDPDestPort{Port: t.UDPPort}))
	}
	tlv := &api.TunnelEncapTLV{Type: tunnelTypeGeneve, Tlvs: sub}
	if t.VXLAN {
		tlv.Type = tunnelTypeVXLAN
	}
	return mustAny(&api.TunnelEncapAttribute{Tlvs: []*api.TunnelEncapTLV{tlv}})
}

// silent drops what GoBGP would log: this end is watched through what it does.
type silent struct{}

func (silent) Panic(msg string, _ log.Fields) { panic("gobgp: " + msg) }
func (silent) Fatal(msg string, _ log.Fields) { panic("gobgp: " + msg) }
func (silent) Error(string, log.Fields)       {}
func (silent) Warn(string, log.Fields)        {}
func (silent) Info(string, log.Fields)        {}
func (silent) Debug(string, log.Fields)       {}
func (silent) SetLevel(log.LogLevel)          {}
func (silent) GetLevel() log.LogLevel         { return log.ErrorLevel }
