package afxdp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/dataplane"
	"github.com/eipgw/eipgw/dataplane/fib"
	"github.com/eipgw/eipgw/dataplane/fib/fibtest"
	"github.com/eipgw/eipgw/encap"
)

const numbered = 300 // tunnels that are told apart by their VNI

func (b *laneBench) numbered() (all []encap.Tunnel) {
	for n := range numbered {
		t := encap.Tunnel{VTEP: netip.AddrFrom4([4]byte{10, 8, byte(n >> 8), byte(n)}), VNI: encap.VNI(n)}
		b.res.Set(t.VTEP, fibtest.Adjacency(inPort, netip.AddrFrom4([4]byte{10, 255, 0, 1}), 1))
		all = append(all, t)
	}
	return all
}

// vniOf is the tunnel that a lane's frame is in, or -1 where the lane left it.
func (b *laneBench) vniOf(addr uint32) int {
	verdict, out := b.run(ip4{src: 198<<24 | 1, dst: addr, ttl: 64, protocol: 17, payload: make([]byte, 8)}.frame())
	if verdict != xdpTX {
		return -1
	}
	return int(binary.BigEndian.Uint32(out[14+20+8+4:]) >> 8)
}

func prefix4(addr uint32, bits int) netip.Prefix {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], addr)
	return netip.PrefixFrom(netip.AddrFrom4(a), bits).Masked()
}

// The program finds in the table what a Reader finds, in nodes of every kind: tables
// grow from a few prefixes in each of some /24s to nearly all addresses, and shrink again.
func TestLaneLookup(t *testing.T) {
	b := newLaneBench(t)
	tunnels := b.numbered()
	r := rand.New(rand.NewPCG(8, 9))
	bound := map[netip.Prefix]bool{}
	addr := func() uint32 { return 203<<24 | uint32(r.IntN(6))<<8 | uint32(r.IntN(256)) }
	for round := range 60 {
		var bs []fib.Binding
		for range 1 + r.IntN(200) {
			p := prefix4(addr(), []int{32, 32, 32, 31, 28, 25, 24, 23, 20}[r.IntN(9)])
			if round > 40 && len(bound) > 0 {
				for p = range bound {
					break
				}
				delete(bound, p)
				bs = append(bs, fib.Binding{Prefix: p})
				continue
			}
			bound[p] = true
			bs = append(bs, fib.Binding{Prefix: p, Tunnels: []encap.Tunnel{tunnels[r.IntN(numbered)]}})
		}
		b.apply(bs...)
		for range 200 {
			a := addr()
			var v [1]fib.Value
			want := -1
			b.reader.Begin()
			b.reader.Lookup4([]uint32{a}, v[:])
			if e := b.reader.Entry(v[0], 0); e != nil {
				h := e.Header
				frame := make([]byte, h.Len()+20)
				h.Apply(frame, encap.Inner{})
				want = int(binary.BigEndian.Uint32(frame[14+20+8+4:]) >> 8)
			}
			b.reader.End()
			require.Equal(t, want, b.vniOf(a), "round %d, %x", round, a)
		}
	}
}

// While a table changes all the time, and what is freed is overwritten, a run of the
// program finds what was bound before a change or after it: of each address tunnel a or
// a+100 or, for those that come and go, none.
func TestLaneUnderChanges(t *testing.T) {
	b := newLaneBench(t)
	tunnels := b.numbered()
	at := func(a int) uint32 { return 203<<24 | uint32(a/16)<<8 | uint32(a%16*7) }
	bind := func(a, n int) fib.Binding {
		return fib.Binding{Prefix: prefix4(at(a), 32), Tunnels: []encap.Tunnel{tunnels[n]}}
	}
	const addrs = 100
	for a := range addrs {
		b.apply(bind(a, a))
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var lookups atomic.Int64
	wrong := make([]int, 2)
	for i := range wrong {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			frames := make([][]byte, addrs)
			for a := range frames {
				frames[a] = ip4{src: 198<<24 | 1, dst: at(a), ttl: 64, protocol: 17, payload: make([]byte, 8)}.frame()
			}
			for !stop.Load() {
				a := r.IntN(addrs)
				o := ebpf.RunOptions{Data: frames[a], DataOut: make([]byte, 256)}
				verdict, err := b.i.lane.program.Run(&o)
				vni := -1
				if verdict == xdpTX {
					vni = int(binary.BigEndian.Uint32(o.DataOut[14+20+8+4:]) >> 8)
				}
				if err != nil || vni != a && vni != a+100 && (vni != -1 || a%2 == 0) {
					wrong[i]++
				}
				lookups.Add(1)
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 1))
	for done := 0; done < 20_000 || lookups.Load() < 2000; done++ {
		switch a := r.IntN(addrs); {
		case a%2 == 1 && r.IntN(2) == 0:
			b.apply(fib.Binding{Prefix: prefix4(at(a), 32)})
		case r.IntN(50) == 0: // an entry is replaced under its slot
			b.res.Set(tunnels[a].VTEP, fibtest.Adjacency(inPort, netip.AddrFrom4([4]byte{10, 255, 0, 1}), byte(r.IntN(256))))
			b.compiler.Refresh([]netip.Addr{tunnels[a].VTEP})
		default:
			b.apply(bind(a, a+100*r.IntN(2)))
		}
	}
	stop.Store(true)
	wg.Wait()
	assert.Equal(t, []int{0, 0}, wrong)
	eventually(t, "all is freed", func() bool { return b.compiler.Stats().Retired == 0 })
}

// What a change of the rules replaces no run goes by when SetRules has returned.
func TestLaneRulesChange(t *testing.T) {
	b := newLaneBench(t)
	b.apply(fib.Binding{Prefix: prefix4(203<<24, 24), Tunnels: b.numbered()[7:8]})
	frame := ip4{src: 198<<24 | 1, dst: 203<<24 | 1, tos: 0, ttl: 64, protocol: 17}.frame()
	for n := range 40 {
		b.set(dataplane.RulesConfig{DSCP: dataplane.DSCPPolicy{Mode: dataplane.DSCPFixed, Fixed: uint8(n)}})
		_, out := b.run(frame)
		require.EqualValues(t, n<<2, out[15])
	}
	require.NoError(t, b.lane.Synchronize())
	require.NoError(t, b.lane.SetRules(b.rules.Plain()), "nothing has changed")
}

// A table that does not fit is refused with how much it was, and a second one has no memory.
func TestLaneMemoryRefuses(t *testing.T) {
	b := newLaneBench(t)
	mem, err := b.lane.Memory()
	require.NoError(t, err)
	_, err = fib.NewTable(fib.TableOptions{Memory: mem})
	assert.ErrorContains(t, err, "there is one already")

	full := 0
	tunnels := b.numbered()
	for n := range 40 { // 16 MiB hold 16384 dense nodes at the most
		var bs []fib.Binding
		for i := range 60_000 {
			a := 11<<24 | uint32(n*60_000+i)*61
			bs = append(bs, fib.Binding{Prefix: prefix4(a, 32), Tunnels: tunnels[i%numbered : i%numbered+1]})
		}
		rep, err := b.compiler.Apply(bs)
		require.NoError(t, err)
		if full += len(rep.Refused); full > 0 {
			assert.ErrorContains(t, rep.Refused[0].Err, "is full")
			return
		}
	}
	t.Error("the table never was full")
}
