/*
 * nghttp2's own client over a socket pair, and a server of streams that does what
 * the path says: for the tests of HTTP/2.
 */
#pragma once

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"
#include "proto/http/h2.h"
#include "test/unit/proto/http/app.h"

static struct loop *loop;
static struct h2_pool *pool;
static struct conf conf;

/* The client, and what it heard; streams by number. */
#define STREAMS 1024
static struct {
	int fd; /* -1: closed */
	nghttp2_session *ng;
	struct buf out; /* unsent */
	bool eof, goaway;
	uint32_t goaway_code;
	struct buf in; /* of a frame in pieces: see count() */
	int32_t goaway_last;
	unsigned goaways, pings;
	int32_t last; /* of the streams it opened */
	struct {
		struct buf body;
		unsigned status, informed;
		bool ended, closed;
		uint32_t code;
		char type[64], upgrade[16];
		struct str up; /* what it still has to say */
		bool more;     /* no END_STREAM behind it */
	} st[STREAMS];
} cl;

static inline void large(struct stream *s, size_t n)
{
	struct buf b cleanup(buf_fini) = {0};

	memset(buf_room(&b, n), 'x', n);
	b.n = n;
	stream_head(s, 200, NULL, 0, n);
	stream_write(s, buf_str(&b));
	stream_end(s);
}

static inline void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	static const struct http_header fields[] = {
		{{"Upgrade", 7}, {"websocket", 9}},
		{{"X", 1}, {"a\r\nSet-Cookie: b", 16}},
		{{"Content-Type", 12}, {"text/x\n", 7}},
	};

	app_take(s, r);
	if (str_eq(r->path, STR("/large")))
		large(s, 300000);
	else if (str_eq(r->path, STR("/fields")))
		stream_respond(s, 200, NULL, fields, countof(fields), STR_NONE);
	else
		app_serve(s, r);
}

/* The client. */

static inline int cl_header(nghttp2_session *ng, const nghttp2_frame *f,
	const uint8_t *name, size_t name_n, const uint8_t *value,
	size_t value_n, uint8_t flags, void *up)
{
	int32_t id = f->hd.stream_id;
	struct str n = str_n(name, name_n), v = str_n(value, value_n);
	uint64_t status = 0;

	if (str_eq(n, STR(":status"))) {
		assert_true(str_u64(v, &status));
		if (status < 200)
			cl.st[id].informed = (unsigned)status;
		else
			cl.st[id].status = (unsigned)status;
	}
	if (str_eq(n, STR("content-type")))
		snprintf(cl.st[id].type, sizeof(cl.st[id].type), "%.*s",
			STR_ARG(v));
	if (str_eq(n, STR("upgrade")) || str_eq(n, STR("set-cookie")))
		snprintf(cl.st[id].upgrade, sizeof(cl.st[id].upgrade), "%.*s",
			STR_ARG(v));
	return 0;
}

static inline int cl_data(nghttp2_session *ng, uint8_t flags, int32_t id,
	const uint8_t *p, size_t n, void *up)
{
	buf_add(&cl.st[id].body, p, n);
	return 0;
}

static inline int cl_frame(
	nghttp2_session *ng, const nghttp2_frame *f, void *up)
{
	if (f->hd.type == NGHTTP2_GOAWAY) {
		cl.goaway = true;
		cl.goaway_code = f->goaway.error_code;
	} else if (f->hd.flags & NGHTTP2_FLAG_END_STREAM && f->hd.stream_id) {
		cl.st[f->hd.stream_id].ended = true;
	}
	return 0;
}

static inline int cl_close(
	nghttp2_session *ng, int32_t id, uint32_t code, void *up)
{
	cl.st[id].closed = true;
	cl.st[id].code = code;
	return 0;
}

static inline ssize_t cl_read(nghttp2_session *ng, int32_t id, uint8_t *p,
	size_t n, uint32_t *flags, nghttp2_data_source *source, void *up)
{
	struct str *s = &cl.st[id].up;

	n = min_of(n, s->n);
	if (!n && cl.st[id].more)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(p, s->p, n);
	*s = str_skip(*s, n);
	if (!s->n && !cl.st[id].more)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* hold: its windows stay closed as data comes. */
static inline void connect_client(bool hold, uint32_t window)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *o;
	nghttp2_settings_entry iv = {
		NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
	int fd[2];

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_header_callback(cb, cl_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, cl_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, cl_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, cl_close);
	nghttp2_option_new(&o);
	nghttp2_option_set_no_auto_window_update(o, hold);
	nghttp2_session_client_new2(&cl.ng, cb, NULL, o);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(o);
	nghttp2_submit_settings(cl.ng, 0, &iv, 1);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	cl.fd = fd[0];
	h2_take(pool, conn_new(loop, fd[1], NULL, NULL, 0, NULL, NULL),
		&(struct http_share){.id = 7});
}

static inline void disconnect_client(void)
{
	if (cl.fd >= 0)
		close(cl.fd);
	cl.fd = -1;
	nghttp2_session_del(cl.ng);
	buf_fini(&cl.out);
	buf_fini(&cl.in);
	for (int i = 0; i < STREAMS; i++)
		buf_fini(&cl.st[i].body);
	memset(&cl, 0, sizeof(cl));
	cl.fd = -1;
}

static inline int setup(void **state)
{
	struct http_server srv = {.on_request = on_request};

	conf_defaults(&conf);
	conf_swap(&conf, false);
	memset(&app, 0, sizeof(app));
	app.appetite = SIZE_MAX;
	loop = loop_new(NULL);
	pool = h2_pool_new(loop, &srv);
	connect_client(false, 65535);
	return 0;
}

static inline int teardown(void **state)
{
	disconnect_client();
	h2_pool_free(pool);
	loop_free(loop);
	buf_fini(&app.body);
	return 0;
}

/* Of what ends a connection nghttp2 tells a client without streams nothing. */
static inline void count(const char *p, size_t n)
{
	const uint8_t *f;
	size_t len;

	buf_add(&cl.in, p, n);
	while (cl.in.n >= 9) {
		f = (const uint8_t *)cl.in.p;
		len = 9 + ((size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2]);
		if (cl.in.n < len)
			break;
		cl.pings += f[3] == NGHTTP2_PING && !f[4];
		if (f[3] == NGHTTP2_GOAWAY) {
			cl.goaways++;
			cl.goaway_last =
				(int32_t)((uint32_t)f[9] << 24 |
					  (uint32_t)f[10] << 16 |
					  (uint32_t)f[11] << 8 | f[12]);
		}
		buf_drop(&cl.in, len);
	}
}

static inline void listen_to(void)
{
	char in[65536];
	ssize_t n;

	while (!cl.eof) {
		n = recv(cl.fd, in, sizeof(in), 0);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			cl.eof = true;
			break;
		}
		count(in, (size_t)n);
		assert_int_equal(nghttp2_session_mem_recv(
					 cl.ng, (uint8_t *)in, (size_t)n),
			n);
	}
}

static inline void talk(void)
{
	const uint8_t *p;
	ssize_t n;

	while (cl.out.n < 65536 &&
		(n = nghttp2_session_mem_send(cl.ng, &p)) > 0)
		buf_add(&cl.out, p, (size_t)n);
	n = send(cl.fd, cl.out.p, cl.out.n, MSG_NOSIGNAL);
	if (n > 0)
		buf_drop(&cl.out, (size_t)n);
	listen_to();
}

static inline void settle(void)
{
	for (int i = 0; i < 12; i++) {
		if (cl.fd >= 0)
			talk();
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
	}
	if (cl.fd >= 0)
		talk();
}

/* The runner ends a test that hangs. */
#define turn_until(cond)                                        \
	do {                                                    \
		talk();                                         \
		assert_int_equal(loop_turn(loop, 20, NULL), 0); \
	} while (!(cond))

static inline nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name),
		strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* body NULL: none. more: it does not end with that. */
static inline int32_t ask(
	const char *method, const char *path, const char *body, bool more)
{
	nghttp2_data_provider from = {.read_callback = cl_read};
	nghttp2_nv f[] = {nv(":method", method), nv(":scheme", "http"),
		nv(":authority", "a"), nv(":path", path),
		nv(":protocol", "websocket")};
	bool connect = strcmp(method, "CONNECT") == 0;
	int32_t id = nghttp2_submit_request(cl.ng, NULL, f, connect ? 5 : 4,
		body || more ? &from : NULL, NULL);

	assert_in_range(id, 1, STREAMS - 1);
	cl.st[id].up = str_of(body);
	cl.st[id].more = more;
	cl.last = id;
	return id;
}

static inline int32_t get(const char *path)
{
	return ask("GET", path, NULL, false);
}

static inline void say(int32_t id, const char *more, bool end)
{
	cl.st[id].up = str_of(more);
	cl.st[id].more = !end;
	nghttp2_session_resume_data(cl.ng, id);
}

static inline const char *heard(int32_t id)
{
	return buf_z(&cl.st[id].body);
}

static inline void answered(int32_t id, unsigned status, const char *body)
{
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].status, status);
	assert_string_equal(heard(id), body);
	assert_true(cl.st[id].ended);
}

static inline int32_t tunnel(void)
{
	int32_t id;

	settle(); /* the server's SETTINGS allow it */
	id = ask("CONNECT", "/tunnel", NULL, true);
	turn_until(cl.st[id].status);
	assert_int_equal(cl.st[id].status, 200);
	assert_string_equal(app.protocol, "websocket");
	return id;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
