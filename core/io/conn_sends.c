#include "core/io/conn_sends.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/io/conn_priv.h"

enum {
	SENDS = 256,	/* at a time */
	FEW = 8,	/* so few are cheaper one by one */
	NONE = INT_MIN, /* not done */
};

struct conn_sends {
	struct loop *loop;
	struct defer send;
	struct io_uring ring;
	size_t n;
	struct conn *c[SENDS];
	int res[SENDS]; /* what send(2) would have said, or -errno */
};

/* liburing 2.3 declares its functions for these two, and does not export them. */
static int ring_register(
	const struct io_uring *ring, unsigned what, const void *p, size_t n)
{
	long ret = syscall(SYS_io_uring_register, ring->ring_fd, what, p, n);

	return ret < 0 ? -errno : 0;
}

static int hold_to_send(const struct io_uring *ring)
{
	static const struct io_uring_restriction only[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SEND},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
			.sqe_flags = 0},
	};
	int ret = ring_register(
		ring, IORING_REGISTER_RESTRICTIONS, only, countof(only));

	return ret < 0 ? ret
		       : ring_register(
				 ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* All that was collected, in one call. False: some of it was not done. */
static bool submit(struct conn_sends *s)
{
	struct io_uring_cqe *cqe;
	size_t done = 0;
	int ret;

	for (size_t i = 0; i < s->n; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
		const struct buf *b = &s->c[i]->out;

		check(sqe);
		io_uring_prep_send(sqe, s->c[i]->fd, b->p, b->n,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		io_uring_sqe_set_data64(sqe, i);
		s->res[i] = NONE;
	}
	do
		ret = io_uring_submit_and_wait(&s->ring, (unsigned)s->n);
	while (ret == -EINTR);
	for (; io_uring_peek_cqe(&s->ring, &cqe) == 0; done++) {
		uint64_t i = io_uring_cqe_get_data64(cqe);

		check(i < s->n && s->res[i] == NONE);
		s->res[i] = cqe->res;
		io_uring_cqe_seen(&s->ring, cqe);
	}
	return done == s->n;
}

/* First all that was sent is taken away, then whoever wants to know is told. */
static void settle(struct conn_sends *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->res[i] = s->res[i] == NONE /* epoll says when to go on */
				    ? 0
				    : conn_took(s->c[i], s->res[i]);
	for (size_t i = 0; i < s->n; i++) {
		struct conn *c = s->c[i];

		/* Ended, or with more to say, by what another one did. */
		if (c->state < CONN_ENDED && (s->res[i] <= 0 || !c->out.n))
			conn_settle(c, s->res[i]);
	}
}

/* What happened since it was collected may have ended it, or sent it. */
static void drop_others(struct conn_sends *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->c[i]->state == CONN_OPEN && !s->c[i]->blocked &&
			s->c[i]->out.n)
			s->c[n++] = s->c[i];
	s->n = n;
}

static void send_now(struct conn_sends *s)
{
	bool whole = true;

	drop_others(s);
	if (s->n >= FEW) {
		whole = submit(s);
		settle(s);
	} else {
		for (size_t i = 0; i < s->n; i++)
			conn_output(s->c[i]);
	}
	s->n = 0;
	if (!whole) /* the kernel is out of something: on without it */
		conn_sends_close(s->loop);
}

static void on_send(struct defer *d)
{
	send_now(container_of(d, struct conn_sends, send));
}

bool conn_sends_take(struct conn *c)
{
	struct conn_sends *s = loop_sends(c->loop);

	if (s && s->n == SENDS) {
		send_now(s);
		s = loop_sends(c->loop);
	}
	if (!s || c->tls || c->state != CONN_OPEN || c->blocked || !c->out.n)
		return false;
	s->c[s->n++] = c;
	loop_defer(c->loop, &s->send, LOOP_SEND);
	return true;
}

int conn_sends_open(struct loop *l, struct err *e)
{
	struct io_uring_params p = {.flags = IORING_SETUP_R_DISABLED};
	struct conn_sends *s = mem_new(sizeof(*s));
	int ret = io_uring_queue_init_params(SENDS, &s->ring, &p);

	if (ret == 0) {
		ret = hold_to_send(&s->ring);
		if (ret < 0)
			io_uring_queue_exit(&s->ring);
	}
	if (ret < 0) {
		free(s);
		return err_set(e, ret, "io_uring: %s", strerror(-ret));
	}
	s->loop = l;
	defer_init(&s->send, on_send);
	loop_set_sends(l, s);
	return s->ring.ring_fd;
}

void conn_sends_close(struct loop *l)
{
	struct conn_sends *s = loop_sends(l);

	if (!s)
		return;
	loop_set_sends(l, NULL);
	loop_undefer(&s->send);
	io_uring_queue_exit(&s->ring);
	free(s);
}
