/*
 * The socket does not block: TLS reads ahead, and what is read must not wait for
 * the rest of a record.
 */
#include "test/bench/lib/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "test/bench/bench.h"

#define PER_ADDRESS 20000
#define WINDOW (16 << 20) /* no download waits for us */

struct wire {
	struct wire_to to;
	int fd;
	SSL *ssl;
	nghttp2_session *h2;
	int32_t tunnel;
	struct buf out; /* HTTP/2: of the tunnel, not framed yet */
	struct buf *in; /* where its bytes go */
	struct buf early;
	bool settled, opened, deflated;
	const char *download;
	int32_t stream; /* of the download; 0 for none under way */
	uint64_t downloaded;
};

static SSL_CTX *tls;
static SSL_SESSION *session;

void wire_parse(const char *text, struct wire_to *to_r)
{
	static const struct {
		const char *name;
		bool tls, h2;
	} carriers[] = {{"plain", false, false}, {"tls", true, false},
		{"h2c", false, true}, {"h2", true, true}};
	size_t n = strcspn(text, "+:");
	size_t deflate = text[n] == '+' ? strlen("+deflate") : 0;

	for (size_t i = 0; i < countof(carriers); i++)
		if (str_eq(str_n(text, n), str_of(carriers[i].name))) {
			to_r->tls = carriers[i].tls;
			to_r->h2 = carriers[i].h2;
			to_r->deflate = deflate > 0;
			need(strlen(text) > n + deflate);
			to_r->port = (unsigned)atoi(text + n + deflate + 1);
			return;
		}
	need(!"a carrier");
}

/* ---- bytes of the socket ---- */

static void wait_for(const struct wire *w, short events)
{
	struct pollfd p = {.fd = w->fd, .events = events};

	need(poll(&p, 1, 60000) == 1);
}

static void put(struct wire *w, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t got = w->ssl ? SSL_write(w->ssl, p, (int)n)
				     : write(w->fd, p, n);
		if (got <= 0) {
			need(w->ssl ? SSL_get_error(w->ssl, (int)got) ==
						SSL_ERROR_WANT_WRITE
				    : errno == EAGAIN);
			wait_for(w, POLLOUT);
			continue;
		}
		p += got;
		n -= (size_t)got;
	}
}

/* What is there, at most n; 0 for nothing. */
static size_t get(struct wire *w, void *p, size_t n)
{
	ssize_t got = w->ssl ? SSL_read(w->ssl, p, (int)n) : read(w->fd, p, n);

	if (got > 0)
		return (size_t)got;
	need(w->ssl ? SSL_get_error(w->ssl, (int)got) == SSL_ERROR_WANT_READ
		    : got < 0 && errno == EAGAIN);
	return 0;
}

static void shake_hands(struct wire *w)
{
	int ret;

	if (!tls) {
		tls = SSL_CTX_new(TLS_client_method());
		need(tls);
		/* Else a ticket that comes makes SSL_read() wait for more. */
		SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY);
		SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	}
	w->ssl = SSL_new(tls);
	need(w->ssl && SSL_set_fd(w->ssl, w->fd));
	need(!session || SSL_set_session(w->ssl, session));
	if (w->to.h2)
		SSL_set_alpn_protos(w->ssl, (const unsigned char *)"\2h2", 3);
	while ((ret = SSL_connect(w->ssl)) != 1) {
		ret = SSL_get_error(w->ssl, ret);
		need(ret == SSL_ERROR_WANT_READ || ret == SSL_ERROR_WANT_WRITE);
		wait_for(w, ret == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
	}
}

void wire_resume(struct wire *w)
{
	SSL_SESSION_free(session);
	session = w ? SSL_get1_session(w->ssl) : NULL;
	need(!w || SSL_SESSION_is_resumable(session));
}

bool wire_resumed(const struct wire *w)
{
	return w->ssl && SSL_session_reused(w->ssl);
}

/* ---- HTTP/1.1 ---- */

#define OFFER "permessage-deflate; client_no_context_takeover"

static void upgrade(struct wire *w)
{
	struct buf b cleanup(buf_fini) = {0};
	char in[4096];
	size_t n = 0;

	buf_fmt(&b,
		"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		w->to.path);
	if (w->to.deflate)
		buf_addz(&b, "Sec-WebSocket-Extensions: " OFFER "\r\n");
	if (w->to.auth[0])
		buf_fmt(&b,
			"Sec-WebSocket-Protocol: jmap\r\n"
			"Authorization: %s\r\n",
			w->to.auth);
	buf_addz(&b, "\r\n");
	put(w, b.p, b.n);
	while (n < 4 || memcmp(in + n - 4, "\r\n\r\n", 4) != 0) {
		need(n < sizeof(in));
		if (get(w, in + n, 1))
			n++;
		else
			wait_for(w, POLLIN);
	}
	need(memcmp(in, "HTTP/1.1 101", 12) == 0);
	w->deflated = memmem(in, n, "permessage-deflate", 18);
}

/* ---- HTTP/2 ---- */

static void ask_download(struct wire *w);

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream,
	const uint8_t *p, size_t n, void *arg)
{
	struct wire *w = arg;

	if (stream == w->tunnel)
		buf_add(w->in, p, n);
	else
		w->downloaded += n;
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *f,
	const uint8_t *name, size_t name_n, const uint8_t *value,
	size_t value_n, uint8_t flags, void *arg)
{
	struct wire *w = arg;
	struct str n = str_n(name, name_n), v = str_n(value, value_n);

	if (str_eq(n, STR(":status")))
		need(str_eq(v, STR("200")));
	else if (str_eq(n, STR("sec-websocket-extensions")))
		w->deflated = str_starts(v, STR("permessage-deflate"));
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct wire *w = arg;

	need(f->hd.type != NGHTTP2_GOAWAY);
	w->settled |= f->hd.type == NGHTTP2_SETTINGS;
	w->opened |=
		f->hd.type == NGHTTP2_HEADERS && f->hd.stream_id == w->tunnel;
	return 0;
}

static int on_end(nghttp2_session *h2, int32_t stream, uint32_t code, void *arg)
{
	struct wire *w = arg;

	need(code == 0 && stream == w->stream);
	w->stream = 0;
	ask_download(w);
	return 0;
}

/* The tunnel's next DATA. */
static ssize_t on_pull(nghttp2_session *h2, int32_t stream, uint8_t *p,
	size_t n, uint32_t *flags, nghttp2_data_source *src, void *arg)
{
	struct wire *w = arg;

	n = min_of(n, w->out.n);
	if (!n)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(p, w->out.p, n);
	buf_drop(&w->out, n);
	return (ssize_t)n;
}

static void flush(struct wire *w)
{
	struct buf all cleanup(buf_fini) = {0};
	const uint8_t *p;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(w->h2, &p)) > 0)
		buf_add(&all, p, (size_t)n);
	need(n == 0);
	put(w, all.p, all.n);
}

static void climb(struct wire *w)
{
	static uint8_t in[1 << 18];
	size_t n;

	do {
		n = get(w, in, sizeof(in));
		need(nghttp2_session_mem_recv(w->h2, in, n) == (ssize_t)n);
	} while (n && w->ssl && SSL_pending(w->ssl));
	if (nghttp2_session_want_write(w->h2))
		flush(w);
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name,
		(uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
		NGHTTP2_NV_FLAG_NONE};
}

static void connect_tunnel(struct wire *w)
{
	const nghttp2_data_provider body = {.read_callback = on_pull};
	nghttp2_nv head[10] = {nv(":method", "CONNECT"),
		nv(":protocol", "websocket"),
		nv(":scheme", w->to.tls ? "https" : "http"),
		nv(":authority", "localhost"), nv(":path", w->to.path),
		nv("sec-websocket-version", "13")};
	size_t n = 6;

	if (w->to.deflate)
		head[n++] = nv("sec-websocket-extensions", OFFER);
	if (w->to.auth[0]) {
		head[n++] = nv("sec-websocket-protocol", "jmap");
		head[n++] = nv("authorization", w->to.auth);
	}
	w->tunnel = nghttp2_submit_request(w->h2, NULL, head, n, &body, NULL);
	need(w->tunnel > 0);
	flush(w);
	while (!w->opened) {
		wait_for(w, POLLIN);
		climb(w);
	}
}

static void begin_h2(struct wire *w)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
	nghttp2_session_callbacks *cb;

	nghttp2_session_callbacks_new(&cb);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_end);
	need(nghttp2_session_client_new(&w->h2, cb, w) == 0);
	nghttp2_session_callbacks_del(cb);
	nghttp2_submit_settings(
		w->h2, NGHTTP2_FLAG_NONE, settings, countof(settings));
	nghttp2_session_set_local_window_size(
		w->h2, NGHTTP2_FLAG_NONE, 0, WINDOW);
	flush(w);
	while (!w->settled) {
		wait_for(w, POLLIN);
		climb(w);
	}
	connect_tunnel(w);
}

static void ask_download(struct wire *w)
{
	const nghttp2_nv head[] = {nv(":method", "GET"),
		nv(":scheme", w->to.tls ? "https" : "http"),
		nv(":authority", "localhost"), nv(":path", w->download),
		nv("authorization", w->to.auth)};

	w->stream = nghttp2_submit_request(
		w->h2, NULL, head, countof(head), NULL, NULL);
	need(w->stream > 0);
}

void wire_download(struct wire *w, const char *path)
{
	need(w->h2);
	w->download = path;
	ask_download(w);
	flush(w);
}

uint64_t wire_downloaded(const struct wire *w)
{
	return w->downloaded;
}

/* ---- all carriers ---- */

struct wire *wire_open(const struct wire_to *to, size_t number)
{
	struct wire *w = mem_new(sizeof(*w));

	w->to = *to;
	w->in = &w->early;
	w->fd = dial(to->port, (unsigned)(number / PER_ADDRESS), to->ahead);
	need(fcntl(w->fd, F_SETFL, O_NONBLOCK) == 0);
	if (to->tls)
		shake_hands(w);
	if (to->h2)
		begin_h2(w);
	else
		upgrade(w);
	need(w->deflated == to->deflate);
	return w;
}

void wire_close(struct wire *w)
{
	nghttp2_session_del(w->h2);
	/* Else its session counts as broken, and resumes no more. */
	if (w->ssl)
		SSL_set_shutdown(
			w->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(w->ssl);
	close(w->fd);
	buf_fini(&w->out);
	buf_fini(&w->early);
	free(w);
}

int wire_fd(const struct wire *w)
{
	return w->fd;
}

void wire_say(struct wire *w, const void *p, size_t n)
{
	if (!w->h2) {
		put(w, p, n);
		return;
	}
	buf_add(&w->out, p, n);
	nghttp2_session_resume_data(w->h2, w->tunnel);
	flush(w);
}

void wire_take(struct wire *w, struct buf *in)
{
	size_t n;

	if (w->h2) {
		buf_adds(in, buf_str(&w->early));
		buf_reset(&w->early);
		w->in = in;
		climb(w);
		w->in = &w->early;
		return;
	}
	do {
		n = get(w, buf_room(in, 65536), 65536);
		in->n += n;
	} while (n && w->ssl && SSL_pending(w->ssl));
}
