/*
 * The loop: what runs when in a turn, and what callbacks may do to each other.
 */
#include "core/io/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/base.h"
#include "core/base/clock.h"

static struct loop *loop;
static char trace[64]; /* one letter a callback */

static void mark(char c)
{
	size_t n = strlen(trace);

	assert_true(n + 1 < sizeof(trace));
	trace[n] = c;
	trace[n + 1] = '\0';
}

static void turn(int max_wait_ms)
{
	assert_int_equal(loop_turn(loop, max_wait_ms, NULL), 0);
}

static int setup(void **state)
{
	loop = loop_new(NULL);
	trace[0] = '\0';
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(loop);
	return 0;
}

struct later {
	struct defer d;
	char name;
	void (*then)(struct later *s);
};

static void on_later(struct defer *d)
{
	struct later *s = container_of(d, struct later, d);

	mark(s->name);
	if (s->then)
		s->then(s);
}

static void put_off(struct later *s, char name, enum loop_phase phase)
{
	defer_init(&s->d, on_later);
	s->name = name;
	loop_defer(loop, &s->d, phase);
}

static int ready_fd(void)
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void on_ready(struct watch *w, uint32_t events)
{
	mark('d');
	loop_unwatch(loop, w);
}

static void on_timer(struct timer *t)
{
	mark('t');
}

static void a_turn_is_timers_descriptors_phases(void **state)
{
	struct later soon = {0}, notices = {0}, flush = {0}, last = {0};
	struct watch w;
	struct timer t;
	int fd = ready_fd();

	put_off(&last, '4', LOOP_FREE);
	put_off(&flush, '3', LOOP_FLUSH);
	put_off(&notices, '2', LOOP_NOTICES);
	put_off(&soon, '1', LOOP_SOON);
	loop_watch(loop, &w, fd, EPOLLIN, on_ready);
	timer_init(&t, on_timer);
	timer_set(loop, &t, loop_now_ms(loop));
	turn(-1);
	assert_string_equal(trace, "td1234");
	close(fd);
}

static struct later tail;

static void queue_tail_notices(struct later *s)
{
	put_off(&tail, 'x', LOOP_NOTICES);
}

static void a_later_phase_of_the_same_turn_is_served(void **state)
{
	struct later soon = {.then = queue_tail_notices};

	put_off(&soon, '1', LOOP_SOON);
	turn(-1);
	assert_string_equal(trace, "1x");
}

static void a_phase_that_has_run_waits_a_turn_that_does_not_sleep(void **state)
{
	struct later flush = {.then = queue_tail_notices};

	put_off(&flush, '3', LOOP_FLUSH);
	turn(-1);
	assert_string_equal(trace, "3");
	turn(-1);
	assert_string_equal(trace, "3x");
}

static void a_phase_does_not_feed_itself(void **state)
{
	struct later notices = {.then = queue_tail_notices};

	put_off(&notices, '2', LOOP_NOTICES);
	turn(-1);
	assert_string_equal(trace, "2");
	turn(-1);
	assert_string_equal(trace, "2x");
}

static void queued_twice_runs_once(void **state)
{
	struct later s = {0};

	put_off(&s, '1', LOOP_SOON);
	loop_defer(loop, &s.d, LOOP_FREE);
	loop_defer(loop, &s.d, LOOP_SOON);
	turn(-1);
	turn(0);
	assert_string_equal(trace, "1");
}

static void take_tail_back(struct later *s)
{
	loop_undefer(&tail.d);
}

static void taken_back_within_the_phase_does_not_run(void **state)
{
	struct later s = {.then = take_tail_back};

	put_off(&s, '1', LOOP_SOON);
	put_off(&tail, 'x', LOOP_SOON);
	turn(-1);
	turn(0);
	assert_string_equal(trace, "1");
	loop_undefer(&tail.d); /* not queued: nothing happens */
}

static void free_runs_what_was_put_off(void **state)
{
	struct later s = {.then = queue_tail_notices};
	struct loop *mine = loop;

	loop = loop_new(NULL);
	put_off(&s, '1', LOOP_FREE);
	loop_free(loop);
	loop = mine;
	assert_string_equal(trace, "1x");
}

enum { WATCHES = 8 };
static struct watch many[WATCHES];
static int calls;

static void unwatch_all(struct watch *w, uint32_t events)
{
	calls++;
	for (int i = 0; i < WATCHES; i++) {
		loop_unwatch(loop, &many[i]);
		/* A call would now be a call of freed memory. */
		memset(&many[i], 0xff, sizeof(many[i]));
	}
}

static void a_watch_deleted_by_a_callback_is_not_called(void **state)
{
	int fd[WATCHES];

	calls = 0;
	for (int i = 0; i < WATCHES; i++) {
		fd[i] = ready_fd();
		loop_watch(loop, &many[i], fd[i], EPOLLIN, unwatch_all);
	}
	turn(-1);
	turn(0);
	assert_int_equal(calls, 1);
	for (int i = 0; i < WATCHES; i++)
		close(fd[i]);
}

static void on_level(struct watch *w, uint32_t events)
{
	calls++;
	assert_int_equal(events, EPOLLIN);
}

static void watches_are_level_triggered(void **state)
{
	struct watch w;
	int fd = ready_fd();

	calls = 0;
	loop_watch(loop, &w, fd, EPOLLIN, on_level);
	turn(-1);
	turn(-1);
	assert_int_equal(calls, 2);
	loop_unwatch(loop, &w);
	assert_int_equal(w.fd, -1);
	loop_unwatch(loop, &w); /* again: nothing happens */
	turn(0);
	assert_int_equal(calls, 2);
	close(fd);
}

static void silence_all(struct watch *w, uint32_t events)
{
	calls++;
	for (int i = 0; i < WATCHES; i++)
		loop_rewatch(loop, &many[i], 0);
}

static void an_event_no_longer_wanted_is_not_told(void **state)
{
	int fd[WATCHES];

	calls = 0;
	for (int i = 0; i < WATCHES; i++) {
		fd[i] = ready_fd();
		loop_watch(loop, &many[i], fd[i], EPOLLIN, silence_all);
	}
	turn(-1);
	turn(0);
	assert_int_equal(calls, 1);
	for (int i = 0; i < WATCHES; i++) {
		loop_unwatch(loop, &many[i]);
		close(fd[i]);
	}
}

static void stop_loop(struct later *s)
{
	loop_stop(loop, 7);
}

static void run_ends_with_the_code_of_stop(void **state)
{
	struct later s = {.then = stop_loop};

	put_off(&s, '1', LOOP_SOON);
	put_off(&tail, 'x', LOOP_FREE);
	assert_int_equal(loop_run(loop, NULL), 7);
	assert_string_equal(trace, "1x"); /* the turn was finished */
}

static void stop_before_run_is_not_lost(void **state)
{
	loop_stop(loop, 3);
	assert_int_equal(loop_run(loop, NULL), 3);
}

static void a_timer_is_never_early(void **state)
{
	struct timer t;
	uint64_t due;

	timer_init(&t, on_timer);
	assert_false(timer_is_set(&t));
	for (unsigned ms = 0; ms < 20; ms++) {
		trace[0] = '\0';
		due = clock_mono_ms() + ms;
		timer_set(loop, &t, due);
		while (timer_is_set(&t))
			turn(-1);
		assert_string_equal(trace, "t");
		assert_true(loop_now_ms(loop) >= due);
		assert_true(clock_mono_ms() >= due);
	}
}

static void a_far_timer_does_not_hold_up_a_near_one(void **state)
{
	struct timer far, near;

	timer_init(&far, on_timer);
	timer_init(&near, on_timer);
	timer_set(loop, &far, loop_now_ms(loop) + (1ull << 34));
	timer_set(loop, &near, loop_now_ms(loop) + 1);
	while (timer_is_set(&near))
		turn(-1);
	assert_true(timer_is_set(&far));
	timer_stop(loop, &far);
	timer_stop(loop, &far); /* again: nothing happens */
	assert_string_equal(trace, "t");
}

static void setting_again_moves_a_timer(void **state)
{
	struct timer t;

	timer_init(&t, on_timer);
	timer_set(loop, &t, loop_now_ms(loop) + 1000000);
	timer_set(loop, &t, loop_now_ms(loop));
	turn(-1);
	turn(0);
	assert_string_equal(trace, "t");
}

static bool answer;

static bool before(void *ctx)
{
	mark(*(char *)ctx);
	return answer;
}

static void after(void *ctx)
{
	mark('a');
}

static void work_seen_by_the_hook_keeps_it_awake(void **state)
{
	char name = 'b';

	answer = true;
	loop_hooks(loop, before, after, &name);
	turn(-1); /* would sleep for ever */
	assert_string_equal(trace, "ba");
	loop_hooks(loop, NULL, NULL, NULL);
	turn(0);
	assert_string_equal(trace, "ba");
}

static void the_hook_is_asked_only_before_a_sleep(void **state)
{
	struct later s = {0};
	char name = 'b';

	answer = false;
	loop_hooks(loop, before, after, &name);
	put_off(&s, '1', LOOP_SOON);
	turn(-1);
	assert_string_equal(trace, "a1");
	turn(1);
	assert_string_equal(trace, "a1ba");
}

static void on_signal(int signo, void *ctx)
{
	*(int *)ctx += signo;
}

static void signals_come_as_calls(void **state)
{
	int one = 0, two = 0;

	assert_int_equal(loop_signal(loop, SIGUSR1, on_signal, &one, NULL), 0);
	assert_int_equal(loop_signal(loop, SIGUSR2, on_signal, &two, NULL), 0);
	kill(getpid(), SIGUSR2);
	while (!two)
		turn(-1);
	assert_int_equal(one, 0);
	assert_int_equal(two, SIGUSR2);
	kill(getpid(), SIGUSR1);
	while (!one)
		turn(-1);
	assert_int_equal(one, SIGUSR1);
	assert_int_equal(two, SIGUSR2);
}

static void more_descriptors_than_a_batch_are_all_served(void **state)
{
	enum { N = 600 };
	static struct watch w[N];
	int fd[N];

	calls = 0;
	for (int i = 0; i < N; i++) {
		fd[i] = ready_fd();
		loop_watch(loop, &w[i], fd[i], EPOLLIN, on_level);
	}
	for (int i = 0; i < 3; i++)
		turn(-1);
	assert_in_range(calls, N, 3 * 256);
	for (int i = 0; i < N; i++) {
		loop_unwatch(loop, &w[i]);
		close(fd[i]);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_turn_is_timers_descriptors_phases),
		T(a_later_phase_of_the_same_turn_is_served),
		T(a_phase_that_has_run_waits_a_turn_that_does_not_sleep),
		T(a_phase_does_not_feed_itself),
		T(queued_twice_runs_once),
		T(taken_back_within_the_phase_does_not_run),
		T(free_runs_what_was_put_off),
		T(a_watch_deleted_by_a_callback_is_not_called),
		T(watches_are_level_triggered),
		T(an_event_no_longer_wanted_is_not_told),
		T(run_ends_with_the_code_of_stop),
		T(stop_before_run_is_not_lost),
		T(a_timer_is_never_early),
		T(a_far_timer_does_not_hold_up_a_near_one),
		T(setting_again_moves_a_timer),
		T(work_seen_by_the_hook_keeps_it_awake),
		T(the_hook_is_asked_only_before_a_sleep),
		T(signals_come_as_calls),
		T(more_descriptors_than_a_batch_are_all_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
