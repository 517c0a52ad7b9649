/*
 * What a client compresses: the input is cut into messages, which inflate whole and
 * byte by byte to the same, never past the limit; what inflated is deflated, with
 * every window, and inflates again. The first two bytes say the terms. Then the
 * input as an offer: an answer to it is an offer that is answered the same.
 */
#include "conf/conf.h"
#include "proto/ws/deflate.h"
#include "test/fuzz/fuzz.h"

#define LIMIT 50000

struct side {
	struct deflate_pool *pool;
	struct deflate_terms terms;
	struct deflate *d;
	struct buf msg;
};

static void side_init(struct side *s, const struct deflate_terms *t)
{
	s->pool = deflate_pool_new();
	s->terms = *t;
	deflate_agree(s->pool, &s->terms);
	s->d = deflate_new();
}

static void side_fini(struct side *s)
{
	deflate_leave(s->pool, &s->terms, s->d);
	deflate_pool_free(s->pool);
	buf_fini(&s->msg);
}

static enum inflate_result feed(struct side *s, struct str part)
{
	enum inflate_result ret;
	size_t had, steps = 0;

	do {
		had = s->msg.n;
		ret = deflate_in(s->pool, s->d, &part, &s->msg, LIMIT);
		check(s->msg.n <= LIMIT && s->msg.n - had <= 16384);
		check(steps++ <= 2 * LIMIT);
	} while (ret == INFLATE_MORE);
	check(ret != INFLATE_DONE || !part.n);
	return ret;
}

static enum inflate_result take(struct side *s, struct str in, size_t piece)
{
	enum inflate_result ret;

	buf_reset(&s->msg);
	do {
		size_t n = min_of(piece, in.n);
		struct str part = fuzz_exact(in.p, n);

		ret = feed(s, part);
		free((char *)part.p);
		in = str_skip(in, n);
	} while (in.n && ret == INFLATE_DONE);
	if (ret == INFLATE_DONE)
		ret = feed(s, deflate_in_tail(s->d));
	if (ret == INFLATE_DONE && !deflate_in_end(s->pool, &s->terms, s->d))
		ret = INFLATE_BAD;
	return ret;
}

static void there_and_back(struct side *out, struct side *back, struct str s)
{
	struct str packed;

	if (!s.n)
		return;
	packed = deflate_out(out->pool, &out->terms, out->d,
		str_n(s.p, s.n / 2), str_skip(s, s.n / 2), 1);
	check(take(back, packed, SIZE_MAX) == INFLATE_DONE);
	check(str_eq(buf_str(&back->msg), s));
}

static void messages(struct str in, const struct deflate_terms *t)
{
	struct side whole = {0}, slow = {0}, out = {0}, back = {0};
	struct deflate_terms other = *t;
	enum inflate_result a, b;

	/* What we send, as the client of another. */
	other.client_bits = t->server_bits;
	other.client_fresh = t->server_fresh;
	other.client_asked = false;
	side_init(&whole, t);
	side_init(&slow, t);
	side_init(&out, t);
	side_init(&back, &other);
	while (in.n) {
		size_t n = min_of((size_t)(unsigned char)in.p[0], in.n - 1);
		struct str one = str_n(in.p + 1, n);

		in = str_skip(in, 1 + n);
		a = take(&whole, one, SIZE_MAX);
		b = take(&slow, one, 1);
		check(a == b);
		if (a != INFLATE_DONE)
			break;
		check(str_eq(buf_str(&whole.msg), buf_str(&slow.msg)));
		there_and_back(&out, &back, buf_str(&whole.msg));
	}
	side_fini(&whole);
	side_fini(&slow);
	side_fini(&out);
	side_fini(&back);
}

static void offer(struct str in)
{
	struct http_header h = {STR("Sec-WebSocket-Extensions"), in};
	struct http_request r = {.headers = &h, .headers_n = 1};
	struct buf first cleanup(buf_fini) = {0};
	struct buf second cleanup(buf_fini) = {0};
	struct deflate_terms t;

	if (!deflate_offered(&r, &t))
		return;
	check(t.server_bits >= 9 && t.client_bits >= 8);
	deflate_answer(&t, &first);
	h.value = buf_str(&first);
	check(deflate_offered(&r, &t));
	deflate_answer(&t, &second);
	check(str_eq(buf_str(&first), buf_str(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct conf conf;
	struct deflate_terms t = {.on = true};
	struct str in = fuzz_exact(data, n);

	conf_defaults(&conf);
	conf_swap(&conf, false);
	offer(in);
	if (n >= 2) {
		t.client_bits = (8 + data[0] % 8) & 15;
		t.server_bits = (9 + data[1] % 7) & 15;
		t.client_fresh = data[0] >> 7;
		t.server_fresh = data[1] >> 7;
		t.client_asked = data[0] >> 6 & 1;
		messages(str_skip(in, 2), &t);
	}
	free((char *)in.p);
	return 0;
}
