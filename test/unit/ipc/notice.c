/*
 * Change ring: order, fullness, relief, and a peer that lies.
 */
#include "ipc/notice.h"

#include <errno.h>
#include <string.h>

#include "test/unit/ipc/pair.h"

#define SLOTS 8
#define STRESS_SLOTS 64
#define STRESS STEPS(1000000)

struct both {
	struct notice_shm *shm;
	struct notice_ring w, r;
};

static struct both both_of(size_t slots, uint64_t start)
{
	struct both b = {.shm = pair_mem(notice_ring_size(slots))};

	atomic_store(&b.shm->tail, start);
	atomic_store(&b.shm->head, start);
	notice_open_writer(&b.w, b.shm, slots);
	notice_open_reader(&b.r, b.shm, slots);
	return b;
}

static struct both both_at(uint64_t start)
{
	return both_of(SLOTS, start);
}

static void done(struct both *b)
{
	munmap(b->shm, notice_ring_size(b->w.slots));
}

/* Every field differs, and each from its neighbour. */
static struct notice nth(uint64_t i)
{
	return (struct notice){.account = i,
		.modseq = ~i,
		.committed_ns = i * 3,
		.generation = (uint32_t)i + 5,
		.types = (uint16_t)i,
		.kind = NOTICE_CHANGE};
}

static int put(struct both *b, uint64_t i)
{
	struct notice n = nth(i);

	return notice_put(&b->w, &n);
}

static void assert_got(struct both *b, uint64_t i)
{
	struct notice n, want = nth(i);

	assert_int_equal(notice_get(&b->r, &n), 1);
	assert_memory_equal(&n, &want, sizeof(n));
}

static void test_fresh_ring_is_empty(void **state)
{
	struct both b = both_at(0);
	struct notice n;

	assert_true(notice_empty(&b.r));
	assert_int_equal(notice_get(&b.r, &n), 0);
	done(&b);
}

static void test_notice_is_there_at_once(void **state)
{
	struct both b = both_at(0);

	assert_int_equal(put(&b, 1), 1);
	assert_false(notice_empty(&b.r));
	assert_got(&b, 1);
	assert_true(notice_empty(&b.r));
	done(&b);
}

static void test_order_holds_from_every_slot(void **state)
{
	static const uint64_t bases[] = {0, UINT64_MAX - SLOTS + 1};

	for (size_t k = 0; k < countof(bases); k++) {
		for (uint64_t off = 0; off < SLOTS; off++) {
			struct both b = both_at(bases[k] + off);

			for (uint64_t i = 0; i < SLOTS; i++)
				assert_int_equal(put(&b, i), 1);
			assert_int_equal(put(&b, 99), 0);
			for (uint64_t i = 0; i < SLOTS; i++)
				assert_got(&b, i);
			assert_true(notice_empty(&b.r));
			done(&b);
		}
	}
}

static void test_full_ring_marks_the_writer_starved(void **state)
{
	struct both b = both_at(0);

	for (uint64_t i = 0; i < SLOTS; i++)
		assert_int_equal(put(&b, i), 1);
	assert_int_equal(atomic_load(&b.shm->starved), 0);
	assert_int_equal(put(&b, 99), 0);
	assert_int_equal(atomic_load(&b.shm->starved), 1);
	done(&b);
}

static void test_relieve_says_it_once(void **state)
{
	struct both b = both_at(0);

	assert_false(notice_relieve(&b.r));
	for (uint64_t i = 0; i <= SLOTS; i++)
		put(&b, i);
	assert_got(&b, 0);
	assert_got(&b, 1);
	assert_true(notice_relieve(&b.r));
	assert_false(notice_relieve(&b.r));
	done(&b);
}

static void test_slot_that_was_given_back_is_used_again(void **state)
{
	struct both b = both_at(0);

	for (uint64_t i = 0; i <= SLOTS; i++)
		put(&b, i);
	assert_got(&b, 0);
	assert_int_equal(put(&b, 100), 1);
	assert_int_equal(put(&b, 101), 0);
	for (uint64_t i = 1; i < SLOTS; i++)
		assert_got(&b, i);
	assert_got(&b, 100);
	done(&b);
}

static void test_got_notice_is_a_copy(void **state)
{
	struct both b = both_at(0);
	struct notice n, want = nth(7);

	put(&b, 7);
	assert_int_equal(notice_get(&b.r, &n), 1);
	memset(b.shm->slot, 0xff, SLOTS * sizeof(*b.shm->slot));
	assert_memory_equal(&n, &want, sizeof(n));
	done(&b);
}

static void test_tail_that_cannot_be_true(void **state)
{
	static const uint64_t bad[] = {
		SLOTS + 101, 99, 0, UINT64_MAX, UINT64_MAX / 2};

	for (size_t i = 0; i < countof(bad); i++) {
		struct both b = both_at(100);
		struct notice n;

		atomic_store(&b.shm->tail, bad[i]);
		assert_int_equal(notice_get(&b.r, &n), -EPROTO);
		assert_int_equal(notice_get(&b.r, &n), -EPROTO);
		done(&b);
	}
}

static void test_tail_that_goes_back(void **state)
{
	struct both b = both_at(100);
	struct notice n;

	put(&b, 1);
	put(&b, 2);
	assert_got(&b, 1);
	atomic_store(&b.shm->tail, 101);
	assert_got(&b, 2);
	assert_int_equal(notice_get(&b.r, &n), -EPROTO);
	done(&b);
}

static void test_head_that_cannot_be_true(void **state)
{
	static const uint64_t bad[] = {
		101, 100 - SLOTS - 1, UINT64_MAX, UINT64_MAX / 2};

	for (size_t i = 0; i < countof(bad); i++) {
		struct both b = both_at(100);

		atomic_store(&b.shm->head, bad[i]);
		assert_int_equal(put(&b, 1), -EPROTO);
		assert_int_equal(put(&b, 1), -EPROTO);
		assert_int_equal(atomic_load(&b.shm->tail), 100);
		done(&b);
	}
}

static void test_head_that_goes_back(void **state)
{
	struct both b = both_at(0);

	for (uint64_t i = 0; i < SLOTS; i++)
		put(&b, i);
	atomic_store(&b.shm->head, 2);
	assert_int_equal(put(&b, 8), 1);
	assert_int_equal(put(&b, 9), 1);
	atomic_store(&b.shm->head, 1);
	assert_int_equal(put(&b, 10), -EPROTO);
	done(&b);
}

static void test_own_index_in_shared_memory_is_not_read(void **state)
{
	struct both b = both_at(0);

	put(&b, 1);
	atomic_store(&b.shm->head, 1);
	assert_got(&b, 1);
	assert_int_equal(atomic_load(&b.shm->head), 1);
	atomic_store(&b.shm->tail, 12345);
	put(&b, 2);
	assert_int_equal(atomic_load(&b.shm->tail), 2);
	done(&b);
}

/* Stress: the writer waits for room, the reader for news; both sleep. */
struct end {
	struct notice_ring ring;
	struct doorbell mine, theirs;
	uint64_t sleeps;
};

static int put_waiting(struct end *e, const struct notice *n)
{
	int ret = notice_put(&e->ring, n);

	while (ret == 0) {
		doorbell_ring(&e->theirs);
		doorbell_arm(&e->mine);
		ret = notice_put(&e->ring, n);
		if (ret == 0) {
			e->sleeps++;
			pair_sleep(&e->mine);
			doorbell_answer(&e->mine);
			ret = notice_put(&e->ring, n);
		} else {
			doorbell_disarm(&e->mine);
		}
	}
	return ret;
}

static int write_all(void *ctx)
{
	struct end *e = ctx;
	uint64_t pace = 7;

	for (uint64_t i = 0; i < STRESS; i++) {
		struct notice n = nth(i);

		if (put_waiting(e, &n) != 1)
			return -1;
		if (pair_draw(&pace) % 4 == 0)
			doorbell_ring(&e->theirs);
	}
	doorbell_ring(&e->theirs);
	return 0;
}

/* Takes a batch of what is there, then relieves, then sleeps. */
static int read_all(void *ctx)
{
	struct end *e = ctx;
	uint64_t i = 0;

	while (i < STRESS) {
		struct notice n, want;
		int ret;

		while ((ret = notice_get(&e->ring, &n)) == 1) {
			want = nth(i++);
			if (memcmp(&n, &want, sizeof(n)) != 0)
				return -1;
		}
		if (ret < 0)
			return -2;
		if (notice_relieve(&e->ring))
			doorbell_ring(&e->theirs);
		doorbell_arm(&e->mine);
		if (notice_empty(&e->ring) && i < STRESS) {
			e->sleeps++;
			pair_sleep(&e->mine);
			doorbell_answer(&e->mine);
		} else {
			doorbell_disarm(&e->mine);
		}
	}
	return notice_empty(&e->ring) ? 0 : -3;
}

static void stress(void (*run)(pair_side *, void *, pair_side *, void *))
{
	struct both b = both_of(STRESS_SLOTS, 0);
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
		cmocka_unit_test(test_notice_is_there_at_once),
		cmocka_unit_test(test_order_holds_from_every_slot),
		cmocka_unit_test(test_full_ring_marks_the_writer_starved),
		cmocka_unit_test(test_relieve_says_it_once),
		cmocka_unit_test(test_slot_that_was_given_back_is_used_again),
		cmocka_unit_test(test_got_notice_is_a_copy),
		cmocka_unit_test(test_tail_that_cannot_be_true),
		cmocka_unit_test(test_tail_that_goes_back),
		cmocka_unit_test(test_head_that_cannot_be_true),
		cmocka_unit_test(test_head_that_goes_back),
		cmocka_unit_test(test_own_index_in_shared_memory_is_not_read),
		cmocka_unit_test(test_stress_between_threads),
		cmocka_unit_test(test_stress_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
