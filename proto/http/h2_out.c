/*
 * The stream seam over HTTP/2: what the server of a stream calls. Bytes wait in
 * st->out until nghttp2 asks for them: when it is the stream's turn, its window
 * is open and the socket has room.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "proto/http/h2_priv.h"

#define FIELDS_MAX 32
#define HONEST_PIECE 1024 /* bytes a DATA frame has, unless there is less */

static struct h2_stream *of(const struct stream *s)
{
	return container_of(s, struct h2_stream, s);
}

static uint64_t now_ms(const struct h2_stream *st)
{
	return loop_now_ms(st->h->pool->loop);
}

/* Nothing more leaves but RST_STREAM; on_done comes from the loop. */
void h2_reset(struct h2_stream *st, uint32_t error_code)
{
	if (st->reset || st->state == H2S_GONE)
		return;
	st->reset = true;
	buf_fini(&st->out);
	if (nghttp2_submit_rst_stream(
		    st->h->ng, NGHTTP2_FLAG_NONE, st->id, error_code))
		h2_abort(st->h);
	h2_flush_soon(st->h);
	if (st->state != H2S_DONE)
		h2_todo(st, H2_TODO_RESET);
}

/* Fields that belong to HTTP/1.1's connections (RFC 9113 8.2.2). */
static bool is_of_connection(struct str name)
{
	static const char *const names[] = {"connection", "upgrade",
		"keep-alive", "proxy-connection", "transfer-encoding"};

	for (size_t i = 0; i < countof(names); i++)
		if (str_ieq(name, str_of(names[i])))
			return true;
	return false;
}

/* A header under construction; its pieces lie in text until it is handed over. */
struct answer {
	struct buf text;
	size_t n;
	struct http_header field[FIELDS_MAX];
};

/* What breaks a field's rules becomes a space: see h1_answer.h. */
static void add(struct answer *a, struct str name, struct str value)
{
	check(a->n < FIELDS_MAX);
	a->field[a->n++] = (struct http_header){name, value};
}

static struct str clean(struct answer *a, struct str value)
{
	char *to = a->text.p + a->text.n;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		to[i] = (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c;
	}
	a->text.n += value.n;
	/* RFC 9113 8.2.1: no space around it. */
	return str_trim(str_n(to, value.n));
}

static void submit(struct h2_stream *st, struct answer *a)
{
	nghttp2_nv nv[FIELDS_MAX];
	nghttp2_data_provider from = {
		.source.ptr = st, .read_callback = h2_on_read};
	size_t room = 0;

	for (size_t i = 0; i < a->n; i++)
		room += a->field[i].value.n;
	buf_room(&a->text, room + 1);
	for (size_t i = 0; i < a->n; i++) {
		struct str v = clean(a, a->field[i].value);
		nv[i] = (nghttp2_nv){(uint8_t *)a->field[i].name.p,
			(uint8_t *)v.p, a->field[i].name.n, v.n,
			NGHTTP2_NV_FLAG_NONE};
	}
	st->head_sent = true;
	metrics_add(METRIC_HTTP_REQUESTS, 1);
	if (nghttp2_submit_response(st->h->ng, st->id, nv, a->n, &from))
		h2_reset(st, NGHTTP2_INTERNAL_ERROR);
	h2_flush_soon(st->h);
	buf_fini(&a->text);
}

static void begin(struct h2_stream *st, struct answer *a, const char *status,
	const struct http_header *f, size_t n)
{
	*a = (struct answer){0};
	add(a, STR(":status"), str_of(status));
	add(a, STR("date"),
		str_of(h1_date(&st->h->pool->date, clock_real_ms())));
	for (size_t i = 0; i < n; i++)
		if (!is_of_connection(f[i].name))
			add(a, f[i].name, f[i].value);
}

static void v_head(struct stream *s, unsigned status,
	const struct http_header *f, size_t n, uint64_t length)
{
	struct h2_stream *st = of(s);
	bool bare = status == 204 || status == 304;
	struct answer a;
	char code[12], size[24];

	if (st->state != H2S_REQUEST || st->reset)
		return;
	check(!st->head_sent && status >= 200 && status < 1000);
	snprintf(code, sizeof(code), "%u", status);
	begin(st, &a, code, f, n);
	if (length != UINT64_MAX && !bare) {
		snprintf(
			size, sizeof(size), "%llu", (unsigned long long)length);
		add(&a, STR("content-length"), str_of(size));
	}
	st->out_drop = st->is_head || bare;
	st->out_left = length;
	submit(st, &a);
	if (length == UINT64_MAX) /* events, as they happen */
		h2_go_first(st, true);
}

static void v_tunnel(struct stream *s, const struct http_header *f, size_t n)
{
	struct h2_stream *st = of(s);
	struct answer a;

	if (st->state != H2S_REQUEST || st->reset)
		return;
	check(st->connect && !st->head_sent);
	begin(st, &a, "200", f, n);
	st->out_left = UINT64_MAX;
	submit(st, &a);
	st->state = H2S_TUNNEL;
	h2_todo(st, H2_TODO_INPUT); /* what came early */
}

static void resume(struct h2_stream *st)
{
	if (st->deferred) {
		st->deferred = false;
		if (nghttp2_session_resume_data(st->h->ng, st->id))
			h2_abort(st->h);
	}
	h2_flush_soon(st->h);
}

static void v_write(struct stream *s, struct str a, struct str b)
{
	struct h2_stream *st = of(s);
	size_t n = a.n + b.n;

	if (st->state != H2S_REQUEST && st->state != H2S_TUNNEL)
		return;
	if (st->reset || !n || (st->state == H2S_TUNNEL && st->out_ended))
		return;
	check(st->head_sent && !st->out_ended);
	if (st->out_drop)
		return;
	if (st->out_left != UINT64_MAX) {
		check(n <= st->out_left);
		st->out_left -= n;
	}
	if (!st->out.n) {
		st->left_ms = now_ms(st);
		st->pump = st->h->pumps;
		h2_watch(st->h);
	}
	buf_room(&st->out, n);
	buf_adds(&st->out, a);
	buf_adds(&st->out, b);
	st->out_full = true;
	resume(st);
}

static void v_end(struct stream *s)
{
	struct h2_stream *st = of(s);

	if ((st->state != H2S_REQUEST && st->state != H2S_TUNNEL) || st->reset)
		return;
	if (st->state == H2S_TUNNEL && st->out_ended)
		return;
	check(st->head_sent && !st->out_ended);
	if (st->out_left && st->out_left != UINT64_MAX && !st->out_drop) {
		/* The peer must not take it for whole. */
		h2_reset(st, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	st->out_ended = true;
	st->since_ms = now_ms(st);
	resume(st);
	if (st->in.n) /* nobody comes for it */
		h2_todo(st, H2_TODO_INPUT);
	h2_watch(st->h);
}

static void v_reset(struct stream *s)
{
	struct h2_stream *st = of(s);

	if (st->state == H2S_REQUEST || st->state == H2S_TUNNEL)
		h2_reset(st, st->state == H2S_TUNNEL ? NGHTTP2_CANCEL
						     : NGHTTP2_INTERNAL_ERROR);
}

static void v_resume(struct stream *s)
{
	struct h2_stream *st = of(s);

	if (st->held && !st->in_data && st->state < H2S_DONE)
		h2_todo(st, H2_TODO_INPUT);
}

static size_t v_unsent(const struct stream *s)
{
	return of(s)->out.n;
}

static uint64_t v_last_in_ms(const struct stream *s)
{
	return of(s)->in_ms;
}

/* While output waits, what left last counts too: it may have begun just now. */
static uint64_t v_last_out_ms(const struct stream *s)
{
	const struct h2_stream *st = of(s);

	return st->out.n ? max_of(st->out_ms, st->left_ms) : st->out_ms;
}

static struct loop *v_loop(const struct stream *s)
{
	return of(s)->h->pool->loop;
}

/* The peer opens its window for each piece, and may. */
static void earn(struct h2_stream *st, size_t n)
{
	if (!st->out.n || n >= HONEST_PIECE)
		h2_budget_earn(&st->h->budget, H2_COST_WINDOW, 2);
}

ssize_t h2_on_read(nghttp2_session *ng, int32_t id, uint8_t *p, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *up)
{
	struct h2_stream *st = source->ptr;

	n = min_of(n, st->out.n);
	if (!n && !st->out_ended) {
		st->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n) {
		memcpy(p, st->out.p, n);
		buf_drop(&st->out, n);
		st->left_ms = now_ms(st);
		/* It was there when all was sent that could be. */
		if (st->pump + 1 < st->h->pumps)
			st->out_ms = st->left_ms;
		earn(st, n);
	}
	if (!st->out.n) {
		buf_fini(&st->out);
		if (st->out_full)
			h2_todo(st, H2_TODO_ROOM);
		st->out_full = false;
		if (st->out_ended)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)n;
}

const struct stream_vt h2_stream_vt = {
	.head = v_head,
	.write = v_write,
	.end = v_end,
	.reset = v_reset,
	.tunnel = v_tunnel,
	.resume = v_resume,
	.unsent = v_unsent,
	.last_in_ms = v_last_in_ms,
	.last_out_ms = v_last_out_ms,
	.loop = v_loop,
};
