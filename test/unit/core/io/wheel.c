/*
 * The timing wheel: order, any distance, and callbacks that set and stop.
 */
#include "core/io/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/base.h"

struct shot {
	struct timer t;
	uint64_t want; /* due */
	uint64_t at;   /* wheel's now when it ran, 0: has not */
	unsigned order;
	void (*then)(struct shot *s);
};

static struct wheel wheel;
static unsigned fired;

static void on_shot(struct timer *t)
{
	struct shot *s = container_of(t, struct shot, t);

	assert_false(timer_is_set(t));
	s->at = wheel.now;
	s->order = ++fired;
	if (s->then)
		s->then(s);
}

static void set(struct shot *s, uint64_t due)
{
	timer_init(&s->t, on_shot);
	s->want = due;
	s->at = 0;
	s->t.due_ms = due;
	wheel_add(&wheel, &s->t);
}

static void start(uint64_t now)
{
	wheel_init(&wheel, now);
	fired = 0;
}

/* Jumps from one interesting moment to the next until nothing is left. */
static unsigned run_out(void)
{
	unsigned steps = 0;

	for (uint64_t next; (next = wheel_next(&wheel)) != UINT64_MAX; steps++)
		wheel_run(&wheel, next);
	return steps;
}

static void none_set_sleeps_for_ever(void **state)
{
	start(77);
	assert_true(wheel_next(&wheel) == UINT64_MAX);
}

static void runs_exactly_when_due(void **state)
{
	struct shot s = {0};

	start(1000);
	set(&s, 1005);
	wheel_run(&wheel, 1004);
	assert_int_equal(s.at, 0);
	assert_int_equal(wheel_next(&wheel), 1005);
	wheel_run(&wheel, 1005);
	assert_int_equal(s.at, 1005);
	wheel_run(&wheel, 5000);
	assert_int_equal(fired, 1);
}

static void due_already_runs_next(void **state)
{
	struct shot s = {0};

	start(1000);
	set(&s, 3);
	assert_int_equal(wheel_next(&wheel), 1000);
	wheel_run(&wheel, 1000);
	assert_int_equal(fired, 1);
}

static void late_run_keeps_the_order_of_due_times(void **state)
{
	static const unsigned ahead[] = {5000, 3, 64, 4096, 63, 65, 3, 4097};
	static const unsigned order[] = {8, 1, 4, 6, 3, 5, 2, 7};
	struct shot s[countof(ahead)] = {0};

	start(123456);
	for (size_t i = 0; i < countof(s); i++)
		set(&s[i], 123456 + ahead[i]);
	wheel_run(&wheel, 123456 + 100000);
	for (size_t i = 0; i < countof(s); i++)
		assert_int_equal(s[i].order, order[i]);
}

static void any_distance_is_exact(void **state)
{
	static const uint64_t starts[] = {1, 63, (1 << 20) - 1, (1 << 20) + 1,
		(1ull << 36) - 2, 0x123456789abull};
	struct shot s[62];

	for (size_t k = 0; k < countof(starts); k++) {
		start(starts[k]);
		memset(s, 0, sizeof(s));
		for (size_t i = 0; i < countof(s); i++)
			set(&s[i], starts[k] + (1ull << i) + i);
		/* Never more than one step a level and timer. */
		assert_in_range(
			run_out(), countof(s), countof(s) * WHEEL_LEVELS);
		for (size_t i = 0; i < countof(s); i++)
			assert_true(s[i].at == s[i].want);
	}
}

static void the_end_of_time_can_be_set(void **state)
{
	struct shot s = {0};

	start(5);
	set(&s, UINT64_MAX);
	wheel_run(&wheel, UINT64_MAX - 1);
	assert_int_equal(fired, 0);
	wheel_run(&wheel, UINT64_MAX);
	assert_int_equal(fired, 1);
}

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 16) % below;
}

/* Against the simplest model: a timer runs in the first run at or after due. */
static void random_walk_matches_the_model(void **state)
{
	enum { N = 300 };
	static struct shot s[N];
	uint64_t now = 1000000;

	memset(s, 0, sizeof(s));
	seed = 42;
	start(now);
	for (int step = 0; step < 20000; step++) {
		struct shot *x = &s[rnd(N)];
		uint64_t before = now;

		if (timer_is_set(&x->t) && rnd(3) == 0)
			timer_stop(NULL, &x->t);
		else if (!timer_is_set(&x->t))
			set(x, now + 1 + rnd(1ull << rnd(24)));
		now += rnd(4) ? rnd(100) : rnd(1 << 18);
		assert_true(wheel_next(&wheel) >= before);
		wheel_run(&wheel, now);
		for (int i = 0; i < N; i++) {
			if (timer_is_set(&s[i].t))
				assert_true(s[i].want > now);
			if (s[i].at == now && now > before)
				assert_in_range(s[i].want, before + 1, now);
		}
	}
	assert_true(fired > 1000);
}

static struct shot *other;

static void stop_other(struct shot *s)
{
	timer_stop(NULL, &other->t);
}

static void stopped_by_a_callback_of_the_same_run(void **state)
{
	struct shot a = {.then = stop_other}, b = {0}, c = {0};

	start(10);
	other = &b;
	set(&a, 20);
	set(&b, 20);
	set(&c, 20);
	wheel_run(&wheel, 30);
	assert_int_equal(b.order, 0);
	assert_int_equal(c.order, 2);
	assert_true(wheel_next(&wheel) == UINT64_MAX);
}

static void set_again(struct shot *s)
{
	set(s, wheel.now);
}

static void set_to_now_by_its_callback_waits_for_the_next_run(void **state)
{
	struct shot a = {.then = set_again};

	start(10);
	set(&a, 11);
	wheel_run(&wheel, 12);
	assert_int_equal(fired, 1);
	wheel_run(&wheel, 12);
	assert_int_equal(fired, 2);
}

static void move_other(struct shot *s)
{
	timer_stop(NULL, &other->t);
	set(other, wheel.now + 100);
}

static void moved_by_a_callback_of_the_same_run(void **state)
{
	struct shot a = {.then = move_other}, b = {0};

	start(10);
	other = &b;
	set(&a, 20);
	set(&b, 20);
	wheel_run(&wheel, 20);
	assert_int_equal(b.at, 0);
	run_out();
	assert_int_equal(b.at, 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_set_sleeps_for_ever),
		cmocka_unit_test(runs_exactly_when_due),
		cmocka_unit_test(due_already_runs_next),
		cmocka_unit_test(late_run_keeps_the_order_of_due_times),
		cmocka_unit_test(any_distance_is_exact),
		cmocka_unit_test(the_end_of_time_can_be_set),
		cmocka_unit_test(random_walk_matches_the_model),
		cmocka_unit_test(stopped_by_a_callback_of_the_same_run),
		cmocka_unit_test(
			set_to_now_by_its_callback_waits_for_the_next_run),
		cmocka_unit_test(moved_by_a_callback_of_the_same_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
