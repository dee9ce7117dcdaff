// SPDX-License-Identifier: Apache-2.0

// The fast lane: the filter of xdp.bpf.c which forwards the plainest frames itself, as
// package dataplane does, byte for byte, and by the same table. What it does not
// know how to forward, or is not sure of, goes to the socket untouched. User space owns
// all maps; the program writes only its counters.

#include <linux/types.h>

// Segments by /24: bit addr>>8 is set where all of it is a segment and no own address is in
// it, so that nobody needs to look for the longest prefix. Where it is not, the prefix map
// says.
__u32 lane_segments[1 << 19];

#define SURE_SEGMENT4(addr) (lane_segments[(addr) >> 13] >> ((addr) >> 8 & 31) & 1)

#include "xdp.bpf.c"

#include "fib.h"
#include "flow.h"

#define MAX_PORTS 64 // interfaces that the lane sends by; IDs from 0 on
#define MAX_FRAME 0x3fff // more than fits a page
#define ETHER_LEN 14
#define UDP_LEN 8
#define VLAN_LEN 4

#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_SCTP 132
#define PROTO_UDPLITE 136

#define TCP_FLAGS 13
#define TCP_SYN 0x02

// The ID of the interface that this copy of the program is on.
const volatile __u32 lane_port = 0;

// What is known of an interface.
enum port_flag {
	PORT_UNTAGGED = 1, // takes frames without a tag
	PORT_REDIRECT = 2, // sends what is redirected to it
	PORT_TX = 4,       // sends what came in by itself, by XDP_TX
};

struct port {
	__u32 mtu; // largest IP packet that it sends
	enum port_flag flags;
};

// What user space knows as dataplane.Plain, and the interfaces.
struct rules {
	__u8 first4[256]; // not 0: an address with this first byte has to be looked at
	__u8 own4[256];   // not 0: so has a source with this hash
	__u8 tos[256];    // outer TOS by inner
	struct port ports[MAX_PORTS];
	__u32 clamp; // whether the MSS of some SYNs is lowered
	__u32 pcp;   // whether the outer tag gets its priority from the outer TOS
};

const struct rules *unused_rules; // so that its layout gets into the object's BTF

struct lane_rules_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct rules));
};

// The rules in force. A change is another inner map, so that a frame sees all of it or
// nothing.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct lane_rules_inner);
} lane_rules SEC(".maps");

// The interfaces that have PORT_REDIRECT in the rules, by ID.
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} lane_devices SEC(".maps");

struct carried {
	__u64 frames;
	__u64 received; // bytes, as they came in
	__u64 sent;     // bytes, tunnel headers included
	__u64 lost;     // frames beside those: the interface to send by has gone
};

// What came in by this interface and left by another, by the ID of that.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct carried);
} lane_counters SEC(".maps");

#define NOT_PLAIN -1

static __always_inline __u32 fold16(__u32 sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return ((sum >> 16) + sum) & 0xffff;
}

// The 32-bit words of an IPv4 header, RFC 791 section 3.1, in network order, which is to say
// that the first byte is the lowest one.
struct ipv4 {
	__u32 start; // version and length of the header, TOS, length
	__u32 fragment;
	__u32 life; // TTL, protocol, checksum
	__u64 addrs;
};

static __always_inline void load(struct ipv4 *ip, const __u8 *p)
{
	ip->start = *(const __u32 *)p;
	ip->fragment = *(const __u32 *)(p + 4);
	ip->life = *(const __u32 *)(p + 8);
	ip->addrs = *(const __u64 *)(p + 12);
}

// Whether the checksum is right: the sum of all 16-bit words, like that of all 32-bit words,
// is a multiple of 0xffff. The quotient of such a number is its product with what is the inverse of
// 0xffff modulo 2^64; all others come out larger than the largest quotient.
static __always_inline int sound_sum(const struct ipv4 *ip)
{
	__u64 sum = (__u64)ip->start + ip->fragment + ip->life + (__u32)ip->addrs + (ip->addrs >> 32);

	return sum * 0xfffefffefffeffffULL <= ~0ULL / 0xffff;
}

// The word with one hop less, RFC 1624: as encap.DecrementTTL.
static __always_inline __u32 one_hop_less(__u32 life)
{
	__u64 x = (__u64)life + 0x10000 - 1;

	return x >= 0xffff0000 ? x + 0x10000 : x;
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == PROTO_TCP || protocol == PROTO_UDP || protocol == PROTO_SCTP || protocol == PROTO_UDPLITE;
}

static __always_inline const struct rules *current_rules(void)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&lane_rules, &zero);

	return inner ? bpf_map_lookup_elem(inner, &zero) : 0;
}

// What is done with a frame that is plain: n bytes of header take the place of
// its Ethernet header.
struct way {
	const struct entry *entry;
	__u32 out;
	__u32 n;        // bytes of header, 64 to 116
	__u32 at;       // where in it the IP header begins
	__u32 hash;     // of the flow
	__u32 tos;      // outer
	__u32 total;    // bytes of the inner packet
	__u32 life;     // its word with a hop less
	__u32 received; // bytes of the frame
	__u32 pcp;      // whether the outer tag gets a priority
	__u32 back;     // whether XDP_TX sends it
};

struct block16 {
	__u64 lo, hi;
};

// Finishes a header over IPv4 whose IP header is at ip.
static __always_inline void finish4(__u8 *ip, const struct way *way, __u32 length, __u32 ports)
{
	__u32 tos = way->tos;

	*(__be32 *)ip = bpf_htonl(0x45u << 24 | tos << 16 | length);
	*(__be16 *)(ip + 10) = bpf_htons(~fold16(way->entry->sum + tos + length));
	*(__be32 *)(ip + IPV4_LEN) = ports;
	*(__be32 *)(ip + IPV4_LEN + 4) = bpf_htonl((length - IPV4_LEN) << 16);
}

// finish4 for IPv6.
static __always_inline void finish6(__u8 *ip, const struct way *way, __u32 length, __u32 ports)
{
	length -= IPV6_LEN;
	*(__be32 *)ip = bpf_htonl(6u << 28 | way->tos << 20 | way->hash >> 12);
	*(__be16 *)(ip + 4) = bpf_htons(length);
	*(__be32 *)(ip + IPV6_LEN) = ports;
	*(__be32 *)(ip + IPV6_LEN + 4) = bpf_htonl(length << 16);
}

// Puts an entry's header in front of the frame, whose first n bytes are room for it: what
// encap.Header.Apply does, and encap.DecrementTTL.
static __always_inline int put_header(struct xdp_md *ctx, const struct way *way)
{
	__u8 *data = (void *)(long)ctx->data;
	const void *end = (const void *)(long)ctx->data_end;
	const struct entry *e = way->entry;
	__u32 n = way->n;

	OPAQUE(n);
	if (n < MIN_HEADER || n > MAX_HEADER || (const void *)(data + MIN_HEADER) > end)
		return -1;
#pragma unroll
	for (__u32 i = 0; i < MIN_HEADER; i += sizeof(struct block16))
		*(struct block16 *)(data + i) = *(const struct block16 *)(e->header + i);
	// The rest in blocks that reach back over what has been copied.
#pragma unroll
	for (__u32 i = 1; i <= 4; i++) {
		if (n <= MIN_HEADER + 16 * (i - 1))
			break;
		__u32 off = n - 16 * i;
		if (off > MAX_HEADER - 16)
			return -1;
		__u8 *to = data + off;
		if ((const void *)(to + 16) > end)
			return -1;
		*(struct block16 *)to = *(const struct block16 *)(e->header + off);
	}
	__u32 last = n - sizeof(__be16);
	OPAQUE(last);
	if (last > MAX_HEADER)
		return -1;
	__u8 *type = data + last;
	if ((const void *)(type + sizeof(__be16) + IPV4_LEN) > end)
		return -1;
	*(__be16 *)type = bpf_htons(ETHERTYPE_IPV4);
	*(__u32 *)(type + sizeof(__be16) + 8) = way->life;

	__u32 length = n + way->total - way->at;
	__u32 ports = bpf_htonl((0xc000 | (way->hash & 0x3fff)) << 16 | e->port);
	if (way->at == ETHER_LEN && e->form == FORM_IPV4) {
		finish4(data + ETHER_LEN, way, length, ports);
		return 0;
	}
	if (way->pcp) // 802.1Q section 9.6
		data[ETHER_LEN] = (data[ETHER_LEN] & 0x1f) | (way->tos & 0xe0);
	__u8 *ip = data + way->at; // inside of the first 64 bytes with all that follows
	if ((const void *)(ip + IPV6_LEN + UDP_LEN) > end)
		return -1;
	if (e->form == FORM_IPV4)
		finish4(ip, way, length, ports);
	else
		finish6(ip, way, length, ports);
	return 0;
}

// Makes room for the header and takes padding off. What fails leaves the frame as it was.
static __always_inline int make_room(struct xdp_md *ctx, const struct way *way)
{
	int by = way->n - ETHER_LEN;

	if (bpf_xdp_adjust_head(ctx, -by))
		return -1;
	int padding = way->received - ETHER_LEN - way->total;
	if (padding > 0 && bpf_xdp_adjust_tail(ctx, -padding)) {
		bpf_xdp_adjust_head(ctx, by);
		return -1;
	}
	return 0;
}

static __always_inline int send(const struct way *way)
{
	__u32 out = way->out;
	int verdict = way->back ? XDP_TX : bpf_redirect_map(&lane_devices, out, XDP_DROP);
	struct carried *count = bpf_map_lookup_elem(&lane_counters, &out);

	if (!count)
		return XDP_ABORTED; // find_way has made sure that there is one
	if (verdict == XDP_DROP) {
		count->lost++;
	} else {
		count->frames++;
		count->sent += way->n + way->total;
	}
	count->received += way->received;
	return verdict;
}

// Finds the entry of a flow and checks that a packet of total bytes can take it.
static __always_inline int find_way(const struct rules *rules, __u32 value, struct way *way)
{
	const struct entry *e = entry_of(value, way->hash);

	if (!e)
		return -1;
	__u32 out = e->out, n = e->n, at = e->at;
	if (out >= MAX_PORTS || e->form == FORM_IPV6 || n < MIN_HEADER || n > MAX_HEADER)
		return -1;
	if (at != ETHER_LEN && at != ETHER_LEN + VLAN_LEN && at != ETHER_LEN + 2 * VLAN_LEN)
		return -1;
	__u32 mtu = rules->ports[out].mtu;
	way->back = out == lane_port && rules->ports[out].flags & PORT_TX;
	if (!way->back && !(rules->ports[out].flags & PORT_REDIRECT))
		return -1;
	if (way->total > e->mtu || way->total + n - at > mtu || way->total + n > mtu + ETHER_LEN + VLAN_LEN)
		return -1;
	way->entry = e;
	way->out = out;
	way->n = n;
	way->at = at;
	way->pcp = rules->pcp && at != ETHER_LEN;
	return 0;
}

// Decides about a frame of IPv4 without a tag, which is whole up to the IP header's end;
// nothing of it is changed.
static __always_inline int plain4(const __u8 *data, const void *end, struct way *way)
{
	const struct rules *rules = current_rules();
	__u32 in = lane_port;
	struct ipv4 ip;

	if (!rules || in >= MAX_PORTS || !(rules->ports[in].flags & PORT_UNTAGGED))
		return -1;
	__u64 received = end - (const void *)data;
	if (data[0] & 1 || received > MAX_FRAME)
		return -1;
	load(&ip, data + ETHER_LEN);
	__u32 total = bpf_ntohs(ip.start >> 16);
	if ((ip.start & 0xff) != 0x45 || (ip.life & 0xff) <= 1 || ip.fragment >> 16 & bpf_htons(0x3fff))
		return -1;
	if (total < IPV4_LEN || total + ETHER_LEN > received || !sound_sum(&ip))
		return -1;
	__u64 addrs = bpf_be64_to_cpu(ip.addrs);
	if (rules->first4[addrs >> 56] | rules->first4[addrs >> 24 & 0xff] | rules->own4[own_hash4(addrs >> 32)])
		return -1;
	const __u8 *body = data + ETHER_LEN + IPV4_LEN;
	__u8 protocol = ip.life >> 8;
	if (rules->clamp && protocol == PROTO_TCP) {
		if ((const void *)(body + TCP_FLAGS + 1) > end || total < IPV4_LEN + TCP_FLAGS + 1 || body[TCP_FLAGS] & TCP_SYN)
			return -1;
	}
	__u64 transport = (__u64)protocol << 32;
	if (has_ports(protocol) && total >= IPV4_LEN + 4 && (const void *)(body + 4) <= end)
		transport |= bpf_ntohl(*(const __be32 *)body);
	way->hash = flow_hash4(addrs, transport);
	way->total = total;
	way->received = received;
	way->life = one_hop_less(ip.life);
	way->tos = rules->tos[ip.start >> 8 & 0xff];
	return find_way(rules, lookup4(addrs), way);
}

// Forwards a frame of the gateway's if it is plain; NOT_PLAIN leaves it as it was.
static __always_inline int lane(struct xdp_md *ctx, const void *data, const void *end)
{
	struct way way;

	if (plain4(data, end, &way))
		return NOT_PLAIN;
	// Each call of the kernel is a tenth of the program's time: only what is plain otherwise
	// gets here. More than received is where there are several buffers.
	if (bpf_xdp_get_buff_len(ctx) != way.received || make_room(ctx, &way))
		return NOT_PLAIN;
	if (put_header(ctx, &way))
		return XDP_ABORTED; // make_room has made sure of every bound
	return send(&way);
}

SEC("xdp.frags")
int eipgw_lane(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	__u32 zero = 0;
	enum owner owner = owner_of(ctx);

	if (owner == OWNER_GATEWAY && data + ETHER_LEN + IPV4_LEN <= end && ((const struct eth *)data)->type == bpf_htons(ETHERTYPE_IPV4)) {
		int verdict = lane(ctx, data, end);
		if (verdict != NOT_PLAIN)
			return verdict;
	}
	struct counters *count = bpf_map_lookup_elem(&filter_counters, &zero);
	return count ? deliver(ctx, owner, count) : XDP_PASS;
}
