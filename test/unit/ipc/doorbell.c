/*
 * Doorbells: rung once per sleep, never for nothing, never lost.
 */
#include "ipc/doorbell.h"

#include <errno.h>

#include "test/unit/ipc/pair.h"

#define ROUNDS STEPS(20000)

static struct pair_bell bell(void)
{
	return pair_bell(pair_mem(sizeof(struct doorbell_flag)));
}

static void done(struct pair_bell *b)
{
	munmap(b->sleeper.flag, sizeof(*b->sleeper.flag));
	pair_bell_close(b);
}

static bool readable(const struct pair_bell *b)
{
	struct pollfd p = {.fd = b->sleeper.fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_awake_side_is_not_rung(void **state)
{
	struct pair_bell b = bell();

	assert_false(doorbell_ring(&b.ringer));
	assert_false(readable(&b));
	done(&b);
}

static void test_sleeper_is_rung_once(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	assert_true(readable(&b));
	assert_false(doorbell_ring(&b.ringer));
	done(&b);
}

static void test_answer_empties_the_pipe(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	doorbell_answer(&b.sleeper);
	assert_false(readable(&b));
	assert_false(doorbell_ring(&b.ringer));
	done(&b);
}

static void test_answer_without_a_ring_does_not_block(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	doorbell_answer(&b.sleeper);
	assert_false(doorbell_ring(&b.ringer));
	done(&b);
}

static void test_arming_again_is_rung_again(void **state)
{
	struct pair_bell b = bell();

	for (int i = 0; i < 3; i++) {
		doorbell_arm(&b.sleeper);
		assert_true(doorbell_ring(&b.ringer));
		doorbell_answer(&b.sleeper);
	}
	done(&b);
}

static void test_disarm_stops_rings(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	doorbell_disarm(&b.sleeper);
	assert_false(doorbell_ring(&b.ringer));
	assert_false(readable(&b));
	done(&b);
}

static void test_ring_before_disarm_stays_readable(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	doorbell_disarm(&b.sleeper);
	assert_true(readable(&b));
	doorbell_answer(&b.sleeper);
	assert_false(readable(&b));
	done(&b);
}

static void test_answer_empties_what_no_flag_announced(void **state)
{
	struct pair_bell b = bell();
	char much[1000] = {0};

	assert_int_equal(write(b.ringer.fd, much, sizeof(much)), sizeof(much));
	doorbell_arm(&b.sleeper);
	assert_true(doorbell_answer(&b.sleeper));
	assert_false(readable(&b));
	done(&b);
}

static void test_full_pipe_does_not_block_the_ringer(void **state)
{
	struct pair_bell b = bell();

	while (write(b.ringer.fd, "", 1) == 1)
		;
	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	assert_true(readable(&b));
	done(&b);
}

/* The flags of an end are its owner's alone. */
static void clear_flags(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void test_ringer_that_may_block_does_not_block_the_sleeper(void **state)
{
	struct pair_bell b = bell();

	clear_flags(b.ringer.fd);
	assert_true(doorbell_answer(&b.sleeper));
	done(&b);
}

static void test_sleeper_that_may_block_does_not_block_the_ringer(void **state)
{
	struct pair_bell b = bell();

	clear_flags(b.sleeper.fd);
	while (write(b.ringer.fd, "", 1) == 1)
		;
	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	done(&b);
}

static void test_answer_says_that_nobody_can_ring(void **state)
{
	struct pair_bell b = bell();

	doorbell_arm(&b.sleeper);
	assert_true(doorbell_ring(&b.ringer));
	close(b.ringer.fd);
	assert_true(doorbell_answer(&b.sleeper));
	assert_true(readable(&b));
	assert_false(doorbell_answer(&b.sleeper));
	b.ringer.fd = -1;
	done(&b);
}

static void test_ring_of_a_sleeper_that_is_gone(void **state)
{
	struct pair_bell b = bell();

	signal(SIGPIPE, SIG_IGN); /* as each role does */
	doorbell_arm(&b.sleeper);
	close(b.sleeper.fd);
	assert_true(doorbell_ring(&b.ringer));
	b.sleeper.fd = -1;
	done(&b);
}

static void test_nonsense_in_the_flag_rings_once(void **state)
{
	struct pair_bell b = bell();

	atomic_store(&b.sleeper.flag->sleeps, 0xdeadbeef);
	assert_true(doorbell_ring(&b.ringer));
	assert_false(doorbell_ring(&b.ringer));
	done(&b);
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
	struct pair_bell a = bell(), b = bell();
	struct turn ta = {&words[0], &words[8], &a.sleeper, &b.ringer, 1};
	struct turn tb = {&words[8], &words[0], &b.sleeper, &a.ringer, 0};

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
		cmocka_unit_test(test_answer_empties_the_pipe),
		cmocka_unit_test(test_answer_without_a_ring_does_not_block),
		cmocka_unit_test(test_arming_again_is_rung_again),
		cmocka_unit_test(test_disarm_stops_rings),
		cmocka_unit_test(test_ring_before_disarm_stays_readable),
		cmocka_unit_test(test_answer_empties_what_no_flag_announced),
		cmocka_unit_test(test_full_pipe_does_not_block_the_ringer),
		cmocka_unit_test(
			test_ringer_that_may_block_does_not_block_the_sleeper),
		cmocka_unit_test(
			test_sleeper_that_may_block_does_not_block_the_ringer),
		cmocka_unit_test(test_answer_says_that_nobody_can_ring),
		cmocka_unit_test(test_ring_of_a_sleeper_that_is_gone),
		cmocka_unit_test(test_nonsense_in_the_flag_rings_once),
		cmocka_unit_test(test_no_wakeup_is_lost_between_threads),
		cmocka_unit_test(test_no_wakeup_is_lost_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
