/*
 * Doorbells: rung once per sleep, never for nothing, never lost.
 */
#include "ipc/doorbell.h"

#include <errno.h>

#include "test/unit/ipc/pair.h"

#define ROUNDS STEPS(20000)

static struct doorbell bell(void)
{
	return (struct doorbell){.flag = pair_mem(sizeof(struct doorbell_flag)),
		.fd = pair_bell()};
}

static void done(struct doorbell *d)
{
	close(d->fd);
	munmap(d->flag, sizeof(*d->flag));
}

static bool readable(const struct doorbell *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_awake_side_is_not_rung(void **state)
{
	struct doorbell d = bell();

	assert_false(doorbell_ring(&d));
	assert_false(readable(&d));
	done(&d);
}

static void test_sleeper_is_rung_once(void **state)
{
	struct doorbell d = bell();

	doorbell_arm(&d);
	assert_true(doorbell_ring(&d));
	assert_true(readable(&d));
	assert_false(doorbell_ring(&d));
	done(&d);
}

static void test_answer_empties_the_eventfd(void **state)
{
	struct doorbell d = bell();

	doorbell_arm(&d);
	assert_true(doorbell_ring(&d));
	doorbell_answer(&d);
	assert_false(readable(&d));
	assert_false(doorbell_ring(&d));
	done(&d);
}

static void test_answer_without_a_ring_does_not_block(void **state)
{
	struct doorbell d = bell();

	doorbell_arm(&d);
	doorbell_answer(&d);
	assert_false(doorbell_ring(&d));
	done(&d);
}

static void test_arming_again_is_rung_again(void **state)
{
	struct doorbell d = bell();

	for (int i = 0; i < 3; i++) {
		doorbell_arm(&d);
		assert_true(doorbell_ring(&d));
		doorbell_answer(&d);
	}
	done(&d);
}

static void test_disarm_stops_rings(void **state)
{
	struct doorbell d = bell();

	doorbell_arm(&d);
	doorbell_disarm(&d);
	assert_false(doorbell_ring(&d));
	assert_false(readable(&d));
	done(&d);
}

static void test_ring_before_disarm_stays_readable(void **state)
{
	struct doorbell d = bell();

	doorbell_arm(&d);
	assert_true(doorbell_ring(&d));
	doorbell_disarm(&d);
	assert_true(readable(&d));
	doorbell_answer(&d);
	assert_false(readable(&d));
	done(&d);
}

static void test_answer_empties_what_no_flag_announced(void **state)
{
	struct doorbell d = bell();
	uint64_t much = 1000000;

	assert_int_equal(write(d.fd, &much, sizeof(much)), sizeof(much));
	doorbell_arm(&d);
	doorbell_answer(&d);
	assert_false(readable(&d));
	done(&d);
}

static void test_full_eventfd_does_not_block_the_ringer(void **state)
{
	struct doorbell d = bell();
	uint64_t most = UINT64_MAX - 1;

	assert_int_equal(write(d.fd, &most, sizeof(most)), sizeof(most));
	doorbell_arm(&d);
	assert_true(doorbell_ring(&d));
	assert_true(readable(&d));
	done(&d);
}

static void test_nonsense_in_the_flag_rings_once(void **state)
{
	struct doorbell d = bell();

	atomic_store(&d.flag->sleeps, 0xdeadbeef);
	assert_true(doorbell_ring(&d));
	assert_false(doorbell_ring(&d));
	done(&d);
}

/* Two sides hand a number back and forth; each sleeps until it is its turn. */
struct turn {
	_Atomic uint64_t *said, *heard;
	struct doorbell *mine, *theirs;
	uint64_t first; /* whether this side speaks first */
};

static void wait_for(struct turn *t, uint64_t round)
{
	while (atomic_load_explicit(t->heard, memory_order_acquire) < round) {
		doorbell_arm(t->mine);
		if (atomic_load_explicit(t->heard, memory_order_acquire) >=
			round) {
			doorbell_disarm(t->mine);
			return;
		}
		pair_sleep(t->mine);
		doorbell_answer(t->mine);
	}
}

static int take_turns(void *ctx)
{
	struct turn *t = ctx;
	uint64_t seed = 88172645463325252u + t->first;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		wait_for(t, i - t->first);
		/* Meets the other side at every step of its going to sleep. */
		for (uint64_t n = pair_draw(&seed) % 512; n > 0; n--)
			atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(t->said, i, memory_order_release);
		doorbell_ring(t->theirs);
	}
	wait_for(t, ROUNDS);
	return 0;
}

static void turns(void (*run)(pair_side *, void *, pair_side *, void *))
{
	_Atomic uint64_t *words = pair_mem(2 * 64);
	struct doorbell a = bell(), b = bell();
	struct turn ta = {&words[0], &words[8], &a, &b, 1};
	struct turn tb = {&words[8], &words[0], &b, &a, 0};

	run(take_turns, &ta, take_turns, &tb);
	assert_int_equal(atomic_load(&words[0]), ROUNDS);
	assert_int_equal(atomic_load(&words[8]), ROUNDS);
	munmap(words, 2 * 64);
	done(&a);
	done(&b);
}

static void test_no_wakeup_is_lost_between_threads(void **state)
{
	turns(pair_run_threads);
}

static void test_no_wakeup_is_lost_between_processes(void **state)
{
	turns(pair_run_processes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_awake_side_is_not_rung),
		cmocka_unit_test(test_sleeper_is_rung_once),
		cmocka_unit_test(test_answer_empties_the_eventfd),
		cmocka_unit_test(test_answer_without_a_ring_does_not_block),
		cmocka_unit_test(test_arming_again_is_rung_again),
		cmocka_unit_test(test_disarm_stops_rings),
		cmocka_unit_test(test_ring_before_disarm_stays_readable),
		cmocka_unit_test(test_answer_empties_what_no_flag_announced),
		cmocka_unit_test(test_full_eventfd_does_not_block_the_ringer),
		cmocka_unit_test(test_nonsense_in_the_flag_rings_once),
		cmocka_unit_test(test_no_wakeup_is_lost_between_threads),
		cmocka_unit_test(test_no_wakeup_is_lost_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
