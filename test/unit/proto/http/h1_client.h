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

static struct loop *loop;
static struct h1_pool *pool;
static int client; /* -1: closed */
static struct buf got;
static bool got_eof;
static struct conf conf;

/* What the server of streams saw and does. */
static struct {
	struct stream *s;
	struct buf body;
	unsigned requests, eofs, rooms, clean, broken, drains;
	size_t appetite; /* on_data takes at most that much a call */
	bool tls, answer_late;
	uint64_t content_length;
	char path[64], authority[64], protocol[16];
} app;

static inline size_t app_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	buf_add(&app.body, p, k);
	return k;
}

static inline void answer_body(struct stream *s)
{
	stream_respond(s, 200, "text/plain", NULL, 0, buf_str(&app.body));
	buf_reset(&app.body);
}

static inline void app_eof(struct stream *s)
{
	app.eofs++;
	if (!app.answer_late)
		answer_body(s);
}

static inline void app_room(struct stream *s)
{
	app.rooms++;
}

static inline void app_done(struct stream *s, bool clean)
{
	clean ? app.clean++ : app.broken++;
	app.s = NULL;
}

static inline void app_drain(struct stream *s)
{
	app.drains++;
}

static const struct stream_ops app_ops = {
	.on_data = app_data,
	.on_eof = app_eof,
	.on_room = app_room,
	.on_done = app_done,
	.on_drain = app_drain,
};

static inline size_t tunnel_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	stream_write2(s, STR("<"), str_n(p, k));
	return k;
}

static inline void tunnel_eof(struct stream *s)
{
	app.eofs++;
	stream_write(s, STR("bye"));
	stream_end(s);
}

static const struct stream_ops tunnel_ops = {
	.on_data = tunnel_data,
	.on_eof = tunnel_eof,
	.on_done = app_done,
	.on_drain = app_drain,
};

static inline void in_chunks(struct stream *s, uint64_t length)
{
	stream_head(s, 200, NULL, 0, length);
	stream_write2(s, STR("ab"), STR("c"));
	stream_write(s, STR_NONE);
	stream_write(s, STR("0123456789abcdef"));
	stream_end(s);
}

static inline void copy_z(char *z, size_t size, struct str s)
{
	snprintf(z, size, "%.*s", STR_ARG(s));
}

static inline void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	static const struct http_header split[] = {
		{{"X", 1}, {"a\r\nSet-Cookie: b", 16}}};

	app.requests++;
	app.s = s;
	app.content_length = r->content_length;
	copy_z(app.path, sizeof(app.path), r->path);
	copy_z(app.authority, sizeof(app.authority), r->authority);
	copy_z(app.protocol, sizeof(app.protocol), r->protocol);
	if (str_eq(r->path, STR("/chunks"))) {
		in_chunks(s, UINT64_MAX);
	} else if (str_eq(r->path, STR("/length"))) {
		in_chunks(s, 19);
	} else if (str_eq(r->path, STR("/short"))) {
		s->ops = &app_ops;
		in_chunks(s, 20);
	} else if (str_eq(r->path, STR("/none"))) {
		stream_respond(s, 204, NULL, NULL, 0, STR_NONE);
	} else if (str_eq(r->path, STR("/early"))) {
		stream_problem(s, 413, "too much");
	} else if (str_eq(r->path, STR("/split"))) {
		stream_respond(s, 200, NULL, split, 1, STR_NONE);
	} else if (str_eq(r->path, STR("/reset"))) {
		s->ops = &app_ops;
		stream_reset(s);
	} else if (str_eq(r->path, STR("/tunnel"))) {
		s->ops = &tunnel_ops;
		stream_tunnel(s, NULL, 0);
	} else {
		s->ops = &app_ops;
	}
}

static inline void connect_client(void)
{
	int fd[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	client = fd[0];
	h1_take(pool, conn_new(loop, fd[1], NULL, NULL, 0, NULL, NULL), 1);
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
