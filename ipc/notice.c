/*
 * Layout: tail, head and starved on a cache line each, then the slots. Index i
 * stands for slot i % slots; indexes run freely.
 *
 * Proof of the order: as in ring.c, with a slot for a record.
 *
 * 1. notice_put() fills a slot, then stores tail (release); notice_get() loads
 *    tail (acquire), then copies.
 * 2. notice_get() has copied, then stores head (release); notice_put() loads head
 *    (acquire), then fills.
 * 3. notice_put() finds no slot free, exchanges starved with 1 and looks at head
 *    again; the reader has stored head, and notice_relieve() exchanges starved
 *    with 0. Every access of starved is an exchange: whichever comes second sees
 *    what was done before the other. The reader may store head many times before
 *    it relieves once, as long as it relieves before it sleeps.
 *
 * A put by the caller's rule never follows a notice that did not fit, for the
 * same account: test/model/notice.pml is the rule, and says what breaks without.
 */
#include "ipc/notice.h"

#include <errno.h>

#include "core/base/base.h"

size_t notice_ring_size(size_t slots)
{
	return sizeof(struct notice_shm) + slots * sizeof(struct notice);
}

static void notice_open(struct notice_ring *r, void *mem, size_t slots)
{
	check((uintptr_t)mem % _Alignof(struct notice_shm) == 0);
	check(slots > 0 && (slots & (slots - 1)) == 0);
	*r = (struct notice_ring){.shm = mem, .slots = slots};
}

void notice_open_writer(struct notice_ring *r, void *mem, size_t slots)
{
	notice_open(r, mem, slots);
	r->mine = atomic_load_explicit(&r->shm->tail, memory_order_relaxed);
	r->seen = r->mine - slots; /* as if full: the first put looks */
}

void notice_open_reader(struct notice_ring *r, void *mem, size_t slots)
{
	notice_open(r, mem, slots);
	r->mine = atomic_load_explicit(&r->shm->head, memory_order_relaxed);
	r->seen = r->mine;
}

/* Writer: looks at head, once; false when it cannot be true. */
static bool see_head(struct notice_ring *r)
{
	uint64_t head =
		atomic_load_explicit(&r->shm->head, memory_order_acquire);
	/* pairs: notice_get */

	if (r->mine - head > r->mine - r->seen)
		return false;
	r->seen = head;
	return true;
}

/* Reader: looks at tail, once; false when it cannot be true. */
static bool see_tail(struct notice_ring *r)
{
	uint64_t tail =
		atomic_load_explicit(&r->shm->tail, memory_order_acquire);
	/* pairs: notice_put */

	if (tail - r->seen > r->mine + r->slots - r->seen)
		return false;
	r->seen = tail;
	return true;
}

static struct notice *slot(const struct notice_ring *r, uint64_t i)
{
	return &r->shm->slot[i & (r->slots - 1)];
}

static bool has_room(const struct notice_ring *r)
{
	return r->mine - r->seen < r->slots;
}

/* Is a slot free? 1, 0 (starved is set) or -EPROTO. */
static int reserve(struct notice_ring *r)
{
	if (has_room(r))
		return 1;
	if (!see_head(r))
		return -EPROTO;
	if (has_room(r))
		return 1;
	/* pairs: notice_relieve, proof 3 */
	atomic_exchange_explicit(&r->shm->starved, 1, memory_order_seq_cst);
	if (!see_head(r))
		return -EPROTO;
	return has_room(r);
}

int notice_put(struct notice_ring *r, const struct notice *n)
{
	int ret = reserve(r);

	if (ret <= 0)
		return ret;
	*slot(r, r->mine) = *n;
	r->mine++;
	/* pairs: see_tail, notice_empty */
	atomic_store_explicit(&r->shm->tail, r->mine, memory_order_release);
	return 1;
}

int notice_get(struct notice_ring *r, struct notice *n_r)
{
	if (r->seen == r->mine && !see_tail(r))
		return -EPROTO;
	if (r->seen == r->mine)
		return 0;
	*n_r = *slot(r, r->mine);
	r->mine++;
	/* pairs: see_head */
	atomic_store_explicit(&r->shm->head, r->mine, memory_order_release);
	return 1;
}

bool notice_relieve(struct notice_ring *r)
{
	/* pairs: reserve, proof 3 */
	return atomic_exchange_explicit(
		&r->shm->starved, 0, memory_order_seq_cst);
}

bool notice_empty(const struct notice_ring *r)
{
	/* pairs: notice_put */
	return r->seen == r->mine && atomic_load_explicit(&r->shm->tail,
					     memory_order_acquire) == r->mine;
}
