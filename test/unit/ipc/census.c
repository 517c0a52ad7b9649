/*
 * The census: caps hold over all workers, places come free, full buckets count
 * nobody, and a sibling's memory can be anything.
 */
#include "ipc/census.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "ipc/shm.h"
#include "test/unit/ipc/pair.h"

#define WORKERS 3
#define ALICE STR("alice")
#define BOB STR("bob")

static const struct census_key key = {{1, 2}};

struct crew {
	struct census *c[WORKERS];
	int own[WORKERS], shown[WORKERS];
};

static void give_memory(struct crew *w, unsigned i)
{
	struct err e = {0};

	assert_int_equal(census_make(&w->own[i], &w->shown[i], &e), 0);
	assert_int_equal(census_own(w->c[i], w->own[i], &key, &e), 0);
}

static void show(struct crew *w, unsigned i)
{
	for (unsigned k = 0; k < WORKERS; k++)
		if (k != i)
			assert_int_equal(
				census_see(w->c[k], i, w->shown[i], NULL), 0);
}

static void begin(struct crew *w)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		w->c[i] = census_new();
		give_memory(w, i);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		show(w, i);
}

static void end(struct crew *w)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		census_free(w->c[i]);
		close(w->own[i]);
		close(w->shown[i]);
	}
}

static bool enter(struct census *c, struct str who, uint64_t max, uint32_t *p)
{
	return crowd_enter(census_crowd(c), CROWD_ACCOUNT, who, max, p);
}

static void leave(struct census *c, uint32_t *p)
{
	crowd_leave(census_crowd(c), CROWD_ACCOUNT, p);
}

static void test_a_cap_holds_over_all_workers(void **state)
{
	struct crew w;
	uint32_t p[4];

	begin(&w);
	assert_true(enter(w.c[0], ALICE, 3, &p[0]));
	assert_true(enter(w.c[1], ALICE, 3, &p[1]));
	assert_true(enter(w.c[2], ALICE, 3, &p[2]));
	for (int i = 0; i < WORKERS; i++) {
		assert_false(enter(w.c[i], ALICE, 3, &p[3]));
		assert_int_equal(p[3], 0);
	}
	assert_true(enter(w.c[0], BOB, 3, &p[3]));
	end(&w);
}

static void test_a_place_comes_free_for_every_worker(void **state)
{
	struct crew w;
	uint32_t p, q, r;

	begin(&w);
	assert_true(enter(w.c[0], ALICE, 2, &p));
	assert_true(enter(w.c[0], ALICE, 2, &q));
	assert_false(enter(w.c[1], ALICE, 2, &r));
	leave(w.c[0], &p);
	assert_int_equal(p, 0);
	assert_true(enter(w.c[1], ALICE, 2, &r));
	assert_false(enter(w.c[0], ALICE, 2, &p));
	end(&w);
}

static void test_whoever_was_refused_is_not_counted(void **state)
{
	struct crew w;
	uint32_t p, q;

	begin(&w);
	assert_true(enter(w.c[0], ALICE, 1, &p));
	for (int i = 0; i < 10; i++)
		assert_false(enter(w.c[1], ALICE, 1, &q));
	assert_true(enter(w.c[1], ALICE, 2, &q));
	end(&w);
}

static void test_without_a_cap_they_are_counted_all_the_same(void **state)
{
	struct crew w;
	uint32_t p[3];

	begin(&w);
	for (int i = 0; i < 3; i++)
		assert_true(enter(w.c[i], ALICE, 0, &p[i]));
	assert_false(enter(w.c[0], ALICE, 3, &p[0]));
	assert_true(enter(w.c[0], ALICE, 4, &p[0]));
	end(&w);
}

static void test_accounts_and_addresses_are_not_mixed(void **state)
{
	struct crew w;
	uint32_t p, q;

	begin(&w);
	assert_true(enter(w.c[0], ALICE, 1, &p));
	assert_true(
		crowd_enter(census_crowd(w.c[0]), CROWD_ADDRESS, ALICE, 1, &q));
	assert_false(enter(w.c[0], ALICE, 1, &q));
	end(&w);
}

/* ---- lives ------------------------------------------------------------------ */

static void test_a_dead_worker_counts_no_more(void **state)
{
	struct crew w;
	uint32_t p, q;

	begin(&w);
	assert_true(enter(w.c[1], ALICE, 1, &p));
	assert_false(enter(w.c[0], ALICE, 1, &q));
	census_forget(w.c[0], 1);
	census_forget(w.c[0], 1); /* once more does no harm */
	assert_true(enter(w.c[0], ALICE, 1, &q));
	end(&w);
}

static void test_a_new_life_begins_with_nobody(void **state)
{
	struct crew w;
	uint32_t p, q;

	begin(&w);
	assert_true(enter(w.c[1], ALICE, 1, &p));
	census_free(w.c[1]);
	close(w.own[1]);
	close(w.shown[1]);
	w.c[1] = census_new();
	give_memory(&w, 1);
	show(&w, 1); /* in place of the old, of which nobody said a word */
	assert_true(enter(w.c[0], ALICE, 1, &q));
	assert_int_equal(census_see(w.c[1], 0, w.shown[0], NULL), 0);
	assert_false(enter(w.c[1], ALICE, 1, &p));
	end(&w);
}

static void test_without_memory_nobody_is_counted(void **state)
{
	struct census *c = census_new();
	uint32_t p;

	for (int i = 0; i < 3; i++) {
		assert_true(enter(c, ALICE, 1, &p));
		assert_int_equal(p, 0);
		leave(c, &p);
	}
	census_free(c);
}

/* ---- tables ----------------------------------------------------------------- */

static struct str name_of(uint64_t i, char z[24])
{
	return str_n(z, (size_t)snprintf(z, 24, "%llu", (unsigned long long)i));
}

/* Places of as many names as one bucket takes, of the first that it does not. */
struct bucket {
	uint32_t place[CENSUS_SLOTS];
	uint64_t name[CENSUS_SLOTS];
	uint64_t next;
};

static void fill_bucket(struct census *c, struct bucket *b)
{
	char z[24];
	uint32_t p;
	size_t n = 0, want = 0;

	for (b->next = 0;; b->next++) {
		assert_true(enter(c, name_of(b->next, z), 0, &p));
		if (!p)
			break;
		if (!n)
			want = (p - 1) / CENSUS_SLOTS;
		if ((p - 1) / CENSUS_SLOTS != want) {
			leave(c, &p);
			continue;
		}
		assert_true(n < CENSUS_SLOTS);
		b->place[n] = p;
		b->name[n++] = b->next;
	}
	assert_int_equal(n, CENSUS_SLOTS);
}

static void test_a_full_bucket_refuses_nobody(void **state)
{
	struct crew w;
	struct bucket b = {0};
	char z[24];
	uint32_t p;

	begin(&w);
	fill_bucket(w.c[0], &b);
	for (int i = 0; i < 10; i++) {
		assert_true(enter(w.c[0], name_of(b.next, z), 1, &p));
		assert_int_equal(p, 0);
	}
	assert_false(enter(w.c[0], name_of(b.name[3], z), 1, &p));
	end(&w);
}

static void test_a_full_bucket_still_hears_of_siblings(void **state)
{
	struct crew w;
	struct bucket b = {0};
	char z[24];
	uint32_t p;

	begin(&w);
	fill_bucket(w.c[0], &b);
	assert_true(enter(w.c[1], name_of(b.next, z), 2, &p));
	assert_true(enter(w.c[0], name_of(b.next, z), 2, &p));
	assert_false(enter(w.c[0], name_of(b.next, z), 1, &p));
	end(&w);
}

static void test_a_slot_that_nobody_is_in_is_used_again(void **state)
{
	struct crew w;
	struct bucket b = {0};
	char z[24];
	uint32_t p, q, old;

	begin(&w);
	fill_bucket(w.c[0], &b);
	assert_true(enter(w.c[0], name_of(b.name[5], z), 2, &p));
	old = b.place[5];
	assert_int_equal(p, old); /* the same slot counts two */
	leave(w.c[0], &p);
	assert_true(enter(w.c[0], name_of(b.next, z), 1, &p));
	assert_int_equal(p, 0); /* one is still in */
	leave(w.c[0], &b.place[5]);
	assert_true(enter(w.c[0], name_of(b.next, z), 1, &p));
	assert_int_equal(p, old);
	assert_false(enter(w.c[1], name_of(b.next, z), 1, &q));
	assert_true(enter(w.c[1], name_of(b.name[5], z), 1, &q));
	end(&w);
}

static void test_whoever_was_not_counted_takes_no_place_with_it(void **state)
{
	struct crew w;
	struct bucket b = {0};
	char z[24];
	uint32_t first, second, third;

	begin(&w);
	fill_bucket(w.c[0], &b);
	assert_true(enter(w.c[0], name_of(b.next, z), 1, &first));
	leave(w.c[0], &b.place[0]);
	assert_true(enter(w.c[0], name_of(b.next, z), 1, &second));
	assert_true(second);
	leave(w.c[0], &first);
	assert_false(enter(w.c[0], name_of(b.next, z), 1, &third));
	end(&w);
}

static int leave_twice(void *ctx)
{
	struct crew *w = ctx;
	uint32_t p, same;

	enter(w->c[0], ALICE, 0, &p);
	same = p;
	leave(w->c[0], &p);
	leave(w->c[0], &same);
	return 0;
}

static void test_a_place_given_back_twice_aborts(void **state)
{
	struct crew w;

	begin(&w);
	pair_assert_aborts(leave_twice, &w);
	end(&w);
}

/* ---- siblings that lie ------------------------------------------------------ */

static void test_garbage_of_a_sibling_is_a_number_at_worst(void **state)
{
	struct crew w;
	struct census_shm *lies;
	uint32_t p;
	uint64_t seed = 42;
	char z[24];

	begin(&w);
	assert_int_equal(
		shm_map(w.own[1], sizeof(*lies), (void **)&lies, NULL), 0);
	memset(lies, 0xff, sizeof(*lies));
	for (uint64_t i = 0; i < 1000; i++) {
		/* without a cap nobody asks it */
		assert_true(enter(w.c[0], name_of(i, z), 0, &p));
		enter(w.c[0], name_of(i, z), UINT64_MAX, &p);
	}
	for (size_t i = 0; i < sizeof(*lies) / sizeof(uint64_t); i++) {
		uint64_t v = pair_draw(&seed);
		memcpy((char *)lies + i * sizeof(v), &v, sizeof(v));
	}
	for (uint64_t i = 0; i < 1000; i++) {
		enter(w.c[0], name_of(i, z), 100, &p);
		assert_true(enter(w.c[0], name_of(i, z), UINT64_MAX, &p));
	}
	shm_unmap(lies, sizeof(*lies));
	end(&w);
}

static void test_memory_of_another_size_is_refused(void **state)
{
	struct crew w;
	struct err e = {0};
	uint32_t p, q;
	int fd = shm_new("short", sizeof(struct census_shm) - 4096, NULL);

	begin(&w);
	assert_true(enter(w.c[1], ALICE, 1, &p));
	assert_int_equal(census_see(w.c[0], 1, fd, &e), -EPROTO);
	assert_true(enter(w.c[0], ALICE, 1, &q)); /* it sees nothing there */
	assert_int_equal(
		census_see(w.c[0], CENSUS_WORKERS, w.shown[1], &e), -EPROTO);
	close(fd);
	end(&w);
}

static void test_who_may_only_look_cannot_write(void **state)
{
	struct crew w;
	size_t n = sizeof(struct census_shm);
	void *p;

	begin(&w);
	assert_ptr_equal(mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED,
				 w.shown[0], 0),
		MAP_FAILED);
	assert_int_equal(errno, EACCES);
	p = mmap(NULL, n, PROT_READ, MAP_SHARED, w.shown[0], 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p, n, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(write(w.shown[0], "x", 1), -1);
	assert_int_equal(munmap(p, n), 0);
	end(&w);
}

static void test_own_memory_is_had_once(void **state)
{
	struct crew w;
	struct err e = {0};

	begin(&w);
	assert_int_equal(census_own(w.c[0], w.own[0], &key, &e), -EEXIST);
	end(&w);
}

/* ---- two at once ------------------------------------------------------------ */

#define ROUNDS 1000000
#define CAP 3
#define HOLD 3 /* each side alone would fill it */

struct side {
	struct census *c;
	_Atomic int *in;
};

/* In and out; what both hold together is looked at whenever one comes in. */
static int come_and_go(void *ctx)
{
	struct side *s = ctx;
	uint32_t p[HOLD] = {0};
	uint64_t seed = 7 + (uintptr_t)s->c;

	for (int i = 0; i < STEPS(ROUNDS); i++) {
		uint32_t *at = &p[pair_draw(&seed) % HOLD];

		if (*at) {
			atomic_fetch_sub(s->in, 1);
			leave(s->c, at);
		} else if (enter(s->c, ALICE, CAP, at) &&
			   atomic_fetch_add(s->in, 1) >= CAP) {
			return 1;
		}
	}
	for (int i = 0; i < HOLD; i++) {
		if (p[i])
			atomic_fetch_sub(s->in, 1);
		leave(s->c, &p[i]);
	}
	return 0;
}

static void assert_all_is_free(struct crew *w)
{
	uint32_t p;

	for (int i = 0; i < CAP; i++)
		assert_true(enter(w->c[2], ALICE, CAP, &p));
	assert_false(enter(w->c[2], ALICE, CAP, &p));
}

static void test_two_never_pass_the_cap_together(void **state)
{
	struct crew w;
	_Atomic int in = 0;

	begin(&w);
	pair_run_threads(come_and_go, &(struct side){w.c[0], &in}, come_and_go,
		&(struct side){w.c[1], &in});
	assert_int_equal(in, 0);
	assert_all_is_free(&w);
	end(&w);
}

static void test_nor_do_two_processes(void **state)
{
	struct crew w;
	_Atomic int *in = pair_mem(sizeof(*in));

	begin(&w);
	pair_run_processes(come_and_go, &(struct side){w.c[0], in}, come_and_go,
		&(struct side){w.c[1], in});
	assert_int_equal(*in, 0);
	assert_all_is_free(&w);
	munmap(in, sizeof(*in));
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cap_holds_over_all_workers),
		cmocka_unit_test(test_a_place_comes_free_for_every_worker),
		cmocka_unit_test(test_whoever_was_refused_is_not_counted),
		cmocka_unit_test(
			test_without_a_cap_they_are_counted_all_the_same),
		cmocka_unit_test(test_accounts_and_addresses_are_not_mixed),
		cmocka_unit_test(test_a_dead_worker_counts_no_more),
		cmocka_unit_test(test_a_new_life_begins_with_nobody),
		cmocka_unit_test(test_without_memory_nobody_is_counted),
		cmocka_unit_test(test_a_full_bucket_refuses_nobody),
		cmocka_unit_test(test_a_full_bucket_still_hears_of_siblings),
		cmocka_unit_test(test_a_slot_that_nobody_is_in_is_used_again),
		cmocka_unit_test(
			test_whoever_was_not_counted_takes_no_place_with_it),
		cmocka_unit_test(test_a_place_given_back_twice_aborts),
		cmocka_unit_test(
			test_garbage_of_a_sibling_is_a_number_at_worst),
		cmocka_unit_test(test_memory_of_another_size_is_refused),
		cmocka_unit_test(test_who_may_only_look_cannot_write),
		cmocka_unit_test(test_own_memory_is_had_once),
		cmocka_unit_test(test_two_never_pass_the_cap_together),
		cmocka_unit_test(test_nor_do_two_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
