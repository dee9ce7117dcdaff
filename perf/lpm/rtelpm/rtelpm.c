/*
 * rtelpm looks addresses up in DPDK's rte_lpm, in turns that somebody else asks for.
 *
 *	rtelpm PAGES EIPS KEYS BURST
 *
 * PAGES is "small", "transparent" or "reserved": the pages that DPDK's memory has. EIPS
 * and KEYS are files of addresses, 32 bits each in host byte order; all EIPs are bound
 * as /32 to the number of their place modulo 1000, plus one. Then "ready" is written,
 * and for each line "N" that is read, N bursts of the keys are looked up, going on where
 * the turn before ended, and "NS MISSES" is written: the CPU time they took in nanoseconds
 * and how many keys of the last burst were not found.
 *
 * The tables are filled by writing what rte_lpm_add writes: a group of 256 for each /24
 * that has an EIP. rte_lpm_add itself takes a time that grows with the square of their number:
 * 3 seconds for 80000, so that a million would take many minutes. compare checks that it
 * writes the same.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lpm.h>
#include <rte_memory.h>

#define TUNNELS 1000
#define GROUP RTE_LPM_TBL8_GROUP_NUM_ENTRIES
#define COMPARED 2000 /* EIPs that rte_lpm_add gets, too */
#define MAX_BURST 256

static void die(const char *what)
{
	fprintf(stderr, "rtelpm: %s\n", what);
	exit(1);
}

struct addrs {
	uint32_t *a;
	size_t n;
};

static struct addrs read_addrs(const char *file)
{
	struct addrs r;
	struct stat st;
	FILE *f = fopen(file, "rb");

	if (!f || fstat(fileno(f), &st))
		die(file);
	r.n = st.st_size / sizeof(*r.a);
	r.a = aligned_alloc(64, (st.st_size + 63) / 64 * 64);
	if (!r.a || fread(r.a, sizeof(*r.a), r.n, f) != r.n)
		die(file);
	fclose(f);
	return r;
}

/* count_groups is how many /24s have an EIP. */
static uint32_t count_groups(struct addrs eips)
{
	uint8_t *seen = calloc(1, 1 << 21);
	uint32_t n = 0;

	for (size_t i = 0; i < eips.n; i++) {
		uint32_t p = eips.a[i] >> 8;

		n += !(seen[p >> 3] >> (p & 7) & 1);
		seen[p >> 3] |= 1 << (p & 7);
	}
	free(seen);
	return n;
}

/* use_transparent puts anonymous memory in the place of the shared memory that DPDK took,
 * with the same content: that can have transparent huge pages. */
static int use_transparent(const struct rte_memseg_list *l, const struct rte_memseg *s, void *arg)
{
	void *copy = malloc(s->len);

	(void)l;
	(void)arg;
	if (!copy)
		die("no memory");
	memcpy(copy, s->addr, s->len);
	if (mmap(s->addr, s->len, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		die("mmap");
	if (madvise(s->addr, s->len, MADV_HUGEPAGE))
		die("madvise: no transparent huge pages");
	memcpy(s->addr, copy, s->len);
	free(copy);
	return 0;
}

static void start(const char *pages, uint32_t groups)
{
	char mib[16];
	char *kind = strcmp(pages, "reserved") ? "--no-huge" : "--huge-unlink";
	char *args[] = {"rtelpm", "--no-shconf", "--no-pci", "--no-telemetry", "--log-level=error", "-l0", "-m", mib, kind};

	/* tbl24 twice, groups, and room for what DPDK keeps beside them */
	snprintf(mib, sizeof(mib), "%u", 64 * 2 + groups / 1024 + 128);
	if (rte_eal_init(sizeof(args) / sizeof(*args), args) < 0)
		die(rte_strerror(rte_errno));
	if (!strcmp(pages, "transparent"))
		rte_memseg_walk(use_transparent, NULL);
}

static struct rte_lpm *create(const char *name, uint32_t rules, uint32_t groups)
{
	struct rte_lpm_config c = {.max_rules = rules, .number_tbl8s = groups};
	struct rte_lpm *t = rte_lpm_create(name, SOCKET_ID_ANY, &c);

	if (!t)
		die(rte_strerror(rte_errno));
	return t;
}

static void fill(struct rte_lpm *t, struct addrs eips)
{
	uint32_t groups = 0;

	for (size_t i = 0; i < eips.n; i++) {
		struct rte_lpm_tbl_entry *e = &t->tbl24[eips.a[i] >> 8];
		struct rte_lpm_tbl_entry word = {.next_hop = i % TUNNELS + 1, .valid = 1, .depth = 32};

		if (!e->valid) {
			struct rte_lpm_tbl_entry group = {.next_hop = groups, .valid = 1, .valid_group = 1};

			t->tbl8[groups * GROUP].valid_group = 1; /* the first entry tells that the group is taken */
			groups++;
			*e = group;
		}
		word.valid_group = t->tbl8[e->next_hop * GROUP + (eips.a[i] & 0xff)].valid_group;
		t->tbl8[e->next_hop * GROUP + (eips.a[i] & 0xff)] = word;
	}
}

static uint32_t word_of(const struct rte_lpm_tbl_entry *e)
{
	uint32_t w;

	memcpy(&w, e, sizeof(w));
	return w;
}

/* compare makes a table of the first EIPs by fill and one by rte_lpm_add, and compares every word. */
static void compare(struct addrs eips)
{
	struct rte_lpm *t;
	uint32_t *words, *filled;

	if (eips.n > COMPARED)
		eips.n = COMPARED;
	words = calloc(RTE_LPM_TBL24_NUM_ENTRIES + eips.n * GROUP, sizeof(*words));
	if (!words)
		die("no memory");
	filled = words + RTE_LPM_TBL24_NUM_ENTRIES;
	t = create("filled", 1, eips.n);
	fill(t, eips);
	memcpy(words, t->tbl24, sizeof(t->tbl24));
	memcpy(filled, t->tbl8, eips.n * GROUP * sizeof(*filled));
	rte_lpm_free(t);

	t = create("added", eips.n, eips.n);
	for (size_t i = 0; i < eips.n; i++)
		if (rte_lpm_add(t, eips.a[i], 32, i % TUNNELS + 1))
			die("rte_lpm_add failed");
	for (size_t i = 0; i < RTE_LPM_TBL24_NUM_ENTRIES; i++)
		if (words[i] != word_of(&t->tbl24[i]))
			die("tbl24 is not what rte_lpm_add makes it");
	for (size_t i = 0; i < eips.n * GROUP; i++)
		if (filled[i] != word_of(&t->tbl8[i]))
			die("tbl8 is not what rte_lpm_add makes it");
	rte_lpm_free(t);
	free(words);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	static uint32_t hops[MAX_BURST];
	struct addrs eips, keys;
	struct rte_lpm *t;
	uint32_t groups;
	size_t at = 0, burst, n;

	if (argc != 5)
		die("usage: rtelpm small|transparent|reserved EIPS KEYS BURST");
	eips = read_addrs(argv[2]);
	keys = read_addrs(argv[3]);
	burst = strtoul(argv[4], NULL, 10);
	if (burst < 1 || burst > MAX_BURST || keys.n % burst)
		die("the burst does not divide the keys, or is too large");
	groups = count_groups(eips);
	start(argv[1], groups > COMPARED ? groups : COMPARED);
	compare(eips);
	t = create("table", 1, groups);
	fill(t, eips);
	printf("ready\n");
	fflush(stdout);
	while (scanf("%zu", &n) == 1) {
		int misses = 0;
		uint64_t from = now(), took;

		for (size_t i = 0; i < n; i++) {
			rte_lpm_lookup_bulk(t, keys.a + at, hops, burst);
			__asm__ volatile("" ::: "memory"); /* hops are wanted */
			at += burst;
			if (at == keys.n)
				at = 0;
		}
		took = now() - from;
		for (size_t i = 0; i < burst; i++)
			misses += !(hops[i] & RTE_LPM_LOOKUP_SUCCESS);
		printf("%" PRIu64 " %d\n", took, misses);
		fflush(stdout);
	}
	return 0;
}
