package underlay

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/perf/lab"
)

// BenchmarkRoute is the cost of asking the kernel for one route.
func BenchmarkRoute(b *testing.B) {
	l := lab.T(b)
	a, z := l.NS("a"), l.NS("b")
	addr := netip.MustParsePrefix("10.0.0.1/24")
	l.Veth(lab.End{NS: a, Name: "sw0", Addrs: []netip.Prefix{addr}}, lab.End{NS: z, Name: "sw0"}, lab.VethOptions{})
	for i := range 200 {
		l.Check(a.Route(netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i)), lab.Via("10.0.0.2")))
	}
	var k *rtnetlink
	require.NoError(b, a.Do(func() (err error) {
		k, err = openRtnetlink(1 << 20)
		return err
	}))
	defer k.release()
	defer k.close()
	dst := netip.MustParseAddr("192.0.2.77")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.route(dst, netip.Addr{}); err != nil {
			b.Fatal(err)
		}
	}
}
