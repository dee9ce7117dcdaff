package bgpd

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/osrg/gobgp/v3/pkg/server"

	"github.com/eipgw/eipgw/bgpd/rib"
)

// BenchmarkLearn is the time from a router's first UPDATE to the last claim handed
// over, for a route; beside it a GoBGP that takes the same into its table and tells
// nobody. GoBGP keeps what it has learned, so give it a count: -benchtime 100000x.
func BenchmarkLearn(b *testing.B) {
	for _, per := range []int{100, 1} {
		b.Run(fmt.Sprintf("eipgw/%dPerUpdate", per), func(b *testing.B) { benchSpeaker(b, per) })
		b.Run(fmt.Sprintf("gobgp/%dPerUpdate", per), func(b *testing.B) { benchGoBGP(b, per) })
	}
}

func benchSpeaker(b *testing.B, per int) {
	n := newNetwork()
	var got atomic.Int64
	cfg := n.config(passive(n.host(2), VirtualRouter, 65100))
	cfg.Updates = func(u rib.Update) { got.Add(int64(len(u.Set))) }
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	feed(b, n.gateway(), n.host(2), per, got.Load)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func benchGoBGP(b *testing.B, per int) {
	n := newNetwork()
	ctx := context.Background()
	s := server.NewBgpServer(server.LoggerOption(&libLogger{gate: &gate{closed: true}}))
	go s.Serve()
	err := s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: testASN, RouterId: "10.0.0.1", ListenPort: testPort, ListenAddresses: []string{n.gateway().String()},
	}})
	if err != nil {
		b.Fatal(err)
	}
	err = s.AddPeer(ctx, &api.AddPeerRequest{Peer: &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: n.host(2).String(), PeerAsn: 65100},
		Transport: &api.Transport{PassiveMode: true},
	}})
	if err != nil {
		b.Fatal(err)
	}
	feed(b, n.gateway(), n.host(2), per, func() (sum int64) {
		time.Sleep(20 * time.Millisecond) // counting walks the table in the loop that learns
		_ = s.ListPeer(ctx, &api.ListPeerRequest{}, func(p *api.Peer) {
			for _, f := range p.AfiSafis {
				sum += int64(f.State.Accepted)
			}
		})
		return sum
	})
	if err := s.StopBgp(ctx, &api.StopBgpRequest{}); err != nil {
		b.Fatal(err)
	}
}

// feed opens a session and times b.N routes until so many have been counted.
func feed(b *testing.B, gateway, from netip.Addr, per int, count func() int64) {
	b.Helper()
	stream := updates(b, b.N, per)
	c := dialSession(b, gateway, from)
	defer c.Close()
	b.ResetTimer()
	if _, err := c.Write(stream); err != nil {
		b.Fatal(err)
	}
	for count() < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
}

// dialSession opens a session that nobody reads from.
func dialSession(t testing.TB, gateway, from netip.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		c, err := d.Dial("tcp", netip.AddrPortFrom(gateway, testPort).String())
		if err == nil && opened(c) {
			return c
		}
		if time.Since(begin) > patience {
			t.Fatal("no session", err)
		}
	}
}

// opened says whether the gateway has taken the OPEN.
func opened(c net.Conn) bool {
	caps := []bgp.ParameterCapabilityInterface{bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapFourOctetASNumber(65100)}
	for _, m := range []*bgp.BGPMessage{
		bgp.NewBGPOpenMessage(65100, 90, "10.0.0.2", []bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(caps)}),
		bgp.NewBGPKeepAliveMessage(),
	} {
		raw, err := m.Serialize()
		if err != nil {
			return false
		}
		if _, err := c.Write(raw); err != nil {
			return false
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 4096)
	for got := 0; ; {
		n, err := c.Read(buf[got:])
		if err != nil {
			c.Close()
			return false
		}
		got += n
		if size := int(binary.BigEndian.Uint16(buf[16:])); got >= size+19 && buf[size+18] == bgp.BGP_MSG_KEEPALIVE {
			return true
		}
	}
}

// updates are n routes, per to an UPDATE, each UPDATE with a tunnel of its own.
func updates(b testing.TB, n, per int) []byte {
	b.Helper()
	var stream []byte
	for i := 0; i < n; i += per {
		var list []*bgp.IPAddrPrefix
		for j := i; j < min(i+per, n); j++ {
			list = append(list, bgp.NewIPAddrPrefix(32, netip.AddrFrom4([4]byte{20, byte(j >> 16), byte(j >> 8), byte(j)}).String()))
		}
		raw, err := bgp.NewBGPUpdateMessage(nil, pathAttrs{
			bgp.NewPathAttributeOrigin(0),
			bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{65100})}),
			bgp.NewPathAttributeNextHop("10.255.0.1"),
			bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: testASN, LocalData1: 0x0a00000b, LocalData2: uint32(i)}}),
		}, list).Serialize()
		if err != nil {
			b.Fatal(err)
		}
		stream = append(stream, raw...)
	}
	return stream
}
