#include "core/io/conn.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/io/conn_priv.h"

static const uint8_t next_states[] = {
	[CONN_HANDSHAKE] = 1 << CONN_OPEN | 1 << CONN_ENDED,
	[CONN_OPEN] = 1 << CONN_CLOSING | 1 << CONN_ENDED,
	[CONN_CLOSING] = 1 << CONN_ENDED,
	[CONN_ENDED] = 1 << CONN_GONE,
	[CONN_GONE] = 0,
};

void conn_state(struct conn *c, enum conn_state to)
{
	check(next_states[c->state] & 1 << to);
	c->state = (uint8_t)to;
}

static void on_deadline(struct timer *t)
{
	struct conn_deadline *d = container_of(t, struct conn_deadline, timer);
	struct conn *c = d->c;

	if (c->state == CONN_CLOSING)
		conn_output(c); /* with linger_ms 0 the first try */
	if (c->state < CONN_ENDED)
		conn_end(c, c->state == CONN_CLOSING ? c->why : CONN_END_TLS);
}

void conn_set_deadline(struct conn *c, unsigned ms)
{
	if (!c->deadline) {
		c->deadline = mem_new(sizeof(*c->deadline));
		c->deadline->c = c;
		timer_init(&c->deadline->timer, on_deadline);
	}
	timer_set(c->loop, &c->deadline->timer, loop_now_ms(c->loop) + ms);
}

void conn_drop_deadline(struct conn *c)
{
	if (!c->deadline)
		return;
	timer_stop(c->loop, &c->deadline->timer);
	free(steal(c->deadline));
}

/* The socket is closed at once; the memory stays while callers may look at it. */
static void shut(struct conn *c, enum conn_end why)
{
	conn_state(c, CONN_ENDED);
	c->why = (uint8_t)why;
	conn_drop_deadline(c);
	loop_undefer(&c->flush);
	loop_undefer(&c->soon);
	loop_unwatch(c->loop, &c->watch);
	close(c->fd);
	c->fd = -1;
}

static void tell_closed(struct conn *c)
{
	conn_state(c, CONN_GONE);
	c->ops->on_closed(c, c->why);
	loop_defer(c->loop, &c->soon, LOOP_FREE);
}

void conn_end(struct conn *c, enum conn_end why)
{
	check(!c->in_data);
	shut(c, why);
	tell_closed(c);
}

static void destroy(struct conn *c)
{
	buf_fini(&c->out);
	buf_fini(&c->left);
	if (c->tls)
		tls_io_free(c->tls);
	free(c);
}

static void on_soon(struct defer *d)
{
	struct conn *c = container_of(d, struct conn, soon);

	if (c->state == CONN_GONE)
		destroy(c);
	else if (c->state == CONN_ENDED)
		tell_closed(c);
	else
		conn_input(c, true);
}

static void on_flush(struct defer *d)
{
	struct conn *c = container_of(d, struct conn, flush);

	if (!conn_sends_take(c))
		conn_output(c);
}

static void on_event(struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);

	if (events & EPOLLERR && !(w->events & EPOLLIN)) {
		conn_end(c, c->state == CONN_CLOSING ? c->why : CONN_END_PEER);
		return;
	}
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && c->blocked) {
		c->blocked = false;
		conn_output(c);
	}
	if (c->state >= CONN_ENDED)
		return;
	if (w->events & EPOLLIN) {
		if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			conn_input(c, false);
	} else if (events & EPOLLHUP) {
		/*
		 * A local peer is gone, but what it sent may wait for our
		 * resume; until then epoll would say so without end.
		 */
		loop_unwatch(c->loop, w);
	}
}

void conn_arm(struct conn *c)
{
	bool in = !c->eof && (c->state != CONN_OPEN || !c->paused);
	uint32_t events = (in ? (uint32_t)EPOLLIN : 0) |
			  (c->blocked ? (uint32_t)EPOLLOUT : 0);

	if (c->state >= CONN_ENDED)
		return;
	if (c->watch.fd >= 0)
		loop_rewatch(c->loop, &c->watch, events);
	else if (events)
		loop_watch(c->loop, &c->watch, c->fd, events, on_event);
}

struct conn *conn_new(struct loop *l, int fd, struct tls_ctx *tls,
	const char *name, unsigned handshake_ms, const struct conn_ops *ops,
	void *up)
{
	struct conn *c = mem_new(sizeof(*c));

	c->loop = l;
	c->fd = fd;
	c->ops = ops;
	c->up = up;
	c->last_in_ms = c->last_out_ms = loop_now_ms(l);
	c->state = CONN_OPEN;
	c->watch.fd = -1;
	defer_init(&c->flush, on_flush);
	defer_init(&c->soon, on_soon);
	if (tls) {
		c->state = CONN_HANDSHAKE;
		c->tls = tls_io_new(tls, name);
		conn_set_deadline(c, handshake_ms);
		if (name) /* the client speaks first */
			loop_defer(l, &c->soon, LOOP_SOON);
	}
	conn_arm(c);
	return c;
}

void conn_set(struct conn *c, const struct conn_ops *ops, void *up)
{
	c->ops = ops;
	c->up = up;
	if (c->state == CONN_OPEN && !c->in_data && c->left.n)
		loop_defer(c->loop, &c->soon, LOOP_SOON);
}

void *conn_up(const struct conn *c)
{
	return c->up;
}

struct loop *conn_loop(const struct conn *c)
{
	return c->loop;
}

int conn_fd(const struct conn *c)
{
	return c->fd;
}

bool conn_is_tls(const struct conn *c)
{
	return c->tls != NULL;
}

struct str conn_alpn(const struct conn *c)
{
	return c->tls ? tls_io_alpn(c->tls) : STR_NONE;
}

const char *conn_tls_text(const struct conn *c)
{
	return c->tls ? tls_io_text(c->tls) : "";
}

void conn_pause(struct conn *c, bool pause)
{
	if (c->paused == pause)
		return;
	c->paused = pause;
	conn_arm(c);
	if (!pause && c->state == CONN_OPEN && !c->in_data &&
		(c->left.n || (c->tls && tls_io_holds(c->tls))))
		loop_defer(c->loop, &c->soon, LOOP_SOON);
}

uint64_t conn_last_in_ms(const struct conn *c)
{
	return c->last_in_ms;
}

uint64_t conn_last_out_ms(const struct conn *c)
{
	return c->last_out_ms;
}

void conn_close(struct conn *c, unsigned linger_ms)
{
	if (c->state == CONN_HANDSHAKE)
		conn_abort(c);
	else if (c->state == CONN_OPEN)
		conn_start_closing(c, CONN_END_US, linger_ms);
}

void conn_abort(struct conn *c)
{
	if (c->state >= CONN_ENDED)
		return;
	shut(c, CONN_END_US);
	loop_defer(c->loop, &c->soon, LOOP_SOON);
}

bool conn_closing(const struct conn *c)
{
	return c->state >= CONN_CLOSING;
}
