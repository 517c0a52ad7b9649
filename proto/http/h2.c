/*
 * One HTTP/2 connection: its life, its output, what is left to do for its streams.
 */
#include "proto/http/h2.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/http/h2_priv.h"

#define OUTBOUND_MAX 1024 /* frames that wait for a peer that does not read */
#define LAST_WORDS 65536  /* bytes queued before the end, at most */

static const uint8_t h2_next[] = {
	[H2_OPEN] = 1 << H2_ENDING | 1 << H2_CLOSED,
	[H2_ENDING] = 1 << H2_CLOSED,
	[H2_CLOSED] = 0,
};

static void h2_to(struct h2 *h, enum h2_state next)
{
	check(h2_next[h->state] & 1 << next);
	h->state = (uint8_t)next;
}

void h2_flush_soon(struct h2 *h)
{
	if (h->state == H2_OPEN)
		loop_defer(h->pool->loop, &h->flush, LOOP_FLUSH);
}

void h2_todo(struct h2_stream *st, enum h2_todo what)
{
	struct h2 *h = st->h;

	if (!st->todo)
		cds_list_add_tail(&st->todo_node, &h->todo);
	st->todo |= what;
	loop_defer(h->pool->loop, &h->soon, LOOP_SOON);
}

static void do_stream(struct h2_stream *st)
{
	unsigned todo = st->todo;

	cds_list_del(&st->todo_node);
	st->todo = 0;
	if (todo & H2_TODO_RESET) {
		h2_tell_done(st, false);
		return;
	}
	if (todo & H2_TODO_ROOM && st->s.ops && st->s.ops->on_room &&
		!st->out.n && !st->out_ended)
		st->s.ops->on_room(&st->s);
	if (todo & H2_TODO_INPUT)
		h2_deliver(st);
}

/* Once each: what they leave behind is for the next time. */
static void do_streams(struct h2 *h)
{
	struct cds_list_head now;

	CDS_INIT_LIST_HEAD(&now);
	cds_list_splice(&h->todo, &now);
	CDS_INIT_LIST_HEAD(&h->todo);
	while (!cds_list_empty(&now))
		do_stream(cds_list_first_entry(
			&now, struct h2_stream, todo_node));
}

static void on_soon(struct defer *d)
{
	do_streams(container_of(d, struct h2, soon));
}

/* The end. */

static void break_streams(struct h2 *h)
{
	struct h2_stream *st;

	/* Whatever they do, none leaves the list by it. */
	cds_list_for_each_entry (st, &h->streams, node)
		h2_tell_done(st, false);
}

static void h2_close(struct h2 *h)
{
	uint64_t idle_ms = loop_now_ms(h->pool->loop) - h->since_ms;
	/* A drain does not wait for whoever says nothing. */
	bool idle = h->pool->draining && !h->streams_n &&
		    idle_ms >= H2_DRAIN_LINGER_MS;

	h2_to(h, H2_ENDING);
	timer_stop(h->pool->loop, &h->timer);
	break_streams(h);
	conn_close(h->c, idle ? H2_DRAIN_LINGER_MS : H2_LINGER_MS);
}

void h2_abort(struct h2 *h)
{
	if (h->state == H2_CLOSED)
		return;
	if (h->state == H2_OPEN)
		h2_to(h, H2_ENDING);
	timer_stop(h->pool->loop, &h->timer);
	conn_abort(h->c);
}

void h2_terminate(struct h2 *h, uint32_t error_code)
{
	if (h->terminated || h->state != H2_OPEN)
		return;
	h->terminated = true;
	if (nghttp2_session_terminate_session(h->ng, error_code)) {
		h2_abort(h);
		return;
	}
	h2_flush_soon(h);
}

void h2_calm(struct h2 *h, const char *why)
{
	if (h->terminated || h->state != H2_OPEN)
		return;
	metrics_add(METRIC_PROTOCOL_ERRORS, 1);
	metrics_add(METRIC_H2_CALMED, 1);
	log_info("id=%llu peer=%s h2 enhance-your-calm why=\"%s\"",
		(unsigned long long)h->share.id, h->peer, why);
	h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_charge(struct h2 *h, enum h2_cost what)
{
	if (!h2_budget_charge(&h->budget, what, loop_now_ms(h->pool->loop)))
		h2_calm(h, h2_budget_text(what));
}

/* Output. */

/*
 * nghttp2 says what comes next only when the socket wants more: what has been
 * queued can no longer be overtaken.
 */
static void fill_queue(struct h2 *h)
{
	size_t most = h->terminated ? LAST_WORDS : H2_QUEUE;
	const uint8_t *p;
	ssize_t n;

	while (h->state == H2_OPEN && conn_unsent(h->c) < most) {
		n = nghttp2_session_mem_send(h->ng, &p);
		if (n < 0)
			h2_abort(h);
		if (n <= 0)
			return;
		conn_write(h->c, str_n(p, (size_t)n));
	}
}

static void look_at_queue(struct h2 *h)
{
	bool backed_up = conn_unsent(h->c) > 0;

	if (backed_up && !h->backed_up && h->streams_n)
		h->since_ms = loop_now_ms(h->pool->loop);
	h->backed_up = backed_up;
	if (backed_up)
		h2_watch(h);
}

static bool is_over(const struct h2 *h)
{
	return !nghttp2_session_want_read(h->ng) &&
	       !nghttp2_session_want_write(h->ng);
}

static void pump(struct h2 *h)
{
	if (h->state != H2_OPEN)
		return;
	h->pumps++;
	fill_queue(h);
	if (h->state != H2_OPEN)
		return;
	look_at_queue(h);
	if (is_over(h) || (h->terminated && conn_unsent(h->c) >= LAST_WORDS))
		h2_close(h);
}

static void on_flush(struct defer *d)
{
	pump(container_of(d, struct h2, flush));
}

static void on_room(struct conn *c)
{
	struct h2 *h = conn_up(c);

	h->stuck = false;
	pump(h);
}

/* Input. */

static void on_session_error(struct h2 *h, ssize_t ret)
{
	if (ret == NGHTTP2_ERR_FLOODED) {
		h2_calm(h, "too many frames to answer");
	} else if (ret == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
		h2_calm(h, "a head in too many frames");
	} else {
		metrics_add(METRIC_PROTOCOL_ERRORS, 1);
		log_info("id=%llu peer=%s h2 error=\"%s\"",
			(unsigned long long)h->share.id, h->peer,
			nghttp2_strerror((int)ret));
		h2_terminate(h, NGHTTP2_PROTOCOL_ERROR);
	}
}

static size_t on_data(struct conn *c, char *p, size_t n)
{
	struct h2 *h = conn_up(c);
	ssize_t ret;

	if (h->state != H2_OPEN || h->terminated)
		return n;
	ret = nghttp2_session_mem_recv(h->ng, (const uint8_t *)p, n);
	if (ret < 0)
		on_session_error(h, ret);
	else if (nghttp2_session_get_outbound_queue_size(h->ng) > OUTBOUND_MAX)
		h2_calm(h, "too many frames wait");
	h2_flush_soon(h);
	return n;
}

/* There is no half of an HTTP/2 connection: who is gone gets no answers. */
static void on_eof(struct conn *c)
{
	h2_abort(conn_up(c));
}

static void h2_free(struct defer *d)
{
	struct h2 *h = container_of(d, struct h2, free);

	free(h->peer);
	free(h);
}

static void pool_free(struct h2_pool *p)
{
	nghttp2_session_callbacks_del(p->callbacks);
	nghttp2_option_del(p->option);
	free(p);
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct h2 *h = conn_up(c);
	struct h2_pool *p = h->pool;
	struct h2_stream *st, *next;

	h2_to(h, H2_CLOSED);
	timer_stop(p->loop, &h->timer);
	break_streams(h);
	cds_list_for_each_entry_safe (st, next, &h->streams, node)
		h2_forget(st);
	loop_undefer(&h->soon);
	loop_undefer(&h->flush);
	nghttp2_session_del(steal(h->ng));
	cds_list_del(&h->node);
	p->n--;
	metrics_add(METRIC_CONNECTIONS, -1);
	metrics_add(METRIC_H2_CONNECTIONS, -1);
	crowd_leave(p->srv.crowd, CROWD_ADDRESS, &h->share.place);
	defer_init(&h->free, h2_free);
	loop_defer(p->loop, &h->free, LOOP_FREE);
	if (p->dying && !p->n)
		pool_free(p);
}

static const struct conn_ops h2_conn_ops = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_room = on_room,
	.on_closed = on_closed,
};

/* The pool. */

struct h2_pool *h2_pool_new(struct loop *l, const struct http_server *srv)
{
	struct h2_pool *p = mem_new(sizeof(*p));

	p->loop = l;
	p->srv = *srv;
	CDS_INIT_LIST_HEAD(&p->all);
	check(!nghttp2_session_callbacks_new(&p->callbacks) &&
		!nghttp2_option_new(&p->option));
	h2_set_callbacks(p->callbacks);
	/* Windows open as streams take what came. */
	nghttp2_option_set_no_auto_window_update(p->option, 1);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX;
		type++)
		nghttp2_option_set_user_recv_extension_type(
			p->option, (uint8_t)type);
	return p;
}

static void say_settings(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEAD_MAX},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}, /* RFC 8441 3 */
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* RFC 9218 2.1 */
	};

	check(!nghttp2_submit_settings(
		h->ng, NGHTTP2_FLAG_NONE, settings, countof(settings)));
	check(!nghttp2_session_set_local_window_size(
		h->ng, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW));
	h2_flush_soon(h);
}

/* What waits in the kernel can no longer be overtaken either. */
static void keep_kernel_short(int fd)
{
	int bytes = H2_QUEUE;

	/* A socket that is not TCP does without. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes,
		    sizeof(bytes)) < 0)
		return;
}

void h2_take(struct h2_pool *p, struct conn *c, const struct http_share *share)
{
	struct h2 *h = mem_new(sizeof(*h));
	char peer[SOCK_TEXT_MAX];

	sock_peer_text(conn_fd(c), peer);
	h->peer = mem_strdup(peer);
	h->c = c;
	h->pool = p;
	h->share = *share;
	h->since_ms = loop_now_ms(p->loop);
	h2_budget_init(&h->budget, h->since_ms);
	CDS_INIT_LIST_HEAD(&h->streams);
	CDS_INIT_LIST_HEAD(&h->todo);
	defer_init(&h->soon, on_soon);
	defer_init(&h->flush, on_flush);
	timer_init(&h->timer, h2_on_timer);
	cds_list_add_tail(&h->node, &p->all);
	p->n++;
	metrics_add(METRIC_CONNECTIONS, 1);
	metrics_add(METRIC_H2_CONNECTIONS, 1);
	check(!nghttp2_session_server_new2(&h->ng, p->callbacks, h, p->option));
	keep_kernel_short(conn_fd(c));
	say_settings(h);
	h2_watch(h);
	conn_set(c, &h2_conn_ops, h);
}

void h2_drain(struct h2_pool *p)
{
	struct h2 *h;

	p->draining = true;
	/* None leaves the list before the loop goes on. */
	cds_list_for_each_entry (h, &p->all, node)
		h2_drain_begin(h);
}

void h2_reconfigure(struct h2_pool *p)
{
	struct h2 *h;

	/* By its own timer: what is due may end it, and others with it. */
	cds_list_for_each_entry (h, &p->all, node)
		if (h->state == H2_OPEN)
			timer_set(p->loop, &h->timer, loop_now_ms(p->loop) + 1);
}

size_t h2_count(const struct h2_pool *p)
{
	return p->n;
}

void h2_pool_free(struct h2_pool *p)
{
	struct h2 *h;

	p->dying = true;
	if (!p->n)
		pool_free(p);
	else
		cds_list_for_each_entry (h, &p->all, node)
			h2_abort(h); /* on_closed comes in LOOP_SOON */
}
