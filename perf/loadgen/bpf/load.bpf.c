// SPDX-License-Identifier: Apache-2.0

// The two ends of a measurement. generate is run by BPF_PROG_RUN in live-frame mode: it
// fills frame after frame and sends each out of an interface. sink sits at the tc ingress
// of the interface where a contender's frames arrive, counts and drops them.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define PROTO_UDP 17
#define PORT_GENEVE 6081
#define PORT_VXLAN 4789
#define ETHERTYPE_TEB 0x6558 // an Ethernet frame, in Geneve

#define ETH_LEN 14
#define IPV4_LEN 20
#define IPV6_LEN 40
#define UDP_LEN 8
#define VXLAN_LEN 8
#define VXLAN_VNI 0x08
#define GENEVE_LEN 8 // without options
#define STAMP_LEN 8

// Offsets in the frames that generate fills.
#define IPV4_FIRST ETH_LEN // version and length of the header
#define IPV4_TTL 22
#define IPV4_CHECK 24
#define IPV4_DST 30
#define IPV4_SPORT 34
#define IPV4_PAYLOAD 42
#define IPV6_LENGTH 18
#define IPV6_HOP_LIMIT 21
#define IPV6_DST_LOW 50 // the last four bytes of the destination
#define IPV6_SPORT 54
#define IPV6_UDP_CHECK 60
#define IPV6_PAYLOAD 62
#define SRC 26 // the IPv4 source; of an IPv6 one the second four bytes, in which networks differ

// What generate is to do: written by user space before the program is loaded.
volatile const __u32 out_ifindex;
volatile const __u8 ipv6;
volatile const __u64 headers[8]; // Ethernet, IP and UDP as in memory; what varies is zero
volatile const __u32 sum;        // of the 16-bit words under the checksum, but what varies
volatile const __u32 first_dst;  // the last four bytes of the first destination
volatile const __u32 dsts;       // how many destinations there are
volatile const __u32 first_sport;
volatile const __u32 sports;     // how many source ports there are
volatile const __u32 source;     // the four bytes at SRC of frames that are not hostile

// What is mixed in. Of all frames, in 1/2^32, those below the first bound are of the first
// hostile kind, those from there to the next bound of the next one, the rest is ordinary.
enum kind {
	KIND_UNBOUND,
	KIND_TTL,
	KIND_MALFORMED,
	KIND_ORDINARY,
};
volatile const __u64 bounds[KIND_ORDINARY];
volatile const __u32 first_unbound; // likewise, of the destinations of KIND_UNBOUND
volatile const __u32 unbounds;

// The load, written by user space before each run.
volatile __u64 limit;    // frames in all, since the program was loaded
volatile __u64 interval; // 1/1024 ns from frame to frame, 0: as fast as it goes
volatile __u64 catch_up; // how many frames a generator that was held up sends at once when it goes on
volatile __u64 stamping; // whether frames carry the time when they were sent

// What generate has done.
volatile __u64 sent;    // frames given to the interface
volatile __u64 hostile; // those of them that are not ordinary
volatile __u64 skipped; // frames that were not sent in time, and not made up for
volatile __u64 due;     // when the next frame is to go, in 1/1024 ns; 0: at once

// in_time says whether the next frame may go, the time being ns.
static __always_inline int in_time(__u64 ns)
{
	__u64 step = interval;

	if (!step)
		return 1;
	__u64 now = ns << 10;
	__u64 next = due;
	if (!next)
		next = now;
	if (now < next)
		return 0;
	if (now - next > catch_up * step) {
		__u64 late = (now - next) / step - catch_up;
		skipped += late;
		next += late * step;
	}
	due = next + step;
	return 1;
}

// scramble makes consecutive numbers look random: a caller that goes through the
// destinations in order would meet warm caches that no real traffic finds.
static __always_inline __u32 scramble(__u64 n)
{
	__u32 x = (__u32)n * 0x9e3779b1;

	x ^= x >> 15;
	x *= 0x85ebca6b;
	x ^= x >> 13;
	return x;
}

// below maps a random number to one below n.
static __always_inline __u32 below(__u32 random, __u32 n)
{
	return ((__u64)random * n) >> 32;
}

// kind_of is what the n-th frame is. Multiples of the golden ratio divide evenly: however
// few frames are looked at, each kind has nearly its share.
static __always_inline enum kind kind_of(__u64 n)
{
	__u64 at = (__u32)n * 0x9e3779b1;

	if (at < bounds[KIND_UNBOUND])
		return KIND_UNBOUND;
	if (at < bounds[KIND_TTL])
		return KIND_TTL;
	if (at < bounds[KIND_MALFORMED])
		return KIND_MALFORMED;
	return KIND_ORDINARY;
}

// words adds the halves of a number up.
static __always_inline __u32 words(__u32 n)
{
	return (n >> 16) + (n & 0xffff);
}

// checksum adds what varies to sum, and folds (RFC 1071). It is the IP header's, or UDP's
// over IPv6, in which zero is written as its other form (RFC 8200 section 8.1).
static __always_inline __be16 checksum(__u32 varies)
{
	__u32 s = words(words(sum + varies));

	return bpf_htons(~s);
}

// put_stamp writes a time in network order, in halves: where it stands is not aligned.
static __always_inline void put_stamp(void *p, __u64 ns)
{
	*(__be32 *)p = bpf_htonl(ns >> 32);
	*(__be32 *)(p + 4) = bpf_htonl(ns);
}

// TTL_BY_ONE is what a TTL of 1 instead of HOP_LIMIT, in the upper half of its word, adds
// to a sum (RFC 1071 section 2: the one's complement of what it takes away).
#define HOP_LIMIT 64
#define TTL_BY_ONE (0xffff - ((HOP_LIMIT - 1) << 8))

// spoil makes one of two mistakes: a wrong checksum or a header shorter than the shortest
// in IPv4, another version or a length beyond the frame in IPv6.
static __always_inline void spoil(void *p, int which)
{
	if (ipv6 && which)
		*(__u8 *)(p + ETH_LEN) = 0x50;
	else if (ipv6)
		*(__u8 *)(p + IPV6_LENGTH) = 0xff;
	else if (which)
		*(__u16 *)(p + IPV4_CHECK) ^= 0x5555;
	else
		*(__u8 *)(p + IPV4_FIRST) = 0x44;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *p = (void *)(long)ctx->data;
	const void *end = (const void *)(long)ctx->data_end;

	if (p + ETH_LEN + IPV4_LEN + UDP_LEN > end)
		return XDP_ABORTED;
	__u64 n = sent;
	__u64 now = interval || stamping ? bpf_ktime_get_ns() : 0;
	if (n >= limit || !in_time(now))
		return XDP_DROP;
	sent = n + 1;
	__u64 stamp = stamping ? now : 0;

	__u32 x = scramble(n);
	__u32 dst = first_dst + below(x, dsts);
	__u32 sport = first_sport + below(x * 0xc2b2ae35, sports);
	__u32 src = source;

	enum kind kind = kind_of(n);
	if (kind != KIND_ORDINARY) {
		__u32 any = x * 0x27d4eb2f;
		hostile++;
		src ^= ipv6 ? any : any >> 8; // not into another class of addresses
		if (kind == KIND_UNBOUND)
			dst = first_unbound + below(x, unbounds);
	}

	// A frame comes back as its receiver left it: every header byte is written anew.
#pragma unroll
	for (int i = 0; i < (ETH_LEN + IPV4_LEN + UDP_LEN) / 8; i++)
		*(__u64 *)(p + 8 * i) = headers[i];
	if (!ipv6) {
		*(__u16 *)(p + 40) = headers[5];
		__u32 varies = words(dst) + words(src);
		*(__be32 *)(p + SRC) = bpf_htonl(src);
		*(__be32 *)(p + IPV4_DST) = bpf_htonl(dst);
		*(__be16 *)(p + IPV4_SPORT) = bpf_htons(sport);
		if (kind == KIND_TTL) {
			*(__u8 *)(p + IPV4_TTL) = 1;
			varies += TTL_BY_ONE;
		}
		*(__be16 *)(p + IPV4_CHECK) = checksum(varies);
		if (p + IPV4_PAYLOAD + STAMP_LEN <= end)
			put_stamp(p + IPV4_PAYLOAD, stamp);
	} else {
		if (p + ETH_LEN + IPV6_LEN + UDP_LEN > end)
			return XDP_ABORTED;
		*(__u64 *)(p + 40) = headers[5];
		*(__u64 *)(p + 48) = headers[6];
		*(__u32 *)(p + 56) = headers[7];
		*(__be32 *)(p + SRC) = bpf_htonl(src);
		*(__be32 *)(p + IPV6_DST_LOW) = bpf_htonl(dst);
		*(__be16 *)(p + IPV6_SPORT) = bpf_htons(sport);
		__u32 varies = words(dst) + words(src) + sport;
		if (p + IPV6_PAYLOAD + STAMP_LEN <= end) {
			put_stamp(p + IPV6_PAYLOAD, stamp);
			varies += words(stamp >> 32) + words(stamp);
		}
		__be16 check = checksum(varies);
		*(__be16 *)(p + IPV6_UDP_CHECK) = check ? check : 0xffff;
		if (kind == KIND_TTL)
			*(__u8 *)(p + IPV6_HOP_LIMIT) = 1;
	}
	if (kind == KIND_MALFORMED)
		spoil(p, x & 1);
	return bpf_redirect(out_ifindex, 0);
}

struct count {
	__u64 frames;
	__u64 bytes; // from the Ethernet header on
};

// What sink has seen.
struct counts {
	struct count tunneled; // UDP to the port of Geneve or VXLAN
	struct count plain;    // UDP to the generator's port
	struct count other;    // went on to the kernel
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} sink_counts SEC(".maps");

// How long frames were under way, in ns: a histogram in which every power of two has
// HALF buckets of equal width. Bucket i below 2 * HALF holds i ns; see bucket.
#define HALF_BITS 5
#define HALF (1 << HALF_BITS)
#define LONGEST_BITS 36 // what took longer counts as 2^36 ns, 69 s
#define BUCKETS ((LONGEST_BITS - HALF_BITS) * HALF + HALF)

struct delays {
	__u64 frames[BUCKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct delays);
} sink_delays SEC(".maps");

volatile const __u16 plain_port; // in host order
volatile __u64 timing;           // stamps from then on are looked at, 0: none; written by user space

// udp_of is the UDP header of a frame, 0 when it is something else.
static __always_inline const void *udp_of(const void *p, const void *end)
{
	const void *udp;

	if (p + ETH_LEN + IPV4_LEN + UDP_LEN > end)
		return 0;
	switch (*(const __be16 *)(p + 12)) {
	case bpf_htons(ETHERTYPE_IPV4):
		if (*(const __u8 *)(p + ETH_LEN) != 0x45 || *(const __u8 *)(p + ETH_LEN + 9) != PROTO_UDP)
			return 0;
		udp = p + ETH_LEN + IPV4_LEN;
		break;
	case bpf_htons(ETHERTYPE_IPV6):
		if (*(const __u8 *)(p + ETH_LEN + 6) != PROTO_UDP)
			return 0;
		udp = p + ETH_LEN + IPV6_LEN;
		break;
	default:
		return 0;
	}
	return udp + UDP_LEN > end ? 0 : udp;
}

static __always_inline __u16 dport(const void *udp)
{
	return bpf_ntohs(*(const __be16 *)(udp + 2));
}

// inner_of is the frame in a tunnel, 0 when there is none. Which tunnel it is shows in its
// first bytes, whatever the port: Geneve has its EtherType there, VXLAN the flag of its VNI.
static __always_inline const void *inner_of(const void *udp, const void *end)
{
	const __u8 *tunnel = udp + UDP_LEN;

	if ((const void *)tunnel + GENEVE_LEN > end)
		return 0;
	if (*(const __be16 *)(tunnel + 2) == bpf_htons(ETHERTYPE_TEB))
		return tunnel + GENEVE_LEN + 4 * (tunnel[0] & 0x3f);
	return tunnel[0] == VXLAN_VNI ? tunnel + VXLAN_LEN : 0;
}

// bucket is where a time belongs.
static __always_inline __u32 bucket(__u64 ns)
{
	__u32 shift = 0;

	if (ns >> LONGEST_BITS)
		return BUCKETS - 1;
#pragma unroll
	for (int n = 16; n; n >>= 1) {
		if (ns >> (shift + n + HALF_BITS)) // shift + n more bits than a bucket's number has
			shift += n;
	}
	return shift * HALF + (__u32)(ns >> shift);
}

// record counts a frame with the time since its stamp. Clocks of CPUs may differ by some ns.
static __always_inline void record(const void *payload, const void *end)
{
	__u32 zero = 0;
	struct delays *d = bpf_map_lookup_elem(&sink_delays, &zero);

	if (!d || payload + STAMP_LEN > end)
		return;
	__u64 stamp = (__u64)bpf_ntohl(*(const __be32 *)payload) << 32 | bpf_ntohl(*(const __be32 *)(payload + 4));
	if (stamp < timing)
		return;
	__u64 now = bpf_ktime_get_ns();
	__u32 i = bucket(now > stamp ? now - stamp : 0);
	if (i < BUCKETS)
		d->frames[i]++;
}

SEC("tcx/ingress")
int sink(struct __sk_buff *skb)
{
	const void *p = (const void *)(long)skb->data;
	const void *end = (const void *)(long)skb->data_end;
	__u32 zero = 0;
	struct counts *c = bpf_map_lookup_elem(&sink_counts, &zero);
	struct count *n;
	int verdict = TC_ACT_SHOT;

	if (!c)
		return TC_ACT_UNSPEC;
	const void *udp = udp_of(p, end);
	__u16 port = udp ? dport(udp) : 0;
	if (port == PORT_GENEVE || port == PORT_VXLAN) {
		n = &c->tunneled;
		if (timing) {
			const void *inner = inner_of(udp, end);
			udp = inner ? udp_of(inner, end) : 0;
		}
	} else if (udp && port == plain_port) {
		n = &c->plain;
	} else {
		n = &c->other;
		verdict = TC_ACT_UNSPEC;
		udp = 0;
	}
	n->frames++;
	n->bytes += skb->len;
	if (timing && udp)
		record(udp + UDP_LEN, end);
	return verdict;
}

// A veth end takes frames that an XDP program sends it only if the far end has a program too.
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
