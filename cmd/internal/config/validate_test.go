package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every row is a configuration with the mistakes that want lists, in full.
func TestMistakes(t *testing.T) {
	const (
		gateway  = "gateway: {asn: 64512, router-id: 10.255.0.1}\n"
		ports    = "ports: [{name: eth1}]\n"
		segments = "segments: [{prefix: 203.0.113.0/24}]\n"
	)
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{
			"gateway.asn: missing: expected the gateway's AS number",
			"gateway.router-id: missing: expected an IPv4 address such as 10.255.0.1",
			"ports: missing: expected at least one interface, such as {name: eth1}",
		}},
		{"not YAML", "gateway: [", []string{"line 1: not YAML: sequence end token ']' not found"}},
		{"two documents", gateway + ports + "---\n" + ports, []string{"line 4: a second YAML document: expected one"}},
		{"unknown section", gateway + ports + "neighbrs: []\n", []string{"line 3: neighbrs: unknown key: did you mean neighbors?"}},
		{"unknown key, nothing like it", gateway + ports + "workers: {threads: 4}\n", []string{
			"line 3: workers.threads: unknown key: expected one of cpus, idle",
		}},
		{"key in two spellings", gateway + "ports: [{name: eth1, zerocopy: off}]\n", []string{
			"line 2: ports[0].zerocopy: unknown key: did you mean zero-copy?",
		}},
		{"merge key", gateway + ports + "log: {<<: *x}\n", []string{"line 3: log.<<: merge keys are not read: write the keys out"}},
		{"alias of nothing", gateway + ports + "log: {level: *x}\n", []string{
			"line 3: log.level: alias *x: no anchor &x stands before it",
			"line 3: log.level: nothing: expected debug, info, warn or error",
		}},
		{"key twice", gateway + ports + "log: {level: info,\n level: debug}\n", []string{"line 4: log.level: there twice: first in line 3"}},
		{"wrong shapes", gateway + ports + "segments: 203.0.113.0/24\nworkers: [1]\nlog: {level: [info]}\ntunnel:\n  ttl:\n", []string{
			`line 3: segments: "203.0.113.0/24": expected a list`,
			"line 4: workers: a list: expected keys and values: cpus, idle",
			"line 5: log.level: a list: expected debug, info, warn or error",
			"line 7: tunnel.ttl: nothing: expected a TTL, 1 to 255",
		}},
		{"path MTU", gateway + ports + "tunnel: {path-mtu: 1400}\n", []string{`line 3: tunnel.path-mtu: "1400": expected discover or off`}},
		{"all in one run", "gateway: {asn: 0, router-id: fd00::1}\nports:\n  - name: eth1\n    queues: many\n  - name: \"eth 2\"\n", []string{
			`line 1: gateway.asn: "0": expected an AS number, 1 to 4294967295`,
			`line 1: gateway.router-id: "fd00::1": expected an IPv4 address such as 10.255.0.1`,
			`line 4: ports[0].queues: "many": expected a number of queues, 1 to 256`,
			`line 5: ports[1].name: "eth 2": expected the name of an interface, such as eth1`,
		}},
		{"scalars", gateway + "ports: [{name: eth1, mode: nativ, frames: 5000, vlan: 4095}]\n" +
			"announce: {settle: 2, next-hop: self, when-empty: yes}\nadmin: {socket: eipgw.sock}\nmetrics: {listen: localhost:9179}\nlog: {level: verbose}\n", []string{
			`line 2: ports[0].mode: "nativ": expected auto, native or generic (did you mean native?)`,
			`line 2: ports[0].frames: "5000": expected a power of two, 256 to 65536`,
			`line 2: ports[0].vlan: "4095": expected a VLAN, 0 for untagged, or two of them, such as 100.200 for 802.1Q 200 inside 802.1ad 100, each at most 4094`,
			`line 3: announce.settle: "2": expected a time with its unit, such as 9s or 500ms, from 0s to 1m0s`,
			`line 3: announce.next-hop: "self": expected session or service`,
			`line 3: announce.when-empty: "yes": expected true or false`,
			`line 4: admin.socket: "eipgw.sock": expected an absolute path such as /etc/eipgw/bindings.yaml`,
			`line 5: metrics.listen: "localhost:9179": expected an address and a port such as 127.0.0.1:9179 or [::1]:9179`,
			`line 6: log.level: "verbose": expected debug, info, warn or error`,
		}},
		{"prefixes", gateway + ports + "segments: [{prefix: 203.0.113.7/24}, {prefix: 203.0.113.0}, {prefix: 0.0.0.0/0}, {med: 1}, {prefix: \"::ffff:1.2.3.0/120\"}]\n", []string{
			`line 3: segments[0].prefix: "203.0.113.7/24": expected 203.0.113.0/24 (the value has bits set outside its mask)`,
			`line 3: segments[1].prefix: "203.0.113.0": expected a prefix such as 203.0.113.0/24 or 2001:db8::/64`,
			`line 3: segments[4].prefix: "::ffff:1.2.3.0/120": expected a prefix such as 203.0.113.0/24 or 2001:db8::/64`,
			"line 3: segments[2].prefix: 0.0.0.0/0: expected a segment of EIPs, not a default route",
			"line 3: segments[3].prefix: missing: expected a prefix such as 203.0.113.0/24 or 2001:db8::/64",
		}},
		{"communities", gateway + ports + "segments: [{prefix: 203.0.113.0/24, communities: [\"70000:1\", no-exprt, \"1:1\", \"1:1\"], large-communities: [\"1:2\"], med: -1}]\n", []string{
			`line 3: segments[0].communities[0]: "70000:1": expected a community such as 64512:100, or no-export`,
			`line 3: segments[0].communities[1]: "no-exprt": expected a community such as 64512:100, or no-export`,
			"line 3: segments[0].communities[3]: there twice",
			`line 3: segments[0].large-communities[0]: "1:2": expected a large community such as 64512:1:2`,
			`line 3: segments[0].med: "-1": expected a MED, 0 to 4294967295`,
		}},
		{"segment twice", gateway + ports + "segments:\n  - prefix: 203.0.113.0/24\n  - prefix: 203.0.113.0/24\n", []string{
			"line 5: segments[1].prefix: 203.0.113.0/24 is segments[0] already",
		}},
		{"own addresses in a segment", "gateway: {asn: 64512, router-id: 203.0.113.1, service-addresses: [203.0.113.2]}\n" + ports + segments +
			"tunnel: {source-ipv4: 203.0.113.3}\nneighbors: [{address: 203.0.113.4, role: switch, asn: 65001}]\n", []string{
			"line 1: gateway.service-addresses[0]: 203.0.113.2, a service address, lies inside segments[0] 203.0.113.0/24: frames for it would be taken for an EIP's",
			"line 4: tunnel.source-ipv4: 203.0.113.3, the tunnels' source address, lies inside segments[0] 203.0.113.0/24: frames for it would be taken for an EIP's",
			"line 5: neighbors[0].address: 203.0.113.4, a neighbor, lies inside segments[0] 203.0.113.0/24: frames for it would be taken for an EIP's",
		}},
		{"service addresses", "gateway: {asn: 1, router-id: 10.0.0.1, service-addresses: [10.0.0.1, 10.0.0.2, \"::ffff:10.0.0.3\"], listen: []}\n" + ports +
			"announce: {next-hop: service}\nsegments: [{prefix: 2001:db8::/64}]\n", []string{
			`line 1: gateway.service-addresses[2]: "::ffff:10.0.0.3": expected plain IPv4: 10.0.0.3`,
			"line 1: gateway.service-addresses[1]: 10.0.0.2: expected at most one address per family, and 10.0.0.1 is there",
			"line 1: gateway.listen: nothing: expected at least one address and port, such as 0.0.0.0:179",
			"line 4: segments[0].prefix: 2001:db8::/64: announce.next-hop is service, but gateway.service-addresses has no address of this family",
		}},
		{"neighbors", gateway + ports + segments + `neighbors:
  - {role: switch, asn: 65001}
  - {address: 10.0.1.1, range: 10.1.0.0/24, role: virtual-router, asn: 1, allow: [203.0.113.0/24]}
  - {address: 10.0.1.2}
  - {range: 10.2.0.0/24, role: switch, asn: 1}
  - {address: 10.0.1.3, role: switch, asn: 1, multihop: 2, ttl-security: 254, hold-time: 1s}
  - {address: 10.0.1.4, role: switch, asn: 1, allow: [], profile: {vni: 1}}
  - {address: 10.0.1.5, role: vrouter, asn: 1}
`, []string{
			"line 5: neighbors[0]: expected address, or range for neighbors that connect from any address of it",
			"line 6: neighbors[1].range: 10.1.0.0/24: expected either address or range",
			"line 7: neighbors[2].role: missing: expected switch or virtual-router",
			"line 7: neighbors[2].asn: missing: expected the neighbor's AS number",
			"line 8: neighbors[3].range: 10.2.0.0/24: expected address: a switch is named one by one, for it gets all announcements",
			`line 9: neighbors[4].hold-time: "1s": expected a time in whole seconds, such as 9s, from 3s to 18h12m15s`,
			"line 9: neighbors[4].ttl-security: 254: expected either ttl-security or multihop",
			"line 10: neighbors[5].allow: only for the role virtual-router: nothing is learned from a switch",
			"line 10: neighbors[5].profile: only for the role virtual-router: nothing is learned from a switch",
			`line 11: neighbors[6].role: "vrouter": expected switch or virtual-router`,
		}},
		{"a password that is none", gateway + ports + segments + "neighbors: [{address: 10.0.1.1, role: switch, asn: 1, password: \"\"}]\n", []string{
			"line 4: neighbors[0].password: empty: leave the key out for none; expected a text of 1 to 80 bytes (TCP MD5)",
		}},
		{"neighbor twice", gateway + ports + segments + `neighbors:
  - {address: 10.0.1.1, role: switch, asn: 1}
  - {address: 10.0.1.1, role: virtual-router, asn: 1, allow: [203.0.113.0/24]}
  - {address: 10.0.1.1, role: switch, asn: 1}
  - {range: 10.0.0.0/16, role: virtual-router, asn: 1, allow: [203.0.113.0/24]}
  - {range: 10.0.1.0/24, role: virtual-router, asn: 1, allow: [203.0.113.0/24]}
`, []string{
			"line 5: neighbors[0].address: 10.0.1.1 lies inside the range 10.0.0.0/16 of neighbors[3], which is a virtual-router: expected one role per neighbor",
			"line 5: neighbors[0].address: 10.0.1.1 lies inside the range 10.0.1.0/24 of neighbors[4], which is a virtual-router: expected one role per neighbor",
			"line 6: neighbors[1].address: 10.0.1.1 is neighbors[0] already, as a switch: expected one role per neighbor",
			"line 7: neighbors[2].address: 10.0.1.1 is neighbors[0] already",
			"line 7: neighbors[2].address: 10.0.1.1 is neighbors[1] already, as a virtual-router: expected one role per neighbor",
			"line 7: neighbors[2].address: 10.0.1.1 lies inside the range 10.0.0.0/16 of neighbors[3], which is a virtual-router: expected one role per neighbor",
			"line 7: neighbors[2].address: 10.0.1.1 lies inside the range 10.0.1.0/24 of neighbors[4], which is a virtual-router: expected one role per neighbor",
			"line 9: neighbors[4].range: 10.0.1.0/24 overlaps the range 10.0.0.0/16 of neighbors[3]",
		}},
		{"carriers and profile", gateway + ports + segments + `neighbors:
  - {address: 10.1.0.1, role: virtual-router, asn: 1, allow: [203.0.113.0/24], carriers: [peer, next-hop, evpn], hold-time: 9s, keepalive: 5s}
  - {address: 10.1.0.2, role: virtual-router, asn: 1, allow: [203.0.113.0/24], carriers: []}
  - {address: 10.1.0.3, role: virtual-router, asn: 1, allow: [203.0.113.0/24], profile: {vni: 16777216, inner-mac: 01:00:5e:00:00:01, inner-src-mac: 01:00:5e:00:00:02, ovn: {inport: 32768}}}
  - {address: 10.1.0.4, role: virtual-router, asn: 1, allow: [203.0.113.0/24], profile: {protocol: vxlan, ovn: {inport: 2, outport: 1}}}
  - {address: 10.1.0.5, role: virtual-router, asn: 1, allow: [203.0.113.0/24], profile: {protocol: gre}}
`, []string{
			`line 5: neighbors[0].carriers[2]: "evpn": expected tunnel-encap, large-community, next-hop or peer`,
			"line 5: neighbors[0].keepalive: 5s: expected at most half of the hold time 9s",
			"line 5: neighbors[0].carriers[0]: peer: expected profile.vni as well, for the route names none",
			"line 5: neighbors[0].carriers[0]: peer: expected gateway.service-addresses as well, which such routes have as next hop",
			"line 5: neighbors[0].carriers[1]: next-hop: expected profile.vni as well, for the route names none",
			"line 6: neighbors[1].carriers: nothing: expected one or more of tunnel-encap, large-community, next-hop, peer",
			`line 7: neighbors[2].profile.vni: "16777216": expected a VNI, 0 to 16777215`,
			`line 7: neighbors[2].profile.inner-mac: "01:00:5e:00:00:01": expected the address of one interface, not a group address`,
			`line 7: neighbors[2].profile.inner-src-mac: "01:00:5e:00:00:02": expected the address of one interface, not a group address`,
			`line 7: neighbors[2].profile.ovn.inport: "32768": expected the tunnel key of a logical port, 0 to 32767`,
			"line 7: neighbors[2].profile.ovn.outport: missing: expected the tunnel key of the router-type port of the external switch",
			"line 8: neighbors[3].profile.ovn: only with protocol geneve: vxlan has no options",
			`line 9: neighbors[4].profile.protocol: "gre": expected geneve or vxlan`,
		}},
		{"ports and workers", gateway + `ports:
  - {name: eth1, queues: 2}
  - {name: eth2, queues: 1}
  - {name: eth1, queues: 2, mode: generic, zero-copy: require}
  - {queues: 2}
workers: {cpus: [1, 1, 2, 3]}
`, []string{
			"line 4: ports[1].queues: 1: expected 2 as for eth1: worker i takes queue i of every port",
			"line 5: ports[2].name: eth1 is ports[0] already",
			"line 5: ports[2].zero-copy: require: generic XDP always copies; expected mode native or auto",
			"line 6: ports[3].name: missing: expected the name of an interface, such as eth1",
			"line 7: workers.cpus[1]: there twice",
			"line 7: workers.cpus: 3 CPUs: expected 2, one per queue, or none for workers that are not pinned",
		}},
		{"forwarding", gateway + ports + `forwarding:
  unbound: reject
  unresolved: net-unreachble
  oversize: fragment
  martians: true
  tiny-fragments: count
  icmp: {rate: -1, burst: 0, source-rate: 1000001, source-ipv4: fd00::1, source-ipv6: 10.0.0.1, per-source: 1}
`, []string{
			`line 4: forwarding.unbound: "reject": expected drop, net-unreachable, host-unreachable or prohibited`,
			`line 5: forwarding.unresolved: "net-unreachble": expected drop, net-unreachable, host-unreachable or prohibited (did you mean net-unreachable?)`,
			`line 6: forwarding.oversize: "fragment": expected fragment-inner, fragment-outer or refuse`,
			`line 7: forwarding.martians: "true": expected drop or allow`,
			`line 8: forwarding.tiny-fragments: "count": expected allow or drop`,
			`line 9: forwarding.icmp.rate: "-1": expected a number of answers in a second, 0 for no limit, 0 to 1000000`,
			`line 9: forwarding.icmp.burst: "0": expected a number of answers at once, 1 to 1000000`,
			`line 9: forwarding.icmp.source-rate: "1000001": expected a number of answers in a second, 0 for no limit, 0 to 1000000`,
			`line 9: forwarding.icmp.source-ipv4: "fd00::1": expected an IPv4 address such as 10.255.0.1`,
			`line 9: forwarding.icmp.source-ipv6: "10.0.0.1": expected an IPv6 address such as fd00::1`,
			"line 9: forwarding.icmp.per-source: unknown key: expected one of burst, rate, source-burst, source-ipv4, source-ipv6, source-rate",
		}},
		{"ICMP sources", gateway + ports + "forwarding: {icmp: {source-ipv4: 127.0.0.1, source-ipv6: fe80::1}}\n", []string{
			`line 3: forwarding.icmp.source-ipv4: "127.0.0.1": expected an address that others can reach: not a loopback, link-local or reserved one`,
			`line 3: forwarding.icmp.source-ipv6: "fe80::1": expected an address that others can reach: not a loopback, link-local or reserved one`,
		}},
		{"DSCPs", gateway + ports + "tunnel: {pcp: dscp, dscp: 64}\n", []string{
			`line 3: tunnel.pcp: "dscp": expected none or from-dscp`,
			`line 3: tunnel.dscp: "64": expected copy, a DSCP: 0 to 63, or a name such as ef, af11, cs6, be, or a map from inner to outer ones, such as {ef: cs5}`,
		}},
		{"DSCP map", gateway + ports + "tunnel:\n  dscp:\n    ef: cs8\n    46: 1\n    af14: 2\n    cs1:\n", []string{
			`line 5: tunnel.dscp.ef: "cs8": expected a DSCP: 0 to 63, or a name such as ef, af11, cs6, be`,
			`line 6: tunnel.dscp.46: there twice: DSCP 46 is mapped already`,
			`line 7: tunnel.dscp.af14: "af14": expected a DSCP: 0 to 63, or a name such as ef, af11, cs6, be`,
			`line 8: tunnel.dscp.cs1: nothing: expected a DSCP: 0 to 63, or a name such as ef, af11, cs6, be`,
		}},
		{"DSCP map of nothing", gateway + ports + "tunnel: {dscp: {}}\n", []string{
			`line 3: tunnel.dscp: nothing: expected at least one pair of DSCPs, such as {ef: cs5}, or copy`,
		}},
		{"VLANs", gateway + "ports: [{name: eth1, accept-vlans: [tagged, 0, 4095, 1.2.3, 0.7, 7, 7]}, {name: eth2, accept-vlans: []}]\nsegments: [{prefix: 203.0.113.0/24, mss-clamp: 1400}]\n", []string{
			`line 2: ports[0].accept-vlans[0]: "tagged": expected untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094`,
			`line 2: ports[0].accept-vlans[1]: "0": expected untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094`,
			`line 2: ports[0].accept-vlans[2]: "4095": expected untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094`,
			`line 2: ports[0].accept-vlans[3]: "1.2.3": expected untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094`,
			`line 2: ports[0].accept-vlans[4]: "0.7": expected untagged, a VLAN such as 100, or two such as 100.200, the outer one first, each 1 to 4094`,
			"line 2: ports[0].accept-vlans[6]: there twice",
			"line 2: ports[1].accept-vlans: nothing: expected at least one of what comes in, such as untagged or 100, or no such key for any",
			`line 3: segments[0].mss-clamp: "1400": expected true or false`,
		}},
		{"profiles on the network", gateway + ports + "metrics: {listen: 0.0.0.0:9179, pprof: true}\n", []string{
			"line 3: metrics.listen: 0.0.0.0:9179: expected a loopback address, such as 127.0.0.1:9179, while metrics.pprof is true: profiles show memory to whoever asks",
		}},
		{"profiles nowhere", gateway + ports + "metrics: {pprof: true}\n", []string{
			"line 3: metrics.pprof: true: expected metrics.listen as well, such as 127.0.0.1:9179",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(row.text))
			var e *Error
			require.True(t, errors.As(err, &e), "got %v", err)
			assert.Equal(t, row.want, strings.Split(e.Error(), "\n"))
		})
	}
}

func TestWarnings(t *testing.T) {
	warnings := func(text string) (lines []string) {
		for _, p := range mustParse(t, text).Warnings {
			lines = append(lines, p.String())
		}
		return lines
	}
	assert.Empty(t, warnings(minimal))
	assert.ElementsMatch(t, []string{
		"segments: none: no EIP is accepted until `eipgw segment add` names one",
		"neighbors: none has the role virtual-router, and there is no bindings.file: bindings come by `eipgw bind` only",
	}, warnings("gateway: {asn: 1, router-id: 10.0.0.1}\nports: [{name: eth1}]\n"))
	assert.Equal(t, []string{
		"line 3: metrics.listen: 0.0.0.0:9179 is no loopback address: whoever reaches it reads the metrics",
		"line 5: neighbors: none has the role switch: segments are announced to nobody",
		"line 6: neighbors[0].allow[1]: 198.51.100.0/24 has no address in common with any segment: nothing of it is accepted",
		"line 7: neighbors[1].allow: not set: 10.1.0.2 may claim every EIP of every segment",
		"line 8: neighbors[2].allow: empty: nothing that 10.2.0.0/24 says is accepted",
	}, warnings(`gateway: {asn: 1, router-id: 10.0.0.1}
ports: [{name: eth1}]
metrics: {listen: 0.0.0.0:9179}
segments: [{prefix: 203.0.113.0/24}]
neighbors:
  - {address: 10.1.0.1, role: virtual-router, asn: 1, allow: [0.0.0.0/0, 198.51.100.0/24]}
  - {address: 10.1.0.2, role: virtual-router, asn: 1}
  - {range: 10.2.0.0/24, role: virtual-router, asn: 1, allow: []}
`))
}
