// SPDX-License-Identifier: Apache-2.0

// Gives one frame after another to a program under measurement, which is run by
// BPF_PROG_RUN: the kernel repeats a run on what the last one has left of the frame, so each
// run makes the frame anew and goes on to the program by a tail call.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define WORDS 8 // of a frame
#define FRAME (WORDS * 8 - 4) // the FCS is not in memory
#define IPV4_CHECK 24
#define IPV4_DST 30
#define IPV4_SPORT 34

volatile const __u64 words[WORDS]; // the frame; what varies is zero
volatile const __u32 sum;          // of the 16-bit words under the checksum, but what varies
volatile const __u32 first;        // destination
volatile const __u32 stride;       // from one destination to the next
volatile const __u32 count;        // of destinations

__u64 number; // of the frame

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

static __always_inline __u32 halves(__u32 n)
{
	return (n >> 16) + (n & 0xffff);
}

SEC("xdp.frags")
int feed(struct xdp_md *ctx)
{
	int grown = (long)ctx->data_end - (long)ctx->data - FRAME;

	if (bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	void *p = (void *)(long)ctx->data;
	if (p + FRAME > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < WORDS - 1; i++)
		*(__u64 *)(p + 8 * i) = words[i];
	*(__u32 *)(p + 8 * (WORDS - 1)) = words[WORDS - 1];

	// Numbers in order look random.
	__u32 x = (__u32)number++ * 0x9e3779b1;
	x ^= x >> 15;
	x *= 0x85ebca6b;
	x ^= x >> 13;
	__u32 dst = first + stride * (__u32)((__u64)x * count >> 32);
	*(__be32 *)(p + IPV4_DST) = bpf_htonl(dst);
	*(__be16 *)(p + IPV4_SPORT) = x;
	*(__be16 *)(p + IPV4_CHECK) = bpf_htons(~halves(halves(sum + halves(dst))));
	bpf_tail_call(ctx, &measured, 0);
	return XDP_ABORTED;
}

// What is measured besides the program under measurement.
SEC("xdp.frags")
int nothing(__attribute__((unused)) struct xdp_md *ctx)
{
	return XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
