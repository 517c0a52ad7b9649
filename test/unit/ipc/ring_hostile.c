/*
 * Ring against a peer that writes into the shared memory what it likes: every
 * lie is -EPROTO, nothing is read or written outside the ring.
 */
#include "ipc/ring.h"

#include <errno.h>
#include <sched.h>

#include "test/unit/ipc/pair.h"

#define CAP 256
#define MAX (CAP / 4)

/* A ring by itself in its pages: what lies behind it is not readable. */
struct victim {
	void *pages;
	struct ring_shm *shm;
	struct ring r;
};

#define PAGES 8192
#define GUARDED 4096

static struct victim victim(uint64_t start)
{
	struct victim v = {.pages = pair_mem(PAGES)};

	v.shm = (void *)((char *)v.pages + GUARDED - ring_size(CAP));
	assert_int_equal(
		mprotect((char *)v.pages + GUARDED, PAGES - GUARDED, PROT_NONE),
		0);
	atomic_store(&v.shm->tail, start);
	atomic_store(&v.shm->head, start);
	return v;
}

static struct victim reader_at(uint64_t start)
{
	struct victim v = victim(start);

	ring_open_reader(&v.r, v.shm, CAP);
	return v;
}

static struct victim writer_at(uint64_t start)
{
	struct victim v = victim(start);

	ring_open_writer(&v.r, v.shm, CAP);
	return v;
}

static void done(struct victim *v)
{
	munmap(v->pages, PAGES);
}

static void header(struct victim *v, uint64_t at, uint32_t len, uint16_t type,
	uint16_t pad)
{
	struct ring_record h = {len, type, pad};

	memcpy(v->shm->data + at % CAP, &h, sizeof(h));
}

static void publish(struct victim *v, uint64_t tail)
{
	atomic_store(&v->shm->tail, tail);
}

/* Both ways to read refuse, again and again, and give nothing out. */
static void assert_lie(struct victim *v)
{
	struct buf got cleanup(buf_fini) = {0};
	struct str rec = STR_NONE;
	uint16_t type = 77;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ring_peek(&v->r, &type, &rec), -EPROTO);
		assert_int_equal(ring_take(&v->r, &type, &got, CAP), -EPROTO);
	}
	assert_int_equal(type, 77);
	assert_null(rec.p);
	assert_int_equal(got.n, 0);
	done(v);
}

static void test_length_above_the_most(void **state)
{
	static const uint32_t lens[] = {MAX + 1, CAP, CAP - 8, UINT32_MAX,
		UINT32_MAX - 7, UINT32_MAX - 8, INT32_MAX, 1u << 31};

	for (size_t i = 0; i < countof(lens); i++) {
		struct victim v = reader_at(0);

		header(&v, 0, lens[i], 1, 0);
		publish(&v, CAP);
		assert_lie(&v);
	}
}

static void test_length_beyond_what_is_published(void **state)
{
	for (uint32_t len = 1; len <= MAX; len++) {
		struct victim v = reader_at(0);

		header(&v, 0, len, 1, 0);
		publish(&v, (len + 7) / 8 * 8); /* 8 too few */
		assert_lie(&v);
	}
}

static void test_length_beyond_the_end_of_the_ring(void **state)
{
	for (uint64_t left = 8; left <= MAX; left += 8) {
		struct victim v = reader_at(CAP - left);

		header(&v, CAP - left, left - 8 + 1, 1, 0);
		publish(&v, CAP - left + CAP);
		assert_lie(&v);
	}
}

static void test_tail_beyond_the_capacity(void **state)
{
	static const uint64_t starts[] = {0, 8, CAP, UINT64_MAX - 7};

	for (size_t i = 0; i < countof(starts); i++) {
		struct victim v = reader_at(starts[i]);

		publish(&v, starts[i] + CAP + 8);
		assert_lie(&v);
		v = reader_at(starts[i]);
		publish(&v, starts[i] + UINT64_MAX / 2 + 1);
		assert_lie(&v);
	}
}

static void test_tail_behind_the_reader(void **state)
{
	struct victim v = reader_at(64);

	publish(&v, 56);
	assert_lie(&v);
	v = reader_at(0);
	publish(&v, UINT64_MAX - 7);
	assert_lie(&v);
}

static void test_misaligned_tail(void **state)
{
	for (uint64_t off = 1; off < RING_ALIGN; off++) {
		struct victim v = reader_at(0);

		header(&v, 0, 0, 1, 0);
		publish(&v, 16 + off);
		assert_lie(&v);
	}
}

static void test_misaligned_start(void **state)
{
	struct victim v = reader_at(4);

	header(&v, 4, 0, 1, 0);
	publish(&v, 12);
	assert_lie(&v);
}

static void test_tail_that_goes_back_after_it_was_seen(void **state)
{
	struct victim v = reader_at(0);
	struct str rec;
	uint16_t type;

	header(&v, 0, 8, 1, 0);
	header(&v, 16, 8, 2, 0);
	publish(&v, 32);
	assert_int_equal(ring_peek(&v.r, &type, &rec), 1);
	publish(&v, 16);
	ring_release(&v.r);
	/* What was published stays so... */
	assert_int_equal(ring_peek(&v.r, &type, &rec), 1);
	assert_int_equal(type, 2);
	ring_release(&v.r);
	/* ...and the next look finds the lie. */
	assert_lie(&v);
}

static void test_filler_that_does_not_reach_the_end(void **state)
{
	for (uint32_t len = 0; len <= CAP; len++) {
		struct victim v = reader_at(CAP - 64);

		if (len == 64 - 8) {
			done(&v);
			continue;
		}
		header(&v, CAP - 64, len, 0, 0);
		header(&v, 0, 0, 1, 0);
		publish(&v, CAP + 8);
		assert_lie(&v);
	}
}

static void test_filler_with_no_record_behind_it(void **state)
{
	struct victim v = reader_at(CAP - 64);

	header(&v, CAP - 64, 56, 0, 0);
	publish(&v, CAP);
	assert_lie(&v);
}

static void test_filler_that_is_not_all_published(void **state)
{
	struct victim v = reader_at(CAP - 64);

	header(&v, CAP - 64, 56, 0, 0);
	publish(&v, CAP - 8);
	assert_lie(&v);
}

static void test_two_fillers(void **state)
{
	struct victim v = reader_at(CAP - 64);

	header(&v, CAP - 64, 56, 0, 0);
	header(&v, 0, CAP - 8, 0, 0);
	publish(&v, CAP - 64 + CAP);
	assert_lie(&v);
}

static void test_filler_of_the_whole_ring(void **state)
{
	struct victim v = reader_at(0);

	header(&v, 0, CAP - 8, 0, 0);
	publish(&v, CAP);
	assert_lie(&v);
}

static void test_bad_record_behind_a_filler(void **state)
{
	struct victim v = reader_at(CAP - 64);

	header(&v, CAP - 64, 56, 0, 0);
	header(&v, 0, MAX + 1, 1, 0);
	publish(&v, CAP - 64 + CAP);
	assert_lie(&v);
	v = reader_at(CAP - 64);
	header(&v, CAP - 64, 56, 0, 0);
	header(&v, 0, 1, 1, 0);
	publish(&v, CAP + 8);
	assert_lie(&v);
}

static void test_padding_that_is_not_zero(void **state)
{
	struct victim v = reader_at(0);

	header(&v, 0, 0, 1, 1);
	publish(&v, 8);
	assert_lie(&v);
}

static void test_take_of_a_record_longer_than_asked(void **state)
{
	struct victim v = reader_at(0);
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type;

	header(&v, 0, 33, 1, 0);
	publish(&v, 48);
	assert_int_equal(ring_take(&v.r, &type, &got, 32), -EPROTO);
	assert_int_equal(got.n, 0);
	assert_int_equal(ring_take(&v.r, &type, &got, 33), 1);
	done(&v);
}

static void test_length_that_changes_after_the_check(void **state)
{
	struct victim v = reader_at(0);
	struct str rec;
	uint16_t type;

	header(&v, 0, 8, 1, 0);
	header(&v, 16, 0, 2, 0);
	publish(&v, 24);
	assert_int_equal(ring_peek(&v.r, &type, &rec), 1);
	header(&v, 0, UINT32_MAX, 0, 9);
	assert_int_equal(rec.n, 8);
	ring_release(&v.r);
	assert_int_equal(atomic_load(&v.shm->head), 16);
	assert_int_equal(ring_peek(&v.r, &type, &rec), 1);
	assert_int_equal(type, 2);
	done(&v);
}

static void test_reader_ignores_what_is_written_over_its_head(void **state)
{
	struct victim v = reader_at(0);
	struct str rec;
	uint16_t type;

	header(&v, 0, 8, 1, 0);
	publish(&v, 16);
	atomic_store(&v.shm->head, 12345);
	assert_int_equal(ring_peek(&v.r, &type, &rec), 1);
	ring_release(&v.r);
	assert_int_equal(atomic_load(&v.shm->head), 16);
	assert_true(ring_empty(&v.r));
	done(&v);
}

static struct iovec bytes_of(size_t n)
{
	static char bytes[MAX];

	return (struct iovec){bytes, n};
}

/* A writer that needs room refuses to go on. */
static void assert_reader_lies(struct victim *v)
{
	struct iovec io = bytes_of(MAX);
	uint64_t tail = v->r.mine;

	assert_int_equal(ring_room(&v->r), 0);
	assert_int_equal(ring_put(&v->r, 1, &io, 1), -EPROTO);
	assert_int_equal(ring_put(&v->r, 1, &io, 1), -EPROTO);
	assert_int_equal(v->r.mine, tail);
	done(v);
}

static void test_head_beyond_the_tail(void **state)
{
	struct victim v = writer_at(64);

	atomic_store(&v.shm->head, 72);
	assert_reader_lies(&v);
}

static void test_head_too_far_behind(void **state)
{
	struct victim v = writer_at(CAP + 64);

	atomic_store(&v.shm->head, 56);
	assert_reader_lies(&v);
	v = writer_at(0);
	atomic_store(&v.shm->head, UINT64_MAX / 2 + 1);
	assert_reader_lies(&v);
}

static void test_misaligned_head(void **state)
{
	struct victim v = writer_at(64);

	atomic_store(&v.shm->head, 60);
	assert_reader_lies(&v);
}

static void test_head_that_goes_back_after_it_was_seen(void **state)
{
	struct victim v = writer_at(0);
	struct iovec io = bytes_of(56);

	for (int i = 0; i < 4; i++)
		assert_int_equal(ring_put(&v.r, 1, &io, 1), 1);
	ring_publish(&v.r);
	atomic_store(&v.shm->head, 128);
	assert_int_equal(ring_put(&v.r, 1, &io, 1), 1);
	assert_int_equal(ring_put(&v.r, 1, &io, 1), 1);
	atomic_store(&v.shm->head, 64);
	assert_reader_lies(&v);
}

static void test_writer_never_reads_back(void **state)
{
	struct victim v = writer_at(0);
	struct iovec io = bytes_of(56);

	assert_int_equal(ring_put(&v.r, 1, &io, 1), 1);
	ring_publish(&v.r);
	atomic_store(&v.shm->tail, 999999);
	memset(v.shm->data, 0xff, CAP);
	assert_int_equal(ring_put(&v.r, 1, &io, 1), 1);
	ring_publish(&v.r);
	assert_int_equal(atomic_load(&v.shm->tail), 128);
	done(&v);
}

/*
 * A writer that changes headers and its tail while the reader reads: whatever
 * comes out is bounded. Ends when enough was read and enough was refused; each
 * side yields, so that they meet on a machine with one free CPU as well.
 */
#define HEARD 5000

static const uint32_t lies[] = {0, 8, MAX, MAX + 1, UINT32_MAX, CAP - 8};

struct storm {
	struct ring_shm *shm;
	_Atomic bool over;
};

static int tell_lies(void *ctx)
{
	struct storm *s = ctx;
	uint64_t seed = 99;

	while (!atomic_load(&s->over)) {
		uint64_t v = pair_draw(&seed);
		struct ring_record h = {lies[v % countof(lies)], v >> 8 & 1};
		_Atomic uint64_t *word =
			(void *)(s->shm->data + (v >> 16) % CAP / 8 * 8);
		uint64_t bits;

		memcpy(&bits, &h, sizeof(bits));
		atomic_store_explicit(word, bits, memory_order_relaxed);
		if (v >> 63)
			atomic_store(
				&s->shm->tail, atomic_load(&s->shm->head) +
						       (v >> 32) % (CAP + 32));
		if (v >> 60 == 0)
			sched_yield();
	}
	return 0;
}

static bool in_bounds(const struct storm *s, struct str rec)
{
	const char *data = (const char *)s->shm->data;

	return rec.n <= MAX && rec.p >= data + sizeof(struct ring_record) &&
	       rec.p + rec.n <= data + CAP;
}

/* Nothing reads the payload: a lying writer races with that by design. */
static int hear_lies(void *ctx)
{
	struct storm *s = ctx;
	int records = 0, refused = 0, ret = 0;

	while ((records < HEARD || refused < HEARD) && ret == 0) {
		struct str rec;
		struct ring r;
		uint16_t type;
		int got;

		ring_open_reader(&r, s->shm, CAP);
		while ((got = ring_peek(&r, &type, &rec)) == 1) {
			if (type == 0 || !in_bounds(s, rec))
				ret = -1;
			ring_release(&r);
			records++;
		}
		sched_yield();
		if (got == -EPROTO)
			refused++;
		else if (got != 0)
			ret = -2;
	}
	atomic_store(&s->over, true);
	return ret;
}

static void test_writer_that_lies_while_it_is_read(void **state)
{
	struct victim v = reader_at(0);
	struct storm s = {.shm = v.shm};

	pair_run_threads(tell_lies, &s, hear_lies, &s);
	done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length_above_the_most),
		cmocka_unit_test(test_length_beyond_what_is_published),
		cmocka_unit_test(test_length_beyond_the_end_of_the_ring),
		cmocka_unit_test(test_tail_beyond_the_capacity),
		cmocka_unit_test(test_tail_behind_the_reader),
		cmocka_unit_test(test_misaligned_tail),
		cmocka_unit_test(test_misaligned_start),
		cmocka_unit_test(test_tail_that_goes_back_after_it_was_seen),
		cmocka_unit_test(test_filler_that_does_not_reach_the_end),
		cmocka_unit_test(test_filler_with_no_record_behind_it),
		cmocka_unit_test(test_filler_that_is_not_all_published),
		cmocka_unit_test(test_two_fillers),
		cmocka_unit_test(test_filler_of_the_whole_ring),
		cmocka_unit_test(test_bad_record_behind_a_filler),
		cmocka_unit_test(test_padding_that_is_not_zero),
		cmocka_unit_test(test_take_of_a_record_longer_than_asked),
		cmocka_unit_test(test_length_that_changes_after_the_check),
		cmocka_unit_test(
			test_reader_ignores_what_is_written_over_its_head),
		cmocka_unit_test(test_head_beyond_the_tail),
		cmocka_unit_test(test_head_too_far_behind),
		cmocka_unit_test(test_misaligned_head),
		cmocka_unit_test(test_head_that_goes_back_after_it_was_seen),
		cmocka_unit_test(test_writer_never_reads_back),
		cmocka_unit_test(test_writer_that_lies_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
