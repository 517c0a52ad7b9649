/*
 * The listener: who gets in, how many a turn, and when descriptors are short.
 */
#include "core/io/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/base.h"
#include "core/base/log.h"
#include "core/io/sock.h"

enum { CLIENTS = 40 };

static struct loop *loop;
static struct listener *listener;
static struct sockaddr_in addr;
static int fd_listen;
static int accepted[CLIENTS], n_accepted;
static bool free_in_callback;

static void on_accept(void *ctx, int fd)
{
	assert_ptr_equal(ctx, &addr);
	assert_true(n_accepted < CLIENTS);
	accepted[n_accepted++] = fd;
	if (free_in_callback)
		listener_free(steal(listener));
}

static int setup(void **state)
{
	socklen_t len = sizeof(addr);

	addr = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	n_accepted = 0;
	free_in_callback = false;
	loop = loop_new(NULL);
	if (sock_listen((struct sockaddr *)&addr, sizeof(addr), "loopback", 0,
		    &fd_listen, NULL) < 0)
		return -1;
	listener = listener_new(loop, fd_listen, on_accept, &addr);
	return getsockname(fd_listen, (struct sockaddr *)&addr, &len);
}

static int teardown(void **state)
{
	if (listener)
		listener_free(steal(listener));
	for (int i = 0; i < n_accepted; i++)
		close(accepted[i]);
	loop_free(loop);
	return close(fd_listen);
}

static int client(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
		connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void turn(int max_wait_ms)
{
	assert_int_equal(loop_turn(loop, max_wait_ms, NULL), 0);
}

static void an_accepted_socket_is_ready_for_use(void **state)
{
	int fd = client(), on = 0;
	socklen_t len = sizeof(on);

	while (n_accepted < 1)
		turn(1000);
	assert_true(fcntl(accepted[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC);
	getsockopt(accepted[0], IPPROTO_TCP, TCP_NODELAY, &on, &len);
	assert_true(on);
	close(fd);
}

static void sixteen_a_turn(void **state)
{
	int fd[20];

	for (int i = 0; i < 20; i++)
		fd[i] = client();
	turn(1000);
	assert_int_equal(n_accepted, 16);
	turn(1000);
	assert_int_equal(n_accepted, 20);
	for (int i = 0; i < 20; i++)
		close(fd[i]);
}

static void the_rest_of_the_queue_at_once(void **state)
{
	int fd[20];

	for (int i = 0; i < 20; i++)
		fd[i] = client();
	listener_accept_rest(listener);
	assert_int_equal(n_accepted, 20);
	for (int i = 0; i < 20; i++)
		close(fd[i]);
}

/* Whoever holds the socket may clear its flag. */
static void a_socket_that_may_block_holds_nobody_up(void **state)
{
	int one;

	assert_int_equal(fcntl(fd_listen, F_SETFL, 0), 0);
	one = client();
	alarm(20);
	while (n_accepted < 1)
		turn(1000);
	listener_accept_rest(listener);
	alarm(0);
	assert_int_equal(n_accepted, 1);
	close(one);
}

static void freed_by_its_own_callback(void **state)
{
	int one = client(), two = client();

	free_in_callback = true;
	while (n_accepted < 1)
		turn(1000);
	turn(0);
	assert_int_equal(n_accepted, 1);
	close(one);
	close(two);
}

static void one_turn_later(struct timer *t)
{
	loop_stop(loop, 0);
}

static void waits_and_recovers_when_descriptors_are_short(void **state)
{
	struct rlimit old, low;
	struct timer t;
	unsigned turns = 0;
	int fd = client(), next = dup(0);

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	/* Paused, it wakes for its retries; spinning, it makes thousands. */
	timer_init(&t, one_turn_later);
	timer_set(loop, &t, loop_now_ms(loop) + 250);
	while (timer_is_set(&t)) {
		turn(-1);
		turns++;
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(n_accepted, 0);
	assert_in_range(turns, 2, 40);
	while (n_accepted < 1)
		turn(-1);
	close(fd);
}

/* The lowest number that the next descriptor gets. */
static int next_number(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void turn_for_ms(uint64_t ms)
{
	struct timer t;

	timer_init(&t, one_turn_later);
	timer_set(loop, &t, loop_now_ms(loop) + ms);
	while (timer_is_set(&t))
		turn(-1);
}

/* However often one goes and the next comes. */
static void some_descriptors_are_not_for_clients(void **state)
{
	struct rlimit old, low;
	int fd[10], kept[LISTENER_RESERVE];

	for (int i = 0; i < 10; i++)
		fd[i] = client();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)next_number() + LISTENER_RESERVE + 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	turn_for_ms(150);
	assert_int_equal(n_accepted, 3);
	for (int i = 0; i < 5; i++) {
		close(accepted[i]);
		while (n_accepted < 4 + i)
			turn(-1);
		turn_for_ms(150);
		assert_int_equal(n_accepted, 4 + i);
	}
	for (int i = 0; i < LISTENER_RESERVE; i++) {
		kept[i] = dup(0);
		assert_true(kept[i] >= 0);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	while (n_accepted < 10)
		turn(-1);
	for (int i = 0; i < 5; i++)
		accepted[i] = client(); /* for teardown to close */
	for (int i = 0; i < 10; i++)
		close(fd[i]);
	for (int i = 0; i < LISTENER_RESERVE; i++)
		close(kept[i]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_accepted_socket_is_ready_for_use),
		T(sixteen_a_turn),
		T(the_rest_of_the_queue_at_once),
		T(a_socket_that_may_block_holds_nobody_up),
		T(freed_by_its_own_callback),
		T(waits_and_recovers_when_descriptors_are_short),
		T(some_descriptors_are_not_for_clients),
	};

	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
