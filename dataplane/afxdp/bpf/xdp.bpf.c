// SPDX-License-Identifier: Apache-2.0

// The filter in front of the sockets: frames for an EIP segment go to the AF_XDP
// socket of their receive queue, everything else (ARP, ND, BGP, SSH) goes on to the
// kernel. User space owns all maps; the program writes only its counters.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_CTAG 0x8100 // IEEE 802.1Q
#define ETHERTYPE_STAG 0x88a8 // IEEE 802.1ad

#define MAX_TAGS 2
#define MAX_QUEUES 256
#define MAX_PREFIXES (1 << 20) // memory is taken for those that are there only

// Offsets of the destination address and shortest headers, RFC 791 section 3.1 and
// RFC 8200 section 3.
#define IPV4_DST 16
#define IPV4_LEN 20
#define IPV6_DST 24
#define IPV6_LEN 40

struct eth {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
};

struct tag {
	__be16 tci;
	__be16 type;
};

// Keys of the prefix maps, in the layout that BPF_MAP_TYPE_LPM_TRIE asks for: bits,
// then the address in network order.
struct prefix4 {
	__u32 bits;
	__u8 addr[4];
};

struct prefix6 {
	__u32 bits;
	__u8 addr[16];
};

// What the longest prefix says of a frame.
enum action {
	ACTION_PASS = 0,     // one of the gateway's own addresses inside a segment
	ACTION_REDIRECT = 1, // a segment
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_PREFIXES);
	__type(key, struct prefix4);
	__type(value, enum action);
} segments4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_PREFIXES);
	__type(key, struct prefix6);
	__type(value, enum action);
} segments6 SEC(".maps");

// The socket of each receive queue. The kernel removes a socket that is closed.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

// The queues that have a socket, for people to read: an XSKMAP cannot be dumped.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} queues SEC(".maps");

struct counters {
	__u64 redirected; // given to a socket
	__u64 passed;     // not for a segment: to the kernel
	__u64 unserved;   // for a segment, but the queue has no socket: to the kernel
	__u64 foreign;    // for a segment, but not sent to this interface: to the kernel
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} filter_counters SEC(".maps");

struct settings {
	// The interface's Ethernet address, its first byte lowest; 0 takes frames for any. A
	// frame that a switch floods must not be forwarded by every gateway that sees it.
	__u64 own_mac;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} filter_settings SEC(".maps");

static __always_inline __u64 mac_of(const __u8 *b)
{
	return (__u64)*(const __u32 *)b | (__u64)*(const __u16 *)(b + 4) << 32;
}

#ifndef SURE_SEGMENT4
#define SURE_SEGMENT4(addr) 0 // whether an address in host byte order is known to be in a segment
#endif

// Whether the frame at p is for a segment; p is the IP header and type its EtherType.
static __always_inline int in_segment(const __u8 *p, const void *end, __be16 type)
{
	const enum action *action = 0;

	if (type == bpf_htons(ETHERTYPE_IPV4)) {
		if ((const void *)(p + IPV4_LEN) > end)
			return 0;
		__be32 dst = *(const __be32 *)(p + IPV4_DST);
		if (SURE_SEGMENT4(bpf_ntohl(dst)))
			return 1;
		struct prefix4 key = {.bits = 32};
		__builtin_memcpy(key.addr, &dst, sizeof(key.addr));
		action = bpf_map_lookup_elem(&segments4, &key);
	} else if (type == bpf_htons(ETHERTYPE_IPV6)) {
		if ((const void *)(p + IPV6_LEN) > end)
			return 0;
		struct prefix6 key = {.bits = 128};
		__builtin_memcpy(key.addr, p + IPV6_DST, sizeof(key.addr));
		action = bpf_map_lookup_elem(&segments6, &key);
	}
	return action && *action == ACTION_REDIRECT;
}

// Whose a frame is.
enum owner {
	OWNER_KERNEL,  // not for a segment
	OWNER_FOREIGN, // for a segment, but not sent to this interface
	OWNER_GATEWAY,
};

static __always_inline enum owner owner_of(struct xdp_md *ctx)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct eth *eth = (const void *)(long)ctx->data;
	__u32 zero = 0;

	if ((const void *)(eth + 1) > end)
		return OWNER_KERNEL;
	const __u8 *p = (const void *)(eth + 1);
	__be16 type = eth->type;
#pragma unroll
	for (int i = 0; i < MAX_TAGS; i++) {
		if (type != bpf_htons(ETHERTYPE_CTAG) && type != bpf_htons(ETHERTYPE_STAG))
			break;
		const struct tag *tag = (const void *)p;
		if ((const void *)(tag + 1) > end)
			return OWNER_KERNEL;
		type = tag->type;
		p = (const void *)(tag + 1);
	}
	if (!in_segment(p, end, type))
		return OWNER_KERNEL;
	const struct settings *set = bpf_map_lookup_elem(&filter_settings, &zero);
	if (set && set->own_mac && set->own_mac != mac_of(eth->dst))
		return OWNER_FOREIGN;
	return OWNER_GATEWAY;
}

// Counts a frame, and says where it goes: the gateway's to the socket of its queue,
// every other to the kernel.
static __always_inline int deliver(struct xdp_md *ctx, enum owner owner, struct counters *count)
{
	if (owner == OWNER_KERNEL) {
		count->passed++;
		return XDP_PASS;
	}
	if (owner == OWNER_FOREIGN) {
		count->foreign++;
		return XDP_PASS;
	}
	int verdict = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	if (verdict == XDP_REDIRECT)
		count->redirected++;
	else
		count->unserved++;
	return verdict;
}

SEC("xdp.frags")
int eipgw_filter(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct counters *count = bpf_map_lookup_elem(&filter_counters, &zero);

	if (!count)
		return XDP_PASS;
	return deliver(ctx, owner_of(ctx), count);
}

char _license[] SEC("license") = "Apache-2.0";
