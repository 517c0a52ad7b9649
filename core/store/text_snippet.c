/*
 * Snippets (RFC 8621 5): a text with what a query finds in it marked.
 *
 * One pass over the text's words. Each term is watched as a set of bits: bit k says
 * that its words 0..k have just been seen, one behind the other; so a hit costs no
 * second look, whatever the text repeats.
 */
#include "core/base/utf8.h"
#include "core/mime/text.h"
#include "core/store/internal.h"
#include "core/store/text.h"
#include "core/store/text_query.h"

static const struct str mark = {"<mark>", 6}, unmark = {"</mark>", 7},
			dots = {"\xe2\x80\xa6", 3};

struct range {
	size_t from, to;
};

/* ---- where the words are --------------------------------------------------- */

struct watch {
	struct text_query q;
	uint64_t seen[TEXT_TERMS];
	size_t from[TEXT_TERM_WORDS]; /* of the last words, by their number */
	size_t words;
};

static bool fits(const struct text_term *t, size_t k, struct str word)
{
	if (t->prefix && k == t->n - 1)
		return str_starts(word, t->word[k]);
	return str_eq(word, t->word[k]);
}

/* Bit k for each word of the term that this one is. */
static uint64_t which(const struct text_term *t, struct str word)
{
	uint64_t bits = 0;

	for (size_t k = 0; k < t->n; k++)
		if (fits(t, k, word))
			bits |= (uint64_t)1 << k;
	return bits;
}

/* The longest range that ends with this word; false: none does. */
static bool watch_word(
	struct watch *w, const struct mime_word *one, struct range *r)
{
	size_t longest = 0;

	w->from[w->words % TEXT_TERM_WORDS] = one->from;
	for (size_t i = 0; i < w->q.n; i++) {
		const struct text_term *t = &w->q.term[i];

		check(t->n > 0 && t->n <= TEXT_TERM_WORDS);
		w->seen[i] = (w->seen[i] << 1 | 1) & which(t, one->word);
		if (w->seen[i] >> (t->n - 1) & 1)
			longest = max_of(longest, t->n);
	}
	if (longest) {
		size_t first = w->words + 1 - longest;

		*r = (struct range){w->from[first % TEXT_TERM_WORDS], one->to};
	}
	w->words++;
	return longest > 0;
}

/* Adds a range to those before it, joined with what it touches. */
static void add_range(struct buf *ranges, struct range r)
{
	while (ranges->n) {
		struct range last;

		memcpy(&last, ranges->p + ranges->n - sizeof(last),
			sizeof(last));
		if (last.to < r.from)
			break;
		r.from = min_of(r.from, last.from);
		r.to = max_of(r.to, last.to);
		ranges->n -= sizeof(last);
	}
	buf_add(ranges, &r, sizeof(r));
}

/* All hits, in order; those that end far behind the first one are not needed. */
static void find(struct str text, struct watch *w, size_t max, struct buf *out)
{
	struct mime_words words;
	struct mime_word one;
	struct range r;
	size_t end = SIZE_MAX;

	mime_words_init(&words, text);
	while (mime_words_next(&words, &one) && one.from < end) {
		if (!watch_word(w, &one, &r))
			continue;
		if (end == SIZE_MAX && max < SIZE_MAX - one.to)
			end = one.to + max;
		add_range(out, r);
	}
}

/* ---- writing -------------------------------------------------------------- */

static struct str entity(char c)
{
	switch (c) {
	case '&':
		return STR("&amp;");
	case '<':
		return STR("&lt;");
	case '>':
		return STR("&gt;");
	default:
		return STR_NONE;
	}
}

/* Where to begin, so that at most so many bytes stand before `at`; at a word. */
static size_t begin_at(struct str text, size_t at, size_t room)
{
	size_t start = at, word = at;

	while (start > 0) {
		size_t n = 1, wide;

		/* Back to the character's first byte. */
		while (start > n &&
			((unsigned char)text.p[start - n] & 0xc0) == 0x80)
			n++;
		start -= n;
		wide = max_of(entity(text.p[start]).n, n);
		if (wide > room)
			return word;
		room -= wide;
		if (start == 0 || text.p[start - 1] == ' ' ||
			text.p[start - 1] == '\n')
			word = start;
	}
	return 0;
}

struct out {
	struct buf *b;
	size_t room;
	bool marked;
};

static bool take(struct out *o, size_t n)
{
	if (n > o->room)
		return false;
	o->room -= n;
	return true;
}

/* Opens or closes a mark; an open one has its end's room set aside. */
static bool set_mark(struct out *o, bool on)
{
	if (o->marked == on)
		return true;
	if (on && !take(o, mark.n + unmark.n))
		return false;
	buf_adds(o->b, on ? mark : unmark);
	o->marked = on;
	return true;
}

/* From start on, as much as there is room for; false: not all of it. */
static bool write_text(struct out *o, struct str text, size_t start,
	const struct range *r, size_t ranges)
{
	size_t at = start, i = 0, n;

	while (at < text.n) {
		struct str c = str_skip(text, at), as;
		uint32_t cp;

		c.n = n = utf8_decode(c, &cp);
		as = entity(c.p[0]);
		if (!as.n)
			as = c;
		while (i < ranges && at >= r[i].to)
			i++;
		if (!set_mark(o, i < ranges && at >= r[i].from) ||
			!take(o, as.n))
			break;
		buf_adds(o->b, as);
		at += n;
	}
	set_mark(o, false);
	return at == text.n;
}

bool text_snippet(struct str text, const struct str *query, size_t n,
	size_t max, struct buf *out)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct buf ranges cleanup(buf_fini) = {0};
	struct watch *w = arena_new(&tmp, sizeof(*w));
	struct out o = {.b = out, .room = max};
	const struct range *r;
	size_t start;

	check(max >= 64);
	for (size_t i = 0; i < n; i++)
		text_query_add(&w->q, query[i], &tmp);
	if (w->q.n)
		find(text, w, max, &ranges);
	if (!ranges.n)
		return false;
	r = (const struct range *)(const void *)ranges.p;
	start = begin_at(text, r[0].from, max / 4);
	take(&o, 2 * dots.n);
	if (start > 0)
		buf_adds(out, dots);
	if (!write_text(&o, text, start, r, ranges.n / sizeof(*r)))
		buf_adds(out, dots);
	return true;
}
