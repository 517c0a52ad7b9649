/*
 * A front between fakes: a backend that keeps calls until the test answers them,
 * and streams whose other end is the test.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/crypto.h"
#include "proto/front/front.h"

#define FAKE_CALLS 64
#define BASIC_ALICE "Basic YWxpY2U6cHc=" /* alice:pw */
#define BASIC_BOB "Basic Ym9iOnB3"	 /* bob:pw */

/* ---- the backend ----------------------------------------------------------- */

struct fake_call {
	struct call *c; /* NULL: answered or cancelled */
	enum call_kind kind;
	unsigned flags;
	uint64_t conn;
	bool with_login;
	struct login login;
	struct buf head, body;
	bool streamed, ended; /* its body */
	size_t took;	      /* bytes of its answer */
};

struct fake_backend {
	struct backend b;
	struct fake_call calls[FAKE_CALLS]; /* as they came */
	size_t n;
	size_t cancelled;
	size_t room; /* bytes that a streamed body may still have */
	size_t watches, unwatches;
	bool ready;
};

static void fake_submit(struct backend *b, struct call *c,
	const struct call_open *o, struct buf *body)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);
	struct fake_call *k = &fb->calls[fb->n];

	assert_true(fb->n < FAKE_CALLS);
	fb->n++;
	k->c = c;
	c->id = fb->n;
	k->kind = o->kind;
	k->flags = o->flags;
	k->conn = o->conn;
	k->with_login = o->login != NULL;
	if (o->login)
		k->login = *o->login;
	buf_adds(&k->head, o->head);
	buf_move(&k->body, body);
}

static void fake_open(
	struct backend *b, struct call *c, const struct call_open *o)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);
	struct buf none = {0};

	fake_submit(b, c, o, &none);
	fb->calls[fb->n - 1].streamed = true;
}

static size_t fake_write(
	struct backend *b, struct call *c, const char *p, size_t n)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);
	struct fake_call *k = &fb->calls[c->id - 1];

	assert_true(k->c == c && k->streamed && !k->ended);
	n = min_of(n, fb->room);
	fb->room -= n;
	buf_add(&k->body, p, n);
	return n;
}

static void fake_finish(struct backend *b, struct call *c)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);
	struct fake_call *k = &fb->calls[c->id - 1];

	assert_true(k->c == c && k->streamed && !k->ended);
	k->ended = true;
}

static void fake_took(struct backend *b, struct call *c, size_t n)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);

	assert_true(fb->calls[c->id - 1].c == c);
	fb->calls[c->id - 1].took += n;
}

static void fake_cancel(struct backend *b, struct call *c)
{
	struct fake_backend *fb = container_of(b, struct fake_backend, b);

	fb->calls[c->id - 1].c = NULL;
	fb->cancelled++;
	c->id = 0;
}

static bool fake_ready(const struct backend *b)
{
	return container_of(b, struct fake_backend, b)->ready;
}

static const struct backend_ops fake_backend_ops = {
	.submit = fake_submit,
	.open = fake_open,
	.write = fake_write,
	.end = fake_finish,
	.took = fake_took,
	.cancel = fake_cancel,
	.ready = fake_ready,
};

/* Answers the i-th call that came. */
static inline void answer(
	struct fake_backend *fb, size_t i, unsigned status, const char *body)
{
	struct call *c = fb->calls[i].c;

	assert_true(i < fb->n);
	assert_non_null(c);
	fb->calls[i].c = NULL;
	c->id = 0;
	c->on_answer(c, status, str_of(body));
}

static inline void answer_login(
	struct fake_backend *fb, size_t i, uint64_t account, uint32_t version)
{
	struct call *c = fb->calls[i].c;
	struct login l = {.account = account, .version = version};
	struct buf b cleanup(buf_fini) = {0};

	assert_int_equal(fb->calls[i].kind, CALL_LOGIN);
	assert_non_null(c);
	buf_add(&b, &l, sizeof(l));
	buf_addz(&b, "name@example.org");
	fb->calls[i].c = NULL;
	c->id = 0;
	c->on_answer(c, 200, buf_str(&b));
}

/* ---- streams --------------------------------------------------------------- */

struct fake_stream {
	struct stream s;
	struct cds_list_head node; /* of the world's */
	struct http_share own_share;
	struct loop *loop;
	struct buf in;	   /* to be taken by on_data */
	struct buf out;	   /* body, or what went into the tunnel */
	struct buf fields; /* "Name: value\n" each */
	unsigned status;
	size_t unsent;
	uint64_t length; /* announced */
	size_t offered;	 /* bytes of in that on_data has refused */
	bool in_end, eof, head, ended, reset, tunnel, resumed;
	bool stuck; /* unsent does not move */
};

static struct fake_stream *fake_of(const struct stream *s)
{
	return container_of(s, struct fake_stream, s);
}

static void fake_fields(
	struct fake_stream *fs, const struct http_header *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(&fs->fields, "%.*s: %.*s\n", STR_ARG(h[i].name),
			STR_ARG(h[i].value));
}

static void fake_head(struct stream *s, unsigned status,
	const struct http_header *h, size_t n, uint64_t length)
{
	struct fake_stream *fs = fake_of(s);

	assert_false(fs->head);
	assert_true(status >= 200);
	fs->head = true;
	fs->status = status;
	fs->length = length;
	fake_fields(fs, h, n);
}

static void fake_send(struct stream *s, struct str a, struct str b)
{
	struct fake_stream *fs = fake_of(s);

	assert_true(fs->head && !fs->ended);
	buf_adds(&fs->out, a);
	buf_adds(&fs->out, b);
}

static void fake_end(struct stream *s)
{
	assert_false(fake_of(s)->ended);
	fake_of(s)->ended = true;
}

static void fake_reset(struct stream *s)
{
	fake_of(s)->reset = true;
}

static void fake_tunnel(struct stream *s, const struct http_header *h, size_t n)
{
	struct fake_stream *fs = fake_of(s);

	assert_false(fs->head);
	fs->head = fs->tunnel = true;
	fs->status = 101;
	fake_fields(fs, h, n);
}

static void fake_resume(struct stream *s)
{
	fake_of(s)->resumed = true;
}

static size_t fake_unsent(const struct stream *s)
{
	return fake_of(s)->unsent;
}

static uint64_t fake_now(const struct stream *s)
{
	return loop_now_ms(fake_of(s)->loop);
}

static uint64_t fake_out(const struct stream *s)
{
	return fake_of(s)->stuck ? 0 : fake_now(s);
}

static struct loop *fake_loop(const struct stream *s)
{
	return fake_of(s)->loop;
}

static const struct stream_vt fake_stream_vt = {
	.head = fake_head,
	.write = fake_send,
	.end = fake_end,
	.reset = fake_reset,
	.tunnel = fake_tunnel,
	.resume = fake_resume,
	.unsent = fake_unsent,
	.last_in_ms = fake_now,
	.last_out_ms = fake_out,
	.loop = fake_loop,
};

/* Offers what waits, as a carrier does; the end after the last byte. */
static inline void pump(struct fake_stream *fs)
{
	while (fs->in.n && fs->s.ops && !(fs->ended && !fs->tunnel)) {
		size_t took;

		if (fs->offered && !fs->resumed)
			return;
		fs->resumed = false;
		took = fs->s.ops->on_data(&fs->s, fs->in.p, fs->in.n);
		buf_drop(&fs->in, took);
		fs->offered = fs->in.n;
	}
	if (!fs->in.n && fs->in_end && !fs->eof && fs->s.ops && !fs->ended) {
		fs->eof = true;
		if (fs->s.ops->on_eof)
			fs->s.ops->on_eof(&fs->s);
	}
}

/* The answer has left, or the connection broke: the stream's last call. */
static inline void done(struct fake_stream *fs)
{
	const struct stream_ops *ops = steal(fs->s.ops);

	if (ops)
		ops->on_done(&fs->s, fs->ended);
	cds_list_del(&fs->node);
	buf_fini(&fs->in);
	buf_fini(&fs->out);
	buf_fini(&fs->fields);
	free(fs);
}

/* ---- the world ------------------------------------------------------------- */

/* Counts all of a kind as one account's, or one address's. */
struct fake_crowd {
	struct crowd c;
	uint64_t in[CROWD_KINDS];
	uint64_t account; /* the last that entered */
};

static bool fake_enter(struct crowd *c, enum crowd_kind kind, struct str who,
	uint64_t max, uint32_t *place_r)
{
	struct fake_crowd *fc = container_of(c, struct fake_crowd, c);

	if (kind == CROWD_ACCOUNT) {
		assert_int_equal(who.n, sizeof(fc->account));
		memcpy(&fc->account, who.p, who.n);
	}
	if (max && fc->in[kind] >= max)
		return false;
	fc->in[kind]++;
	*place_r = 1;
	return true;
}

static void fake_leave(struct crowd *c, enum crowd_kind kind, uint32_t place)
{
	struct fake_crowd *fc = container_of(c, struct fake_crowd, c);

	assert_int_equal(place, 1);
	assert_true(fc->in[kind]--);
}

static const struct crowd_ops fake_crowd_ops = {fake_enter, fake_leave};

struct world {
	struct loop *l;
	struct fake_backend fb;
	struct push_hub *hub;
	struct front *f;
	struct conf conf;
	struct fake_crowd crowd;
	struct cds_list_head streams;
	uint64_t conns;
};

static void world_watch(void *ctx, uint64_t account, const void *cookie)
{
	struct world *w = ctx;
	struct login l;

	memcpy(&l, cookie, sizeof(l));
	assert_int_equal(l.account, account);
	w->fb.watches++;
}

static void world_unwatch(void *ctx, uint64_t account)
{
	struct world *w = ctx;

	w->fb.unwatches++;
}

static const struct push_hub_ops world_hub_ops = {
	.watch = world_watch,
	.unwatch = world_unwatch,
};

static inline int world_setup(void **state)
{
	struct world *w = mem_new(sizeof(*w));

	CDS_INIT_LIST_HEAD(&w->streams);
	w->l = loop_new(NULL);
	assert_non_null(w->l);
	w->fb.b.ops = &fake_backend_ops;
	w->fb.ready = true;
	w->fb.room = SIZE_MAX;
	w->hub = push_hub_new(w->l, &world_hub_ops, w);
	w->crowd.c.ops = &fake_crowd_ops;
	w->f = front_new(w->l, &w->fb.b, w->hub, &w->crowd.c);
	conf_defaults(&w->conf);
	w->conf.ws_throttle = w->conf.event_source_throttle = 0;
	conf_swap(&w->conf, false);
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	static struct conf defaults;
	struct world *w = *state;

	conf_defaults(&defaults);
	conf_swap(&defaults, false);
	while (!cds_list_empty(&w->streams)) /* of a test that failed */
		done(cds_list_first_entry(
			&w->streams, struct fake_stream, node));
	front_free(w->f);
	assert_int_equal(w->crowd.in[CROWD_ACCOUNT], 0);
	push_hub_free(w->hub);
	loop_free(w->l);
	for (size_t i = 0; i < w->fb.n; i++) {
		buf_fini(&w->fb.calls[i].head);
		buf_fini(&w->fb.calls[i].body);
	}
	free(w);
	return 0;
}

static inline void turn(struct world *w)
{
	assert_true(loop_turn(w->l, 0, NULL) >= 0);
}

/* A request as a test writes it; NULL and 0 leave out. */
struct ask {
	const char *method, *path, *query, *authorization, *type, *body;
	const char *range, *none_match, *last_event_id;
	const char *peer; /* default 192.0.2.1:1234 */
	uint64_t length;  /* announced; 0: that of body */
	bool chunked;
	bool websocket;
	bool crowded; /* its connection is over the cap of its address */
	const char *subprotocol;
	const char *origin;
	const char *version;		  /* of the WebSocket; default 13 */
	const struct fake_stream *beside; /* same client connection */
};

static inline void ask_field(
	struct http_header *h, size_t *n, const char *name, const char *value)
{
	if (value)
		h[(*n)++] = (struct http_header){str_of(name), str_of(value)};
}

static inline size_t ask_fields(const struct ask *a, struct http_header *h)
{
	size_t n = 0;

	ask_field(h, &n, "authorization", a->authorization);
	ask_field(h, &n, "content-type", a->type);
	ask_field(h, &n, "origin", a->origin);
	ask_field(h, &n, "range", a->range);
	ask_field(h, &n, "if-none-match", a->none_match);
	ask_field(h, &n, "last-event-id", a->last_event_id);
	ask_field(h, &n, "sec-websocket-protocol", a->subprotocol);
	if (!a->websocket)
		return n;
	ask_field(h, &n, "upgrade", "websocket");
	ask_field(h, &n, "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
	ask_field(
		h, &n, "sec-websocket-version", a->version ? a->version : "13");
	return n;
}

static inline struct fake_stream *request(struct world *w, struct ask a)
{
	struct fake_stream *fs = mem_new(sizeof(*fs));
	struct http_header h[16];
	struct str body = str_of(a.body);
	struct http_request r = {
		.method = str_of(a.method ? a.method : "GET"),
		.target = str_of(a.path),
		.path = str_of(a.path),
		.query = str_of(a.query),
		.authority = STR("example.org"),
		.protocol = a.websocket ? STR("websocket") : STR_NONE,
		.headers = h,
		.headers_n = ask_fields(&a, h),
		.content_length = a.chunked  ? UINT64_MAX
				  : a.length ? a.length
					     : body.n,
		.peer = a.peer ? a.peer : "192.0.2.1:1234",
	};
	const struct http_server *srv = front_server(w->f);

	cds_list_add_tail(&fs->node, &w->streams);
	fs->s.vt = &fake_stream_vt;
	fs->loop = w->l;
	fs->own_share.id = ++w->conns;
	fs->own_share.crowded = a.crowded;
	fs->s.share = a.beside ? a.beside->s.share : &fs->own_share;
	srv->on_request(srv->ctx, &fs->s, &r);
	assert_true(fs->s.ops || fs->ended);
	buf_adds(&fs->in, body);
	fs->in_end = !a.websocket && (a.body || !a.length);
	pump(fs);
	return fs;
}

static inline bool has_field(struct fake_stream *fs, const char *line)
{
	return fs->fields.n && strstr(buf_z(&fs->fields), line);
}

static inline bool says(struct fake_stream *fs, const char *text)
{
	return fs->out.n && strstr(buf_z(&fs->out), text);
}

#define assert_says(fs, text)                                             \
	do {                                                              \
		if (!says(fs, text))                                      \
			fail_msg("no %s in %s", text, buf_z(&(fs)->out)); \
	} while (0)

/* ---- the client of a WebSocket --------------------------------------------- */

static inline void ws_frame(
	struct fake_stream *fs, unsigned opcode, struct str payload)
{
	unsigned char h[14] = {(unsigned char)(0x80 | opcode)};
	size_t n = 2;

	if (payload.n < 126) {
		h[1] = (unsigned char)(0x80 | payload.n);
	} else if (payload.n < 65536) {
		h[1] = 0x80 | 126;
		h[n++] = (unsigned char)(payload.n >> 8);
		h[n++] = (unsigned char)payload.n;
	} else {
		h[1] = 0x80 | 127;
		for (int i = 0; i < 8; i++)
			h[n++] = (unsigned char)((uint64_t)payload.n >>
						 (56 - 8 * i));
	}
	n += 4; /* a mask of zeroes */
	buf_add(&fs->in, h, n);
	buf_adds(&fs->in, payload);
	pump(fs);
}

static inline void tell(struct fake_stream *fs, const char *text)
{
	ws_frame(fs, 1, str_of(text));
}

/* The server's next frame, Pings apart; false when there is none. */
static inline bool next_frame(
	struct fake_stream *fs, unsigned *opcode_r, struct buf *payload)
{
	unsigned char *p = (unsigned char *)fs->out.p;
	uint64_t n;
	size_t head = 2;

	buf_reset(payload);
	if (fs->out.n < 2)
		return false;
	*opcode_r = p[0] & 0x0f;
	n = p[1];
	if (n == 126) {
		n = (uint64_t)p[2] << 8 | p[3];
		head = 4;
	} else if (n == 127) {
		n = 0;
		for (int i = 0; i < 8; i++)
			n = n << 8 | p[2 + i];
		head = 10;
	}
	assert_true(fs->out.n >= head + n);
	buf_add(payload, p + head, n);
	buf_drop(&fs->out, head + n);
	return *opcode_r == 9 ? next_frame(fs, opcode_r, payload) : true;
}

static inline void assert_heard(struct fake_stream *fs, const char *text)
{
	struct buf b cleanup(buf_fini) = {0};
	unsigned opcode;

	assert_true(next_frame(fs, &opcode, &b));
	assert_int_equal(opcode, 1);
	assert_string_equal(buf_z(&b), text);
}

/* A text message that holds all of these. */
static inline void assert_heard_parts(
	struct fake_stream *fs, const char *a, const char *b, const char *c)
{
	struct buf m cleanup(buf_fini) = {0};
	const char *parts[] = {a, b, c};
	unsigned opcode;

	assert_true(next_frame(fs, &opcode, &m));
	assert_int_equal(opcode, 1);
	for (size_t i = 0; i < countof(parts); i++)
		if (parts[i] && !strstr(buf_z(&m), parts[i]))
			fail_msg("no %s in %s", parts[i], buf_z(&m));
}

static inline void assert_closed(struct fake_stream *fs, unsigned code)
{
	struct buf b cleanup(buf_fini) = {0};
	unsigned opcode;

	assert_true(next_frame(fs, &opcode, &b));
	assert_int_equal(opcode, 8);
	assert_true(b.n >= 2);
	assert_int_equal(
		(unsigned char)b.p[0] << 8 | (unsigned char)b.p[1], code);
}

static inline void assert_silent(struct fake_stream *fs)
{
	struct buf b cleanup(buf_fini) = {0};
	unsigned opcode;

	assert_false(next_frame(fs, &opcode, &b));
}

/* A WebSocket of that account, open. */
static inline struct fake_stream *ws_of(
	struct world *w, uint64_t account, uint32_t version)
{
	struct buf user cleanup(buf_fini) = {0}, value cleanup(buf_fini) = {0};
	struct fake_stream *fs;

	buf_fmt(&user, "u%u-%u:pw", (unsigned)account, (unsigned)version);
	buf_addz(&value, "Basic ");
	base64_add(&value, buf_str(&user));
	fs = request(w, (struct ask){.path = "/jmap/ws",
				.websocket = true,
				.subprotocol = "jmap",
				.authorization = buf_z(&value)});
	if (!fs->tunnel)
		answer_login(&w->fb, w->fb.n - 1, account, version);
	assert_true(fs->tunnel);
	return fs;
}
