/*
 * Text queries (RFC 8621 4.4.1): words, phrases in quotes, and the ids they match.
 *
 * A bare word is a phrase too, when it falls into several ("bob@example.net", and
 * what is written without spaces). A word matches as a whole; with a "*" behind it,
 * also as a beginning. Two letters at least, since every word beginning with "a" is
 * most of the index. A single character of a run (core/mime/text.h) at the end of a
 * term stands for each pair that it begins.
 *
 * Only letters, digits and bytes >= 0x80 come out of mime_words_next(), and all of
 * it goes to FTS5 in quotes: no syntax of FTS5 comes from a client.
 */
#include "core/store/text_query.h"

#include "core/base/utf8.h"
#include "core/mime/text.h"
#include "core/store/internal.h"
#include "core/store/text.h"

/* ---- reading -------------------------------------------------------------- */

/* The bytes of white space that s begins with; also that of other scripts. */
static size_t space(struct str s)
{
	uint32_t cp;
	size_t n;

	if (!s.n)
		return 0;
	n = utf8_decode(s, &cp);
	if (cp == ' ' || (cp >= '\t' && cp <= '\r') || cp == 0xa0 ||
		(cp >= 0x2000 && cp <= 0x200a) || cp == 0x202f || cp == 0x3000)
		return n;
	return 0;
}

/* The phrase that opens with the quote at s; false: nothing closes it. */
static bool cut_phrase(struct str *s, struct buf *out)
{
	char quote = s->p[0];

	buf_reset(out);
	for (size_t i = 1; i < s->n; i++) {
		if (s->p[i] == quote) {
			*s = str_skip(*s, i + 1);
			return true;
		}
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
		buf_addc(out, s->p[i]);
	}
	return false;
}

static struct str cut_word(struct str *s)
{
	struct str word = *s;

	word.n = 0;
	while (s->n && !space(*s)) {
		uint32_t cp;
		size_t n = utf8_decode(*s, &cp);

		word.n += n;
		*s = str_skip(*s, n);
	}
	return word;
}

/* Letters of the word, as far as a beginning of it is concerned. */
static bool is_short(struct str word)
{
	uint32_t cp;

	return utf8_decode(word, &cp) == word.n;
}

static void add_term(
	struct text_query *q, struct str text, bool prefix, struct arena *a)
{
	struct text_term *t = &q->term[q->n];
	enum mime_word_kind last = MIME_WORD, before = MIME_WORD;
	struct mime_words w;
	struct mime_word one;

	*t = (struct text_term){0};
	t->word = arena_new(a, TEXT_TERM_WORDS * sizeof(*t->word));
	mime_words_init(&w, text);
	while (t->n < TEXT_TERM_WORDS && mime_words_next(&w, &one)) {
		before = last;
		last = one.kind;
		t->word[t->n++] = arena_str(a, one.word);
	}
	if (!t->n)
		return;
	/* The text may go on where the query's run ends. */
	if (last == MIME_RUN_END && before == MIME_PAIR)
		t->n--;
	if (last == MIME_RUN_END)
		t->prefix = before != MIME_PAIR;
	else
		t->prefix = prefix && !is_short(t->word[t->n - 1]);
	q->n++;
}

void text_query_add(struct text_query *q, struct str text, struct arena *a)
{
	struct buf phrase cleanup(buf_fini) = {0};
	size_t n;

	while (text.n && q->n < TEXT_TERMS) {
		struct str word;

		n = space(text);
		if (n) {
			text = str_skip(text, n);
			continue;
		}
		if ((text.p[0] == '"' || text.p[0] == '\'') &&
			cut_phrase(&text, &phrase)) {
			add_term(q, buf_str(&phrase), false, a);
			continue;
		}
		word = cut_word(&text);
		add_term(q, word, str_ends(word, STR("*")), a);
	}
}

/* ---- searching ------------------------------------------------------------ */

static void add_fields(struct buf *out, unsigned fields)
{
	static const struct {
		unsigned field;
		const char *column;
	} columns[] = {
		{TEXT_FROM, "sender "},
		{TEXT_TO, "rcpt "},
		{TEXT_CC, "cc "},
		{TEXT_BCC, "bcc "},
		{TEXT_SUBJECT, "subject "},
		{TEXT_BODY, "body "},
	};

	if ((fields & TEXT_ALL) == TEXT_ALL)
		return;
	buf_addc(out, '{');
	for (size_t i = 0; i < countof(columns); i++)
		if (fields & columns[i].field)
			buf_addz(out, columns[i].column);
	buf_addz(out, "} : ");
}

/* { subject body } : ("one two" AND "thre" *) */
static void match_expr(
	const struct text_query *q, unsigned fields, struct buf *out)
{
	add_fields(out, fields);
	buf_addc(out, '(');
	for (size_t i = 0; i < q->n; i++) {
		const struct text_term *t = &q->term[i];

		buf_addz(out, i ? " AND \"" : "\"");
		for (size_t k = 0; k < t->n; k++) {
			if (k)
				buf_addc(out, ' ');
			buf_adds(out, t->word[k]);
		}
		buf_addz(out, t->prefix ? "\" *" : "\"");
	}
	buf_addc(out, ')');
}

static int fetch(struct tx *t, struct str expr, struct buf *ids, struct err *e)
{
	struct db_stmt *s;
	/* FTS5 gives them in the order of rowid, without sorting. */
	int ret = db_stmt(t->db,
		"SELECT rowid FROM words WHERE words MATCH ?"
		" ORDER BY rowid",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_text(s, 1, expr);
	while ((ret = db_step(s, e)) > 0) {
		uint64_t id = (uint64_t)db_i64(s, 0);

		buf_add(ids, &id, sizeof(id));
	}
	db_done(s);
	return ret;
}

int text_search(struct tx *t, unsigned fields, struct str query,
	struct arena *a, const uint64_t **ids_r, size_t *n_r, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct buf expr cleanup(buf_fini) = {0};
	struct buf ids cleanup(buf_fini) = {0};
	struct text_query *q = arena_new(&tmp, sizeof(*q));
	int ret;

	check(fields & TEXT_ALL);
	*ids_r = NULL;
	*n_r = 0;
	text_query_add(q, query, &tmp);
	if (!q->n)
		return 0;
	match_expr(q, fields, &expr);
	ret = fetch(t, buf_str(&expr), &ids, e);
	if (ret < 0)
		return ret;
	*n_r = ids.n / sizeof(uint64_t);
	*ids_r = arena_dup(a, ids.n ? ids.p : "", ids.n);
	return 0;
}
