// SPDX-License-Identifier: Apache-2.0

// The hashes of dataplane/flow.go and dataplane/martian.go.

#define K1 0x243f6a8885a308d3ULL
#define K2 0x13198a2e03707345ULL
#define K6 0x9e3779b1U

// Both halves of the 128-bit product, one XOR the other.
static __always_inline __u64 fold(__u64 x, __u64 k)
{
	__u64 x0 = (__u32)x, x1 = x >> 32, k0 = (__u32)k, k1 = k >> 32;
	__u64 low = x0 * k0;
	__u64 mid = x1 * k0 + (low >> 32);
	__u64 mid2 = x0 * k1 + (__u32)mid;

	return (x1 * k1 + (mid >> 32) + (mid2 >> 32)) ^ (x * k);
}

static __always_inline __u32 flow_mix(__u64 h)
{
	__u32 x = ((__u32)(h >> 32) ^ (__u32)h) * K6;

	return x ^ x >> 15;
}

static __always_inline __u32 flow_hash4(__u64 addrs, __u64 transport)
{
	return flow_mix(fold(fold(addrs, K1) ^ transport, K2));
}

static __always_inline __u8 own_hash4(__u32 addr)
{
	return addr * K6 >> 24;
}
