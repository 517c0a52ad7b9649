/*
 * A client of HTTP/1.1 over a socket pair, and the server of streams that it talks
 * to. What it hears is compared byte for byte, but for the Date.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"
#include "core/io/sock.h"
#include "test/unit/proto/http/app.h"

static struct loop *loop;
static struct h1_pool *pool;
static int client; /* -1: closed */
static struct buf got;
static bool got_eof;
static struct conf conf;

static inline void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	static const struct http_header split[] = {
		{{"X", 1}, {"a\r\nSet-Cookie: b", 16}}};

	app_take(s, r);
	if (str_eq(r->path, STR("/split")))
		stream_respond(s, 200, NULL, split, 1, STR_NONE);
	else
		app_serve(s, r);
}

static inline void connect_client(void)
{
	int fd[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	client = fd[0];
	h1_take(pool, conn_new(loop, fd[1], NULL, NULL, 0, NULL, NULL),
		&(struct http_share){.id = 1});
}

static inline int setup(void **state)
{
	struct http_server srv = {.on_request = on_request};

	conf_defaults(&conf);
	conf_swap(&conf, false);
	memset(&app, 0, sizeof(app));
	app.appetite = SIZE_MAX;
	loop = loop_new(NULL);
	pool = h1_pool_new(loop, &srv);
	got_eof = false;
	connect_client();
	return 0;
}

static inline int teardown(void **state)
{
	if (client >= 0)
		close(client);
	h1_pool_free(pool);
	loop_free(loop);
	buf_fini(&got);
	buf_fini(&app.body);
	return 0;
}

static inline void hear(void)
{
	ssize_t n;

	while (!got_eof) {
		n = recv(client, buf_room(&got, 65536), 65536, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			got_eof = true;
		else
			got.n += (size_t)n;
	}
}

static inline void turn(void)
{
	assert_int_equal(loop_turn(loop, 100, NULL), 0);
	hear();
}

/* The runner ends a test that hangs. */
#define turn_until(cond) \
	do {             \
		turn();  \
	} while (!(cond))

/* Turns until there is nothing more to do right now. */
static inline void settle(void)
{
	for (int i = 0; i < 8; i++) {
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
		hear();
	}
}

static inline void say(struct str s)
{
	while (s.n) {
		ssize_t n = send(client, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else
			s = str_skip(s, (size_t)n);
		if (s.n)
			turn();
	}
}

/* What came, without the Date fields, each of which is checked for its form. */
static const char *heard(void)
{
	static struct buf plain;
	struct str rest = buf_str(&got), line;

	buf_reset(&plain);
	while (rest.n) {
		size_t n = str_find(rest, '\n');
		line = str_n(rest.p, min_of(n + 1, rest.n));
		rest = str_skip(rest, line.n);
		if (!str_starts(line, STR("Date: "))) {
			buf_adds(&plain, line);
			continue;
		}
		assert_int_equal(line.n, strlen("Date: ") + 29 + 2);
		assert_true(str_ends(line, STR(" GMT\r\n")));
	}
	buf_reset(&got);
	return buf_z(&plain);
}

#define HI "GET /hi HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST_ "POST /post HTTP/1.1\r\nHost: a\r\n"
#define OK_(n)                                                               \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #n \
	"\r\n\r\n"
#define OK_CLOSE(n)                                       \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" \
	"Content-Length: " #n "\r\nConnection: close\r\n\r\n"

static inline void expect_status(const char *status, bool end)
{
	const char *z;

	turn_until(got_eof || (!end && got.n));
	z = heard();
	if (strncmp(z, status, strlen(status)))
		fail_msg("not %s: %s", status, z);
	assert_int_equal(got_eof, end);
	if (end)
		assert_non_null(strstr(z, "\r\nConnection: close\r\n"));
}
#define UPGRADE                                                     \
	"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\n\r\n"
