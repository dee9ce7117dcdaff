// Package replay runs pcap files through the forwarder: packets in, packets out,
// and exactly the counters that changed. It needs neither root nor a network, and it
// is the same forwarder as on the wire with other ports at its ends, so what a case
// proves holds there too. `eipgw replay` and the cases under pcaps/ both use it.
//
// A case is a folder:
//
//	case.yaml          what the gateway looks like: the type Case
//	in.<port>.pcap     frames that arrive at that port, in order
//	want.<port>.pcap   frames that must leave it, in order; no file: none may
//	counters.json      counters that must have changed, and by how much: the type Counters
//
// case.yaml in full, with every key; * marks those that must be there:
//
//	title: an EIP behind a virtual router   # *
//	rfc: RFC 8926 section 3.4               # or any other ground for what is wanted
//	ports:                                  # *
//	  - name: sw0                           # * names the pcap files and the ways below
//	    id: 1                               # default: position in the list, from 1
//	    mac: 02:00:00:00:00:01              # * outer source address of what leaves
//	    mtu: 1500                           # default 1500: largest IP packet
//	    vlan: 0                             # default untagged: tag of what leaves; 100.200 is
//	                                        # 802.1Q 200 inside 802.1ad 100, 100.0 802.1ad alone
//	    vlans: [0, 100, 100.200]            # default any: tags of what arrives; 0 is untagged
//	    icmp-source: [192.0.2.1, "2001:db8::1"] # default: that of the rules; from where its frames are answered
//	bindings:                               # prefix and tunnels as in a bindings file
//	  - prefix: 203.0.113.7/32              # *
//	    tunnels:                            # *
//	      - vtep: 10.0.2.11                 # *
//	        vni: 5001                       # *
//	        protocol: geneve                # default; or vxlan
//	        udp-port: 6081                  # default: the protocol's own
//	        inner-mac: 02:00:00:00:0a:01    # default: encap.DefaultInnerDst
//	        inner-src-mac: 02:00:00:00:0a:02 # default: encap.DefaultInnerSrc
//	        ovn: {inport: 2, outport: 1}    # OVN's option, or
//	        options: "0102800100020001"     # any options in wire form, hexadecimal
//	underlay:                               # a VTEP that is not listed is unresolved
//	  - vtep: 10.0.2.11                     # *
//	    ways:                               # * several are equal-cost
//	      - port: sw0                       # *
//	        dst-mac: 02:00:00:00:00:fe      # * the next hop
//	        local: 10.255.0.1               # * outer source address, of the VTEP's family
//	        src-mac: 02:00:00:00:00:01      # default: the port's mac
//	        vlan: 0                         # default: the port's vlan
//	        mtu: 1500                       # default: the port's mtu; largest outer IP packet
//	tunnel: {udp6-checksum: compute, ttl: 64} # or udp6-checksum: zero
//	rules:                                  # dataplane.RulesConfig; these are the defaults, but for own and clamp-mss
//	  unbound: drop                         # or net-unreachable, host-unreachable, prohibited
//	  unresolved: drop                      # the same
//	  oversize: fragment-inner              # or fragment-outer, refuse
//	  martians: drop                        # or allow
//	  tiny-fragments: allow                 # or drop
//	  own: [10.255.0.1]                     # default none: addresses that nobody else sends from
//	  clamp-mss: {203.0.113.0/24: true, 203.0.113.7/32: false} # default none; the longest prefix counts
//	  dscp: {}                              # copied; or {fixed: 46}, or {map: [{from: 46, to: 34}]}
//	  pcp: false
//	  icmp-source: []                       # one of each family at most; none and none at a port: nothing is answered
//	  icmp-limits: {rate: 0, burst: 0, source-rate: 0, source-burst: 0} # answers a second and at once; 0 is no limit
//
// Files, in the order of the flow: case.go (the format), load.go (YAML → Case, and
// what it checks), tunnel.go (→ encap.Tunnel), rules.go (→ dataplane.Rules), build.go
// (Case → table and adjacencies), run.go (one worker over pcap ports until every input
// has ended), counters.go (what changed).
package replay
