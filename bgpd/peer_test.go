package bgpd

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	"github.com/stretchr/testify/require"
)

// peer is the other end of a session, in a few lines: it opens, keeps alive, sends
// what the test wants, octet by octet if need be, and remembers what it is told.
type peer struct {
	t    *testing.T
	addr netip.Addr
	conn *net.TCPConn
	caps []bgp.ParameterCapabilityInterface
	as   uint32
	mute bool

	mu      sync.Mutex
	told    map[string]*told // by prefix
	events  []string         // "+prefix", "-prefix", in order
	opened  *bgp.BGPOpen
	up      bool
	ended   error
	notice  *bgp.BGPNotification
	joined  chan struct{}
	options *bgp.MarshallingOption
}

// told is a route that the peer has been told.
type told struct {
	nextHop     string
	asPath      []uint32
	med         *uint32
	localPref   *uint32
	communities []uint32
	large       []*bgp.LargeCommunity
	attrs       map[bgp.BGPAttrType]bool
}

type peerOptions struct {
	as       uint32
	routerID string
	families []bgp.RouteFamily
	noGR     bool // without the capability that promises End-of-RIB
	addPath  bool
	mute     bool // sends no keepalive once the session is up
	ttl      int  // 0: the system's
}

// connect dials the gateway from addr and opens. It does not wait.
func connect(t *testing.T, gateway, addr netip.Addr, o peerOptions) (*peer, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: addr.AsSlice()}, Timeout: time.Second}
	d.Control = func(_, _ string, c syscall.RawConn) error {
		var err error
		if o.ttl != 0 {
			_ = c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, o.ttl) })
		}
		return err
	}
	c, err := d.Dial("tcp", netip.AddrPortFrom(gateway, testPort).String())
	if err != nil {
		return nil, err
	}
	p := &peer{
		t: t, addr: addr, conn: c.(*net.TCPConn), as: o.as, mute: o.mute,
		told: make(map[string]*told), joined: make(chan struct{}),
	}
	if o.families == nil {
		o.families = []bgp.RouteFamily{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC}
	}
	if o.routerID == "" {
		o.routerID = "10.9.0.1"
	}
	for _, f := range o.families {
		p.caps = append(p.caps, bgp.NewCapMultiProtocol(f))
	}
	p.caps = append(p.caps, bgp.NewCapFourOctetASNumber(o.as),
		bgp.NewCapExtendedNexthop([]*bgp.CapExtendedNexthopTuple{bgp.NewCapExtendedNexthopTuple(bgp.RF_IPv4_UC, bgp.AFI_IP6)}))
	if !o.noGR {
		p.caps = append(p.caps, bgp.NewCapGracefulRestart(false, false, 120, nil))
	}
	if o.addPath {
		p.caps = append(p.caps, bgp.NewCapAddPath([]*bgp.CapAddPathTuple{bgp.NewCapAddPathTuple(bgp.RF_IPv4_UC, bgp.BGP_ADD_PATH_SEND)}))
		p.options = &bgp.MarshallingOption{AddPath: map[bgp.RouteFamily]bgp.BGPAddPathMode{bgp.RF_IPv4_UC: bgp.BGP_ADD_PATH_BOTH}}
	}
	p.send(bgp.NewBGPOpenMessage(uint16(min(o.as, bgp.AS_TRANS)), 30, o.routerID,
		[]bgp.OptionParameterInterface{bgp.NewOptionParameterCapability(p.caps)}))
	go p.receive()
	t.Cleanup(p.close)
	return p, nil
}

// join connects until the session is up.
func join(t *testing.T, gateway, addr netip.Addr, o peerOptions) *peer {
	t.Helper()
	var p *peer
	eventually(t, "session of "+addr.String(), func() bool {
		if p == nil {
			p, _ = connect(t, gateway, addr, o)
			return false
		}
		up, ended := p.state()
		if ended {
			p.close()
			p = nil
		}
		return up && !ended
	})
	return p
}

func (p *peer) state() (up, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up, p.ended != nil
}

// close drops the connection without a word.
func (p *peer) close() {
	p.conn.Close()
	<-p.joined
}

// reset drops the connection with a TCP reset.
func (p *peer) reset() {
	_ = p.conn.SetLinger(0)
	p.close()
}

func (p *peer) setTTL(ttl int) {
	c, err := p.conn.SyscallConn()
	require.NoError(p.t, err)
	require.NoError(p.t, c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, ttl)
	}))
	require.NoError(p.t, err)
}

func (p *peer) raw(b []byte) {
	_, err := p.conn.Write(b)
	if err != nil {
		p.t.Logf("peer %s: %v", p.addr, err)
	}
}

func (p *peer) send(m *bgp.BGPMessage) {
	b, err := m.Serialize(p.options)
	require.NoError(p.t, err)
	p.raw(b)
}

func (p *peer) receive() {
	defer close(p.joined)
	for {
		head := make([]byte, bgp.BGP_HEADER_LENGTH)
		if _, err := io.ReadFull(p.conn, head); err != nil {
			p.end(err)
			return
		}
		var h bgp.BGPHeader
		if err := h.DecodeFromBytes(head); err != nil {
			p.end(err)
			return
		}
		body := make([]byte, int(h.Len)-bgp.BGP_HEADER_LENGTH)
		if _, err := io.ReadFull(p.conn, body); err != nil {
			p.end(err)
			return
		}
		m, err := bgp.ParseBGPBody(&h, body)
		if err != nil {
			p.end(err)
			return
		}
		p.take(m)
	}
}

func (p *peer) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = err
}

func (p *peer) take(m *bgp.BGPMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch b := m.Body.(type) {
	case *bgp.BGPOpen:
		p.opened = b
		p.send(bgp.NewBGPKeepAliveMessage())
	case *bgp.BGPKeepAlive:
		if p.up && !p.mute { // the gateway sends them in time for both
			p.send(bgp.NewBGPKeepAliveMessage())
		}
		p.up = true
	case *bgp.BGPNotification:
		p.notice = b
	case *bgp.BGPUpdate:
		p.update(b)
	}
}

func (p *peer) update(u *bgp.BGPUpdate) {
	r := &told{attrs: make(map[bgp.BGPAttrType]bool)}
	var reach []bgp.AddrPrefixInterface
	for _, n := range u.WithdrawnRoutes {
		p.withdrawn(n.String())
	}
	for _, a := range u.PathAttributes {
		r.attrs[a.GetType()] = true
		switch a := a.(type) {
		case *bgp.PathAttributeNextHop:
			r.nextHop = a.Value.String()
		case *bgp.PathAttributeAsPath:
			for _, s := range a.Value {
				r.asPath = append(r.asPath, s.GetAS()...)
			}
		case *bgp.PathAttributeMultiExitDisc:
			r.med = &a.Value
		case *bgp.PathAttributeLocalPref:
			r.localPref = &a.Value
		case *bgp.PathAttributeCommunities:
			r.communities = a.Value
		case *bgp.PathAttributeLargeCommunities:
			r.large = a.Values
		case *bgp.PathAttributeMpReachNLRI:
			r.nextHop = a.Nexthop.String()
			reach = append(reach, a.Value...)
		case *bgp.PathAttributeMpUnreachNLRI:
			for _, n := range a.Value {
				p.withdrawn(n.String())
			}
		}
	}
	for _, n := range u.NLRI {
		reach = append(reach, n)
	}
	for _, n := range reach {
		p.told[n.String()] = r
		p.events = append(p.events, "+"+n.String())
	}
}

func (p *peer) withdrawn(prefix string) {
	delete(p.told, prefix)
	p.events = append(p.events, "-"+prefix)
}

// route is what the peer has been told of a prefix, nil if nothing.
func (p *peer) route(prefix string) *told {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[prefix]
}

func (p *peer) history() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.events...)
}

func (p *peer) routes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.told)
}

// endOfRIB sends the mark of a family.
func (p *peer) endOfRIB(f bgp.RouteFamily) { p.send(bgp.NewEndOfRib(f)) }

// claim announces IPv4 prefixes with attributes beside the usual ones.
func (p *peer) claim(nextHop string, attrs []bgp.PathAttributeInterface, prefixes ...string) {
	all := append([]bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(0), p.asPath(), bgp.NewPathAttributeNextHop(nextHop),
	}, attrs...)
	p.send(bgp.NewBGPUpdateMessage(nil, all, nlri(prefixes)))
}

func (p *peer) asPath(more ...uint32) bgp.PathAttributeInterface {
	if p.as == testASN {
		return bgp.NewPathAttributeAsPath(nil)
	}
	return bgp.NewPathAttributeAsPath([]bgp.AsPathParamInterface{
		bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, append([]uint32{p.as}, more...)),
	})
}

func (p *peer) unclaim(prefixes ...string) {
	p.send(bgp.NewBGPUpdateMessage(nlri(prefixes), nil, nil))
}

// claim6 announces IPv6 prefixes.
func (p *peer) claim6(nextHop string, attrs []bgp.PathAttributeInterface, prefixes ...string) {
	var list []bgp.AddrPrefixInterface
	for _, s := range prefixes {
		x := netip.MustParsePrefix(s)
		list = append(list, bgp.NewIPv6AddrPrefix(uint8(x.Bits()), x.Addr().String()))
	}
	all := append([]bgp.PathAttributeInterface{
		bgp.NewPathAttributeOrigin(0), p.asPath(), bgp.NewPathAttributeMpReachNLRI(nextHop, list),
	}, attrs...)
	p.send(bgp.NewBGPUpdateMessage(nil, all, nil))
}

func nlri(prefixes []string) []*bgp.IPAddrPrefix {
	var list []*bgp.IPAddrPrefix
	for _, s := range prefixes {
		x := netip.MustParsePrefix(s)
		list = append(list, bgp.NewIPAddrPrefix(uint8(x.Bits()), x.Addr().String()))
	}
	return list
}

// large is the large community GW-ASN:VTEP:VNI.
func large(vtep string, vni uint32) bgp.PathAttributeInterface {
	a := netip.MustParseAddr(vtep).As4()
	u := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	return bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: testASN, LocalData1: u, LocalData2: vni}})
}

// tunnelEncap is attribute 23 with any octets as value.
func tunnelEncap(value []byte) bgp.PathAttributeInterface {
	return bgp.NewPathAttributeUnknown(bgp.BGP_ATTR_FLAG_OPTIONAL|bgp.BGP_ATTR_FLAG_TRANSITIVE, bgp.BGP_ATTR_TYPE_TUNNEL_ENCAP, value)
}
