/*
 * Connections that write together: each gets what it would have got alone.
 */
#include "core/io/conn_sends.h"

#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "test/unit/core/io/side.h"

enum { MANY = 300 }; /* more than go at a time */

static struct side us[MANY], them[MANY];
static size_t pairs;

static void open_pairs(size_t n)
{
	for (pairs = 0; pairs < n; pairs++) {
		int fd[2];

		us[pairs] = them[pairs] = (struct side){0};
		tcp_pair(fd);
		side_open(&us[pairs], fd[0], NULL, NULL);
		side_open(&them[pairs], fd[1], NULL, NULL);
	}
}

static int setup(void **state)
{
	struct err e = {0};

	loop = loop_new(NULL);
	pairs = 0;
	if (conn_sends_open(loop, &e) < 0) {
		print_message("%s: nothing to test\n", e.text);
		*state = loop;
	}
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < pairs; i++) {
		side_drop(&us[i]);
		side_drop(&them[i]);
	}
	conn_sends_close(loop);
	loop_free(loop);
	return 0;
}

#define need_ring()             \
	do {                    \
		if (*state)     \
			skip(); \
	} while (0)

static void say(size_t i, const char *text)
{
	conn_write(us[i].c, str_of(text));
}

static void assert_heard(size_t i, const char *text)
{
	struct side *s = &them[i];

	while (s->in.n < strlen(text))
		turn(100);
	assert_int_equal(s->in.n, strlen(text));
	assert_memory_equal(s->in.p, text, s->in.n);
	buf_fini(&s->in);
}

static void however_many_have_something_to_say(void **state)
{
	static const size_t counts[] = {1, 7, 8, 9, 255, 256, 257, MANY};

	need_ring();
	open_pairs(MANY);
	for (size_t k = 0; k < countof(counts); k++) {
		for (size_t i = 0; i < counts[k]; i++) {
			say(i, "tick ");
			say(i, "tock");
		}
		for (size_t i = 0; i < counts[k]; i++) {
			assert_heard(i, "tick tock");
			assert_int_equal(us[i].calls[SIDE_ROOM], k + 1);
		}
		for (size_t i = 0; i < counts[k]; i++)
			assert_int_equal(conn_unsent(us[i].c), 0);
		for (size_t i = counts[k]; i < MANY; i++)
			us[i].calls[SIDE_ROOM]++;
	}
	assert_non_null(loop_sends(loop));
}

/* What the kernel does not take waits, and the others do not wait for it. */
static void one_whose_peer_does_not_read(void **state)
{
	enum { SIZE = 16 << 20 };
	struct buf big = {0}, want = {0};

	need_ring();
	open_pairs(20);
	pattern(&want, SIZE, 5);
	pattern(&big, SIZE, 5);
	conn_pause(them[3].c, true);
	conn_write_buf(us[3].c, &big);
	for (size_t i = 0; i < pairs; i++)
		if (i != 3)
			say(i, "hello");
	for (size_t i = 0; i < pairs; i++)
		if (i != 3)
			assert_heard(i, "hello");
	assert_true(conn_unsent(us[3].c) > 0);
	assert_int_equal(us[3].calls[SIDE_ROOM], 0);
	conn_pause(them[3].c, false);
	turn_until(them[3].in.n == SIZE && us[3].calls[SIDE_ROOM]);
	assert_memory_equal(them[3].in.p, want.p, SIZE);
	buf_fini(&want);
}

static void one_whose_peer_is_gone(void **state)
{
	struct linger reset = {.l_onoff = 1};

	need_ring();
	open_pairs(20);
	setsockopt(conn_fd(them[5].c), SOL_SOCKET, SO_LINGER, &reset,
		sizeof(reset));
	conn_abort(them[5].c);
	for (size_t i = 0; i < pairs; i++)
		say(i, "hello");
	for (size_t i = 0; i < pairs; i++)
		if (i != 5)
			assert_heard(i, "hello");
	turn_until(us[5].calls[SIDE_CLOSED]);
	assert_int_equal(us[5].why, CONN_END_PEER);
}

static size_t on_room_end_next(
	struct side *s, enum side_call call, char *p, size_t n)
{
	if (call == SIDE_ROOM && s == &us[0]) {
		conn_abort(us[1].c);
		conn_close(us[2].c, 1000);
		conn_write(us[3].c, STR(" and more"));
		conn_close(us[3].c, 1000);
	}
	return n;
}

/* Their bytes are with the kernel then: they arrive. */
static void one_that_ends_others_once_it_is_told(void **state)
{
	need_ring();
	open_pairs(20);
	us[0].then = on_room_end_next;
	for (size_t i = 0; i < pairs; i++)
		say(i, "hello");
	assert_heard(3, "hello and more");
	for (size_t i = 0; i < pairs; i++)
		if (i != 3)
			assert_heard(i, "hello");
	turn_until(us[1].calls[SIDE_CLOSED] && us[2].calls[SIDE_CLOSED] &&
		   us[3].calls[SIDE_CLOSED]);
	for (size_t i = 4; i < pairs; i++)
		assert_int_equal(us[i].calls[SIDE_CLOSED], 0);
}

static void one_that_is_closed_with_its_last_words(void **state)
{
	need_ring();
	open_pairs(20);
	for (size_t i = 0; i < pairs; i++) {
		say(i, "bye");
		conn_close(us[i].c, 1000);
	}
	for (size_t i = 0; i < pairs; i++)
		assert_heard(i, "bye");
}

static void without_it_all_goes_on(void **state)
{
	need_ring();
	open_pairs(20);
	for (size_t i = 0; i < pairs; i++)
		say(i, "one");
	conn_sends_close(loop);
	assert_null(loop_sends(loop));
	for (size_t i = 0; i < pairs; i++)
		say(i, "two");
	for (size_t i = 0; i < pairs; i++)
		assert_heard(i, "onetwo");
}

/* Restrictions are in force: without them the kernel would take this. */
static void nothing_is_registered_once_it_is_open(void **state)
{
	int none = -1;
	int fd;

	need_ring();
	conn_sends_close(loop);
	fd = conn_sends_open(loop, &(struct err){0});
	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_io_uring_register, fd,
				 IORING_REGISTER_FILES, &none, 1),
		-1);
	assert_int_equal(errno, EACCES);
}

static void a_ring_that_fails_loses_nothing(void **state)
{
	int fd, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	need_ring();
	open_pairs(20);
	conn_sends_close(loop);
	fd = conn_sends_open(loop, &(struct err){0});
	assert_true(fd >= 0 && null >= 0);
	assert_int_equal(dup2(null, fd), fd);
	close(null);
	for (size_t i = 0; i < pairs; i++)
		say(i, "hello");
	for (size_t i = 0; i < pairs; i++)
		assert_heard(i, "hello");
	assert_null(loop_sends(loop));
}

static void a_kernel_that_has_none_is_said(void **state)
{
	struct rlimit was, none = {0, 0};
	struct err e = {0};

	conn_sends_close(loop);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(conn_sends_open(loop, &e) < 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_memory_equal(e.text, "io_uring: ", 10);
	assert_null(loop_sends(loop));
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(however_many_have_something_to_say),
		test(one_whose_peer_does_not_read),
		test(one_whose_peer_is_gone),
		test(one_that_ends_others_once_it_is_told),
		test(one_that_is_closed_with_its_last_words),
		test(without_it_all_goes_on),
		test(nothing_is_registered_once_it_is_open),
		test(a_ring_that_fails_loses_nothing),
		test(a_kernel_that_has_none_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
