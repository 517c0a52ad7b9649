/*
 * One HTTP/1.1 client connection: its life and its time.
 */
#include "proto/http/h1.h"

#include "core/base/metrics.h"
#include "proto/http/h1_priv.h"

#define BODY_STEP 65536 /* bytes that buy another timeout */

static const uint8_t h1_next[] = {
	[H1_IDLE] = 1 << H1_HEAD | 1 << H1_ENDING | 1 << H1_CLOSED,
	[H1_HEAD] = 1 << H1_STREAM | 1 << H1_ENDING | 1 << H1_CLOSED,
	[H1_STREAM] =
		1 << H1_IDLE | 1 << H1_TUNNEL | 1 << H1_ENDING | 1 << H1_CLOSED,
	[H1_TUNNEL] = 1 << H1_ENDING | 1 << H1_CLOSED,
	[H1_ENDING] = 1 << H1_CLOSED,
	[H1_CLOSED] = 0,
};

void h1_to(struct h1 *h, enum h1_state next)
{
	check(h1_next[h->state] & 1 << next);
	h->state = (uint8_t)next;
}

static uint64_t timeout_ms(const struct h1 *h)
{
	return http_timeout_ms(&h->share);
}

void h1_arm(struct h1 *h)
{
	h->q->since_ms = loop_now_ms(h->pool->loop);
	timer_set(h->pool->loop, &h->q->timer, h->q->since_ms + timeout_ms(h));
}

void h1_hold(struct h1 *h)
{
	h->held = true;
	conn_pause(h->c, true);
}

void h1_release(struct h1 *h)
{
	if (!h->held)
		return;
	h->held = false;
	conn_pause(h->c, false);
}

static void close_within(struct h1 *h, unsigned linger_ms)
{
	h1_to(h, H1_ENDING);
	if (h->q)
		timer_stop(h->pool->loop, &h->q->timer);
	conn_close(h->c, linger_ms);
}

void h1_close(struct h1 *h)
{
	close_within(h, H1_LINGER_MS);
}

void h1_abort(struct h1 *h)
{
	if (h->state == H1_CLOSED)
		return;
	if (h->state != H1_ENDING)
		h1_to(h, H1_ENDING);
	if (h->q)
		timer_stop(h->pool->loop, &h->q->timer);
	h->aborted = true;
	conn_abort(h->c);
}

static void req_free(struct defer *d)
{
	struct h1_req *q = container_of(d, struct h1_req, finish);

	h1_head_fini(&q->head);
	free(q);
}

void h1_req_drop(struct h1 *h)
{
	struct h1_req *q = steal(h->q);

	if (!q)
		return;
	timer_stop(h->pool->loop, &q->timer);
	loop_undefer(&q->finish);
	defer_init(&q->finish, req_free);
	loop_defer(h->pool->loop, &q->finish, LOOP_FREE);
}

static void ready_for_next(struct h1 *h)
{
	struct h1_req *q = h->q;

	h1_head_fini(&q->head);
	q->chunked = (struct h1_chunked){0};
	q->in_bytes = 0;
	h->head_sent = h->out_ended = h->out_drop = false;
	h->in_done = h->is_head = h->was_backed_up = false;
	h1_to(h, H1_IDLE);
	h1_arm(h);
	h1_release(h);
}

/* After the flush: has the answer left? */
static void on_finish(struct defer *d)
{
	struct h1 *h = container_of(d, struct h1_req, finish)->h;
	const struct stream_ops *ops = h->s.ops;

	if (h->state != H1_STREAM || !h->out_ended || conn_unsent(h->c))
		return; /* on_room comes */
	h->s.ops = NULL;
	if (ops)
		ops->on_done(&h->s, true);
	if (h->state != H1_STREAM)
		return;
	if (h->close || h->eof || h->pool->draining)
		h1_close(h);
	else
		ready_for_next(h);
}

void h1_finish_soon(struct h1 *h)
{
	loop_defer(h->pool->loop, &h->q->finish, LOOP_FREE);
}

/* A body must come; each 64 KB of it buys another timeout. An answer must go. */
static void stream_timer(struct h1 *h)
{
	struct h1_req *q = h->q;
	uint64_t now = loop_now_ms(h->pool->loop), limit = timeout_ms(h);
	uint64_t due = now + limit;

	if (conn_unsent(h->c)) {
		/* What was queued in this very turn has had no time to leave. */
		if (h->was_backed_up && conn_last_out_ms(h->c) + limit <= now) {
			h1_abort(h);
			return;
		}
		h->was_backed_up = true;
	} else if (!h->in_done && !h->held && !h->out_ended) {
		due = q->since_ms + limit * (1 + q->in_bytes / BODY_STEP);
		if (due <= now) {
			h1_refuse(h, 408, "the body takes too long");
			return;
		}
	}
	if (!conn_unsent(h->c))
		h->was_backed_up = false;
	timer_set(h->pool->loop, &q->timer, due);
}

static void on_timer(struct timer *t)
{
	struct h1 *h = container_of(t, struct h1_req, timer)->h;
	uint64_t due = h->q->since_ms + timeout_ms(h);

	/* A reload may have made it longer; a drain does not wait so long. */
	if (h->state < H1_STREAM && !h->pool->draining &&
		due > loop_now_ms(h->pool->loop)) {
		timer_set(h->pool->loop, t, due);
		return;
	}
	switch ((enum h1_state)h->state) {
	case H1_IDLE:
		h1_close(h);
		break;
	case H1_HEAD:
		if (h->pool->draining)
			close_within(h, H1_DRAIN_LINGER_MS);
		else
			h1_refuse(h, 408, "the header takes too long");
		break;
	case H1_STREAM:
		stream_timer(h);
		break;
	case H1_TUNNEL:
	case H1_ENDING:
	case H1_CLOSED:
		break;
	}
}

static void on_eof(struct conn *c)
{
	struct h1 *h = conn_up(c);

	h->eof = true;
	switch ((enum h1_state)h->state) {
	case H1_IDLE:
	case H1_HEAD:
		h1_close(h);
		break;
	case H1_STREAM:
		if (!h->in_done && !h->out_ended)
			h1_abort(h); /* the body will never be whole */
		else if (!h->out_ended && h->s.ops && h->s.ops->on_hangup)
			h->s.ops->on_hangup(&h->s);
		break;
	case H1_TUNNEL:
		if (h->s.ops->on_eof)
			h->s.ops->on_eof(&h->s);
		else
			stream_end(&h->s);
		break;
	case H1_ENDING:
	case H1_CLOSED:
		break;
	}
}

static void on_room(struct conn *c)
{
	struct h1 *h = conn_up(c);

	if (h->state == H1_STREAM && h->out_ended)
		h1_finish_soon(h);
	else if (h->s.ops && h->s.ops->on_room)
		h->s.ops->on_room(&h->s);
}

static void h1_free(struct defer *d)
{
	free(container_of(d, struct h1, free));
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct h1 *h = conn_up(c);
	struct h1_pool *p = h->pool;
	const struct stream_ops *ops = steal(h->s.ops);
	/* A tunnel; of an answer that has left, on_done has been called. */
	bool clean = h->state == H1_ENDING && !h->aborted && why == CONN_END_US;

	h1_to(h, H1_CLOSED);
	cds_list_del(&h->node);
	p->n--;
	metrics_add(METRIC_CONNECTIONS, -1);
	crowd_leave(p->srv.crowd, CROWD_ADDRESS, &h->share.place);
	h1_req_drop(h);
	if (ops)
		ops->on_done(&h->s, clean);
	defer_init(&h->free, h1_free);
	loop_defer(p->loop, &h->free, LOOP_FREE);
	if (p->dying && !p->n)
		free(p);
}

static const struct conn_ops h1_conn_ops = {
	.on_data = h1_on_data,
	.on_eof = on_eof,
	.on_room = on_room,
	.on_closed = on_closed,
};

struct h1_pool *h1_pool_new(struct loop *l, const struct http_server *srv)
{
	struct h1_pool *p = mem_new(sizeof(*p));

	p->loop = l;
	p->srv = *srv;
	CDS_INIT_LIST_HEAD(&p->all);
	return p;
}

void h1_take(struct h1_pool *p, struct conn *c, const struct http_share *share)
{
	struct h1 *h = mem_new(sizeof(*h));

	h->s.vt = &h1_stream_vt;
	h->s.share = &h->share;
	h->share = *share;
	h->c = c;
	h->pool = p;
	h->out_ms = loop_now_ms(p->loop);
	h->q = mem_new(sizeof(*h->q));
	h->q->h = h;
	timer_init(&h->q->timer, on_timer);
	defer_init(&h->q->finish, on_finish);
	sock_peer_text(conn_fd(c), h->q->peer);
	cds_list_add_tail(&h->node, &p->all);
	p->n++;
	metrics_add(METRIC_CONNECTIONS, 1);
	h1_arm(h);
	conn_set(c, &h1_conn_ops, h);
}

/*
 * Whoever is idle is not waited for: a moment for a request that crosses our end
 * of the stream, which would else turn into a reset before the client has read it.
 * A header that has begun may be completed.
 */
static void drain_one(struct h1 *h)
{
	uint64_t soon = loop_now_ms(h->pool->loop) + H1_DRAIN_HEAD_MS;

	if (h->state == H1_IDLE)
		close_within(h, H1_DRAIN_LINGER_MS);
	else if (h->state == H1_HEAD)
		timer_set(h->pool->loop, &h->q->timer,
			min_of(soon, h->q->timer.due_ms));
	else if (h->s.ops && h->s.ops->on_drain)
		h->s.ops->on_drain(&h->s);
}

void h1_drain(struct h1_pool *p)
{
	struct cds_list_head todo;

	p->draining = true;
	/* Callbacks may end any connection: take them off a list of their own. */
	CDS_INIT_LIST_HEAD(&todo);
	cds_list_splice(&p->all, &todo);
	CDS_INIT_LIST_HEAD(&p->all);
	while (!cds_list_empty(&todo)) {
		struct h1 *h = cds_list_first_entry(&todo, struct h1, node);
		cds_list_del(&h->node);
		cds_list_add_tail(&h->node, &p->all);
		drain_one(h);
	}
}

void h1_reconfigure(struct h1_pool *p)
{
	struct h1 *h;

	/* By its own timer: what is due may end it, and others with it. */
	cds_list_for_each_entry (h, &p->all, node)
		if (h->q && timer_is_set(&h->q->timer))
			timer_set(p->loop, &h->q->timer,
				loop_now_ms(p->loop) + 1);
}

size_t h1_count(const struct h1_pool *p)
{
	return p->n;
}

void h1_pool_free(struct h1_pool *p)
{
	struct h1 *h;

	p->dying = true;
	if (!p->n)
		free(p);
	else
		cds_list_for_each_entry (h, &p->all, node)
			h1_abort(h); /* on_closed comes in LOOP_SOON */
}
