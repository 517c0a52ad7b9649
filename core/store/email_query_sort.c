/*
 * The order of a list. Each comparator makes of an email one number, so that sorting
 * compares numbers; texts are collected first and become ranks, one comparator after
 * the other.
 *
 * email.sort holds base subject, from and to, each as a length (one byte) and at
 * most SORT_TEXT bytes. It is NULL in a row that an older version wrote; then the
 * message's header tells.
 */
#include "core/mime/collate.h"
#include "core/mime/mime.h"
#include "core/store/email_search.h"

#define SORT_TEXT 120 /* bytes of each that count */

enum { TEXT_SUBJECT_KEY, TEXT_FROM_KEY, TEXT_TO_KEY, TEXT_KEYS };

/* ---- texts of a row ------------------------------------------------------- */

struct str email_first_name(struct str raw, struct arena *a)
{
	const struct mime_addr *at;
	size_t n = raw.p ? mime_as_addresses(raw, a, &at) : 0;

	for (size_t i = 0; i < n; i++) {
		if (at[i].group_start || at[i].group_end)
			continue;
		return at[i].name.n ? at[i].name : at[i].email;
	}
	return STR("");
}

/* At most SORT_TEXT bytes, and no half of a character. */
static struct str cut(struct str s)
{
	if (s.n <= SORT_TEXT)
		return s;
	s.n = SORT_TEXT;
	while (s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return s;
}

struct str email_sort_pack(
	struct arena *a, struct str subject, struct str from, struct str to)
{
	const struct str part[TEXT_KEYS] = {cut(subject), cut(from), cut(to)};
	char *p = arena_new(a, countof(part) * (SORT_TEXT + 1));
	size_t n = 0;

	for (size_t i = 0; i < countof(part); i++) {
		p[n++] = (char)part[i].n;
		if (part[i].n)
			memcpy(p + n, part[i].p, part[i].n);
		n += part[i].n;
	}
	return str_n(p, n);
}

static struct str sort_part(struct str packed, int which)
{
	for (;; which--) {
		size_t n = packed.n ? (unsigned char)packed.p[0] : 0;

		if (packed.n < n + 1)
			return STR("");
		if (which == 0)
			return str_n(packed.p + 1, n);
		packed = str_skip(packed, n + 1);
	}
}

static struct str field_of(
	const struct mime_header *h, size_t n, const char *name)
{
	struct str value = STR_NONE;

	for (size_t i = 0; i < n; i++)
		if (str_ieq(h[i].name, str_of(name)))
			value = h[i].value;
	return value;
}

/* What email_add() would have kept. */
static int sort_from_header(
	struct search *s, const struct row *r, struct arena *a, struct str *v_r)
{
	struct buf raw cleanup(buf_fini) = {0};
	const struct mime_header *h;
	size_t n;
	int ret = header_read(s, r, &raw);

	if (ret < 0)
		return ret;
	n = mime_fields_at(buf_str(&raw), 0, raw.n, a, &h);
	*v_r = email_sort_pack(a,
		mime_base_subject(field_of(h, n, "Subject"), a),
		email_first_name(field_of(h, n, "From"), a),
		email_first_name(field_of(h, n, "To"), a));
	return 0;
}

/* ---- comparators ---------------------------------------------------------- */

static bool is_text(enum email_sort_kind kind)
{
	return kind == SORT_FROM || kind == SORT_TO || kind == SORT_SUBJECT;
}

static bool is_thread(enum email_sort_kind kind)
{
	return kind == SORT_ALL_KEYWORD || kind == SORT_SOME_KEYWORD;
}

/* A second look at the same thing decides nothing. */
static bool is_same(const struct email_sort *a, const struct email_sort *b)
{
	return a->kind == b->kind && str_eq(a->keyword, b->keyword) &&
	       (!is_text(a->kind) || a->collation == b->collation);
}

void sort_open(struct search *s)
{
	const struct email_search *q = s->q;

	check(q->sort_n <= EMAIL_SORTS);
	for (size_t i = 0; i < q->sort_n; i++) {
		const struct email_sort *c = &q->sort[i];
		size_t k = 0;

		while (k < s->sort_n && !is_same(&s->sort[k], c))
			k++;
		if (k < s->sort_n)
			continue;
		s->texts |= is_text(c->kind);
		if (is_thread(c->kind))
			s->sort_words[s->sort_n] =
				thread_words_of(s, c->keyword);
		s->sort[s->sort_n++] = *c;
	}
	s->wide |= s->texts;
	if (s->sort_n == 0)
		s->sort[s->sort_n++] =
			(struct email_sort){SORT_RECEIVED, .descending = true};
}

bool sort_is_list(const struct search *s)
{
	return s->sort_n == 1 && s->sort[0].kind == SORT_RECEIVED;
}

bool sort_needs_row(const struct search *s)
{
	for (size_t i = 0; i < s->sort_n; i++)
		if (s->sort[i].kind != SORT_RECEIVED &&
			!is_thread(s->sort[i].kind))
			return true;
	return false;
}

/* ---- keys ----------------------------------------------------------------- */

/* Appends a text as its collation compares it; its place is the key for now. */
static uint64_t text_key(
	struct buf *out, struct str text, enum email_collation collation)
{
	uint64_t at = out->n;
	uint32_t n = 0;

	buf_add(out, &n, sizeof(n));
	if (collation == COLLATION_UNICODE)
		mime_casemap(text, out);
	else
		buf_adds(out, text);
	for (size_t i = at + sizeof(n);
		collation == COLLATION_ASCII && i < out->n; i++)
		if (out->p[i] >= 'a' && out->p[i] <= 'z')
			out->p[i] = (char)(out->p[i] - 'a' + 'A');
	n = (uint32_t)(out->n - at - sizeof(n));
	memcpy(out->p + at, &n, sizeof(n));
	return at;
}

static uint64_t of_signed(int64_t v)
{
	return (uint64_t)v ^ (uint64_t)1 << 63;
}

/*
 * RFC 8620 1.4: clients see whole seconds. What they see equal is equal, when
 * another comparator is still to decide.
 */
static int64_t seen_ms(const struct search *s, size_t i, int64_t ms)
{
	return i + 1 == s->sort_n ? ms : ms - ms % 1000;
}

static int thread_key(
	struct search *s, size_t i, const struct row *r, uint64_t *key_r)
{
	bool some = false, all = false;
	int ret = thread_words_ask(s, s->sort_words[i], r->thread, &some, &all);

	*key_r = s->sort[i].kind == SORT_ALL_KEYWORD ? all : some;
	return ret;
}

static int row_key(struct search *s, size_t i, struct lines *l,
	const struct row *r, struct str texts, uint64_t *key_r)
{
	const struct email_sort *c = &s->sort[i];
	struct keyword k;

	switch (c->kind) {
	case SORT_RECEIVED:
		*key_r = of_signed(seen_ms(s, i, r->received));
		return 0;
	case SORT_SENT:
		*key_r = of_signed(r->sent);
		return 0;
	case SORT_SIZE:
		*key_r = of_signed(r->size);
		return 0;
	case SORT_KEYWORD:
		k = keyword_of(c->keyword);
		*key_r = keyword_in(&k, r->flags, r->keywords);
		return 0;
	case SORT_ALL_KEYWORD:
	case SORT_SOME_KEYWORD:
		return thread_key(s, i, r, key_r);
	default:
		*key_r = text_key(&l->text[i],
			sort_part(texts, c->kind == SORT_SUBJECT
						 ? TEXT_SUBJECT_KEY
					 : c->kind == SORT_FROM ? TEXT_FROM_KEY
								: TEXT_TO_KEY),
			c->collation);
		return 0;
	}
}

int lines_add(struct search *s, struct lines *l, struct row *r)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct str texts;
	uint64_t *line;
	int ret = sort_needs_row(s) ? row_load(s, r) : 0;

	texts = r->sort;
	if (ret == 0 && s->texts && r->sort_null)
		ret = sort_from_header(s, r, &tmp, &texts);
	if (l->n == l->cap) {
		l->cap = max_of(l->cap * 2, (size_t)256);
		l->at = mem_grow(l->at, l->cap * l->stride * sizeof(*l->at));
	}
	line = l->at + l->n * l->stride;
	line[0] = r->id;
	line[1] = r->thread;
	for (size_t i = 0; i < s->sort_n && ret == 0; i++)
		ret = row_key(s, i, l, r, texts, &line[2 + i]);
	if (ret == 0)
		l->n++;
	return ret;
}

/* ---- sorting -------------------------------------------------------------- */

static struct str text_at(const char *base, uint64_t at)
{
	uint32_t n;

	memcpy(&n, base + at, sizeof(n));
	return str_n(base + at + sizeof(n), n);
}

static int by_text(const void *a, const void *b, void *base)
{
	return str_cmp(text_at(base, *(const uint64_t *)a),
		text_at(base, *(const uint64_t *)b));
}

/* Places of texts become ranks; equal texts have the same. */
static void rank(struct lines *l, size_t i)
{
	struct buf *text = &l->text[i];
	uint64_t *at = mem_new(l->n * 2 * sizeof(*at) + 1), rank = 0;

	for (size_t k = 0; k < l->n; k++) {
		at[2 * k] = l->at[k * l->stride + 2 + i];
		at[2 * k + 1] = k;
	}
	qsort_r(at, l->n, 2 * sizeof(*at), by_text, text->p);
	for (size_t k = 0; k < l->n; k++) {
		if (k && by_text(&at[2 * k - 2], &at[2 * k], text->p) != 0)
			rank++;
		l->at[at[2 * k + 1] * l->stride + 2 + i] = rank;
	}
	free(at);
	buf_fini(text);
}

struct order {
	size_t keys;
	bool descending; /* ids */
};

static int by_keys(const void *a, const void *b, void *ctx)
{
	const uint64_t *x = a, *y = b;
	const struct order *o = ctx;

	for (size_t i = 2; i < 2 + o->keys; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	if (x[0] == y[0])
		return 0;
	return (x[0] < y[0]) != o->descending ? -1 : 1;
}

void lines_sort(struct search *s, struct lines *l)
{
	struct order o = {s->sort_n, s->sort[s->sort_n - 1].descending};

	for (size_t i = 0; i < s->sort_n; i++) {
		if (is_text(s->sort[i].kind) && l->n)
			rank(l, i);
		for (size_t k = 0; k < l->n && s->sort[i].descending; k++)
			l->at[k * l->stride + 2 + i] =
				~l->at[k * l->stride + 2 + i];
	}
	if (l->n)
		qsort_r(l->at, l->n, l->stride * sizeof(*l->at), by_keys, &o);
}

void lines_fini(struct lines *l)
{
	free(l->at);
	for (size_t i = 0; i < EMAIL_SORTS; i++)
		buf_fini(&l->text[i]);
}
