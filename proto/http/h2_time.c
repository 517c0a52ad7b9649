/*
 * Deadlines of a connection and of its streams, by one timer: it sleeps until the
 * nearest is due, looks at all of them, and sleeps again. None moves nearer but by
 * what calls h2_watch().
 */
#include "core/base/metrics.h"
#include "proto/http/h2_priv.h"

#define BODY_STEP 65536 /* bytes that buy another timeout */
#define NEVER UINT64_MAX

static uint64_t timeout_ms(const struct h2 *h)
{
	return http_timeout_ms(&h->share);
}

void h2_wake_by(struct h2 *h, uint64_t due_ms)
{
	if (h->state == H2_OPEN &&
		(!timer_is_set(&h->timer) || h->timer.due_ms > due_ms))
		timer_set(h->pool->loop, &h->timer, due_ms);
}

void h2_watch(struct h2 *h)
{
	h2_wake_by(h, loop_now_ms(h->pool->loop) +
			      min_of(timeout_ms(h), (uint64_t)H2_LINGER_MS));
}

/* A request: its body must come, its answer must go. */
static uint64_t request_due(const struct h2_stream *st)
{
	uint64_t limit = timeout_ms(st->h);

	if (st->out.n)
		return st->left_ms + limit;
	if (!st->in_done && !st->held && !st->out_ended && !st->connect)
		return st->since_ms + limit * (1 + st->in_bytes / BODY_STEP);
	return NEVER;
}

/* Its server has said all: the rest must go, and so must the peer. */
static uint64_t tunnel_due(const struct h2_stream *st)
{
	return st->out_ended ? max_of(st->since_ms, st->left_ms) + H2_LINGER_MS
			     : NEVER;
}

static uint64_t stream_due(const struct h2_stream *st)
{
	if (st->reset)
		return NEVER;
	switch ((enum h2_stream_state)st->state) {
	case H2S_HEAD:
		return st->since_ms + timeout_ms(st->h);
	case H2S_REQUEST:
		return request_due(st);
	case H2S_TUNNEL:
		return tunnel_due(st);
	case H2S_DONE:
		return st->since_ms + H2_LINGER_MS;
	case H2S_GONE:
		break;
	}
	return NEVER;
}

static void stream_late(struct h2_stream *st)
{
	switch ((enum h2_stream_state)st->state) {
	case H2S_HEAD: /* nothing else can come on the connection */
		metrics_add(METRIC_PROTOCOL_ERRORS, 1);
		h2_terminate(st->h, NGHTTP2_NO_ERROR);
		break;
	case H2S_REQUEST:
		if (st->out.n)
			h2_reset(st, NGHTTP2_CANCEL);
		else
			h2_refuse(st, 408, "the body takes too long");
		break;
	case H2S_TUNNEL:
		h2_reset(st, NGHTTP2_CANCEL);
		break;
	case H2S_DONE:
		h2_reset(st, NGHTTP2_NO_ERROR);
		break;
	case H2S_GONE:
		break;
	}
}

/* The nearest due time of what is not late. */
static uint64_t look_at_streams(struct h2 *h, uint64_t now)
{
	struct h2_stream *st;
	uint64_t nearest = NEVER, due;

	cds_list_for_each_entry (st, &h->streams, node) {
		due = stream_due(st);
		if (due <= now) {
			stream_late(st);
			due = stream_due(st);
		}
		nearest = min_of(nearest, due);
	}
	return nearest;
}

static uint64_t conn_due(const struct h2 *h)
{
	if (h->backed_up)
		return max_of(h->since_ms, conn_last_out_ms(h->c)) +
		       timeout_ms(h);
	return h->streams_n ? NEVER : h->since_ms + timeout_ms(h);
}

/* False: it has another chance, as what was queued just now may yet leave. */
static bool conn_late(struct h2 *h)
{
	if (!h->backed_up) {
		h2_terminate(h, NGHTTP2_NO_ERROR);
		return true;
	}
	if (h->stuck)
		h2_abort(h);
	h->stuck = !h->stuck;
	return !h->stuck;
}

void h2_on_timer(struct timer *t)
{
	struct h2 *h = container_of(t, struct h2, timer);
	uint64_t now = loop_now_ms(h->pool->loop), due;

	if (h2_drain_due(h) <= now)
		h2_drain_late(h);
	if (conn_due(h) <= now && conn_late(h))
		return;
	due = min_of(look_at_streams(h, now), conn_due(h));
	due = min_of(due, h2_drain_due(h));
	if (h->state == H2_OPEN && due != NEVER)
		timer_set(h->pool->loop, t, max_of(due, now + 1));
}
