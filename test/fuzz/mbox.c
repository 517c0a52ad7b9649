/*
 * mbox: whole and in pieces it is the same messages at the same places; what is
 * read from their headers may be keywords. The first byte says how long pieces are.
 */
#include "cmd/jmapctl/mbox.h"

#include "test/fuzz/fuzz.h"

#define KEPT 4096 /* bytes of a message */

struct told {
	struct buf text;
	uint64_t last;
	size_t n;
};

static int on_message(void *ctx, const struct mbox_message *m, struct err *e)
{
	struct told *t = ctx;
	struct str raw = fuzz_exact(m->raw.p, m->raw.n);
	bool deleted;
	size_t before;

	check(m->raw.n <= KEPT && (!m->too_large || !m->raw.n));
	check(t->n == 0 ? m->at == 0 : m->at > t->last);
	t->last = m->at;
	t->n++;
	buf_fmt(&t->text, "|%d %d %d %lld:", (int)m->at, m->too_large,
		m->has_date, m->has_date ? (long long)m->date_ms : 0);
	buf_adds(&t->text, m->raw);
	before = t->text.n;
	mbox_keywords(raw, &t->text, &deleted);
	for (size_t i = before; i < t->text.n; i++)
		check(t->text.p[i] >= ' ' && t->text.p[i] < 0x7f);
	free((char *)(uintptr_t)raw.p);
	return 0;
}

static int feed(struct str in, size_t piece, struct told *t)
{
	struct mbox b;
	int ret = 0;

	mbox_init(&b, KEPT, on_message, t);
	while (in.n && ret == 0) {
		struct str one = fuzz_exact(in.p, min_of(in.n, piece));

		ret = mbox_feed(&b, one, NULL);
		in = str_skip(in, one.n);
		free((char *)(uintptr_t)one.p);
	}
	if (ret == 0)
		ret = mbox_end(&b, NULL);
	mbox_fini(&b);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct told whole = {0}, pieces = {0};
	struct str in;

	if (!n)
		return 0;
	in = str_n((const char *)data + 1, n - 1);
	check(feed(in, SIZE_MAX, &whole) ==
		feed(in, 1 + (size_t)data[0] * 3, &pieces));
	check(str_eq(buf_str(&whole.text), buf_str(&pieces.text)));
	buf_fini(&whole.text);
	buf_fini(&pieces.text);
	return 0;
}
