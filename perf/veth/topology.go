package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"

	"github.com/eipgw/eipgw/encap"
	"github.com/eipgw/eipgw/perf/lab"
	"github.com/eipgw/eipgw/perf/loadgen"
)

const (
	generatorCPU = 0
	workerCPU    = 1

	mtu       = 1600 // so that 1500-byte packets fit with their tunnel header
	plainPort = 9    // UDP, discard
	srcPorts  = 4096
	maxEIPs   = 1 << 24 // of firstEIP's /8
)

// Addresses. EIPs are in a row from firstEIP on; VTEPs are behind the wire.
var (
	firstEIP  = netip.MustParseAddr("100.0.0.0")
	segment   = netip.MustParsePrefix("100.0.0.0/8")
	client    = netip.MustParseAddr("198.51.100.1")
	vteps     = netip.MustParsePrefix("10.9.0.0/16")
	service   = netip.MustParseAddr("10.255.0.1")
	wireMACs  = [2]encap.MAC{{2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 1, 1}}
	portMACs  = [2]encap.MAC{{2, 0, 0, 0, 2, 0}, {2, 0, 0, 0, 2, 1}}
	wireNames = [2]string{"w0", "w1"}
	portNames = [2]string{"p0", "p1"}
)

// lastEIP is the last of n EIPs.
func lastEIP(n int) netip.Addr {
	b := firstEIP.As4()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])+uint32(n-1))))
}

// pfifo is how many frames a contender's end holds when the wire is full: with a queue,
// the kernel tells a sender that it is full, without, it drops.
const pfifo = 1000

// topology is the namespaces of one turn.
type topology struct {
	lab.Lab
	wire, gateway *lab.NS
	arms          int
}

func newTopology(arms int) (_ *topology, err error) {
	t := &topology{arms: arms}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if t.wire, err = t.NS("wire"); err != nil {
		return nil, err
	}
	if t.gateway, err = t.NS("gateway"); err != nil {
		return nil, err
	}
	for i := range arms {
		err := lab.Veth(
			lab.End{NS: t.wire, Name: wireNames[i], MAC: wireMACs[i].String(), Addrs: []netip.Prefix{link(i, 2)}},
			lab.End{NS: t.gateway, Name: portNames[i], MAC: portMACs[i].String(), Addrs: []netip.Prefix{link(i, 1)}, Pfifo: pfifo},
			lab.VethOptions{MTU: mtu})
		if err != nil {
			return nil, err
		}
	}
	return t, t.gateway.Route(vteps, lab.Via(link(t.out(), 2).Addr().String()))
}

// out is the arm by which frames leave.
func (t *topology) out() int { return t.arms - 1 }

// link is an address on the i-th link.
func link(i, host int) netip.Prefix {
	return netip.MustParsePrefix("10.0." + strconv.Itoa(i) + "." + strconv.Itoa(host) + "/24")
}

func (t *topology) generator(s settings, tr traffic) (g *loadgen.Generator, err error) {
	const fcs = 4
	err = t.wire.Do(func() error {
		g, err = loadgen.New(loadgen.Config{
			Interface: wireNames[0], CPU: generatorCPU, Size: s.Size - fcs,
			SrcMAC: wireMACs[0], DstMAC: portMACs[0], Source: client, FirstDst: firstEIP, Dsts: tr.eips,
			SrcPorts: srcPorts, Port: plainPort, Mix: tr.mix,
		})
		return err
	})
	return g, err
}

func (t *topology) sink() (s *loadgen.Sink, err error) {
	err = t.wire.Do(func() error {
		s, err = loadgen.Attach(loadgen.SinkConfig{Interface: wireNames[t.out()], Port: plainPort})
		return err
	})
	return s, err
}
