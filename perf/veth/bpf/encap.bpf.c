// SPDX-License-Identifier: Apache-2.0

// The gateway's main job in the kernel, as lean as it may be and still a router's: look the
// destination up, take one from the TTL, put a Geneve header in front, send. What it does not
// do is all that a gateway needs beside: it does not check the header's checksum, answers
// nobody, counts nothing, has no VLAN tags, no IPv6, and one address of the next hop.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERTYPE_IPV4 0x0800
#define PROTO_TCP 6
#define PROTO_UDP 17

#define ETH_LEN 14
#define IPV4_LEN 20
#define UDP_LEN 8
#define GENEVE_LEN 8
#define OVERHEAD (IPV4_LEN + UDP_LEN + GENEVE_LEN + ETH_LEN) // what a frame grows by
#define HEADER (ETH_LEN + OVERHEAD)                         // with the inner Ethernet header

// Fragment offset and MF, of which one at least is there in a fragment (RFC 791 section 3.1).
#define FRAGMENT 0x3fff

struct ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 src;
	__be32 dst;
	__be32 ports; // of UDP and TCP
} __attribute__((packed, aligned(2)));

// A tunnel is its header with zeros where frames differ, and the sum of the outer IPv4
// header's 16-bit words.
struct tunnel {
	__u64 header[HEADER / 8];
	__u32 sum;
	__u32 unused;
};

// Where frames differ.
#define OUTER_TOS (ETH_LEN + 1)
#define OUTER_TOTAL (ETH_LEN + 2)
#define OUTER_CHECK (ETH_LEN + 10)
#define OUTER_SPORT (ETH_LEN + IPV4_LEN)
#define OUTER_LENGTH (OUTER_SPORT + 4)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); // user space sets how many
	__type(key, __u32);
	__type(value, struct tunnel);
} tunnels SEC(".maps");

struct prefix {
	__u32 bits;
	__be32 addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct prefix);
	__type(value, __u32); // tunnel
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __be32);
	__type(value, __u32); // tunnel
} addresses SEC(".maps");

volatile const __u32 out_ifindex; // 0: the interface that frames came in by

// checksum folds a sum (RFC 1071).
static __always_inline __be16 checksum(__u32 sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return bpf_htons(~((sum >> 16) + sum));
}

// flow is the same for all packets of a flow, and in its low bits different for others.
static __always_inline __u32 flow(const struct ipv4 *ip)
{
	__u32 x = ip->src ^ (ip->dst * 0x9e3779b1);

	if ((ip->protocol == PROTO_UDP || ip->protocol == PROTO_TCP) && !(ip->fragment & bpf_htons(FRAGMENT)))
		x ^= ip->ports * 0x85ebca6b;
	return (x * 0xc2b2ae35) >> 16;
}

// routable is the IPv4 header of a frame that may be forwarded, or null.
static __always_inline struct ipv4 *routable(struct xdp_md *ctx)
{
	void *p = (void *)(long)ctx->data;
	const void *end = (const void *)(long)ctx->data_end;
	struct ipv4 *ip = p + ETH_LEN;

	if ((void *)(ip + 1) > end)
		return 0;
	if (*(__be16 *)(p + 12) != bpf_htons(ETHERTYPE_IPV4) || ip->version_ihl != 0x45 || ip->ttl <= 1)
		return 0;
	long total = bpf_ntohs(ip->total);
	if (total < IPV4_LEN || ETH_LEN + total > end - p)
		return 0;
	return ip;
}

// send does the rest for a frame whose tunnel has been looked up.
static __always_inline int send(struct xdp_md *ctx, struct ipv4 *ip, const __u32 *number)
{
	struct tunnel *t = number ? bpf_map_lookup_elem(&tunnels, number) : 0;

	if (!t)
		return XDP_PASS;
	// One less in the upper half of a word is one more in the checksum's (RFC 1624).
	__u32 check = (__u32)ip->check + bpf_htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl--;

	__u32 port = 0xc000 | (flow(ip) & 0x3fff);
	__u32 total = bpf_ntohs(ip->total) + OVERHEAD;
	__u8 tos = ip->tos;
	if (bpf_xdp_adjust_head(ctx, -OVERHEAD))
		return XDP_DROP;
	void *p = (void *)(long)ctx->data;
	if (p + HEADER > (void *)(long)ctx->data_end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < HEADER / 8; i++)
		*(__u64 *)(p + 8 * i) = t->header[i];
	*(__u8 *)(p + OUTER_TOS) = tos;
	*(__be16 *)(p + OUTER_TOTAL) = bpf_htons(total);
	*(__be16 *)(p + OUTER_CHECK) = checksum(t->sum + tos + total);
	*(__be16 *)(p + OUTER_SPORT) = bpf_htons(port);
	*(__be16 *)(p + OUTER_LENGTH) = bpf_htons(total - IPV4_LEN);
	return out_ifindex ? bpf_redirect(out_ifindex, 0) : XDP_TX;
}

SEC("xdp")
int encap_lpm(struct xdp_md *ctx)
{
	struct ipv4 *ip = routable(ctx);

	if (!ip)
		return XDP_PASS;
	struct prefix key = { .bits = 32, .addr = ip->dst };
	return send(ctx, ip, bpf_map_lookup_elem(&prefixes, &key));
}

SEC("xdp")
int encap_hash(struct xdp_md *ctx)
{
	struct ipv4 *ip = routable(ctx);

	if (!ip)
		return XDP_PASS;
	__be32 key = ip->dst;
	return send(ctx, ip, bpf_map_lookup_elem(&addresses, &key));
}

char _license[] SEC("license") = "Apache-2.0";
