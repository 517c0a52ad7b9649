#include "test/bench/lib/crowd.h"

#include <sys/epoll.h>
#include <zlib.h>

#include "test/bench/bench.h"

#define ECHO                                                                \
	"{\"@type\":\"Request\",\"id\":\"b\",\"using\":[\"urn:ietf:params:" \
	"jmap:core\"],\"methodCalls\":[[\"Core/echo\",{},\"0\"]]}"

/* RFC 7692 7.2.1, each by itself: the offer was client_no_context_takeover. */
static void deflate_text(struct buf *out, struct str text)
{
	z_stream z = {0};

	need(deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8,
		     Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = (Bytef *)(uintptr_t)text.p;
	z.avail_in = (uInt)text.n;
	z.avail_out = (uInt)text.n + 64;
	z.next_out = (Bytef *)buf_room(out, z.avail_out);
	need(deflate(&z, Z_SYNC_FLUSH) == Z_OK && z.avail_in == 0);
	out->n = z.total_out - 4; /* 00 00 ff ff */
	deflateEnd(&z);
}

void crowd_encode(const struct crowd *w, struct buf *out, const char *text)
{
	struct buf small cleanup(buf_fini) = {0};
	struct str s = str_of(text);
	unsigned char h[4] = {0x81};

	if (w->to->deflate) {
		deflate_text(&small, s);
		s = buf_str(&small);
		h[0] |= 0x40;
	}
	need(s.n < 65536);
	h[1] = (unsigned char)(0x80 | min_of(s.n, 126u));
	h[2] = (unsigned char)(s.n >> 8);
	h[3] = (unsigned char)s.n;
	buf_add(out, h, s.n < 126 ? 2 : 4);
	buf_add(out, "\0\0\0\0", 4);
	buf_adds(out, s);
}

void crowd_say(const struct crowd *w, const struct client *c, const char *text)
{
	struct buf b cleanup(buf_fini) = {0};

	crowd_encode(w, &b, text);
	wire_say(c->wire, b.p, b.n);
}

/* One whole frame at the front of the buffer, or false. */
static bool frame_cut(const struct buf *in, struct str *payload_r)
{
	const unsigned char *p = (const unsigned char *)in->p;
	size_t head = 2, n;

	if (in->n < 2)
		return false;
	n = p[1];
	head += n == 126 ? 2 : n == 127 ? 8 : 0;
	if (in->n < head)
		return false;
	if (head > 2)
		n = 0;
	for (size_t i = 2; i < head; i++)
		n = n << 8 | p[i];
	need((p[0] & 0xf) != 8);
	if (in->n - head < n)
		return false;
	*payload_r = str_n(in->p + head, n);
	return true;
}

/* Small frames come plain, compressed ones are answers. */
static void count(struct crowd *w, struct client *c, struct str payload)
{
	bool plain = !(c->in.p[0] & 0x40);
	size_t look = min_of(payload.n, 60u);

	if (plain && memmem(payload.p, look, "StateChange", 11)) {
		c->pushes++;
		w->pushes++;
		w->frame_n = (size_t)(payload.p - c->in.p) + payload.n;
		return;
	}
	need(!plain || !memmem(payload.p, look, "RequestError", 12));
	c->answers++;
	w->deflated += !plain;
}

size_t crowd_take(struct crowd *w, struct client *c)
{
	size_t frames = 0;
	struct str s;

	wire_take(c->wire, &c->in);
	for (; frame_cut(&c->in, &s); frames++) {
		count(w, c, s);
		buf_drop(&c->in, (size_t)(s.p - c->in.p) + s.n);
	}
	return frames;
}

void crowd_wait(struct crowd *w, int ms)
{
	struct epoll_event ev[64];
	int got = epoll_wait(w->ep, ev, countof(ev), ms);

	for (int i = 0; i < got; i++)
		crowd_take(w, ev[i].data.ptr);
}

void crowd_open(struct crowd *w, const struct wire_to *to, size_t n,
	char *const *auth, size_t auths)
{
	*w = (struct crowd){.to = to, .ep = epoll_create1(0), .n = n};
	w->c = mem_new(n * sizeof(*w->c));
	for (size_t i = 0; i < n; i++) {
		struct client *c = &w->c[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		struct wire_to one = *to;

		if (auth)
			one.auth = auth[i % auths];
		c->wire = wire_open(&one, i);
		need(epoll_ctl(w->ep, EPOLL_CTL_ADD, wire_fd(c->wire), &ev) ==
			0);
	}
}

void crowd_enable(struct crowd *w, size_t n, const char *hello)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t answers = w->c[i].answers;

		crowd_say(w, &w->c[i], hello);
		crowd_say(w, &w->c[i], ECHO);
		while (w->c[i].answers == answers)
			crowd_wait(w, -1);
	}
}
