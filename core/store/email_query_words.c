/*
 * Conditions that look beyond a row: keywords of all emails of a thread, texts, and
 * header fields.
 *
 * A few threads are looked at one by one. When that becomes dearer than one pass
 * over all rows, the pass is made, and each thread has its two bits from then on.
 */
#include <errno.h>

#include "core/mime/collate.h"
#include "core/mime/mime.h"
#include "core/store/blob.h"
#include "core/store/email_search.h"
#include "core/store/text.h"

#define THREADS_ALONE 64 /* and one for each PASS_ROWS of all emails */
#define PASS_ROWS 32	 /* as dear as a look at one thread */
#define HEADER_PIECE ((size_t)16384)

/* ---- keywords ------------------------------------------------------------- */

struct keyword keyword_of(struct str text)
{
	static const struct {
		int bit;
		struct str name;
	} flag[] = {
#define KEYWORD(bit, name) {bit, {name, sizeof(name) - 1}},
#include "core/store/keyword.def"
#undef KEYWORD
	};

	for (size_t i = 0; i < countof(flag); i++)
		if (str_eq(flag[i].name, text))
			return (struct keyword){.flag = 1ll << flag[i].bit};
	return (struct keyword){.word = text};
}

bool keyword_in(const struct keyword *k, int64_t flags, struct str keywords)
{
	struct str one;

	if (k->flag)
		return flags & k->flag;
	while (str_cut(&keywords, ' ', &one))
		if (str_eq(one, k->word))
			return true;
	return false;
}

struct thread_words *thread_words_of(struct search *s, struct str text)
{
	struct keyword k = keyword_of(text);
	struct thread_words *w;

	for (w = s->words; w; w = w->next)
		if (w->keyword.flag == k.flag &&
			str_eq(w->keyword.word, k.word))
			return w;
	w = arena_new(&s->arena, sizeof(*w));
	w->keyword = k;
	w->next = s->words;
	s->words = w;
	return w;
}

struct bits bits_new(struct arena *a, uint64_t n)
{
	return (struct bits){arena_new(a, (n / 64 + 1) * 8), n};
}

/* All keywords, all threads. */
static int pass(struct search *s)
{
	struct db_stmt *st;
	struct thread_words *w;
	int ret = db_stmt(s->tx->db,
		"SELECT thread, flags, keywords FROM email", &st, s->e);

	if (ret < 0)
		return ret;
	for (w = s->words; w; w = w->next) {
		w->some = bits_new(&s->arena, s->tx->meta.next_thread);
		w->lacks = bits_new(&s->arena, s->tx->meta.next_thread);
	}
	while ((ret = db_step(st, s->e)) > 0) {
		uint64_t thread = (uint64_t)db_i64(st, 0);
		int64_t flags = db_i64(st, 1);
		struct str keywords = db_bytes(st, 2);

		for (w = s->words; w; w = w->next)
			bits_add(keyword_in(&w->keyword, flags, keywords)
					 ? &w->some
					 : &w->lacks,
				thread);
	}
	db_done(st);
	return ret;
}

static int look(struct search *s, const struct thread_words *w, uint64_t thread,
	bool *some_r, bool *all_r)
{
	struct db_stmt *st;
	int ret = db_stmt(s->tx->db,
		"SELECT flags, keywords FROM email WHERE thread = ?", &st,
		s->e);

	if (ret < 0)
		return ret;
	*some_r = false;
	*all_r = true;
	db_bind_i64(st, 1, (int64_t)thread);
	while ((ret = db_step(st, s->e)) > 0) {
		bool has =
			keyword_in(&w->keyword, db_i64(st, 0), db_bytes(st, 1));

		*some_r |= has;
		*all_r &= has;
	}
	db_done(st);
	return ret;
}

/* How many threads are looked at alone at most. */
static uint64_t alone(const struct search *s)
{
	return THREADS_ALONE + s->tx->meta.emails / PASS_ROWS;
}

void thread_words_expect(struct search *s, uint64_t n)
{
	if (n <= alone(s))
		return;
	for (struct thread_words *w = s->words; w; w = w->next)
		w->looked = n;
}

int thread_words_ask(struct search *s, struct thread_words *w, uint64_t thread,
	bool *some_r, bool *all_r)
{
	if (!w->some.at && w->looked < alone(s)) {
		w->looked++;
		return look(s, w, thread, some_r, all_r);
	}
	if (!w->some.at) {
		int ret = pass(s);

		if (ret < 0)
			return ret;
		check(w->some.at && w->lacks.at);
	}
	*some_r = bits_has(&w->some, thread);
	*all_r = !bits_has(&w->lacks, thread);
	return 0;
}

/* ---- texts ---------------------------------------------------------------- */

int text_hits(struct search *s, const struct email_filter *f, struct node *n)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *ids;
	size_t ids_n;
	int ret = text_search(
		s->tx, f->fields, f->text, &tmp, &ids, &ids_n, s->e);

	if (ret < 0)
		return ret;
	n->hits = bits_new(&s->arena, s->tx->meta.next_email);
	for (size_t i = 0; i < ids_n; i++)
		bits_add(&n->hits, ids[i]);
	return 0;
}

/* ---- header fields -------------------------------------------------------- */

/* Is the empty line behind the fields there? */
static bool has_header(struct str s)
{
	return memmem(s.p, s.n, "\n\r\n", 3) || memmem(s.p, s.n, "\n\n", 2) ||
	       str_starts(s, STR("\r\n")) || str_starts(s, STR("\n"));
}

static int read_row(struct search *s, const struct row *r, struct buf *out)
{
	struct db_stmt *st;
	int ret = db_stmt(
		s->tx->db, "SELECT raw FROM body WHERE id = ?", &st, s->e);

	if (ret < 0)
		return ret;
	db_bind_i64(st, 1, (int64_t)r->id);
	ret = db_step(st, s->e);
	if (ret > 0)
		buf_adds(out, db_bytes(st, 0));
	db_done(st);
	return min_of(ret, 0);
}

int header_read(struct search *s, const struct row *r, struct buf *out)
{
	size_t want = HEADER_PIECE, before = out->n;
	struct blob_id b;
	int ret;

	if (r->size <= BODY_ROW_MAX)
		return read_row(s, r, out);
	if (r->sha.n != SHA256_LEN)
		return err_set(s->e, -EUCLEAN, "an email has no digest");
	memcpy(b.sha, r->sha.p, SHA256_LEN);
	for (;; want *= 2) {
		size_t at = out->n - before;

		ret = blob_piece(s->tx, &b, at, want - at, out, s->e);
		if (ret <= 0)
			return ret;
		at = out->n - before;
		if (at < want ||
			has_header(str_n(out->p + before, out->n - before)))
			return 0;
	}
}

static bool holds(struct str value, struct str what, struct arena *a)
{
	struct buf folded cleanup(buf_fini) = {0};

	mime_casemap(mime_as_text(value, a), &folded);
	return what.n == 0 ||
	       (folded.n && memmem(folded.p, folded.n, what.p, what.n));
}

int header_match(struct search *s, const struct node *n, struct row *r)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct buf raw cleanup(buf_fini) = {0};
	const struct mime_header *h;
	size_t fields;
	int ret = row_load(s, r);

	if (ret == 0)
		ret = header_read(s, r, &raw);
	if (ret < 0 || raw.n == 0)
		return ret;
	fields = mime_fields_at(buf_str(&raw), 0, raw.n, &tmp, &h);
	for (size_t i = 0; i < fields; i++)
		if (str_ieq(h[i].name, n->header) &&
			(!n->value.p || holds(h[i].value, n->value, &tmp)))
			return 1;
	return 0;
}
