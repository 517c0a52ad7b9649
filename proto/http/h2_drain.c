/*
 * A connection ends in order (RFC 9113 6.8). The first GOAWAY names no stream: the
 * peer opens no more, and what crosses it on the way is served. A PING goes behind
 * it; its answer says that nothing crosses it any more, and the last GOAWAY names
 * the last stream. Who does not answer gets that all the same, H2_DRAIN_MS later.
 */
#include <string.h>

#include "proto/http/h2_priv.h"

static const uint8_t ping[8] = "draining";

/* Those that did not hear of it yet. */
static void tell_streams(struct h2 *h)
{
	struct h2_stream *st;

	cds_list_for_each_entry (st, &h->streams, node) {
		if (st->drains || st->reset || !st->s.ops)
			continue;
		st->drains = true;
		if (st->s.ops->on_drain)
			st->s.ops->on_drain(&st->s);
	}
}

void h2_drain_begin(struct h2 *h)
{
	if (h->state != H2_OPEN || h->terminated || h->drain_ms)
		return;
	h->drain_ms = loop_now_ms(h->pool->loop) + H2_DRAIN_MS;
	if (nghttp2_submit_shutdown_notice(h->ng)) {
		h2_abort(h);
		return;
	}
	h2_flush_soon(h);
	h2_wake_by(h, h->drain_ms);
	tell_streams(h);
}

/* nghttp2 lets a PING overtake what waits: it is asked for it only now. */
void h2_goaway_left(struct h2 *h, const nghttp2_goaway *frame)
{
	if (frame->last_stream_id != INT32_MAX || h->drain_last)
		return;
	if (nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, ping))
		h2_abort(h);
}

static void say_last(struct h2 *h)
{
	h->drain_last = true;
	tell_streams(h);
	/* nghttp2 closes the connection with the last stream. */
	if (nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
		    nghttp2_session_get_last_proc_stream_id(h->ng),
		    NGHTTP2_NO_ERROR, NULL, 0))
		h2_abort(h);
	h2_flush_soon(h);
}

void h2_ping_answered(struct h2 *h, const nghttp2_ping *frame)
{
	if (h2_drain_due(h) != UINT64_MAX &&
		!memcmp(frame->opaque_data, ping, sizeof(ping)))
		say_last(h);
}

uint64_t h2_drain_due(const struct h2 *h)
{
	bool waits = h->drain_ms && !h->drain_last && !h->terminated;

	return waits && h->state == H2_OPEN ? h->drain_ms : UINT64_MAX;
}

void h2_drain_late(struct h2 *h)
{
	say_last(h);
}
