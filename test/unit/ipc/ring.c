/*
 * Ring between honest sides: order, wrapping, fullness, relief.
 */
#include "ipc/ring.h"

#include <errno.h>

#include "test/unit/ipc/pair.h"

#define CAP 256
#define STRESS_CAP 2048
#define STRESS STEPS(1000000)

struct both {
	void *mem;
	struct ring w, r;
};

/* Both ends of living memory whose indexes stand at start. */
static struct both both_at(size_t cap, uint64_t start)
{
	struct both b = {.mem = pair_mem(ring_size(cap))};
	struct ring_shm *shm = b.mem;

	atomic_store(&shm->tail, start);
	atomic_store(&shm->head, start);
	ring_open_writer(&b.w, b.mem, cap);
	ring_open_reader(&b.r, b.mem, cap);
	return b;
}

static void done(struct both *b)
{
	munmap(b->mem, ring_size(b->w.cap));
}

static int put_n(struct ring *w, uint16_t type, char c, size_t n)
{
	char bytes[CAP];
	struct iovec v = {bytes, n};

	memset(bytes, c, sizeof(bytes));
	return ring_put(w, type, &v, 1);
}

static void take_n(struct ring *r, uint16_t type, char c, size_t n)
{
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type_got;

	assert_int_equal(ring_take(r, &type_got, &got, CAP), 1);
	assert_int_equal(type_got, type);
	assert_int_equal(got.n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got.p[i], c);
	ring_release(r);
}

static void take_of_starved(struct ring *r)
{
	struct str rec;
	uint16_t type;

	assert_int_equal(ring_peek(r, &type, &rec), 1);
	assert_true(ring_release(r));
}

static void test_fresh_ring_is_empty(void **state)
{
	struct both b = both_at(CAP, 0);
	struct str rec;
	uint16_t type;

	assert_true(ring_empty(&b.r));
	assert_int_equal(ring_peek(&b.r, &type, &rec), 0);
	assert_int_equal(ring_max(&b.w), CAP / 4);
	assert_int_equal(ring_room(&b.w), CAP / 4);
	done(&b);
}

static void test_record_is_seen_when_published(void **state)
{
	struct both b = both_at(CAP, 0);
	struct str rec;
	uint16_t type;

	assert_int_equal(put_n(&b.w, 3, 'x', 5), 1);
	assert_true(ring_empty(&b.r));
	assert_int_equal(ring_peek(&b.r, &type, &rec), 0);
	ring_publish(&b.w);
	assert_false(ring_empty(&b.r));
	assert_int_equal(ring_peek(&b.r, &type, &rec), 1);
	assert_int_equal(type, 3);
	assert_true(str_eq(rec, STR("xxxxx")));
	done(&b);
}

static void test_iovecs_become_one_record(void **state)
{
	struct both b = both_at(CAP, 0);
	char head[] = "head", mid[] = " and ", rest[] = "rest";
	struct iovec v[] = {{head, 4}, {NULL, 0}, {mid, 5}, {rest, 4}};
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type;

	assert_int_equal(ring_put(&b.w, 65535, v, countof(v)), 1);
	ring_publish(&b.w);
	buf_addz(&got, "<");
	assert_int_equal(ring_take(&b.r, &type, &got, CAP), 1);
	assert_int_equal(type, 65535);
	assert_true(str_eq(buf_str(&got), STR("<head and rest")));
	done(&b);
}

static void test_empty_record_travels(void **state)
{
	struct both b = both_at(CAP, 0);
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type;

	assert_int_equal(ring_put(&b.w, 9, NULL, 0), 1);
	ring_publish(&b.w);
	assert_int_equal(ring_take(&b.r, &type, &got, 0), 1);
	assert_int_equal(type, 9);
	assert_int_equal(got.n, 0);
	ring_release(&b.r);
	assert_true(ring_empty(&b.r));
	done(&b);
}

static void test_peek_again_gives_the_same_record(void **state)
{
	struct both b = both_at(CAP, 0);
	struct str one, two;
	uint16_t type;

	put_n(&b.w, 1, 'a', 3);
	put_n(&b.w, 2, 'b', 3);
	ring_publish(&b.w);
	assert_int_equal(ring_peek(&b.r, &type, &one), 1);
	assert_int_equal(ring_peek(&b.r, &type, &two), 1);
	assert_ptr_equal(one.p, two.p);
	ring_release(&b.r);
	assert_int_equal(ring_peek(&b.r, &type, &two), 1);
	assert_int_equal(type, 2);
	done(&b);
}

static void test_taken_copy_is_the_readers(void **state)
{
	struct both b = both_at(CAP, 0);
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type;

	put_n(&b.w, 1, 'a', 8);
	ring_publish(&b.w);
	assert_int_equal(ring_take(&b.r, &type, &got, 8), 1);
	memset(b.r.shm->data, 'z', CAP);
	assert_true(str_eq(buf_str(&got), STR("aaaaaaaa")));
	done(&b);
}

static void test_many_records_in_one_publish_keep_order(void **state)
{
	struct both b = both_at(CAP, 0);

	for (int i = 0; i < 8; i++)
		assert_int_equal(put_n(&b.w, i + 1, 'a' + i, i), 1);
	ring_publish(&b.w);
	for (int i = 0; i < 8; i++)
		take_n(&b.r, i + 1, 'a' + i, i);
	assert_true(ring_empty(&b.r));
	done(&b);
}

/* Every length at every place, over the end of the ring and of the indexes. */
static void each_place(uint64_t base)
{
	for (uint64_t off = 0; off < CAP; off += RING_ALIGN) {
		for (size_t n = 0; n <= CAP / 4; n++) {
			struct both b = both_at(CAP, base + off);

			assert_int_equal(put_n(&b.w, 1, 'a', n), 1);
			assert_int_equal(put_n(&b.w, 2, 'b', CAP / 4), 1);
			ring_publish(&b.w);
			take_n(&b.r, 1, 'a', n);
			take_n(&b.r, 2, 'b', CAP / 4);
			assert_true(ring_empty(&b.r));
			done(&b);
		}
	}
}

static void test_every_length_at_every_place(void **state)
{
	each_place(0);
}

static void test_indexes_pass_their_own_end(void **state)
{
	each_place(UINT64_MAX - CAP + 1);
}

static void test_largest_record_fits_any_empty_ring(void **state)
{
	for (size_t cap = 64; cap <= 4096; cap *= 2) {
		for (uint64_t off = 0; off < cap; off += RING_ALIGN) {
			struct both b = both_at(cap, off);
			char *bytes cleanup(free) = mem_new(cap / 4);
			struct iovec v = {bytes, cap / 4};

			assert_int_equal(ring_put(&b.w, 1, &v, 1), 1);
			done(&b);
		}
	}
}

static void test_full_ring_takes_nothing_and_marks_it(void **state)
{
	struct both b = both_at(CAP, 0);
	int n = 0;

	while (put_n(&b.w, 1, 'a', 24) == 1)
		n++;
	assert_int_equal(n, CAP / 32);
	assert_int_equal(ring_room(&b.w), 0);
	assert_int_equal(atomic_load(&b.w.shm->starved), 1);
	ring_publish(&b.w);
	for (int i = 0; i < n; i++)
		take_n(&b.r, 1, 'a', 24);
	assert_true(ring_empty(&b.r));
	done(&b);
}

static void test_release_says_once_that_the_writer_starves(void **state)
{
	struct both b = both_at(CAP, 0);
	struct str rec;
	uint16_t type;

	while (put_n(&b.w, 1, 'a', 24) == 1)
		;
	ring_publish(&b.w);
	assert_int_equal(ring_peek(&b.r, &type, &rec), 1);
	assert_true(ring_release(&b.r));
	assert_int_equal(ring_peek(&b.r, &type, &rec), 1);
	assert_false(ring_release(&b.r));
	assert_int_equal(put_n(&b.w, 1, 'a', 24), 1);
	done(&b);
}

static void test_release_is_silent_when_nobody_starves(void **state)
{
	struct both b = both_at(CAP, 0);
	struct str rec;
	uint16_t type;

	for (int i = 0; i < 8; i++)
		assert_int_equal(put_n(&b.w, 1, 'a', 24), 1);
	ring_publish(&b.w);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(ring_peek(&b.r, &type, &rec), 1);
		assert_false(ring_release(&b.r));
	}
	done(&b);
}

static void test_put_leaves_the_room_that_it_is_told_to(void **state)
{
	struct both b = both_at(CAP, 0);
	char bytes[24] = {0};
	struct iovec v = {bytes, sizeof(bytes)};

	/* 32 bytes a record: of 8, six go in. */
	for (int i = 0; i < 6; i++)
		assert_int_equal(ring_put_leaving(&b.w, 1, &v, 1, 64), 1);
	assert_int_equal(ring_put_leaving(&b.w, 1, &v, 1, 64), 0);
	assert_int_equal(ring_put(&b.w, 1, &v, 1), 1);
	ring_publish(&b.w);
	/* It waits for room, so it is told of it. */
	take_of_starved(&b.r);
	assert_int_equal(ring_put_leaving(&b.w, 1, &v, 1, 64), 0);
	take_of_starved(&b.r);
	assert_int_equal(ring_put_leaving(&b.w, 1, &v, 1, 64), 1);
	done(&b);
}

static void test_room_needs_the_filler_too(void **state)
{
	/* 40 bytes to the end; a record of 48 needs a filler of those 40. */
	struct both b = both_at(CAP, CAP - 40);
	struct ring_shm *shm = b.mem;

	atomic_store(&shm->head, CAP - 40 - (CAP - 80));
	assert_int_equal(ring_room(&b.w), 80 - 40 - 8);
	assert_int_equal(put_n(&b.w, 1, 'a', 40), 0);
	assert_int_equal(put_n(&b.w, 1, 'a', 32), 1);
	done(&b);
}

/* Whatever the indexes, room is what the next put takes and not a byte more. */
static void test_room_is_exact(void **state)
{
	for (uint64_t off = 0; off < CAP; off += RING_ALIGN) {
		for (uint64_t used = 0; used <= CAP; used += RING_ALIGN) {
			struct both b = both_at(CAP, CAP + off);
			struct ring_shm *shm = b.mem;
			size_t room;

			atomic_store(&shm->head, CAP + off - used);
			room = ring_room(&b.w);
			if (room < CAP / 4)
				assert_int_equal(
					put_n(&b.w, 1, 'a', room + 1), 0);
			if (room > 0)
				assert_int_equal(put_n(&b.w, 1, 'a', room), 1);
			done(&b);
		}
	}
}

static void test_successors_join_living_memory(void **state)
{
	struct both b = both_at(CAP, 0);
	struct ring w, r;

	put_n(&b.w, 1, 'a', 20);
	put_n(&b.w, 2, 'b', 20);
	ring_publish(&b.w);
	take_n(&b.r, 1, 'a', 20);
	put_n(&b.w, 7, 'x', 20); /* not published: never was */
	ring_open_writer(&w, b.mem, CAP);
	ring_open_reader(&r, b.mem, CAP);
	put_n(&w, 3, 'c', 20);
	ring_publish(&w);
	take_n(&r, 2, 'b', 20);
	take_n(&r, 3, 'c', 20);
	assert_true(ring_empty(&r));
	done(&b);
}

static int put_too_long(void *ctx)
{
	struct both *b = ctx;

	put_n(&b->w, 1, 'a', CAP / 4 + 1);
	return 0;
}

static int put_filler(void *ctx)
{
	struct both *b = ctx;

	put_n(&b->w, 0, 'a', 1);
	return 0;
}

static int release_nothing(void *ctx)
{
	struct both *b = ctx;

	ring_release(&b->r);
	return 0;
}

static void test_our_own_bugs_abort(void **state)
{
	struct both b = both_at(CAP, 0);

	pair_assert_aborts(put_too_long, &b);
	pair_assert_aborts(put_filler, &b);
	pair_assert_aborts(release_nothing, &b);
	done(&b);
}

/* Stress: records of drawn lengths and bytes, a ring that is mostly full. */
struct end {
	struct ring ring;
	struct doorbell mine, theirs;
	uint64_t sleeps;
};

static size_t draw_record(uint64_t *seed, unsigned char *p, uint16_t *type_r)
{
	uint64_t v = pair_draw(seed);
	size_t n = v % (CAP / 4 + 1);

	*type_r = 1 + v % 7;
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> (i % 8 * 8)) + i;
	return n;
}

/* README.md's loop, of a side that waits for room only. */
static int put_waiting(struct end *e, uint16_t type, const struct iovec *v)
{
	int ret = ring_put(&e->ring, type, v, 1);

	while (ret == 0) {
		ring_publish(&e->ring);
		doorbell_ring(&e->theirs);
		doorbell_arm(&e->mine);
		ret = ring_put(&e->ring, type, v, 1);
		if (ret == 0) {
			e->sleeps++;
			pair_sleep(&e->mine);
			doorbell_answer(&e->mine);
			ret = ring_put(&e->ring, type, v, 1);
		} else {
			doorbell_disarm(&e->mine);
		}
	}
	return ret;
}

static int write_all(void *ctx)
{
	struct end *e = ctx;
	uint64_t seed = 42, pace = 7;
	unsigned char bytes[CAP];
	uint16_t type;

	for (int i = 0; i < STRESS; i++) {
		struct iovec v = {bytes, draw_record(&seed, bytes, &type)};

		if (put_waiting(e, type, &v) != 1)
			return -1;
		if (pair_draw(&pace) % 4 == 0) {
			ring_publish(&e->ring);
			doorbell_ring(&e->theirs);
		}
	}
	ring_publish(&e->ring);
	doorbell_ring(&e->theirs);
	return 0;
}

static int take_waiting(struct end *e, uint16_t *type_r, struct buf *out)
{
	int ret;

	while ((ret = ring_take(&e->ring, type_r, out, CAP)) == 0) {
		doorbell_arm(&e->mine);
		if (!ring_empty(&e->ring)) {
			doorbell_disarm(&e->mine);
			continue;
		}
		e->sleeps++;
		pair_sleep(&e->mine);
		doorbell_answer(&e->mine);
	}
	return ret;
}

static int read_all(void *ctx)
{
	struct end *e = ctx;
	struct buf got cleanup(buf_fini) = {0};
	uint64_t seed = 42;
	unsigned char bytes[CAP];
	uint16_t type, type_got;

	for (int i = 0; i < STRESS; i++) {
		size_t n = draw_record(&seed, bytes, &type);

		buf_reset(&got);
		if (take_waiting(e, &type_got, &got) != 1)
			return -1;
		if (type_got != type || got.n != n ||
			memcmp(got.p, bytes, n) != 0)
			return -2;
		if (ring_release(&e->ring))
			doorbell_ring(&e->theirs);
	}
	return ring_empty(&e->ring) ? 0 : -3;
}

static void stress(void (*run)(pair_side *, void *, pair_side *, void *))
{
	struct both b = both_at(STRESS_CAP, 0);
	struct doorbell_flag *flags = pair_mem(2 * sizeof(*flags));
	struct pair_bell wb = pair_bell(&flags[0]), rb = pair_bell(&flags[1]);
	struct end w = {.ring = b.w, .mine = wb.sleeper, .theirs = rb.ringer};
	struct end r = {.ring = b.r, .mine = rb.sleeper, .theirs = wb.ringer};

	run(write_all, &w, read_all, &r);
	assert_true(r.sleeps > 0);
	pair_bell_close(&wb);
	pair_bell_close(&rb);
	munmap(flags, 2 * sizeof(*flags));
	done(&b);
}

static void test_stress_between_threads(void **state)
{
	stress(pair_run_threads);
}

static void test_stress_between_processes(void **state)
{
	stress(pair_run_processes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_ring_is_empty),
		cmocka_unit_test(test_record_is_seen_when_published),
		cmocka_unit_test(test_iovecs_become_one_record),
		cmocka_unit_test(test_empty_record_travels),
		cmocka_unit_test(test_peek_again_gives_the_same_record),
		cmocka_unit_test(test_taken_copy_is_the_readers),
		cmocka_unit_test(test_many_records_in_one_publish_keep_order),
		cmocka_unit_test(test_every_length_at_every_place),
		cmocka_unit_test(test_indexes_pass_their_own_end),
		cmocka_unit_test(test_largest_record_fits_any_empty_ring),
		cmocka_unit_test(test_full_ring_takes_nothing_and_marks_it),
		cmocka_unit_test(
			test_release_says_once_that_the_writer_starves),
		cmocka_unit_test(test_release_is_silent_when_nobody_starves),
		cmocka_unit_test(test_put_leaves_the_room_that_it_is_told_to),
		cmocka_unit_test(test_room_needs_the_filler_too),
		cmocka_unit_test(test_room_is_exact),
		cmocka_unit_test(test_successors_join_living_memory),
		cmocka_unit_test(test_our_own_bugs_abort),
		cmocka_unit_test(test_stress_between_threads),
		cmocka_unit_test(test_stress_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
