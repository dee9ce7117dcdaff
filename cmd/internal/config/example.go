package config

// Example is a configuration with every key that there is, as `eipgw validate
// --example` prints it. A test reads it.
func Example() string { return example }

const example = `# eipgw configuration. Every key is here; a value with the comment "default" is what holds without it.

# Who the gateway is in BGP.
gateway:
  asn: 64512
  router-id: 10.255.0.1
  # What virtual routers use as next hop of their EIPs: one address per family at
  # most, and the same on every gateway. Put them on a loopback or dummy interface.
  service-addresses: [10.255.0.1, "fd00:ff::1"]
  listen: ["0.0.0.0:179", "[::]:179"] # default

# Prefixes of EIPs that switches are told of. Frames for addresses inside them are
# the gateway's, everything else on its interfaces stays the kernel's.
segments:
  - prefix: 203.0.113.0/24
    communities: ["64512:100", no-export]  # default is none
    large-communities: ["64512:1:2"]       # default is none
    med: 10                                # default is none
    mss-clamp: false                       # default; or true: TCP SYNs get an MSS that fits the tunnel, which limits
                                           # what comes back to their sender
  - prefix: 2001:db8:e1b::/64

# How and when segments are announced.
announce:
  next-hop: session  # default: the gateway's address in the session; or service
  settle: 2s         # default: a route that replaces others has to stand this long
  initial-wait: 60s  # default: longest wait for the first bindings after the start
  damping: 5s        # default: what had segments withdrawn must be good again this long
  when-empty: false  # default: without any binding nothing is announced

neighbors:
  # A switch gets all segments and nothing else; nothing is learned from it.
  - address: 10.0.1.1
    role: switch
    asn: 65001
    name: leaf 1           # default is the address
    password: "s3cret"     # default is none; TCP MD5 (RFC 2385)
    port: 179              # default
    local-address: 10.0.1.2  # default is the kernel's choice
    interface: eth1        # default is any; the link or VRF of the session
    passive: false         # default: the gateway connects as well
    ttl-security: 1        # default is off; the most hops away that it may be (RFC 5082)
    hold-time: 9s          # default
    keepalive: 3s          # default is a third of the hold time
    connect-retry: 2s      # default
    families: [ipv4, ipv6] # default is the session's own, and the other if it has a next hop

  # Virtual routers say which EIPs are behind them. A range stands for every
  # neighbor that connects from one of its addresses.
  - range: 10.1.0.0/24
    role: virtual-router
    asn: 65100
    multihop: 4            # default is directly connected; TTL of what the gateway sends
    allow: [203.0.113.0/25, "2001:db8:e1b::/65"] # EIPs they may claim; not set: all
    max-prefixes: 10000    # default is 100000, of each neighbor; more are refused
    # Which parts of a route may name the tunnel; best first. Default: all for which
    # the profile and the service addresses say enough.
    carriers: [tunnel-encap, large-community, next-hop, peer]
    # What their routes do not say about the tunnel.
    profile:
      vni: 5001                          # default is none; the route has to name it
      protocol: geneve                   # default; or vxlan. Taken where a route offers both
      inner-mac: "02:00:00:00:0a:01"     # default is 02:65:69:70:76:72
      inner-src-mac: "02:00:00:00:0a:02" # default is 02:65:69:70:67:77
      udp-port: 6081                     # default is the protocol's own
      ovn: {inport: 2, outport: 1}       # default is none; OVN's Geneve option

# Interfaces of the data plane. BGP, ARP and SSH go on living on them.
ports:
  - name: eth1
    mode: auto       # default: native XDP where the driver can, else generic
    zero-copy: auto  # default; or require, or off
    queues: 1        # default; the same for every port: one worker per queue
    vlan: 0          # default: untagged; of what is sent; 100.200 is 802.1Q 200 inside
                     # 802.1ad 100, 100.0 is 802.1ad alone
    frames: 4096     # default: buffers per queue, a power of two; a jumbo frame takes two or three
    busy-poll: 0     # default: by interrupts; else packets per call of the driver
    accept-vlans: [untagged, 100, "100.200"] # default is any; tags of what comes in, the outer one first

# Outer headers.
tunnel:
  source-ipv4: 10.255.0.1    # default is the source address of the route
  source-ipv6: "fd00:ff::1"  # default is the source address of the route
  udp6-checksum: compute     # default; or zero (RFC 6935)
  ttl: 64                    # default
  path-mtu: discover         # default: routers that report too big packets are believed; or off
  dscp: copy                 # default: the inner packet's; or one such as ef or 46, or a map from
                             # inner to outer ones, such as {ef: cs5, af41: 34}, the rest copied
  pcp: none                  # default; or from-dscp: the VLAN tag's priority is the DSCP's class

# What happens to frames that are not simply forwarded. A reload takes changes over, as
# it does those of segments, neighbors, accept-vlans, dscp, pcp, and the level of the log.
forwarding:
  # For an EIP that nobody has bound, and for one whose virtual router the underlay knows
  # no way to: an ICMP error, or drop for silence.
  unbound: host-unreachable    # default; or net-unreachable, prohibited, drop
  unresolved: net-unreachable  # default; or host-unreachable, prohibited, drop
  # IPv4 packets that do not fit the tunnel and may be fragmented: in front of it, in it
  # (the virtual router has to reassemble), or not. What may not is answered with what fits.
  oversize: fragment-inner     # default; or fragment-outer, refuse
  martians: drop               # default; or allow: addresses that no host can be reached by
  tiny-fragments: allow        # default; or drop: fragments that hide a TCP header; counted anyway
  # ICMP errors that the gateway sends; limits are for all workers together.
  icmp:
    rate: 1000         # default: in a second, to everybody; 0 is no limit
    burst: 200         # default: at once
    source-rate: 50    # default: in a second, to one source prefix, an IPv4 /24 or IPv6 /48; 0 is no limit
    source-burst: 50   # default: at once
    # Source addresses. Default is the first address of the port that a packet came in by,
    # else the service address, else the tunnels' source.
    source-ipv4: 10.255.0.1
    source-ipv6: "fd00:ff::1"
  # The fast lane forwards plain frames (untagged, IPv4 without options, whole, that fit) in
  # the kernel, with the same table, to the same bytes. It pays where AF_XDP has to copy: without
  # zero-copy. The CPU that the kernel receives on does its work. A reload can't change it.
  fast-lane: off         # default; or on
  fast-lane-memory: 128  # default: MiB of the kernel's memory for the table, taken at start, and 68 more;
                         # a million EIPs need 20 to 70. Bindings that do not fit are refused

# Threads that forward.
workers:
  cpus: [1]        # default is not pinned; one CPU per queue
  idle: adaptive   # default: sleeps when nothing arrives; or busy, for least latency

# Bindings from a file, read again when it changes.
bindings:
  file: /etc/eipgw/bindings.yaml # default is none

# Where the eipgw commands reach the daemon.
admin:
  socket: /run/eipgw/eipgw.sock # default

# HTTP: /metrics, /healthz, /readyz, and /debug/pprof/ on a loopback address.
metrics:
  listen: 127.0.0.1:9179 # default is none
  pprof: false           # default

log:
  level: info   # default; or debug, warn, error
  format: text  # default; or json

stop:
  linger: 2s # default: forwarding goes on this long after the segments are withdrawn
`
