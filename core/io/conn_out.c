#include <errno.h>
#include <sys/socket.h>

#include "core/io/conn_priv.h"

/* Cipher text waiting for the kernel; plain text waits as plain text. */
enum { CIPHER_QUEUE = 64 * 1024 };

/* 1 = all taken, 0 = the kernel is full, < 0 = the peer is gone. */
static int took(struct conn *c, struct buf *b, ssize_t n)
{
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	c->last_out_ms = loop_now_ms(c->loop);
	buf_drop(b, (size_t)n);
	if (b->n > 0)
		return 0;
	buf_fini(b);
	return 1;
}

int conn_took(struct conn *c, ssize_t n)
{
	return took(c, &c->out, n);
}

static int send_buf(struct conn *c, struct buf *b)
{
	ssize_t n = send(c->fd, b->p, b->n, MSG_NOSIGNAL);

	return took(c, b, n < 0 ? -errno : n);
}

static bool encrypt(struct conn *c)
{
	struct buf *cipher = tls_io_out(c->tls);

	while (c->out.n > 0 && cipher->n < CIPHER_QUEUE) {
		size_t n = min_of(c->out.n, (size_t)TLS_PIECE);

		if (!tls_io_write(c->tls, c->out.p, n))
			return false;
		buf_drop(&c->out, n);
	}
	if (c->out.n == 0)
		buf_fini(&c->out);
	return true;
}

/* As send_buf(); 1 also while plain text waits for the handshake. */
static int send_tls(struct conn *c)
{
	struct buf *cipher = tls_io_out(c->tls);

	for (;;) {
		int ret;

		if (tls_io_ready(c->tls) && !encrypt(c))
			return -EPROTO;
		if (cipher->n == 0)
			return 1;
		ret = send_buf(c, cipher);
		if (ret <= 0)
			return ret;
	}
}

static int send_all(struct conn *c)
{
	if (c->tls)
		return send_tls(c);
	return c->out.n > 0 ? send_buf(c, &c->out) : 1;
}

/* Everything is with the kernel and conn_close() was called. */
static int say_bye(struct conn *c)
{
	if (c->tls && !c->bye) {
		int ret;

		c->bye = true;
		tls_io_bye(c->tls);
		ret = send_all(c);
		if (ret <= 0)
			return ret;
	}
	c->bye = true;
	if (shutdown(c->fd, SHUT_WR) < 0 || c->eof)
		return -EPIPE; /* both sides are done */
	return 1;
}

static enum conn_end end_of(const struct conn *c, int ret)
{
	if (c->state == CONN_CLOSING)
		return c->why;
	return ret == -EPROTO ? CONN_END_TLS : CONN_END_PEER;
}

void conn_settle(struct conn *c, int ret)
{
	if (ret > 0 && c->state == CONN_CLOSING)
		ret = say_bye(c);
	if (ret < 0) {
		conn_end(c, end_of(c, ret));
		return;
	}
	c->blocked = ret == 0;
	conn_arm(c);
	if (c->state == CONN_OPEN && c->full && conn_unsent(c) == 0) {
		c->full = false;
		if (c->ops->on_room)
			c->ops->on_room(c);
	}
}

void conn_output(struct conn *c)
{
	if (c->state < CONN_ENDED && !c->blocked)
		conn_settle(c, send_all(c));
}

void conn_start_closing(struct conn *c, enum conn_end why, unsigned linger_ms)
{
	conn_state(c, CONN_CLOSING);
	c->why = (uint8_t)why;
	if (!c->in_data)
		buf_fini(&c->left);
	conn_set_deadline(c, linger_ms);
	conn_arm(c);
	if (!c->blocked)
		loop_defer(c->loop, &c->flush, LOOP_FLUSH);
}

static bool is_open(const struct conn *c)
{
	return c->state == CONN_HANDSHAKE || c->state == CONN_OPEN;
}

static void queued(struct conn *c)
{
	if (c->out.n == 0)
		return;
	c->full = true;
	if (!c->blocked)
		loop_defer(c->loop, &c->flush, LOOP_FLUSH);
}

void conn_write(struct conn *c, struct str s)
{
	if (!is_open(c))
		return;
	buf_adds(&c->out, s);
	queued(c);
}

void conn_write2(struct conn *c, struct str a, struct str b)
{
	if (!is_open(c))
		return;
	buf_room(&c->out, a.n + b.n);
	buf_adds(&c->out, a);
	buf_adds(&c->out, b);
	queued(c);
}

void conn_write_buf(struct conn *c, struct buf *b)
{
	if (!is_open(c)) {
		buf_fini(b);
		return;
	}
	if (c->out.n == 0) {
		buf_fini(&c->out);
		buf_move(&c->out, b);
	} else {
		buf_adds(&c->out, buf_str(b));
		buf_fini(b);
	}
	queued(c);
}

size_t conn_unsent(const struct conn *c)
{
	return c->out.n + (c->tls ? tls_io_out(c->tls)->n : 0);
}
