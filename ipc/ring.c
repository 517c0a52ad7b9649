/*
 * Layout: tail, head and starved on a cache line each, then cap bytes of records.
 * A record is struct ring_record, its payload, and bytes up to RING_ALIGN; it is
 * contiguous. One that would cross the end has a filler before it (type 0), which
 * reaches exactly to the end. Index i stands for the byte at i % cap; indexes run
 * freely, so tail - head is what is in use.
 *
 * Proof of the order. W is the writer, R the reader.
 *
 * 1. R reads what W wrote. W fills a record, then stores tail (release); R loads
 *    tail (acquire), then reads. What lies below a tail that R saw is complete.
 * 2. W does not overwrite what R still reads. R is done with a record, then
 *    stores head (release); W loads head (acquire), then fills. What lies below a
 *    head that W saw plus cap is W's.
 *    Each keeps the last index of the other that it saw (seen) and looks again
 *    only when that one does not do: an old index is true, only not the newest.
 * 3. No wake-up for room is lost. W finds the ring full, exchanges starved with 1
 *    and looks at head again; R stores head and exchanges starved with 0. Every
 *    access of starved is an exchange, so they stand in one order, each
 *    synchronizing with the later ones (one release sequence, as in doorbell.c).
 *    Either W's comes first: R finds the 1 and tells its caller to ring. Or R's
 *    comes first: W's second look sees that head. The exchanges stand where a
 *    seq_cst fence would: in W between a store and a load of two places, in R
 *    likewise; test/model/doorbell.pml runs this with store buffers.
 *
 * What a hostile peer can do. Its index is copied out once per look, and must lie
 * between the one seen before and the bounds of the ring, on the alignment. A
 * record's header is one 8-byte load; its length must lie within ring_max() and
 * within what is published, so no read leaves the ring. W reads nothing but head
 * and starved: its tail is private, and what it wrote it never reads back. Bytes
 * of a payload may change at any time, which is why ring_take() copies.
 */
#include "ipc/ring.h"

#include <errno.h>

#define RING_CAP_MIN 64

_Static_assert(sizeof(struct ring_record) == 8, "a header is one load");
_Static_assert(RING_ALIGN == sizeof(struct ring_record),
	"a filler's header always fits before the end");

size_t ring_size(size_t cap)
{
	return sizeof(struct ring_shm) + cap;
}

static void ring_open(struct ring *r, void *mem, size_t cap)
{
	check((uintptr_t)mem % _Alignof(struct ring_shm) == 0);
	check(cap >= RING_CAP_MIN && (cap & (cap - 1)) == 0);
	*r = (struct ring){.shm = mem, .cap = cap};
}

void ring_open_writer(struct ring *r, void *mem, size_t cap)
{
	ring_open(r, mem, cap);
	/* Relaxed: the writer before this one, if any, is dead. */
	r->mine = atomic_load_explicit(&r->shm->tail, memory_order_relaxed);
	r->seen = r->mine - cap; /* as if full: the first put looks */
}

void ring_open_reader(struct ring *r, void *mem, size_t cap)
{
	ring_open(r, mem, cap);
	r->mine = atomic_load_explicit(&r->shm->head, memory_order_relaxed);
	r->seen = r->next = r->mine;
}

size_t ring_max(const struct ring *r)
{
	return r->cap / 4;
}

/* Writer: looks at head, once; false when it cannot be true. */
static bool see_head(struct ring *r)
{
	uint64_t head =
		atomic_load_explicit(&r->shm->head, memory_order_acquire);
	/* pairs: ring_release */

	if ((r->mine | head) % RING_ALIGN)
		return false;
	if (r->mine - head > r->mine - r->seen)
		return false;
	r->seen = head;
	return true;
}

/* Reader: looks at tail, once; false when it cannot be true. */
static bool see_tail(struct ring *r)
{
	uint64_t tail =
		atomic_load_explicit(&r->shm->tail, memory_order_acquire);
	/* pairs: ring_publish */

	if ((r->mine | tail) % RING_ALIGN)
		return false;
	if (tail - r->seen > r->mine + r->cap - r->seen)
		return false;
	r->seen = tail;
	return true;
}

static unsigned char *at(const struct ring *r, uint64_t i)
{
	return r->shm->data + (i & (r->cap - 1));
}

/* Bytes from index i to the end of the ring. */
static uint64_t to_end(const struct ring *r, uint64_t i)
{
	return r->cap - (i & (r->cap - 1));
}

static uint64_t with_header(uint64_t len)
{
	return (sizeof(struct ring_record) + len + RING_ALIGN - 1) &
	       ~(uint64_t)(RING_ALIGN - 1);
}

static void put_header(struct ring *r, uint32_t len, uint16_t type)
{
	struct ring_record h = {.len = len, .type = type};
	uint64_t word;

	memcpy(&word, &h, sizeof(word));
	atomic_store_explicit((_Atomic uint64_t *)(void *)at(r, r->mine), word,
		memory_order_relaxed);
}

/* One load, so that the compiler cannot read it twice. */
static struct ring_record get_header(const struct ring *r, uint64_t i)
{
	struct ring_record h;
	uint64_t word = atomic_load_explicit(
		(_Atomic uint64_t *)(void *)at(r, i), memory_order_relaxed);

	memcpy(&h, &word, sizeof(h));
	return h;
}

static bool has_room(const struct ring *r, uint64_t need)
{
	return r->cap - (r->mine - r->seen) >= need;
}

/* Is there room for need bytes? 1, 0 (starved is set) or -EPROTO. */
static int reserve(struct ring *r, uint64_t need)
{
	if (has_room(r, need))
		return 1;
	if (!see_head(r))
		return -EPROTO;
	if (has_room(r, need))
		return 1;
	/* pairs: ring_release, proof 3 */
	atomic_exchange_explicit(&r->shm->starved, 1, memory_order_seq_cst);
	if (!see_head(r))
		return -EPROTO;
	/* Room now: starved stays, and costs the reader one ring for nothing. */
	return has_room(r, need);
}

static size_t total_of(const struct ring *r, const struct iovec *v, int n)
{
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		check(v[i].iov_len <= ring_max(r) - total);
		total += v[i].iov_len;
	}
	return total;
}

int ring_put_leaving(struct ring *r, uint16_t type, const struct iovec *v,
	int n, size_t keep)
{
	size_t total = total_of(r, v, n);
	uint64_t need = with_header(total);
	uint64_t end = to_end(r, r->mine);
	uint64_t filler = need > end ? end : 0;
	unsigned char *p;
	int ret;

	check(type != 0 && keep <= ring_max(r));
	ret = reserve(r, filler + need + keep);
	if (ret <= 0)
		return ret;
	if (filler) {
		put_header(r, filler - sizeof(struct ring_record), 0);
		r->mine += filler;
	}
	put_header(r, total, type);
	p = at(r, r->mine) + sizeof(struct ring_record);
	for (int i = 0; i < n; i++) {
		if (v[i].iov_len)
			memcpy(p, v[i].iov_base, v[i].iov_len);
		p += v[i].iov_len;
	}
	r->mine += need;
	return 1;
}

int ring_put(struct ring *r, uint16_t type, const struct iovec *v, int n)
{
	return ring_put_leaving(r, type, v, n, 0);
}

void ring_publish(struct ring *r)
{
	/* pairs: see_tail, ring_empty */
	atomic_store_explicit(&r->shm->tail, r->mine, memory_order_release);
}

size_t ring_room(struct ring *r)
{
	uint64_t room, end = to_end(r, r->mine);

	if (!see_head(r))
		return 0;
	room = r->cap - (r->mine - r->seen);
	if (room > end)
		room = max_of(end, room - end);
	if (room < sizeof(struct ring_record))
		return 0;
	return min_of(room - sizeof(struct ring_record), ring_max(r));
}

/*
 * Finds the next record behind at most one filler: 1 = *i_r is where it starts
 * and *h_r its checked header, 0 = empty, -EPROTO.
 */
static int next_record(struct ring *r, uint64_t *i_r, struct ring_record *h_r)
{
	uint64_t i = r->mine;
	struct ring_record h;

	if (r->seen == i && !see_tail(r))
		return -EPROTO;
	if (r->seen == i)
		return 0;
	h = get_header(r, i);
	if (h.type == 0) {
		if (h.len != to_end(r, i) - sizeof(h) || h.pad)
			return -EPROTO;
		/* A filler is published with the record that it is for. */
		if (r->seen - i <= to_end(r, i))
			return -EPROTO;
		i += to_end(r, i);
		h = get_header(r, i);
	}
	if (h.type == 0 || h.pad || h.len > ring_max(r))
		return -EPROTO;
	if (with_header(h.len) > min_of(r->seen - i, to_end(r, i)))
		return -EPROTO;
	*i_r = i;
	*h_r = h;
	return 1;
}

int ring_peek(struct ring *r, uint16_t *type_r, struct str *rec_r)
{
	struct ring_record h;
	uint64_t i;
	int ret = next_record(r, &i, &h);

	if (ret <= 0)
		return ret;
	r->next = i + with_header(h.len);
	*type_r = h.type;
	*rec_r = str_n(at(r, i) + sizeof(h), h.len);
	return 1;
}

int ring_take(struct ring *r, uint16_t *type_r, struct buf *out, size_t max)
{
	struct ring_record h;
	uint64_t i;
	int ret = next_record(r, &i, &h);

	if (ret <= 0)
		return ret;
	if (h.len > max)
		return -EPROTO;
	r->next = i + with_header(h.len);
	*type_r = h.type;
	buf_add(out, at(r, i) + sizeof(h), h.len);
	return 1;
}

bool ring_release(struct ring *r)
{
	check(r->next != r->mine);
	r->mine = r->next;
	/* pairs: see_head */
	atomic_store_explicit(&r->shm->head, r->mine, memory_order_release);
	/* pairs: reserve, proof 3 */
	return atomic_exchange_explicit(
		&r->shm->starved, 0, memory_order_seq_cst);
}

bool ring_empty(const struct ring *r)
{
	/* pairs: ring_publish */
	return r->seen == r->mine && atomic_load_explicit(&r->shm->tail,
					     memory_order_acquire) == r->mine;
}
