/*
 * HTTP/1.1 requests: a head, then its chunked body. Whole and byte by byte must
 * come to the same verdict after the same bytes, or a smuggler has his gap.
 */
#include "core/base/buf.h"
#include "proto/http/h1_parse.h"
#include "test/fuzz/fuzz.h"

struct outcome {
	int head, body;
	size_t used, method_n, path_n, body_n;
};

static int feed_head(struct h1_head *h, struct str *in, size_t piece)
{
	int ret = 0;

	while (!ret && in->n) {
		struct str exact = fuzz_exact(in->p, min_of(piece, in->n));
		size_t used = 0;

		ret = h1_head_feed(h, exact.p, exact.n, &used);
		check(used <= exact.n);
		check(ret || used == exact.n);
		*in = str_skip(*in, used);
		free((char *)exact.p);
	}
	return ret;
}

static int feed_chunked(struct str *in, size_t piece, size_t *body_n)
{
	struct h1_chunked c = {0};
	int ret = 0;

	while (ret >= 0 && ret != 2 && in->n) {
		size_t n = min_of(piece, in->n), used = 0;

		if (ret == 1 && c.left) {
			n = min_of(n, c.left);
			h1_chunked_took(&c, n);
			*body_n += n;
			*in = str_skip(*in, n);
			if (c.left)
				continue;
			ret = 0;
			continue;
		}
		ret = h1_chunked_feed(&c, in->p, n, &used);
		check(used <= n);
		check(ret || used == n);
		*in = str_skip(*in, used);
	}
	return ret;
}

static bool within(struct str s, const struct buf *b)
{
	return !s.n || (s.p >= b->p && s.p + s.n <= b->p + b->n);
}

static void look_at(const struct h1_head *h)
{
	struct http_header f[H1_FIELDS_MAX];
	size_t n = h1_head_fields(h, f);

	check(n <= H1_FIELDS_MAX);
	check(h->method.n && h->text.n <= H1_HEAD_MAX);
	for (size_t i = 0; i < n; i++) {
		check(f[i].name.n);
		check(within(f[i].name, &h->text));
		check(within(f[i].value, &h->text));
	}
}

static struct outcome run(struct str in, size_t piece)
{
	struct h1_head h = {0};
	struct outcome o = {0};
	size_t all = in.n;

	o.head = feed_head(&h, &in, piece);
	check(o.head >= 0 || h.why);
	if (o.head == 1) {
		look_at(&h);
		o.method_n = h.method.n;
		o.path_n = h.path.n;
		if (h.content_length == UINT64_MAX)
			o.body = feed_chunked(&in, piece, &o.body_n);
	}
	o.used = all - in.n;
	h1_head_fini(&h);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct outcome whole = run(str_n(data, n), SIZE_MAX);
	struct outcome bytes = run(str_n(data, n), 1);

	check(whole.head == bytes.head && whole.body == bytes.body);
	check(whole.method_n == bytes.method_n);
	check(whole.path_n == bytes.path_n);
	check(whole.body_n == bytes.body_n);
	/* A refused request's bytes are nobody's. */
	check(whole.head < 0 || whole.body < 0 || whole.used == bytes.used);
	return 0;
}
