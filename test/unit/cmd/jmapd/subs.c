/*
 * The subscriber table: who is told what, in which order, when the ring is full.
 */
#include "cmd/jmapd/store/subs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <pthread.h>
#include <urcu.h>

#define SLOTS 8
#define GEN 7u
#define EMAIL TYPE_BIT(TYPE_EMAIL)
#define MAILBOX TYPE_BIT(TYPE_MAILBOX)
#define LIFE 1

struct world {
	struct subs *subs;
	void *mem[2];
	struct notice_ring w[2], r[2];
	_Atomic unsigned bells;
};

static void on_bell(void *ctx)
{
	((struct world *)ctx)->bells++;
}

static void link_worker(struct world *t, unsigned worker, uint64_t life)
{
	size_t size = notice_ring_size(SLOTS);
	free(t->mem[worker]);
	check(posix_memalign(&t->mem[worker], 64, size) == 0);
	memset(t->mem[worker], 0, size);
	notice_open_writer(&t->w[worker], t->mem[worker], SLOTS);
	notice_open_reader(&t->r[worker], t->mem[worker], SLOTS);
	subs_link(t->subs, worker, life, &t->w[worker], on_bell, t);
}

static int setup(void **state)
{
	struct world *t = mem_new(sizeof(*t));
	t->subs = subs_new();
	link_worker(t, 0, LIFE);
	link_worker(t, 1, LIFE);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct world *t = *state;
	subs_free(t->subs);
	free(t->mem[0]);
	free(t->mem[1]);
	free(t);
	return 0;
}

static void subscribe(
	struct world *t, unsigned worker, uint64_t account, uint64_t at)
{
	uint64_t modseq[TYPES];
	for (size_t i = 0; i < TYPES; i++)
		modseq[i] = at;
	subs_add(t->subs, worker, LIFE, account, GEN, modseq);
}

static void change(
	struct world *t, uint64_t account, uint64_t modseq, unsigned types)
{
	struct change c = {.account = account,
		.modseq = modseq,
		.generation = GEN,
		.types = types,
		.committed_ns = 1};
	subs_changed(t->subs, &c);
}

static bool next(struct world *t, unsigned worker, struct notice *n)
{
	int ret = notice_get(&t->r[worker], n);
	assert_true(ret >= 0);
	return ret == 1;
}

static void expect(struct world *t, unsigned worker, uint64_t account,
	uint64_t modseq, unsigned types, enum notice_kind kind)
{
	struct notice n;
	assert_true(next(t, worker, &n));
	assert_int_equal(n.account, account);
	assert_int_equal(n.modseq, modseq);
	assert_int_equal(n.types, types);
	assert_int_equal(n.kind, kind);
	assert_int_equal(n.generation, GEN);
}

static void expect_baseline(
	struct world *t, unsigned worker, uint64_t account, uint64_t at)
{
	expect(t, worker, account, at, TYPE_ALL, NOTICE_BASELINE);
	expect(t, worker, account, 0, 0, NOTICE_BASELINE_END);
}

static void expect_nothing(struct world *t, unsigned worker)
{
	struct notice n;
	assert_false(next(t, worker, &n));
}

static void test_only_subscribed_workers_are_told(void **state)
{
	struct world *t = *state;
	subscribe(t, 0, 1, 5);
	expect_baseline(t, 0, 1, 5);
	change(t, 1, 6, EMAIL);
	change(t, 2, 9, EMAIL);
	expect(t, 0, 1, 6, EMAIL, NOTICE_CHANGE);
	expect_nothing(t, 0);
	expect_nothing(t, 1);
}

static void test_every_notice_rings_the_bell(void **state)
{
	struct world *t = *state;
	subscribe(t, 0, 1, 5);
	unsigned before = t->bells;
	change(t, 1, 6, EMAIL);
	assert_int_equal(t->bells, before + 1);
	change(t, 2, 6, EMAIL);
	assert_int_equal(t->bells, before + 1);
}

static void test_baseline_names_lower_states_first(void **state)
{
	struct world *t = *state;
	uint64_t modseq[TYPES];
	for (size_t i = 0; i < TYPES; i++)
		modseq[i] = 3;
	modseq[TYPE_EMAIL] = 9;
	modseq[TYPE_MAILBOX] = 5;
	subs_add(t->subs, 0, LIFE, 1, GEN, modseq);
	expect(t, 0, 1, 3, TYPE_ALL & ~(EMAIL | MAILBOX), NOTICE_BASELINE);
	expect(t, 0, 1, 5, MAILBOX, NOTICE_BASELINE);
	expect(t, 0, 1, 9, EMAIL, NOTICE_BASELINE);
	expect(t, 0, 1, 0, 0, NOTICE_BASELINE_END);
}

static void test_who_left_hears_no_more(void **state)
{
	struct world *t = *state;
	subscribe(t, 0, 1, 5);
	subscribe(t, 1, 1, 5);
	expect_baseline(t, 0, 1, 5);
	expect_baseline(t, 1, 1, 5);
	subs_remove(t->subs, 0, LIFE, 1);
	change(t, 1, 6, EMAIL);
	expect_nothing(t, 0);
	expect(t, 1, 1, 6, EMAIL, NOTICE_CHANGE);
}

/* Fills the ring of worker 0 with changes of account 1 from modseq 10 on. */
static uint64_t fill(struct world *t)
{
	uint64_t m = 10;
	subscribe(t, 0, 1, 5);
	expect_baseline(t, 0, 1, 5);
	while (!subs_owes(t->subs, 0))
		change(t, 1, m++, EMAIL);
	assert_int_equal(m, 10 + SLOTS + 1);
	return m;
}

static void test_full_ring_owes_the_newest_state(void **state)
{
	struct world *t = *state;
	uint64_t m = fill(t);
	change(t, 1, m, MAILBOX);
	change(t, 1, m + 1, EMAIL);
	assert_false(subs_repair(t->subs, 0));
	for (uint64_t i = 10; i < 10 + SLOTS; i++)
		expect(t, 0, 1, i, EMAIL, NOTICE_CHANGE);
	expect_nothing(t, 0);
	assert_true(subs_repair(t->subs, 0));
	/* Lowest first: the token of the first never covers the second. */
	expect(t, 0, 1, m, MAILBOX, NOTICE_CHANGE);
	expect(t, 0, 1, m + 1, EMAIL, NOTICE_CHANGE);
	expect_nothing(t, 0);
	assert_false(subs_owes(t->subs, 0));
}

static void test_later_notices_wait_behind_a_debt(void **state)
{
	struct world *t = *state;
	uint64_t m = fill(t);
	expect(t, 0, 1, 10, EMAIL, NOTICE_CHANGE);
	/* There is room again, but an older state is still owed. */
	change(t, 1, m, MAILBOX);
	for (uint64_t i = 11; i < 10 + SLOTS; i++)
		expect(t, 0, 1, i, EMAIL, NOTICE_CHANGE);
	expect_nothing(t, 0);
	assert_true(subs_repair(t->subs, 0));
	expect(t, 0, 1, m - 1, EMAIL, NOTICE_CHANGE);
	expect(t, 0, 1, m, MAILBOX, NOTICE_CHANGE);
}

static void test_debts_of_many_accounts_are_paid_as_room_comes(void **state)
{
	struct world *t = *state;
	struct notice n;
	unsigned told[64] = {0}, rounds = 0;
	for (uint64_t a = 0; a < countof(told); a++) {
		subscribe(t, 0, a, 5);
		while (next(t, 0, &n))
			;
	}
	for (uint64_t a = 0; a < countof(told); a++)
		change(t, a, 6, EMAIL);
	do {
		while (next(t, 0, &n)) {
			assert_int_equal(n.modseq, 6);
			told[n.account]++;
		}
		rounds++;
	} while (subs_repair(t->subs, 0));
	for (size_t a = 0; a < countof(told); a++)
		assert_int_equal(told[a], 1);
	assert_true(rounds >= countof(told) / SLOTS);
}

static void test_baseline_that_did_not_fit_keeps_news_apart(void **state)
{
	struct world *t = *state;
	struct notice n;
	fill(t);
	subscribe(t, 0, 2, 5);
	change(t, 2, 6, EMAIL);
	while (next(t, 0, &n))
		;
	assert_true(subs_repair(t->subs, 0));
	expect(t, 0, 1, 10 + SLOTS, EMAIL, NOTICE_CHANGE);
	expect(t, 0, 2, 5, TYPE_ALL & ~EMAIL, NOTICE_BASELINE);
	expect(t, 0, 2, 6, EMAIL, NOTICE_CHANGE);
	expect(t, 0, 2, 0, 0, NOTICE_BASELINE_END);
}

static void test_who_leaves_with_a_debt_is_forgotten(void **state)
{
	struct world *t = *state;
	struct notice n;
	fill(t);
	subs_remove(t->subs, 0, LIFE, 1);
	assert_false(subs_owes(t->subs, 0));
	while (next(t, 0, &n))
		;
	assert_false(subs_repair(t->subs, 0));
	expect_nothing(t, 0);
}

static void test_an_earlier_life_can_neither_come_nor_go(void **state)
{
	struct world *t = *state;
	uint64_t modseq[TYPES] = {0};
	subscribe(t, 0, 1, 5);
	subs_unlink(t->subs, 0);
	link_worker(t, 0, LIFE + 1);
	subs_add(t->subs, 0, LIFE, 1, GEN, modseq);
	change(t, 1, 6, EMAIL);
	expect_nothing(t, 0);
	subs_add(t->subs, 0, LIFE + 1, 1, GEN, modseq);
	expect_baseline(t, 0, 1, 0);
	subs_remove(t->subs, 0, LIFE, 1);
	change(t, 1, 7, EMAIL);
	expect(t, 0, 1, 7, EMAIL, NOTICE_CHANGE);
}

/* ---- threads -------------------------------------------------------------- */

#define STRESS 20000u

static void *committer(void *arg)
{
	struct world *t = arg;
	rcu_register_thread();
	for (uint64_t m = 6; m < 6 + STRESS; m++)
		change(t, 1, m, m & 1 ? EMAIL : MAILBOX);
	rcu_unregister_thread();
	return NULL;
}

/* Another account comes and goes meanwhile, as when clients do. */
static void *visitor(void *arg)
{
	struct world *t = arg;
	rcu_register_thread();
	for (unsigned i = 0; i < STRESS / 10; i++) {
		subscribe(t, 0, 2, 5);
		change(t, 2, 6, EMAIL);
		subs_remove(t->subs, 0, LIFE, 2);
	}
	rcu_unregister_thread();
	return NULL;
}

static void test_a_slow_reader_ends_at_the_newest_states(void **state)
{
	struct world *t = *state;
	uint64_t email = 0, mailbox = 0, last = 0;
	pthread_t c, v;
	struct notice n;
	subscribe(t, 0, 1, 5);
	assert_int_equal(pthread_create(&c, NULL, committer, t), 0);
	assert_int_equal(pthread_create(&v, NULL, visitor, t), 0);
	while (email < 5 + STRESS - 1 || mailbox < 5 + STRESS - 1) {
		if (!next(t, 0, &n)) {
			subs_repair(t->subs, 0);
			continue;
		}
		if (n.account != 1 || n.kind == NOTICE_BASELINE_END)
			continue;
		/* What one account is told never goes back. */
		assert_true(n.modseq >= last);
		last = n.modseq;
		if (n.types & EMAIL)
			email = n.modseq;
		if (n.types & MAILBOX)
			mailbox = n.modseq;
	}
	pthread_join(c, NULL);
	pthread_join(v, NULL);
	assert_int_equal(last, 5 + STRESS);
}

/* DESIGN.md 6: the account is another one, all its types are news. */
static void test_a_restored_account_is_told_with_its_new_generation(
	void **state)
{
	struct world *t = *state;
	uint64_t modseq[TYPES];
	uint32_t types = 0;
	struct notice n;
	subscribe(t, 0, 1, 50);
	while (next(t, 0, &n))
		;
	for (unsigned i = 0; i < TYPES; i++)
		modseq[i] = 3 + i;
	subs_restored(t->subs, 1, GEN + 1, modseq);
	subs_restored(t->subs, 2, GEN + 1, modseq); /* nobody watches it */
	for (uint64_t last = 0; next(t, 0, &n); last = n.modseq) {
		assert_int_equal(n.account, 1);
		assert_int_equal(n.generation, GEN + 1);
		assert_int_equal(n.kind, NOTICE_CHANGE);
		assert_true(n.modseq >= last);
		types |= n.types;
	}
	assert_int_equal(types, TYPE_ALL);
	change(t, 1, 20, EMAIL);
	assert_true(next(t, 0, &n));
	assert_int_equal(n.generation, GEN);
	assert_false(next(t, 1, &n));
}

static void test_a_full_ring_owes_what_was_restored(void **state)
{
	struct world *t = *state;
	uint64_t modseq[TYPES] = {0};
	uint32_t types = 0;
	struct notice n;
	subscribe(t, 0, 1, 5);
	while (next(t, 0, &n))
		;
	for (uint64_t i = 0; i < SLOTS; i++)
		change(t, 1, 6 + i, EMAIL);
	for (unsigned i = 0; i < TYPES; i++)
		modseq[i] = 2;
	subs_restored(t->subs, 1, GEN + 1, modseq);
	assert_true(subs_owes(t->subs, 0));
	while (next(t, 0, &n))
		assert_int_equal(n.generation, GEN);
	assert_true(subs_repair(t->subs, 0));
	while (next(t, 0, &n)) {
		assert_int_equal(n.generation, GEN + 1);
		assert_int_equal(n.modseq, 2);
		types |= n.types;
	}
	assert_int_equal(types, TYPE_ALL);
	assert_false(subs_owes(t->subs, 0));
}

static void test_a_reader_that_lies_is_known(void **state)
{
	struct world *t = *state;
	struct notice_shm *shm = t->mem[0];
	atomic_store(&shm->head, 77); /* more than was ever written */
	subscribe(t, 0, 1, 5);
	subscribe(t, 1, 1, 5);
	assert_true(subs_lied(t->subs, 0));
	assert_false(subs_lied(t->subs, 1));
	assert_false(subs_repair(t->subs, 0));
	change(t, 1, 6, EMAIL);
	expect_baseline(t, 1, 1, 5);
	expect(t, 1, 1, 6, EMAIL, NOTICE_CHANGE);
	/* Its next life is another one. */
	subs_unlink(t->subs, 0);
	assert_false(subs_lied(t->subs, 0));
	link_worker(t, 0, LIFE);
	assert_false(subs_lied(t->subs, 0));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_only_subscribed_workers_are_told),
		T(test_every_notice_rings_the_bell),
		T(test_baseline_names_lower_states_first),
		T(test_who_left_hears_no_more),
		T(test_full_ring_owes_the_newest_state),
		T(test_later_notices_wait_behind_a_debt),
		T(test_debts_of_many_accounts_are_paid_as_room_comes),
		T(test_baseline_that_did_not_fit_keeps_news_apart),
		T(test_who_leaves_with_a_debt_is_forgotten),
		T(test_an_earlier_life_can_neither_come_nor_go),
		T(test_a_restored_account_is_told_with_its_new_generation),
		T(test_a_full_ring_owes_what_was_restored),
		T(test_a_slow_reader_ends_at_the_newest_states),
		T(test_a_reader_that_lies_is_known),
	};
	rcu_register_thread();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rcu_unregister_thread();
	return failed;
}
