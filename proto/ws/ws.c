/*
 * One WebSocket: its life, sending, time.
 *
 * One timer does all that time asks for: it sleeps until the nearest due time,
 * looks at conf_get(), does what is due and sleeps again. Life of the client is
 * what the stream saw of it; while we ourselves do not read, silence is no sign.
 */
#include "proto/ws/ws.h"

#include "conf/conf.h"
#include "core/base/metrics.h"
#include "proto/ws/ws_priv.h"

/* RFC 6455 7.1.1: how long the peer's Close is awaited once ours has left. */
#define CLOSE_MS 2000

static const uint8_t ws_next[] = {
	[WS_OPEN] = 1 << WS_CLOSING | 1 << WS_ENDING | 1 << WS_CLOSED,
	[WS_CLOSING] = 1 << WS_ENDING | 1 << WS_CLOSED,
	[WS_ENDING] = 1 << WS_CLOSED,
	[WS_CLOSED] = 0,
};

void ws_to(struct ws *w, enum ws_state next)
{
	check(ws_next[w->state] & 1 << next);
	w->state = next;
}

/* Sending. */

void ws_send_frame(struct ws *w, unsigned opcode, struct str payload)
{
	char head[WS_HEAD_OUT_MAX];
	size_t n = ws_head_write(head, opcode, payload.n);

	stream_write2(w->s, str_n(head, n), payload);
}

struct deflate *ws_deflate(struct ws *w)
{
	if (!w->deflate)
		w->deflate = deflate_new();
	return w->deflate;
}

/* The size alone decides: StateChanges are short, and the same for many. */
static void send_message(
	struct ws *w, unsigned opcode, struct str a, struct str b)
{
	char head[WS_HEAD_OUT_MAX];

	if (w->state != WS_OPEN)
		return;
	if (w->terms.on && a.n + b.n >= DEFLATE_LEAST &&
		a.n + b.n <= DEFLATE_MOST) {
		ws_send_frame(w, opcode | WS_PACKED,
			deflate_out(w->set->deflate, &w->terms, ws_deflate(w),
				a, b, loop_now_ms(stream_loop(w->s))));
		return;
	}
	stream_write2(
		w->s, str_n(head, ws_head_write(head, opcode, a.n + b.n)), a);
	if (b.n)
		stream_write(w->s, b);
}

void ws_send(struct ws *w, bool text, struct str msg)
{
	send_message(w, text ? WS_OP_TEXT : WS_OP_BINARY, msg, STR_NONE);
}

void ws_send2(struct ws *w, struct str a, struct str b)
{
	send_message(w, WS_OP_TEXT, a, b);
}

static void send_close(struct ws *w, unsigned code, const char *reason)
{
	char payload[WS_CONTROL_MAX] = {(char)(code >> 8), (char)code};
	size_t n = 0;

	if (code != WS_NO_STATUS) {
		size_t len = min_of(strlen(reason), sizeof(payload) - 2);
		memcpy(payload + 2, reason, len);
		n = 2 + len;
	}
	ws_send_frame(w, WS_OP_CLOSE, str_n(payload, n));
}

static uint64_t timeout_ms(void)
{
	return conf_get()->ws_client_timeout * 1000;
}

/* Closing. */

static uint64_t close_ms(void)
{
	return min_of(timeout_ms(), (uint64_t)CLOSE_MS);
}

/* Nothing is read or sent from now on; the carrier bounds how long it takes. */
static void end(struct ws *w)
{
	ws_to(w, WS_ENDING);
	timer_stop(stream_loop(w->s), &w->timer);
	stream_end(w->s);
}

void ws_fail(struct ws *w, unsigned code, const char *reason)
{
	metrics_add(METRIC_PROTOCOL_ERRORS, 1);
	if (w->state == WS_OPEN) {
		w->code = (uint16_t)code;
		send_close(w, code, reason);
	}
	end(w);
}

void ws_close(struct ws *w, unsigned code, const char *reason)
{
	struct loop *l = stream_loop(w->s);

	if (w->state != WS_OPEN)
		return;
	send_close(w, code, reason ? reason : "");
	w->code = (uint16_t)code;
	ws_to(w, WS_CLOSING);
	if (w->in && !w->in_data)
		buf_fini(&w->in->msg);
	w->alive_ms = loop_now_ms(l);
	timer_set(l, &w->timer, w->alive_ms + close_ms());
	if (!w->in_data) /* the peer's Close must be read */
		stream_resume(w->s);
}

void ws_close_came(struct ws *w, struct str payload)
{
	int code = ws_close_read(payload);

	if (code < 0) {
		ws_fail(w, (unsigned)-code, "malformed Close");
		return;
	}
	if (w->state == WS_OPEN) {
		w->code = (uint16_t)code;
		send_close(w, (unsigned)code, "");
	}
	end(w);
}

/* RFC 6455 5.5.3: of Pings that wait, only the newest need be answered. */
void ws_ping_came(struct ws *w, struct str payload)
{
	if (w->state != WS_OPEN)
		return;
	if (stream_unsent(w->s) <= WS_PONG_BACKLOG) {
		ws_send_frame(w, WS_OP_PONG, payload);
		return;
	}
	if (!w->pong)
		w->pong = mem_new(sizeof(*w->pong));
	w->pong->n = (uint8_t)payload.n;
	memcpy(w->pong->p, payload.p, payload.n);
}

/* Time. */

static uint64_t heartbeat_ms(void)
{
	return conf_get()->ws_heartbeat_interval * 1000;
}

/* When the message under way must be whole; what we do not read is not late. */
static uint64_t message_due_ms(const struct ws *w)
{
	if (!w->in || w->paused)
		return UINT64_MAX;
	return w->in->started_ms + conf_get()->ws_message_timeout * 1000;
}

/* What one look at the stream says; asking costs a system call. */
struct view {
	uint64_t now, alive_ms, out_ms;
	size_t unsent;
	bool silence_counts; /* unless it is we who do not read */
};

static struct view view_of(const struct ws *w)
{
	struct view v = {
		.now = loop_now_ms(stream_loop(w->s)),
		.out_ms = stream_last_out_ms(w->s),
		.unsent = stream_unsent(w->s),
	};

	v.alive_ms = max_of(w->alive_ms, stream_last_in_ms(w->s));
	v.alive_ms = max_of(v.alive_ms, v.out_ms);
	v.silence_counts = !w->paused || v.unsent;
	return v;
}

static uint64_t due_ms(const struct ws *w, const struct view *v)
{
	uint64_t due = w->ping_ms + heartbeat_ms();

	if (v->silence_counts)
		due = min_of(due, v->alive_ms + timeout_ms());
	if (v->unsent)
		due = min_of(due, v->out_ms + timeout_ms());
	due = min_of(due, message_due_ms(w));
	if (!w->set)
		due = min_of(due, v->now + 1000);
	return max_of(due, v->now + 1);
}

/* A shorter timeout gives the client the time that a Ping and its Pong take. */
static void notice_conf(struct ws *w, uint64_t now)
{
	uint64_t timeout_s = conf_get()->ws_client_timeout;

	if (w->timeout_s == timeout_s)
		return;
	w->timeout_s = (uint32_t)timeout_s;
	if (now > heartbeat_ms())
		w->alive_ms = max_of(w->alive_ms, now - heartbeat_ms());
}

/* In WS_CLOSING. What stands before our Close has the time that it had. */
static void await_close(struct ws *w)
{
	struct loop *l = stream_loop(w->s);
	uint64_t now = loop_now_ms(l);
	uint64_t due = max_of(w->alive_ms, stream_last_out_ms(w->s)) +
		       (stream_unsent(w->s) ? timeout_ms() : close_ms());

	if (due <= now)
		stream_reset(w->s);
	else
		timer_set(l, &w->timer, min_of(due, now + CLOSE_MS));
}

static void drop(struct ws *w)
{
	w->code = WS_ABNORMAL;
	stream_reset(w->s);
}

/* What is due; false when that was the end. */
static bool do_due(struct ws *w, const struct view *v)
{
	uint64_t limit = timeout_ms();

	if (v->unsent && v->out_ms + limit <= v->now) {
		drop(w);
		return false;
	}
	if (v->silence_counts && v->alive_ms + limit <= v->now) {
		w->code = WS_GOING_AWAY;
		send_close(w, WS_GOING_AWAY, "no sign of life");
		end(w);
		return false;
	}
	if (message_due_ms(w) <= v->now) {
		ws_fail(w, WS_POLICY, "the message takes too long");
		return false;
	}
	if (w->ping_ms + heartbeat_ms() <= v->now) {
		w->ping_ms = v->now;
		if (w->deflate)
			deflate_rest(w->set->deflate, w->deflate, v->now);
		/* Behind megabytes a Ping asks nothing that they do not. */
		if (v->unsent <= WS_PONG_BACKLOG)
			ws_send_frame(w, WS_OP_PING, STR_NONE);
	}
	return true;
}

static void look(struct ws *w)
{
	struct loop *l = stream_loop(w->s);
	struct view v;

	if (w->state != WS_OPEN)
		return;
	notice_conf(w, loop_now_ms(l));
	v = view_of(w);
	if (do_due(w, &v))
		timer_set(l, &w->timer, due_ms(w, &v));
}

static void on_timer(struct timer *t)
{
	struct ws *w = container_of(t, struct ws, timer);

	if (w->state == WS_CLOSING)
		await_close(w);
	else
		look(w);
}

void ws_set_init(struct ws_set *set)
{
	CDS_INIT_LIST_HEAD(&set->all);
	set->n = 0;
	set->deflate = deflate_pool_new();
}

void ws_set_fini(struct ws_set *set)
{
	check(!set->n);
	deflate_pool_free(steal(set->deflate));
}

void ws_reconfigure(struct ws_set *set)
{
	struct loop *l;
	struct ws *w;

	/* By its own timer: what is due may end it, and others with it. */
	cds_list_for_each_entry (w, &set->all, node) {
		l = stream_loop(w->s);
		if (w->state == WS_OPEN)
			timer_set(l, &w->timer, loop_now_ms(l) + 1);
	}
}

/* The stream. */

static size_t on_data(struct stream *s, char *p, size_t n)
{
	struct ws *w = s->up;
	size_t used;

	w->in_data = true;
	used = ws_in_data(w, p, n);
	w->in_data = false;
	/* A message has begun, and is due before the timer is. */
	if (w->state == WS_OPEN && message_due_ms(w) < w->timer.due_ms)
		timer_set(stream_loop(s), &w->timer, message_due_ms(w));
	return used;
}

static void on_eof(struct stream *s)
{
	struct ws *w = s->up;

	if (w->state >= WS_ENDING)
		return;
	if (w->state == WS_OPEN)
		w->code = WS_ABNORMAL;
	end(w);
}

static void on_room(struct stream *s)
{
	struct ws *w = s->up;
	struct ws_pong *pong = steal(w->pong);

	if (pong && w->state == WS_OPEN)
		ws_send_frame(w, WS_OP_PONG, str_n(pong->p, pong->n));
	free(pong);
	if (w->choked) {
		w->choked = false;
		w->alive_ms = loop_now_ms(stream_loop(s));
		if (!w->paused)
			stream_resume(s);
	}
	if (w->state == WS_OPEN && w->ops->on_room)
		w->ops->on_room(w);
}

static void on_drain(struct stream *s)
{
	struct ws *w = s->up;

	if (w->state != WS_OPEN)
		return;
	if (w->ops->on_drain)
		w->ops->on_drain(w);
	else
		ws_close(w, WS_GOING_AWAY, "");
}

static void free_ws(struct defer *d)
{
	struct ws *w = container_of(d, struct ws, free);

	ws_in_free(w);
	if (w->terms.on)
		deflate_leave(w->set->deflate, &w->terms, w->deflate);
	free(w);
}

static void on_done(struct stream *s, bool clean)
{
	struct ws *w = s->up;
	struct loop *l = stream_loop(s);

	if (w->state == WS_OPEN && !w->code)
		w->code = WS_ABNORMAL;
	ws_to(w, WS_CLOSED);
	timer_stop(l, &w->timer);
	free(steal(w->pong));
	if (w->set) {
		cds_list_del(&w->node);
		w->set->n--;
	}
	metrics_add(METRIC_WEBSOCKETS, -1);
	w->ops->on_closed(w, w->code);
	defer_init(&w->free, free_ws);
	loop_defer(l, &w->free, LOOP_FREE);
}

static const struct stream_ops ws_stream_ops = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_room = on_room,
	.on_done = on_done,
	.on_drain = on_drain,
};

struct ws *ws_accept(struct stream *s, const struct ws_handshake *h,
	const struct ws_want *want, const struct ws_ops *ops, void *up)
{
	struct ws *w = mem_new(sizeof(*w));
	struct buf extension cleanup(buf_fini) = {0};
	struct http_header fields[3];
	size_t n = 0;
	uint64_t now = loop_now_ms(stream_loop(s));

	w->s = s;
	w->ops = ops;
	w->up = up;
	w->max_message = want->max_message;
	w->set = want->set;
	w->ping_ms = w->alive_ms = now;
	w->timeout_s = (uint32_t)conf_get()->ws_client_timeout;
	timer_init(&w->timer, on_timer);
	if (w->set) {
		cds_list_add_tail(&w->node, &w->set->all);
		w->set->n++;
	}
	metrics_add(METRIC_WEBSOCKETS, 1);
	s->ops = &ws_stream_ops;
	s->up = w;
	if (h->accept[0])
		fields[n++] = (struct http_header){
			STR("Sec-WebSocket-Accept"), str_of(h->accept)};
	if (h->protocol)
		fields[n++] = (struct http_header){
			STR("Sec-WebSocket-Protocol"), want->protocol};
	if (h->deflate.on) {
		check(w->set); /* ws_remember() agreed for a set's pool */
		w->terms = h->deflate;
		deflate_agree(w->set->deflate, &w->terms);
		deflate_answer(&w->terms, &extension);
		fields[n++] = (struct http_header){
			STR("Sec-WebSocket-Extensions"), buf_str(&extension)};
	}
	stream_tunnel(s, fields, n);
	look(w);
	return w;
}

void *ws_up(const struct ws *w)
{
	return w->up;
}

struct stream *ws_stream(const struct ws *w)
{
	return w->s;
}

size_t ws_unsent(const struct ws *w)
{
	return w->state == WS_CLOSED ? 0 : stream_unsent(w->s);
}

bool ws_is_open(const struct ws *w)
{
	return w->state == WS_OPEN;
}

void ws_pause(struct ws *w, bool pause)
{
	if (w->paused == pause)
		return;
	w->paused = pause;
	if (pause || w->state >= WS_ENDING)
		return;
	w->alive_ms = loop_now_ms(stream_loop(w->s));
	if (w->in)
		w->in->started_ms = w->alive_ms;
	if (!w->choked && !w->in_data)
		stream_resume(w->s);
}
