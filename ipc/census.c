/*
 * Proof that no cap is passed. Take those that are in at some moment: counted, let
 * in and not yet gone. Of them, let the last be the one whose count was stored last
 * in the order of all seq_cst operations. It summed after that store, by seq_cst
 * loads; so each word that it read held the counts of all the others of that
 * worker, which were stored earlier and not yet taken back. It was let in, so they
 * are no more than the cap. Without seq_cst a store may wait behind the loads that
 * follow it (as in doorbell.c), and two workers would not see each other.
 *
 * Taking back needs no order: whoever sees it late is refused, at worst.
 */
#include "ipc/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/map.h"
#include "ipc/shm.h"

#define COUNT_MAX ((UINT64_C(1) << CENSUS_COUNT_BITS) - 1)

_Static_assert((CENSUS_BUCKETS & (CENSUS_BUCKETS - 1)) == 0 &&
		       CENSUS_BUCKETS <= 1 << CENSUS_COUNT_BITS,
	"bucket and tag are different bits of the hash");

struct census {
	struct crowd crowd;
	struct census_key key;
	struct census_shm *own;
	const struct census_shm *other[CENSUS_WORKERS];
};

static uint64_t count_of(uint64_t word)
{
	return word & COUNT_MAX;
}

static uint64_t tag_of(uint64_t word)
{
	return word >> CENSUS_COUNT_BITS;
}

/* Where one is looked for, in each worker's memory alike. */
struct spot {
	enum crowd_kind kind;
	size_t first; /* slot of the bucket */
	uint64_t tag;
};

static struct spot spot_of(
	const struct census *c, enum crowd_kind kind, struct str who)
{
	uint64_t hash = hash_sip13(c->key.k, who);

	return (struct spot){
		.kind = kind,
		.first = (hash & (CENSUS_BUCKETS - 1)) * CENSUS_SLOTS,
		.tag = tag_of(hash),
	};
}

/* Its slot, or a free one; false: the bucket is full of others. */
static bool find_slot(
	const struct census *c, const struct spot *s, size_t *slot_r)
{
	const census_word *w = c->own->word[s->kind];
	bool found = false;

	for (size_t i = s->first; i < s->first + CENSUS_SLOTS; i++) {
		/* Relaxed: nobody else writes it. */
		uint64_t v = atomic_load_explicit(&w[i], memory_order_relaxed);

		if (count_of(v) && tag_of(v) == s->tag) {
			*slot_r = i;
			return true;
		}
		if (!count_of(v) && !found) {
			*slot_r = i;
			found = true;
		}
	}
	return found;
}

static uint64_t count_in(const struct census_shm *m, const struct spot *s)
{
	const census_word *w = m->word[s->kind];
	uint64_t sum = 0;

	for (size_t i = s->first; i < s->first + CENSUS_SLOTS; i++) {
		/* pairs: count_up() of a sibling */
		uint64_t v = atomic_load_explicit(&w[i], memory_order_seq_cst);

		if (tag_of(v) == s->tag)
			sum += count_of(v);
	}
	return sum;
}

static uint64_t count_all(const struct census *c, const struct spot *s)
{
	uint64_t sum = count_in(c->own, s);

	for (size_t i = 0; i < CENSUS_WORKERS; i++)
		if (c->other[i])
			sum += count_in(c->other[i], s);
	return sum;
}

static void count_up(struct census *c, const struct spot *s, size_t slot)
{
	census_word *w = &c->own->word[s->kind][slot];
	uint64_t n = count_of(atomic_load_explicit(w, memory_order_relaxed));

	check(n < COUNT_MAX); /* descriptors are out long before */
	/* pairs: count_in() of a sibling */
	atomic_store_explicit(
		w, s->tag << CENSUS_COUNT_BITS | (n + 1), memory_order_seq_cst);
}

static void count_down(struct census *c, enum crowd_kind kind, size_t slot)
{
	census_word *w = &c->own->word[kind][slot];
	uint64_t v = atomic_load_explicit(w, memory_order_relaxed);

	check(count_of(v));
	atomic_store_explicit(w, v - 1, memory_order_relaxed);
}

static bool enter(struct crowd *crowd, enum crowd_kind kind, struct str who,
	uint64_t max, uint32_t *place_r)
{
	struct census *c = container_of(crowd, struct census, crowd);
	struct spot s;
	size_t slot = 0;
	bool counted;

	if (!c->own)
		return true;
	s = spot_of(c, kind, who);
	counted = find_slot(c, &s, &slot);
	if (counted)
		count_up(c, &s, slot);
	if (max && count_all(c, &s) + !counted > max) {
		if (counted)
			count_down(c, kind, slot);
		return false;
	}
	if (counted)
		*place_r = (uint32_t)slot + 1;
	return true;
}

static void leave(struct crowd *crowd, enum crowd_kind kind, uint32_t place)
{
	count_down(container_of(crowd, struct census, crowd), kind, place - 1);
}

static const struct crowd_ops census_ops = {enter, leave};

/* By another door: what is open for reading maps for reading only. */
static int open_to_read(int fd, struct err *e)
{
	char path[32];
	int ret;

	/* Nor can who becomes another user open it anew. */
	if (fchmod(fd, S_IRUSR) < 0)
		return err_sys(e, "memfd: mode");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, O_RDONLY | O_CLOEXEC);
	return ret < 0 ? err_sys(e, "open %s", path) : ret;
}

int census_make(int *own_r, int *shown_r, struct err *e)
{
	int fd = shm_new("jmapd-census", sizeof(struct census_shm), e);
	int ret;

	if (fd < 0)
		return fd;
	ret = open_to_read(fd, e);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	*own_r = fd;
	*shown_r = ret;
	return 0;
}

struct census *census_new(void)
{
	struct census *c = mem_new(sizeof(*c));

	c->crowd.ops = &census_ops;
	return c;
}

int census_own(
	struct census *c, int fd, const struct census_key *key, struct err *e)
{
	void *mem;
	int ret;

	if (c->own)
		return err_set(e, -EEXIST, "it has memory of its own");
	ret = shm_map(fd, sizeof(*c->own), &mem, e);
	if (ret < 0)
		return ret;
	c->own = mem;
	c->key = *key;
	return 0;
}

int census_see(struct census *c, unsigned index, int fd, struct err *e)
{
	const void *mem;
	int ret;

	if (index >= CENSUS_WORKERS)
		return err_set(e, -EPROTO, "worker %u", index);
	census_forget(c, index);
	ret = shm_map_read(fd, sizeof(*c->own), &mem, e);
	if (ret < 0)
		return ret;
	c->other[index] = mem;
	return 0;
}

static void unmap(const struct census_shm *m)
{
	shm_unmap((void *)(uintptr_t)m, sizeof(*m));
}

void census_forget(struct census *c, unsigned index)
{
	if (index < CENSUS_WORKERS && c->other[index])
		unmap(steal(c->other[index]));
}

struct crowd *census_crowd(struct census *c)
{
	return &c->crowd;
}

void census_free(struct census *c)
{
	for (unsigned i = 0; i < CENSUS_WORKERS; i++)
		census_forget(c, i);
	if (c->own)
		unmap(c->own);
	free(c);
}
