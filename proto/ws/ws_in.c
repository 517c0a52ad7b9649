/*
 * Receiving: frames become messages (RFC 6455 5.4).
 *
 * A message of one frame that lies whole in the read buffer goes up from there. All
 * else is gathered in struct ws_in, which grows with the bytes that came and never
 * with a length that was announced.
 */
#include "proto/ws/ws_priv.h"

static struct ws_in *in_of(struct ws *w)
{
	if (!w->in) {
		w->in = mem_new(sizeof(*w->in));
		w->in->started_ms = loop_now_ms(stream_loop(w->s));
	}
	return w->in;
}

void ws_in_free(struct ws *w)
{
	struct ws_in *in = steal(w->in);

	if (!in)
		return;
	buf_fini(&in->msg);
	free(in);
}

/* Between frames: nothing is kept unless a message is under way. */
static void frame_done(struct ws *w)
{
	if (!w->in)
		return;
	if (!w->in->fragments) {
		ws_in_free(w);
		return;
	}
	w->in->head_whole = false;
	w->in->bytes_n = 0;
	w->in->at = 0;
}

static void control_came(struct ws *w, unsigned opcode, struct str payload)
{
	if (opcode == WS_OP_CLOSE)
		ws_close_came(w, payload);
	else if (opcode == WS_OP_PING)
		ws_ping_came(w, payload);
}

/* Does the frame fit into what came before it? What it would make too much? */
static bool head_fits(struct ws *w, const struct ws_head *h)
{
	bool under_way = w->in && w->in->fragments;

	if (ws_is_control(h->opcode))
		return true;
	if ((h->opcode == WS_OP_CONT) != under_way) {
		ws_fail(w, WS_PROTOCOL_ERROR,
			under_way ? "a message is under way"
				  : "nothing to continue");
		return false;
	}
	if (under_way && w->in->fragments >= WS_FRAGMENTS_MAX) {
		ws_fail(w, WS_TOO_BIG, "too many fragments");
		return false;
	}
	return true;
}

/* The first frame of a message in pieces, or one more. */
static void begin_data(struct ws *w, struct ws_in *in)
{
	const struct ws_head *h = &in->head;

	if (h->opcode != WS_OP_CONT) {
		in->text = h->opcode == WS_OP_TEXT;
		in->limit = w->max_message();
		in->utf8 = (struct utf8){0};
		in->packed = h->packed;
		in->packed_n = 0;
	}
	in->fragments++;
	/* Of what is compressed the length says nothing: see ws_unpack(). */
	in->too_big = !in->packed && (h->length > in->limit ||
					     in->msg.n > in->limit - h->length);
}

void ws_too_big(struct ws *w)
{
	struct ws_in *in = w->in;

	w->ops->on_too_big(w, in->text,
		str_n(in->msg.p, min_of(in->msg.n, (size_t)WS_START_MAX)));
	if (w->state == WS_OPEN)
		ws_fail(w, WS_TOO_BIG, "message too big");
}

/* Of a message over the limit only the start is gathered: what lacks of it. */
static size_t start_lacks(const struct ws_in *in)
{
	uint64_t want = min_of(in->limit, (uint64_t)WS_START_MAX);

	return in->msg.n < want ? (size_t)(want - in->msg.n) : 0;
}

/* A whole message lies in in->msg. */
static void message_done(struct ws *w)
{
	struct ws_in *in = w->in;
	struct buf msg cleanup(buf_fini) = {0};
	bool text = in->text;

	if (text && !utf8_whole(&in->utf8)) {
		ws_fail(w, WS_INVALID_DATA, "not UTF-8");
		return;
	}
	buf_move(&msg, &in->msg);
	ws_in_free(w);
	w->ops->on_message(w, text, msg.p ? msg.p : (char[1]){0}, msg.n);
}

static void data_done(struct ws *w)
{
	if (!w->in->head.fin) {
		frame_done(w);
		return;
	}
	if (w->in->packed && w->state == WS_OPEN)
		ws_unpack_end(w);
	if (w->state == WS_OPEN)
		message_done(w);
	else /* closing: messages are dropped */
		ws_in_free(w);
}

static void control_done(struct ws *w)
{
	struct ws_in *in = w->in;
	unsigned opcode = in->head.opcode;
	char payload[WS_CONTROL_MAX];
	size_t n = in->head.length;

	memcpy(payload, in->control, n);
	frame_done(w);
	control_came(w, opcode, str_n(payload, n));
}

bool ws_text_right(struct ws *w, const char *p, size_t n)
{
	if (!w->in->text || utf8_feed(&w->in->utf8, p, n))
		return true;
	ws_fail(w, WS_INVALID_DATA, "not UTF-8");
	return false;
}

/* Keeps a piece of payload, unmasked; false when the WebSocket fails by it. */
static bool keep(struct ws *w, char *p, size_t n)
{
	struct ws_in *in = w->in;

	ws_unmask(p, n, in->head.mask, in->at);
	if (ws_is_control(in->head.opcode)) {
		memcpy(in->control + in->at, p, n);
	} else if (w->state == WS_OPEN && in->packed) {
		ws_unpack(w, str_n(p, n));
	} else if (w->state == WS_OPEN) {
		if (ws_text_right(w, p, n))
			buf_add(&in->msg, p, n);
	}
	in->at += n;
	return w->state < WS_ENDING;
}

static size_t feed_payload(struct ws *w, char *p, size_t n)
{
	struct ws_in *in = w->in;
	bool control = ws_is_control(in->head.opcode);
	bool refused = !control && in->too_big && w->state == WS_OPEN;
	size_t k = (size_t)min_of((uint64_t)n, in->head.length - in->at);

	if (refused)
		k = min_of(k, start_lacks(in));
	if (!keep(w, p, k))
		return n;
	if (refused && !start_lacks(in))
		ws_too_big(w);
	else if (in->at == in->head.length)
		control ? control_done(w) : data_done(w);
	return k;
}

/* All of the frame is here: no copy. */
static void whole_frame(struct ws *w, const struct ws_head *h, char *p)
{
	size_t n = (size_t)h->length;
	bool text = h->opcode == WS_OP_TEXT;

	ws_unmask(p, n, h->mask, 0);
	if (ws_is_control(h->opcode)) {
		control_came(w, h->opcode, str_n(p, n));
		return;
	}
	if (w->state != WS_OPEN)
		return;
	if (text && !utf8_valid(str_n(p, n)))
		ws_fail(w, WS_INVALID_DATA, "not UTF-8");
	else
		w->ops->on_message(w, text, p, n);
}

/* May it go up from the read buffer? Control frames always, if they are here. */
static bool goes_up_whole(
	const struct ws *w, const struct ws_head *h, size_t there)
{
	if (h->length > there)
		return false;
	if (ws_is_control(h->opcode))
		return true;
	return h->fin && h->opcode != WS_OP_CONT && !h->packed &&
	       (w->state != WS_OPEN || h->length <= w->max_message());
}

/* A head that came in pieces is put together first. */
static size_t feed_head(struct ws *w, char *p, size_t n)
{
	struct ws_in *in = w->in;
	size_t kept = in ? in->bytes_n : 0, size;
	char both[WS_HEAD_MAX];
	struct ws_head h;
	int ret;

	if (kept)
		memcpy(both, in->bytes, kept);
	memcpy(both + kept, p, min_of(n, sizeof(both) - kept));
	ret = ws_head_read(
		both, min_of(n + kept, sizeof(both)), w->terms.on, &h);
	if (ret < 0) {
		ws_fail(w, (unsigned)-ret, "malformed frame");
		return n;
	}
	if (ret == 0) {
		in = in_of(w);
		memcpy(in->bytes, both, kept + n);
		in->bytes_n = (uint8_t)(kept + n);
		return n;
	}
	if (!head_fits(w, &h))
		return n;
	size = (size_t)ret - kept;
	if (in)
		in->bytes_n = 0;
	if (goes_up_whole(w, &h, n - size)) {
		if (in && !in->fragments)
			ws_in_free(w);
		whole_frame(w, &h, p + size);
		return size + (size_t)h.length;
	}
	in = in_of(w);
	in->head = h;
	in->head_whole = true;
	in->at = 0;
	if (!ws_is_control(h.opcode))
		begin_data(w, in);
	return size + feed_payload(w, p + size, n - size);
}

size_t ws_in_data(struct ws *w, char *p, size_t n)
{
	size_t used = 0;

	while (used < n && w->state < WS_ENDING) {
		if (w->state == WS_OPEN && w->paused)
			return used;
		if (w->state == WS_OPEN && stream_unsent(w->s) > WS_CHOKE) {
			w->choked = true;
			return used;
		}
		if (w->in && w->in->head_whole)
			used += feed_payload(w, p + used, n - used);
		else
			used += feed_head(w, p + used, n - used);
	}
	return w->state < WS_ENDING ? used : n;
}
