package bgpd

import (
	"net/netip"
	"time"

	api "github.com/osrg/gobgp/v3/api"
)

// apiPeer is neighbor n, known by address, in GoBGP's words.
func apiPeer(n *Neighbor) *api.Peer {
	return &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: n.Address.String(),
			PeerAsn:         n.ASN,
			AuthPassword:    n.Password,
			AllowOwnAsn:     uint32(n.AllowOwnAS),
		},
		Timers:          apiTimers(n),
		Transport:       apiTransport(n),
		EbgpMultihop:    apiMultihop(n),
		TtlSecurity:     apiTTLSecurity(n),
		GracefulRestart: apiGracefulRestart(n),
		RouteServer:     apiRouteServer(n),
		ApplyPolicy:     apiNothing(),
		AfiSafis:        apiFamilies(n),
	}
}

// apiPeerGroup is what neighbors of a range have in common.
func apiPeerGroup(n *Neighbor) *api.PeerGroup {
	t := apiTransport(n)
	t.PassiveMode = true
	return &api.PeerGroup{
		Conf: &api.PeerGroupConf{
			PeerGroupName: groupName(n),
			PeerAsn:       n.ASN,
			AuthPassword:  n.Password,
		},
		Timers:          apiTimers(n),
		Transport:       t,
		EbgpMultihop:    apiMultihop(n),
		TtlSecurity:     apiTTLSecurity(n),
		GracefulRestart: apiGracefulRestart(n),
		RouteServer:     apiRouteServer(n),
		ApplyPolicy:     apiNothing(),
		AfiSafis:        apiFamilies(n),
	}
}

// groupName is that of the peer group of a range: GoBGP wants one for each.
func groupName(n *Neighbor) string { return "eipgw-" + n.Range.String() }

func seconds(d time.Duration) uint64 { return uint64(d / time.Second) }

func apiTimers(n *Neighbor) *api.Timers {
	return &api.Timers{Config: &api.TimersConfig{
		HoldTime:               seconds(n.HoldTime),
		KeepaliveInterval:      seconds(n.Keepalive),
		ConnectRetry:           seconds(n.ConnectRetry),
		IdleHoldTimeAfterReset: seconds(n.IdleHold),
	}}
}

func apiTransport(n *Neighbor) *api.Transport {
	t := &api.Transport{
		PassiveMode:   n.Passive,
		RemotePort:    uint32(n.Port),
		BindInterface: n.Interface,
	}
	if n.Local.IsValid() {
		t.LocalAddress = n.Local.String()
	} else if n.Range.IsValid() { // GoBGP derives it of an address, which a group has not
		t.LocalAddress = netip.IPv6Unspecified().String()
		if n.family() == IPv4 {
			t.LocalAddress = netip.IPv4Unspecified().String()
		}
	}
	return t
}

func apiMultihop(n *Neighbor) *api.EbgpMultihop {
	return &api.EbgpMultihop{Enabled: n.Hops > 1, MultihopTtl: uint32(n.Hops)}
}

// apiTTLSecurity: the neighbor sends 255, so over h hops 256-h arrives (RFC 5082).
func apiTTLSecurity(n *Neighbor) *api.TtlSecurity {
	if n.TTLSecurity == 0 {
		return &api.TtlSecurity{}
	}
	return &api.TtlSecurity{Enabled: true, TtlMin: 256 - uint32(n.TTLSecurity)}
}

// apiGracefulRestart offers the capability to virtual routers without any family:
// that asks for End-of-RIB and promises nothing (RFC 4724 section 4). What a router
// said is void as soon as its session is.
func apiGracefulRestart(n *Neighbor) *api.GracefulRestart {
	return &api.GracefulRestart{Enabled: n.Role == VirtualRouter, HelperOnly: true}
}

// apiRouteServer sets virtual routers apart: GoBGP keeps the routes of route server
// clients in a table of their own, which stays empty, and tells them nothing of the
// other table; not even withdrawals, which no policy stops.
func apiRouteServer(n *Neighbor) *api.RouteServer {
	return &api.RouteServer{RouteServerClient: n.Role == VirtualRouter}
}

// apiNothing is a route server client's policy: nothing in, nothing out. For others
// GoBGP does not look at it.
func apiNothing() *api.ApplyPolicy {
	reject := &api.PolicyAssignment{DefaultAction: api.RouteAction_REJECT}
	return &api.ApplyPolicy{ImportPolicy: reject, ExportPolicy: reject}
}

// apiFamilies are those to negotiate; from virtual routers with several paths for
// one prefix (RFC 7911), which a reflector needs to show all routers of an EIP.
func apiFamilies(n *Neighbor) []*api.AfiSafi {
	var list []*api.AfiSafi
	for _, f := range n.Families {
		list = append(list, &api.AfiSafi{
			Config:   &api.AfiSafiConfig{Family: apiFamily[f], Enabled: true},
			AddPaths: &api.AddPaths{Config: &api.AddPathsConfig{Receive: n.Role == VirtualRouter}},
		})
	}
	return list
}
