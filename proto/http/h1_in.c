/*
 * Reading: heads, bodies, tunnels.
 *
 * Reading stops (hold) while the stream takes no more, and while an answer is
 * under way and bytes of the next request are there.
 */
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/http/h1_priv.h"

/* The peer's fault: one answer, if that is still possible, and the end. */
void h1_refuse(struct h1 *h, unsigned status, const char *why)
{
	const struct stream_ops *ops = h->s.ops;

	metrics_add(METRIC_PROTOCOL_ERRORS, 1);
	log_info("id=%llu peer=%s http status=%u why=\"%s\"",
		(unsigned long long)h->share.id, h->q->peer, status, why);
	if (h->state == H1_STREAM && h->head_sent) {
		h1_abort(h);
		return;
	}
	h->s.ops = NULL;
	if (ops)
		ops->on_done(&h->s, false);
	if (h->state == H1_HEAD)
		h1_to(h, H1_STREAM);
	h->in_done = h->is_head = false;
	h->broken = true;
	stream_problem(&h->s, status, why);
	h1_arm(h);
}

static void body_end(struct h1 *h)
{
	h->in_done = true;
	if (h->s.ops && h->s.ops->on_eof && !h->out_ended)
		h->s.ops->on_eof(&h->s);
}

static void start(struct h1 *h)
{
	struct h1_req *q = h->q;
	struct http_header fields[H1_FIELDS_MAX];
	struct http_request r = {
		.method = q->head.method,
		.target = q->head.target,
		.path = q->head.path,
		.query = q->head.query,
		.authority = q->head.authority,
		.protocol = str_of(q->head.protocol),
		.headers = fields,
		.headers_n = h1_head_fields(&q->head, fields),
		.content_length = q->head.content_length,
		.tls = conn_is_tls(h->c),
		.peer = q->peer,
	};

	h1_to(h, H1_STREAM);
	q->in_left = r.content_length;
	h->in_done = r.content_length == 0;
	h->is_head = str_eq(r.method, STR("HEAD"));
	h->http10 = q->head.http10;
	h->close = q->head.close || (h->http10 && !q->head.keep_alive) ||
		   h->share.crowded;
	h1_arm(h);
	if (q->head.expect_other) {
		h1_refuse(h, 417, "only 100-continue can be expected");
		return;
	}
	h->pool->srv.on_request(h->pool->srv.ctx, &h->s, &r);
	if (h->state != H1_STREAM)
		return;
	check(h->s.ops || h->out_ended);
	if (q->head.expect_continue && !h->head_sent)
		conn_write(h->c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	if (h->in_done)
		body_end(h);
}

static size_t feed_head(struct h1 *h, char *p, size_t n)
{
	size_t used;
	int ret;

	if (h->state == H1_IDLE) {
		h1_to(h, H1_HEAD);
		h1_arm(h);
	}
	ret = h1_head_feed(&h->q->head, p, n, &used);
	if (ret == 1)
		start(h);
	else if (ret < 0)
		h1_refuse(h, (unsigned)-ret, h->q->head.why);
	return used;
}

/* Body bytes for the stream; what nobody wants any more is dropped. */
static size_t deliver(struct h1 *h, char *p, size_t n)
{
	const struct stream_ops *ops = h->s.ops;
	size_t took = n;

	if (ops && ops->on_data && !h->out_ended) {
		took = ops->on_data(&h->s, p, n);
		check(took <= n || h->state != H1_STREAM);
	}
	if (h->state != H1_STREAM)
		return n;
	if (h->out_ended) /* from within: nobody comes for the rest */
		took = n;
	if (took < n) {
		h1_hold(h);
		h1_arm(h);
	}
	h->q->in_bytes += took;
	return took;
}

static size_t feed_chunked(struct h1 *h, char *p, size_t n)
{
	struct h1_chunked *c = &h->q->chunked;
	size_t used, took;
	int ret = h1_chunked_feed(c, p, n, &used);

	if (ret < 0) {
		h1_refuse(h, (unsigned)-ret, "malformed chunked body");
		return n;
	}
	if (ret == 2)
		body_end(h);
	if (ret != 1 || used == n)
		return used;
	took = deliver(h, p + used, (size_t)min_of(n - used, c->left));
	if (h->state == H1_STREAM)
		h1_chunked_took(c, took);
	return used + took;
}

static size_t feed_length(struct h1 *h, char *p, size_t n)
{
	size_t took = deliver(h, p, (size_t)min_of(n, h->q->in_left));

	if (h->state != H1_STREAM)
		return n;
	h->q->in_left -= took;
	if (!h->q->in_left)
		body_end(h);
	return took;
}

static size_t feed_stream(struct h1 *h, char *p, size_t n)
{
	if (h->broken)
		return n;
	if (h->in_done) { /* the next request waits for this answer */
		h1_hold(h);
		return 0;
	}
	if (h->q->head.content_length == UINT64_MAX)
		return feed_chunked(h, p, n);
	return feed_length(h, p, n);
}

static size_t feed_tunnel(struct h1 *h, char *p, size_t n)
{
	size_t took = h->s.ops->on_data(&h->s, p, n);

	if (h->state == H1_TUNNEL && took < n)
		h1_hold(h);
	return took;
}

static size_t feed(struct h1 *h, char *p, size_t n)
{
	switch ((enum h1_state)h->state) {
	case H1_IDLE:
	case H1_HEAD:
		return feed_head(h, p, n);
	case H1_STREAM:
		return feed_stream(h, p, n);
	case H1_TUNNEL:
		return feed_tunnel(h, p, n);
	case H1_ENDING:
	case H1_CLOSED:
		break;
	}
	return n;
}

size_t h1_on_data(struct conn *c, char *p, size_t n)
{
	struct h1 *h = conn_up(c);
	size_t used = 0;

	while (used < n && !h->held && h->state < H1_ENDING)
		used += feed(h, p + used, n - used);
	return h->state < H1_ENDING ? used : n;
}
