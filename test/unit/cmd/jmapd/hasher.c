/*
 * The hash threads' queue: flows take turns, none takes it all, and what is queued
 * is run to its end.
 */
#include "cmd/jmapd/store/hasher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <semaphore.h>

#include <cmocka.h>

#include "core/base/buf.h"

/* One thread: what it ran, in order. The first task holds it until go. */
struct world {
	struct hasher *h;
	sem_t go;
	struct slow_task gate;
	struct slow_task *task; /* of HASHER_QUEUE + 1 */
	size_t used;
	struct buf ran; /* flow numbers */
};

static struct world *the;

static void on_gate(struct slow_task *t)
{
	while (sem_wait(&the->go) < 0)
		;
}

static void on_run(struct slow_task *t)
{
	buf_add(&the->ran, &t->flow, sizeof(t->flow));
}

static int setup(void **state)
{
	the = mem_new(sizeof(*the));
	the->task = mem_new((HASHER_QUEUE + 1) * sizeof(*the->task));
	assert_int_equal(sem_init(&the->go, 0, 0), 0);
	assert_int_equal(hasher_new(1, &the->h, NULL), 0);
	*state = the;
	return 0;
}

static int teardown(void **state)
{
	sem_destroy(&the->go);
	buf_fini(&the->ran);
	free(the->task);
	free(the);
	return 0;
}

/* Waits alone in its flow, and is taken before all that follow. */
static void close_gate(void)
{
	the->gate.run = on_gate;
	assert_true(hasher_submit(the->h, &the->gate));
}

static bool submit(uint64_t flow)
{
	struct slow_task *t = &the->task[the->used];

	t->run = on_run;
	t->flow = flow;
	if (!hasher_submit(the->h, t))
		return false;
	the->used++;
	return true;
}

/* Ends the threads: all has run. */
static void open_gate(void)
{
	sem_post(&the->go);
	hasher_free(the->h);
	assert_int_equal(the->ran.n, the->used * sizeof(uint64_t));
}

static uint64_t ran(size_t i)
{
	uint64_t flow;

	memcpy(&flow, the->ran.p + i * sizeof(flow), sizeof(flow));
	return flow;
}

static void flows_take_turns(void **state)
{
	static const uint64_t came[] = {1, 1, 1, 1, 2, 3, 3, 2};
	static const uint64_t want[] = {1, 2, 3, 1, 2, 3, 1, 1};

	close_gate();
	for (size_t i = 0; i < countof(came); i++)
		assert_true(submit(came[i]));
	open_gate();
	for (size_t i = 0; i < countof(want); i++)
		assert_int_equal(ran(i), want[i]);
}

static void a_flow_that_takes_its_share_leaves_the_rest(void **state)
{
	close_gate();
	for (size_t i = 0; i < HASHER_FLOW; i++)
		assert_true(submit(1));
	assert_false(submit(1));
	assert_true(submit(2));
	assert_false(submit(1));
	open_gate();
	assert_true(ran(0) == 2 || ran(1) == 2);
}

static void all_of_them_are_bounded(void **state)
{
	size_t n = 0;

	close_gate();
	/* The gate's own task may still wait, or be taken already. */
	while (submit(100 + n % 8))
		n++;
	assert_in_range(n, HASHER_QUEUE - 1, HASHER_QUEUE);
	assert_false(submit(7));
	open_gate();
}

/* A flow that ran empty is there again when it is needed. */
static void a_flow_comes_again(void **state)
{
	for (size_t i = 0; i < 100; i++)
		assert_true(submit(i % 2));
	sem_post(&the->go);
	hasher_free(the->h);
	assert_int_equal(the->ran.n, 100 * sizeof(uint64_t));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(flows_take_turns),
		T(a_flow_that_takes_its_share_leaves_the_rest),
		T(all_of_them_are_bounded),
		T(a_flow_comes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
