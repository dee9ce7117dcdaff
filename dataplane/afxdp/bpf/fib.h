// SPDX-License-Identifier: Apache-2.0

// The lookup table of package dataplane/fib, read in place. Its comments at Table,
// node.go and slots.go have the layout. User space sets the maps' sizes, and fills them
// through a mapping; a block that has been taken out is not used anew before every run
// of a program that may hold it has ended.
//
// Words change by single stores. Where one leads to another, the address of the second
// depends on the value of the first, which keeps the loads in order on every processor.

#define PAGE 4096       // value size of the table's maps
#define PAGE_WORDS 1024 // no block of the table is larger than a page, and each is aligned to its size
#define LINES 64        // lines of a page

#define KIND_SHIFT 30
#define KIND_DENSE 1
#define KIND_PACKED 2
#define KIND_SINGLE 3
#define KIND_GROUP 2
#define KIND_WAYS 3

#define LINE_MASK ((1U << KIND_SHIFT) - 8)
#define LINE_SHIFT 3
#define WITH_RUNS_SHIFT 2
#define SINGLE_SHIFT 22
#define SIZE_MASK 3
#define LINE_BYTES (PAGE / LINES)

#define GROUP_HEAD 8
#define GROUP_MEMBER 8
#define MAX_MEMBERS 64
#define ENTRY_SIZE 128

#define MIN_HEADER 64
#define MAX_HEADER 116

// Keeps the compiler from computing with x in another way than is written, which the
// verifier may not follow.
#define OPAQUE(x) asm volatile("" : "+r"(x))

struct page {
	__u8 b[PAGE];
};

#define TABLE_MAP(name)                            \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1);            \
		__type(key, __u32);                \
		__type(value, struct page);        \
	} name SEC(".maps")

TABLE_MAP(fib_root4);
TABLE_MAP(fib_slots);
TABLE_MAP(fib_lines);

// What fib.Entry and encap.Header are in memory. Never changed while it can be found.
enum form {
	FORM_IPV4 = 0,
	FORM_IPV6 = 1, // with a checksum over the packet
	FORM_IPV6_ZERO = 2,
};

struct entry {
	__u16 out;
	__u16 mtu; // of the inner packet
	__u8 n;    // bytes used of header
	__u8 at;   // where in it the IP header begins
	__u8 form;
	__u8 unused;
	__u16 port; // UDP destination
	__u16 sum;
	__u8 header[MAX_HEADER];
};

_Static_assert(sizeof(struct entry) == ENTRY_SIZE, "an entry is two lines");

static __always_inline __u32 word_in(const void *page, __u32 i)
{
	return *(const volatile __u32 *)(page + (i % PAGE_WORDS) * sizeof(__u32));
}

static __always_inline __u32 ones(__u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return x * 0x0101010101010101ULL >> 56;
}

// Which word of its page a packed node w has for address byte b; its first is number at.
static __always_inline __u32 locate(const __u8 *page, __u32 w, __u32 b, __u32 at)
{
	__u32 s = w & SIZE_MASK, words = 32 >> s, q = b >> 6 & (3 >> s);
	__u32 line = at * sizeof(__u32) + (b << s >> 8) * LINE_BYTES;
	__u32 at_marks = line + q * 8, at_rank = line + words + q;
	OPAQUE(at_marks);
	OPAQUE(at_rank);
	__u64 marks = *(const __u64 *)(page + (at_marks & (PAGE - 8)));
	__u32 rank = page[at_rank & (PAGE - 1)];
	__u64 up_to = (2ULL << (b & 63)) - 1;
	__u32 own = ((marks >> (b & 63)) | (w >> WITH_RUNS_SHIFT)) & 1;

	return (line + words) / sizeof(__u32) + 1 + ((rank + ones(marks & up_to)) & -own);
}

// The word for address byte b behind word w.
static __always_inline __u32 behind(__u32 w, __u32 b)
{
	__u32 kind = w >> KIND_SHIFT;

	if (kind == 0)
		return w;
	if (kind == KIND_SINGLE)
		return (w >> SINGLE_SHIFT & 0xff) == b ? w & ((1U << SINGLE_SHIFT) - 1) : 0;
	__u32 line = (w & LINE_MASK) >> LINE_SHIFT, number = line / LINES;
	const __u8 *page = bpf_map_lookup_elem(&fib_lines, &number);
	if (!page)
		return 0;
	__u32 at = line % LINES * (PAGE_WORDS / LINES);
	if (kind == KIND_DENSE)
		return word_in(page, at + b);
	return word_in(page, locate(page, w, b, at));
}

// The value of an IPv4 address in host byte order, 0 if there is none.
static __always_inline __u32 lookup4(__u32 addr)
{
	__u32 slot = addr >> 8, number = slot / PAGE_WORDS;
	const void *page = bpf_map_lookup_elem(&fib_root4, &number);

	return page ? behind(word_in(page, slot), addr & 0xff) : 0;
}

static __always_inline __u32 mix(__u32 x)
{
	x ^= x >> 16;
	x *= 0x7feb352d;
	x ^= x >> 15;
	x *= 0x846ca68b;
	return x ^ x >> 16;
}

// The word of the member with the highest score in the group that w names. A function of
// its own: the verifier goes through its loop once.
__noinline __u32 best_member(__u32 w, __u32 hash)
{
	__u32 line = w & ((1U << KIND_SHIFT) - 1), number = line / LINES;
	const __u8 *page = bpf_map_lookup_elem(&fib_lines, &number);

	if (!page)
		return 0;
	__u32 at = line % LINES * (PAGE_WORDS / LINES);
	__u32 n = word_in(page, at);
	at += GROUP_HEAD / sizeof(__u32);
	__u32 word = word_in(page, at + 1), high = mix(hash ^ word_in(page, at));
	for (__u32 i = 1; i < MAX_MEMBERS && i < n; i++) {
		at += GROUP_MEMBER / sizeof(__u32);
		__u32 score = mix(hash ^ word_in(page, at));
		if (score > high) {
			high = score;
			word = word_in(page, at + 1);
		}
	}
	return word;
}

// The entry that a flow takes of those that value names, or 0.
static __always_inline const struct entry *entry_of(__u32 value, __u32 hash)
{
	__u32 number = value / PAGE_WORDS;
	const void *page = bpf_map_lookup_elem(&fib_slots, &number);

	if (!page || !value)
		return 0;
	__u32 w = word_in(page, value);
	if (w >> KIND_SHIFT == KIND_GROUP)
		w = best_member(w, hash);
	if (w >> KIND_SHIFT == KIND_WAYS)
		w = best_member(w, mix(hash ^ 0x9e3779b9));
	number = w / LINES;
	const __u8 *line = bpf_map_lookup_elem(&fib_lines, &number);
	if (!line || !w)
		return 0;
	return (const void *)(line + w % LINES / 2 * ENTRY_SIZE);
}
