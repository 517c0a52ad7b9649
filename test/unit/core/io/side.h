/*
 * For tests of connections: one end of a connection that remembers everything it
 * is told, and the loop that all ends of a test share.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/io/conn_priv.h"
#include "core/io/sock.h"

enum side_call { SIDE_DATA, SIDE_EOF, SIDE_ROOM, SIDE_CLOSED, SIDE_CALLS };

struct side {
	struct conn *c;
	struct buf in;
	unsigned calls[SIDE_CALLS];
	enum conn_end why;
	char text[256]; /* conn_tls_text() at the end */
	bool half;	/* on_eof leaves it open */
	/* Does something more; on_data: the bytes taken. */
	size_t (*then)(struct side *s, enum side_call call, char *p, size_t n);
};

static struct loop *loop;

static void turn(int max_wait_ms)
{
	assert_int_equal(loop_turn(loop, max_wait_ms, NULL), 0);
}

/* Turns until it holds; the runner ends a test that hangs. */
#define turn_until(cond)   \
	do {               \
		turn(100); \
	} while (!(cond))

static size_t side_call(struct side *s, enum side_call call, char *p, size_t n)
{
	s->calls[call]++;
	assert_true(call == SIDE_CLOSED || s->calls[SIDE_CLOSED] == 0);
	if (s->then)
		return s->then(s, call, p, n);
	buf_add(&s->in, p, n);
	return n;
}

static size_t side_data(struct conn *c, char *p, size_t n)
{
	return side_call(conn_up(c), SIDE_DATA, p, n);
}

static void side_eof(struct conn *c)
{
	struct side *s = conn_up(c);

	side_call(s, SIDE_EOF, NULL, 0);
	if (!s->half)
		conn_close(c, 1000);
}

static void side_room(struct conn *c)
{
	side_call(conn_up(c), SIDE_ROOM, NULL, 0);
}

static void side_closed(struct conn *c, enum conn_end why)
{
	struct side *s = conn_up(c);

	s->why = why;
	snprintf(s->text, sizeof(s->text), "%s", conn_tls_text(c));
	side_call(s, SIDE_CLOSED, NULL, 0);
}

static const struct conn_ops side_ops = {
	.on_data = side_data,
	.on_eof = side_eof,
	.on_room = side_room,
	.on_closed = side_closed,
};

static inline void side_open(
	struct side *s, int fd, struct tls_ctx *tls, const char *name)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	s->c = conn_new(loop, fd, tls, name, 60000, &side_ops, s);
}

static inline bool side_is_closed(const struct side *s)
{
	return s->calls[SIDE_CLOSED] > 0;
}

/* Ends it whatever its state, and its memory. */
static inline void side_drop(struct side *s)
{
	if (s->c && !side_is_closed(s)) {
		s->then = NULL;
		conn_abort(s->c);
		turn_until(side_is_closed(s));
	}
	s->c = NULL;
	buf_fini(&s->in);
}

static inline void local_pair(int fd[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static inline void tcp_pair(int fd[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *sa = (struct sockaddr *)&a;
	socklen_t len = sizeof(a);
	int l = -1;

	assert_int_equal(sock_listen(sa, len, "loopback", 0, &l, NULL), 0);
	assert_int_equal(getsockname(l, sa, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[1], sa, len), 0);
	fd[0] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd[0] >= 0);
	close(l);
}

/* Bytes that differ from place to place; seed tells two streams apart. */
static inline void pattern(struct buf *b, size_t n, unsigned seed)
{
	char *p = buf_room(b, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 2654435761u + seed) >> 13);
	b->n += n;
}
