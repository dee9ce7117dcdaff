// Package static is the source of bindings that a YAML file holds.
//
//	bindings:
//	  - prefix: 203.0.113.7/32          # or an address alone
//	    tunnels:                        # several form a group
//	      - vtep: 10.0.2.11
//	        vni: 5001
//	        protocol: geneve                 # default; or vxlan
//	        inner-mac: 02:00:00:00:0a:01     # default: encap.DefaultInnerDst
//	        inner-src-mac: 02:00:00:00:0a:02 # default: encap.DefaultInnerSrc
//	        udp-port: 6081                   # default: the protocol's own, 6081 or 4789
//	        ovn: {inport: 2, outport: 1}     # OVN's Geneve option, or
//	        options: "0102800100020001"      # Geneve options as they go on the wire
//
// Anchors and aliases may stand for tunnels that many EIPs share. Everything else
// is strict: an unknown key or an impossible value makes the whole file bad, and
// the error names line, key and value and says what was expected. While the file is bad, or
// gone, the bindings stay in force that were read last. To have none, the file
// says "bindings: []"; an empty file is bad, since it is what a writer leaves behind that
// has only begun.
//
// The way of a binding, in order:
//
//	watch.go   notice that the file has changed
//	parse.go   text to bindings; node.go walks YAML and words the problems
//	static.go  difference to what is in force, told to the RIB
package static
