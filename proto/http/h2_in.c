/*
 * What comes: the callbacks of nghttp2. It has checked frames against RFC 9113 by
 * itself, and fields against 8.2 and 8.3; what breaks a rule there it answers with
 * RST_STREAM or GOAWAY, and we count.
 */
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/http/h2_priv.h"

static uint64_t now_ms(const struct h2 *h)
{
	return loop_now_ms(h->pool->loop);
}

static struct h2_stream *stream_of(struct h2 *h, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(h->ng, id) : NULL;
}

/* Life and end of a stream. */

static struct h2_stream *stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *st = mem_new(sizeof(*st));

	st->s.vt = &h2_stream_vt;
	st->s.share = &h->share;
	st->h = h;
	st->id = id;
	st->head = mem_new(sizeof(*st->head));
	st->since_ms = st->in_ms = st->left_ms = st->out_ms = now_ms(h);
	cds_list_add_tail(&st->node, &h->streams);
	h->streams_n++;
	h2_watch(h);
	return st;
}

static void head_drop(struct h2_stream *st)
{
	struct h2_head *head = steal(st->head);

	if (!head)
		return;
	h2_head_fini(head);
	free(head);
}

void h2_tell_done(struct h2_stream *st, bool clean)
{
	const struct stream_ops *ops = steal(st->s.ops);

	if (st->state >= H2S_DONE)
		return;
	st->state = H2S_DONE;
	st->since_ms = now_ms(st->h);
	buf_fini(&st->out);
	if (ops)
		ops->on_done(&st->s, clean);
}

static void stream_free(struct defer *d)
{
	struct h2_stream *st = container_of(d, struct h2_stream, free);

	head_drop(st);
	buf_fini(&st->in);
	buf_fini(&st->out);
	free(st);
}

void h2_forget(struct h2_stream *st)
{
	struct h2 *h = st->h;

	h2_tell_done(st, false);
	st->state = H2S_GONE;
	if (st->todo)
		cds_list_del(&st->todo_node);
	cds_list_del(&st->node);
	if (!--h->streams_n) {
		h->since_ms = now_ms(h);
		h2_watch(h);
	}
	defer_init(&st->free, stream_free);
	loop_defer(h->pool->loop, &st->free, LOOP_FREE);
}

void h2_refuse(struct h2_stream *st, unsigned status, const char *why)
{
	const struct stream_ops *ops = st->s.ops;
	struct h2 *h = st->h;

	metrics_add(METRIC_PROTOCOL_ERRORS, 1);
	log_info("id=%llu stream=%d peer=%s http status=%u why=\"%s\"",
		(unsigned long long)h->share.id, (int)st->id, h->peer, status,
		why);
	if (st->head_sent) {
		h2_reset(st, NGHTTP2_PROTOCOL_ERROR);
		return;
	}
	st->s.ops = NULL;
	if (ops)
		ops->on_done(&st->s, false);
	st->is_head = false;
	st->broken = true;
	stream_problem(&st->s, status, why);
}

/* Bodies and tunnels. */

static void take(struct h2_stream *st, size_t n)
{
	if (st->state != H2S_TUNNEL)
		st->in_bytes += n;
	/* The windows open again by as much. */
	if (n && nghttp2_session_consume(st->h->ng, st->id, n))
		h2_abort(st->h);
}

static bool is_deaf(const struct h2_stream *st)
{
	return !st->s.ops || st->state >= H2S_DONE || st->broken || st->reset ||
	       st->out_ended;
}

/* To its server; how many were taken. What nobody wants is dropped. */
static size_t offer(struct h2_stream *st, char *p, size_t n)
{
	size_t k;

	if (is_deaf(st))
		return n;
	if (st->connect && st->state != H2S_TUNNEL)
		return 0; /* a login takes its time */
	if (!st->s.ops->on_data)
		return n;
	st->in_data = true;
	k = st->s.ops->on_data(&st->s, p, n);
	st->in_data = false;
	if (is_deaf(st))
		return n;
	check(k <= n);
	return k;
}

static void tell_eof(struct h2_stream *st)
{
	if (!st->in_done || st->in.n || st->eof_told || is_deaf(st) ||
		(st->connect && st->state != H2S_TUNNEL))
		return;
	st->eof_told = true;
	if (st->s.ops->on_eof)
		st->s.ops->on_eof(&st->s);
	else if (st->state == H2S_TUNNEL)
		stream_end(&st->s);
}

void h2_deliver(struct h2_stream *st)
{
	size_t k;

	if (st->h->state != H2_OPEN || st->state == H2S_GONE)
		return;
	if (st->in.n) {
		k = offer(st, st->in.p, st->in.n);
		buf_drop(&st->in, k);
		take(st, k);
		h2_flush_soon(st->h);
	}
	st->held = st->in.n > 0;
	if (st->state == H2S_REQUEST)
		st->since_ms = now_ms(st->h);
	if (!st->held)
		buf_fini(&st->in);
	tell_eof(st);
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id,
	const uint8_t *data, size_t n, void *up)
{
	struct h2 *h = up;
	struct h2_stream *st = stream_of(h, id);
	char *p = (char *)data; /* lies in what on_data of conn.h lent */
	size_t k = 0;

	if (!st || h->state != H2_OPEN || h->terminated) {
		nghttp2_session_consume(ng, id, n);
		return 0;
	}
	st->in_ms = now_ms(h);
	if (!st->held) {
		k = offer(st, p, n);
		take(st, k);
	}
	if (k < n) {
		st->held = true;
		buf_add(&st->in, p + k, n - k);
	}
	return 0;
}

/* Requests. */

void h2_go_first(struct h2_stream *st, bool first)
{
	/* RFC 9218, with our view in place of the client's. */
	const nghttp2_extpri pri = {
		.urgency = first ? 1 : NGHTTP2_EXTPRI_DEFAULT_URGENCY,
		.inc = 1, /* take turns */
	};

	if (nghttp2_session_change_extpri_stream_priority(
		    st->h->ng, st->id, &pri, 1))
		h2_abort(st->h);
}

static void say_continue(struct h2_stream *st)
{
	nghttp2_nv nv = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, 0};

	if (nghttp2_submit_headers(st->h->ng, NGHTTP2_FLAG_NONE, st->id, NULL,
		    &nv, 1, NULL) < 0)
		h2_reset(st, NGHTTP2_INTERNAL_ERROR);
}

static void start(struct h2_stream *st, bool end)
{
	struct h2 *h = st->h;
	struct h2_head *head = st->head;
	struct http_request r;
	unsigned status = h2_head_read(head, end, &r);

	st->state = H2S_REQUEST;
	st->since_ms = now_ms(h);
	st->connect = r.extended_connect;
	st->is_head = str_eq(r.method, STR("HEAD"));
	r.tls = conn_is_tls(h->c);
	r.peer = h->peer;
	h2_go_first(st, st->connect);
	if (status == 431)
		h2_charge(h, H2_COST_HEADER);
	if (status) {
		h2_refuse(st, status, head->why);
	} else {
		h->pool->srv.on_request(h->pool->srv.ctx, &st->s, &r);
		check(st->s.ops || st->out_ended || st->reset);
		if (head->expect_continue && !st->head_sent && !st->reset)
			say_continue(st);
	}
	if (h->share.crowded) /* it has been told why */
		h2_drain_begin(h);
	head_drop(st);
}

static int on_begin_headers(
	nghttp2_session *ng, const nghttp2_frame *frame, void *up)
{
	struct h2 *h = up;
	struct h2_stream *st;

	if (frame->hd.type != NGHTTP2_HEADERS ||
		frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (h->drain_last) /* which may not have left yet */
		return nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE,
			frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
	st = stream_new(h, frame->hd.stream_id);
	if (nghttp2_session_set_stream_user_data(ng, st->id, st)) {
		h2_forget(st);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame,
	const uint8_t *name, size_t name_n, const uint8_t *value,
	size_t value_n, uint8_t flags, void *up)
{
	struct h2 *h = up;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);

	if (!st || h->terminated)
		return 0;
	if (st->head) {
		if (!h2_head_add(st->head, str_n(name, name_n),
			    str_n(value, value_n)))
			h2_calm(h, "a flood of header fields");
		return 0;
	}
	/* Trailers say nothing to us. */
	st->trailer += (uint32_t)(name_n + value_n + 32);
	if (st->trailer > H2_HEAD_MAX)
		h2_calm(h, "a flood of trailer fields");
	return 0;
}

/* RFC 9113 8.2: malformed is the whole message. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame,
	const uint8_t *name, size_t name_n, const uint8_t *value,
	size_t value_n, uint8_t flags, void *up)
{
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Frames. */

static int on_begin_frame(
	nghttp2_session *ng, const nghttp2_frame_hd *hd, void *up)
{
	struct h2 *h = up;

	switch (hd->type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS:
	case NGHTTP2_RST_STREAM: /* by what it does to a stream */
		break;
	case NGHTTP2_WINDOW_UPDATE:
		h2_charge(h, H2_COST_WINDOW);
		break;
	case NGHTTP2_CONTINUATION:
		h2_charge(h, H2_COST_HEADER);
		break;
	default:
		h2_charge(h, H2_COST_CONTROL);
	}
	return 0;
}

/* Whatever nghttp2 does not know is looked at by nobody, but counted. */
static int on_unknown(nghttp2_session *ng, void **payload,
	const nghttp2_frame_hd *hd, void *up)
{
	h2_charge(up, H2_COST_CONTROL);
	return NGHTTP2_ERR_CANCEL;
}

static void end_came(struct h2_stream *st)
{
	st->in_done = true;
	st->in_ms = now_ms(st->h);
	tell_eof(st);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *up)
{
	struct h2 *h = up;
	struct h2_stream *st = stream_of(h, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (h->state != H2_OPEN || h->terminated)
		return 0;
	if (frame->hd.type == NGHTTP2_PING &&
		frame->hd.flags & NGHTTP2_FLAG_ACK)
		h2_ping_answered(h, &frame->ping);
	if (!st)
		return 0;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (st->state == H2S_HEAD)
			start(st, end);
		if (end)
			end_came(st);
		break;
	case NGHTTP2_DATA:
		if (end)
			end_came(st);
		else if (frame->hd.length <= frame->data.padlen)
			h2_charge(h, H2_COST_EMPTY);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		st->in_ms = now_ms(h);
		break;
	default:
		break;
	}
	return 0;
}

static int on_invalid_frame(
	nghttp2_session *ng, const nghttp2_frame *frame, int error, void *up)
{
	metrics_add(METRIC_PROTOCOL_ERRORS, 1);
	h2_charge(up, H2_COST_BROKEN);
	return 0;
}

/* END_STREAM has left: who is not done sending is told to stop (8.1). */
static void end_left(struct h2_stream *st)
{
	bool tunnel = st->state == H2S_TUNNEL;

	h2_tell_done(st, true);
	if (nghttp2_session_get_stream_remote_close(st->h->ng, st->id))
		return;
	/* A tunnel's peer may still read what was said last: it has a while. */
	if (!tunnel)
		h2_reset(st, NGHTTP2_NO_ERROR);
	h2_watch(st->h);
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *up)
{
	struct h2_stream *st = stream_of(up, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_GOAWAY)
		h2_goaway_left(up, &frame->goaway);
	if (st &&
		(frame->hd.type == NGHTTP2_DATA ||
			frame->hd.type == NGHTTP2_HEADERS) &&
		frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		end_left(st);
	return 0;
}

static int on_not_sent(
	nghttp2_session *ng, const nghttp2_frame *frame, int error, void *up)
{
	struct h2_stream *st = stream_of(up, frame->hd.stream_id);

	if (st && frame->hd.type == NGHTTP2_HEADERS)
		h2_reset(st, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

static int on_stream_close(
	nghttp2_session *ng, int32_t id, uint32_t error, void *up)
{
	struct h2 *h = up;
	struct h2_stream *st = stream_of(h, id);

	if (!st)
		return 0;
	if (st->state < H2S_DONE && !st->reset)
		h2_charge(h, H2_COST_BROKEN);
	if (st->in.n)
		nghttp2_session_consume_connection(ng, st->in.n);
	h2_forget(st);
	return 0;
}

void h2_set_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(
		cb, on_begin_frame);
	nghttp2_session_callbacks_set_unpack_extension_callback(cb, on_unknown);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(
		cb, on_invalid_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
		cb, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
		cb, on_invalid_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(
		cb, on_not_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(
		cb, on_stream_close);
}
