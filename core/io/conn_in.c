#include <errno.h>
#include <sys/socket.h>

#include "core/io/conn_priv.h"

enum {
	READ_SIZE = LOOP_SCRATCH / 2,
	READS_PER_TURN = 4, /* then it is the others' turn */
	EOF_LINGER_MS = 5000,
};

/* Half of the scratch takes what comes, the other half plain text of TLS. */
static char *plain_half(struct conn *c)
{
	return loop_scratch(c->loop) + READ_SIZE;
}

static bool may_deliver(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->paused;
}

/* on_data with what is there; what it takes. */
static size_t offer(struct conn *c, char *p, size_t n)
{
	size_t used;

	c->in_data = true;
	used = c->ops->on_data(c, p, n);
	c->in_data = false;
	check(c->state != CONN_OPEN || used <= n);
	return used;
}

/*
 * Offers leftover and new bytes; again when another layer took over in between.
 * Nothing in here may free what on_data still looks at.
 */
static void deliver(struct conn *c, char *p, size_t n)
{
	bool kept = c->left.n > 0;
	const struct conn_ops *ops;
	void *up;

	if (kept) {
		buf_add(&c->left, p, n);
		p = c->left.p;
		n = c->left.n;
	}
	do {
		size_t used;

		ops = c->ops;
		up = c->up;
		used = offer(c, p, n);
		if (c->state != CONN_OPEN) {
			buf_fini(&c->left);
			return;
		}
		p += used;
		n -= used;
	} while (n > 0 && !c->paused && (c->ops != ops || c->up != up));
	if (kept)
		buf_drop(&c->left, c->left.n - n);
	else if (n > 0)
		buf_add(&c->left, p, n);
	if (c->left.n == 0)
		buf_fini(&c->left);
}

static void on_end_of_stream(struct conn *c)
{
	c->eof = true;
	if (c->state == CONN_HANDSHAKE) {
		conn_end(c, CONN_END_PEER);
		return;
	}
	conn_arm(c);
	if (c->ops->on_eof)
		c->ops->on_eof(c);
	else
		conn_start_closing(c, CONN_END_PEER, EOF_LINGER_MS);
}

/* Handshake, then plain text out of the cipher text that was lent. */
static void pump(struct conn *c)
{
	int n = 1;

	if (c->state == CONN_HANDSHAKE) {
		n = tls_io_handshake(c->tls);
		if (n > 0) {
			conn_state(c, CONN_OPEN);
			conn_drop_deadline(c);
			loop_defer(c->loop, &c->flush, LOOP_FLUSH);
			conn_arm(c); /* may be paused */
		}
	}
	while (n > 0 && may_deliver(c)) {
		n = tls_io_read(c->tls, plain_half(c), READ_SIZE);
		if (n > 0)
			deliver(c, plain_half(c), (size_t)n);
	}
	tls_io_keep(c->tls);
	if (c->state >= CONN_CLOSING)
		return;
	if (n == TLS_IO_FAIL) {
		conn_output(c); /* the alert, as well as may be */
		if (c->state < CONN_ENDED)
			conn_end(c, CONN_END_TLS);
		return;
	}
	if (tls_io_out(c->tls)->n > 0 && !c->blocked)
		loop_defer(c->loop, &c->flush, LOOP_FLUSH);
	if (n == TLS_IO_EOF)
		on_end_of_stream(c);
}

/* conn_close() was called: waits for the peer's end only. */
static void discard(struct conn *c)
{
	if (!c->bye || conn_unsent(c) > 0)
		conn_arm(c);
	else
		conn_end(c, c->why);
}

static void take(struct conn *c, size_t n)
{
	char *p = loop_scratch(c->loop);

	c->last_in_ms = loop_now_ms(c->loop);
	if (c->state == CONN_CLOSING)
		return;
	if (c->tls) {
		tls_io_lend(c->tls, p, n);
		pump(c);
	} else {
		deliver(c, p, n);
	}
}

static bool may_read(const struct conn *c)
{
	return c->state < CONN_ENDED && !c->eof &&
	       (c->state != CONN_OPEN || !c->paused);
}

/* What was kept: left by the layer above, or cipher text of a pause. */
static void input_again(struct conn *c)
{
	if (c->left.n > 0 && may_deliver(c))
		deliver(c, NULL, 0);
	if (c->tls && !c->eof && (c->state == CONN_HANDSHAKE || may_deliver(c)))
		pump(c);
}

/* What was left is older than the end of the stream: it goes first. */
static void on_no_more(struct conn *c)
{
	if (c->left.n > 0)
		input_again(c);
	/* Paused or closing now: the end is another event. */
	if (may_read(c) && c->state != CONN_CLOSING)
		on_end_of_stream(c);
}

void conn_input(struct conn *c, bool again)
{
	if (again) {
		input_again(c);
		return;
	}
	for (int i = 0; i < READS_PER_TURN && may_read(c); i++) {
		ssize_t n = recv(c->fd, loop_scratch(c->loop), READ_SIZE, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			conn_end(c, c->state == CONN_CLOSING ? c->why
							     : CONN_END_PEER);
			return;
		}
		if (n == 0 && c->state == CONN_CLOSING) {
			c->eof = true;
			discard(c);
			return;
		}
		if (n == 0) {
			on_no_more(c);
			return;
		}
		take(c, (size_t)n);
		if (n < READ_SIZE)
			return; /* more, or the end, is another event */
	}
}
