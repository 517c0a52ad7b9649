/*
 * Which carrier a connection gets by its first bytes.
 */
#include "proto/http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static struct loop *loop;
static struct http_pool *pool;
static struct conf conf;
static int client;

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	stream_respond(s, 204, NULL, NULL, 0, STR_NONE);
}

static int setup(void **state)
{
	struct http_server srv = {.on_request = on_request};
	int fd[2];

	conf_defaults(&conf);
	conf_swap(&conf, false);
	loop = loop_new(NULL);
	pool = http_pool_new(loop, &srv);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	client = fd[0];
	http_accept(pool, fd[1], NULL);
	return 0;
}

static void settle(void)
{
	for (int i = 0; i < 6; i++)
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
}

static int teardown(void **state)
{
	if (client >= 0)
		close(client);
	http_pool_free(pool);
	settle();
	loop_free(loop);
	return 0;
}

static void drip(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		assert_int_equal(send(client, s.p + i, 1, MSG_NOSIGNAL), 1);
		settle();
	}
}

/* What came; -1: nothing yet, 0: the end. */
static ssize_t hear(char *p, size_t n)
{
	settle();
	return recv(client, p, n, 0);
}

static void the_preface_in_pieces_is_http_2(void **state)
{
	char got[256];

	drip(STR(PREFACE));
	/* SETTINGS come first (RFC 9113 3.4). */
	assert_in_range(hear(got, sizeof(got)), 9, sizeof(got));
	assert_int_equal(got[3], 4);
	assert_int_equal(metrics_get(metrics_here(), METRIC_H2_CONNECTIONS), 1);
	assert_int_equal(http_count(pool), 1);
}

static void a_request_in_pieces_is_http_1(void **state)
{
	char got[256];

	drip(STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_in_range(hear(got, sizeof(got)), 12, sizeof(got));
	assert_memory_equal(got, "HTTP/1.1 204", 12);
	assert_int_equal(http_count(pool), 1);
}

static void a_method_that_begins_alike_is_http_1(void **state)
{
	char got[256];

	drip(STR("PRI / HTTP/1.1\r\nHost: a\r\n\r\n"));
	assert_in_range(hear(got, sizeof(got)), 12, sizeof(got));
	assert_memory_equal(got, "HTTP/1.1 204", 12);
}

static void half_a_preface_is_waited_for(void **state)
{
	char got[16];

	drip(STR("PRI * HTTP/2.0\r\n\r\nSM"));
	assert_int_equal(hear(got, sizeof(got)), -1);
	assert_int_equal(http_count(pool), 1);
	conf.http_timeout = 0; /* due at once */
	http_reconfigure(pool);
	while (hear(got, sizeof(got)) < 0)
		assert_int_equal(loop_turn(loop, 20, NULL), 0);
	assert_int_equal(http_count(pool), 0);
}

static void drain_closes_what_said_nothing(void **state)
{
	char got[16];

	settle();
	http_drain(pool);
	assert_int_equal(hear(got, sizeof(got)), 0);
	close(client);
	client = -1;
	settle();
	assert_int_equal(http_count(pool), 0);
	assert_int_equal(metrics_get(metrics_here(), METRIC_CONNECTIONS), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_preface_in_pieces_is_http_2),
		T(a_request_in_pieces_is_http_1),
		T(a_method_that_begins_alike_is_http_1),
		T(half_a_preface_is_waited_for),
		T(drain_closes_what_said_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
