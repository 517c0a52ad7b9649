/*
 * The text index: FTS5 over the words that core/mime finds in a message.
 *
 * A batch is read and taken apart on a snapshot, without the account's write turn,
 * and then written in one transaction with the number up to which it goes
 * (words_done); emails that have gone in between are left out. `indexing` keeps two
 * from doing the same batch. Ids only grow, so all that waits is above the number.
 *
 * FTS5 keeps no text (contentless), just where words stand; its tokenizer is "ascii",
 * since what it gets is words already, separated by spaces. To take an email out of
 * such a table FTS5 must be told its words again: they are made from the message once
 * more, in the transaction that destroys it. That costs what indexing costs (some
 * 0.3 ms), but what was destroyed is not found from that commit on, a search needs no
 * look at each hit's row, and its words leave the file soon (text_merge.c). For the
 * words to be the same, words_done also names who made them: when that is another
 * version, the index is made anew from scratch.
 */
#include "core/store/text.h"

#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/mime/text.h"
#include "core/store/internal.h"

#define BATCH_EMAILS 256
#define BATCH_BYTES ((size_t)512 << 10) /* of words */
#define TEXT_MAX ((size_t)1 << 20) /* bytes of one message that are indexed */
#define WAIT_MS 3000		   /* after a delivery */
#define RETRY_MS 60000		   /* after a failure */
#define COLUMNS 6
#define MORE_BATCHES 16 /* of what came while a search caught up */

/* ---- up to where ---------------------------------------------------------- */

struct done {
	uint64_t upto;
	bool same; /* made by this version; else it is worth nothing */
};

static int done_read(struct tx *t, struct done *d, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT upto, version FROM words_done WHERE id = 1", &s, e);

	*d = (struct done){0};
	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	if (ret > 0) {
		d->same = str_eq(db_bytes(s, 1), str_of(mime_text_version()));
		d->upto = d->same ? (uint64_t)db_i64(s, 0) : 0;
	}
	db_done(s);
	if (ret == 0)
		return err_set(e, -EUCLEAN, "the text index has no number");
	return min_of(ret, 0);
}

static int done_write(struct tx *t, uint64_t upto, struct err *e)
{
	return db_run(t->db, e,
		"UPDATE words_done SET upto = ?, version = ? WHERE id = 1",
		"it", (int64_t)upto, str_of(mime_text_version()));
}

int text_behind(struct tx *t, struct err *e)
{
	struct done d;
	int ret = done_read(t, &d, e);

	return ret < 0 ? ret : d.upto + 1 < t->meta.next_email;
}

/* ---- the words of an email ------------------------------------------------ */

/* One after the other in a buffer; column i is [end[i - 1], end[i]). */
struct doc {
	uint64_t id;
	size_t start, end[COLUMNS];
};

static void add_words(struct buf *out, struct str text)
{
	struct mime_words w;
	struct mime_word one;

	mime_words_init(&w, text);
	while (mime_words_next(&w, &one)) {
		buf_adds(out, one.word);
		buf_addc(out, ' ');
	}
}

static void doc_make(struct str raw, struct buf *out, struct doc *d)
{
	struct mime_search s cleanup(mime_search_fini) = {0};
	const struct buf *column[COLUMNS] = {
		&s.from, &s.to, &s.cc, &s.bcc, &s.subject, &s.body};

	mime_search_read(raw, TEXT_MAX, &s);
	d->start = out->n;
	for (int i = 0; i < COLUMNS; i++) {
		add_words(out, buf_str(column[i]));
		d->end[i] = out->n;
	}
}

/* A message that is a file; one that is not there has no words. */
static int doc_of_file(struct tx *t, const struct blob_id *b, struct buf *out,
	struct doc *d, struct err *e)
{
	struct buf raw cleanup(buf_fini) = {0};
	int ret = blob_read(t, b, &raw, e);

	if (ret >= 0)
		doc_make(buf_str(&raw), out, d);
	return min_of(ret, 0);
}

static int doc_read(struct tx *t, uint64_t id, const struct blob_id *b,
	struct buf *out, struct doc *d, struct err *e)
{
	struct db_stmt *s;
	bool file = true;
	int ret = db_stmt(t->db, "SELECT raw FROM body WHERE id = ?", &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)id);
	ret = db_step(s, e);
	if (ret > 0 && !db_is_null(s, 0)) {
		doc_make(db_bytes(s, 0), out, d);
		file = false;
	}
	db_done(s);
	if (ret < 0)
		return ret;
	return file ? doc_of_file(t, b, out, d, e) : 0;
}

static uint64_t digest_of(const struct blob_id *b)
{
	uint64_t digest;

	memcpy(&digest, b->sha, sizeof(digest));
	return digest | 1;
}

/* A message that must not be taken apart any more has no words. */
static int doc_of(struct tx *t, uint64_t id, const struct blob_id *b,
	struct buf *out, struct doc *d, struct err *e)
{
	const struct store_guard *g = &t->account->store->guard;
	int slot = g->begin ? g->begin(g->ctx, digest_of(b)) : 0;
	int ret = 0;

	d->id = id;
	d->start = out->n;
	for (int i = 0; i < COLUMNS; i++)
		d->end[i] = out->n;
	if (slot != STORE_REFUSED)
		ret = doc_read(t, id, b, out, d, e);
	else
		log_warn("account=%" PRIu64 " email=%" PRIu64
			 " is not searched: it ended the store before",
			t->account->id, id);
	if (g->end && slot != STORE_REFUSED)
		g->end(g->ctx, slot);
	return ret;
}

static int run_doc(struct db *db, const char *sql, const struct doc *d,
	const struct buf *words, struct err *e)
{
	struct db_stmt *s;
	size_t from = d->start;
	int ret = db_stmt(db, sql, &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)d->id);
	for (int i = 0; i < COLUMNS; i++) {
		db_bind_text(s, i + 2,
			d->end[i] > from
				? str_n(words->p + from, d->end[i] - from)
				: STR(""));
		from = d->end[i];
	}
	ret = db_step(s, e);
	db_done(s);
	return min_of(ret, 0);
}

/*
 * FTS5 says that it never had these words: the index and the mail are not of one
 * mind. Nobody is kept from destroying mail by that; the index is made anew.
 */
static int renew(struct tx *t, struct err *e)
{
	log_warn("account=%" PRIu64 " text index: made anew, %s",
		t->account->id, e ? e->text : "");
	account_chore(t->account, WAIT_MS);
	return db_run(t->db, e,
		"UPDATE words_done SET upto = 0, version = '' WHERE id = 1",
		"");
}

int text_forget(struct tx *t, uint64_t email, struct err *e)
{
	struct buf words cleanup(buf_fini) = {0};
	struct arena tmp cleanup(arena_fini) = {0};
	struct done done;
	struct email m;
	struct doc d;
	int ret = done_read(t, &done, e);

	if (ret < 0 || email > done.upto)
		return ret;
	ret = email_find(t, email, 0, &tmp, &m, e);
	if (ret <= 0)
		return ret;
	ret = doc_of(t, email, &m.blob, &words, &d, e);
	if (ret < 0)
		return ret;
	ret = run_doc(t->db,
		"INSERT INTO words (words, rowid, sender, rcpt, cc, bcc,"
		" subject, body) VALUES ('delete', ?, ?, ?, ?, ?, ?, ?)",
		&d, &words, e);
	if (ret == -EUCLEAN)
		return renew(t, e);
	return ret < 0 ? ret : text_died(t, e);
}

/* ---- a batch -------------------------------------------------------------- */

struct batch {
	struct done began;
	uint64_t next_email; /* of the snapshot */
	uint64_t upto;	     /* it goes that far */
	struct buf words;
	struct doc doc[BATCH_EMAILS];
	size_t n;
};

static void batch_free(struct batch *b)
{
	buf_fini(&b->words);
	free(b);
}
CLEANUP_PTR(struct batch, batch_free)

/* The next email above b->upto; 1, 0, < 0. */
static int next_email(struct tx *t, uint64_t above, uint64_t *id_r,
	struct blob_id *b, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT id, sha FROM email WHERE id > ? ORDER BY id LIMIT 1",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)above);
	ret = db_step(s, e);
	if (ret > 0) {
		*id_r = (uint64_t)db_i64(s, 0);
		if (db_bytes(s, 1).n == SHA256_LEN)
			memcpy(b->sha, db_bytes(s, 1).p, SHA256_LEN);
	}
	db_done(s);
	return ret;
}

static int batch_fill(struct tx *t, struct batch *b, struct err *e)
{
	uint64_t id;

	while (b->n < BATCH_EMAILS && b->words.n < BATCH_BYTES) {
		struct blob_id blob = {0};
		int ret = next_email(t, b->upto, &id, &blob, e);

		if (ret == 0)
			b->upto =
				b->next_email - 1; /* the last ones are gone */
		if (ret <= 0)
			return ret;
		ret = doc_of(t, id, &blob, &b->words, &b->doc[b->n], e);
		if (ret < 0)
			return ret;
		b->n++;
		b->upto = id;
	}
	return 0;
}

static int batch_read(struct account *a, struct batch *b, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	int ret = tx_begin(a, TX_READ, &t, e);

	if (ret == 0)
		ret = done_read(t, &b->began, e);
	if (ret < 0)
		return ret;
	b->next_email = t->meta.next_email;
	b->upto = b->began.upto;
	return b->upto + 1 < b->next_email ? batch_fill(t, b, e) : 0;
}

static int is_there(struct tx *t, uint64_t id, struct err *e)
{
	int64_t one;

	return db_number(t->db, &one, e, "SELECT 1 FROM email WHERE id = ?",
		"i", (int64_t)id);
}

static int clear(struct tx *t, struct err *e)
{
	int ret = db_run(t->db, e,
		"INSERT INTO words (words) VALUES ('delete-all')", "");

	return ret < 0 ? ret
		       : db_run(t->db, e,
				 "UPDATE words_done SET dead = 0, merging = 0"
				 " WHERE id = 1",
				 "");
}

static int batch_insert(struct tx *t, const struct batch *b, struct err *e)
{
	int ret = 0;

	if (!b->began.same)
		ret = clear(t, e);
	for (size_t i = 0; i < b->n && ret >= 0; i++) {
		ret = is_there(t, b->doc[i].id, e);
		if (ret > 0)
			ret = run_doc(t->db,
				"INSERT INTO words (rowid, sender, rcpt, cc,"
				" bcc, subject, body)"
				" VALUES (?, ?, ?, ?, ?, ?, ?)",
				&b->doc[i], &b->words, e);
	}
	return ret < 0 ? ret : done_write(t, b->upto, e);
}

/* Nobody else writes the number but renew(). 1: it is as it was; 0, < 0. */
static int is_current(struct tx *t, const struct batch *b, struct err *e)
{
	struct done d;
	int ret = done_read(t, &d, e);

	return ret < 0 ? ret
		       : d.upto == b->began.upto && d.same == b->began.same;
}

/* 1: done; 0: it is not wanted any more. */
static int batch_write(struct account *a, const struct batch *b, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	int ret = tx_begin(a, TX_WRITE, &t, e);

	if (ret == 0)
		ret = is_current(t, b, e);
	if (ret <= 0)
		return ret;
	ret = batch_insert(t, b, e);
	if (ret == 0)
		ret = tx_commit(t, e);
	if (ret < 0)
		return ret;
	atomic_store(&a->indexed, b->upto);
	return 1;
}

/* One batch, with `indexing` held: it goes up to *upto_r, of emails below
 * *next_r. 1; 0: nothing waited. */
static int step(
	struct account *a, uint64_t *upto_r, uint64_t *next_r, struct err *e)
{
	struct batch *b cleanup(batch_free) = mem_new(sizeof(*b));
	int ret = batch_read(a, b, e);

	if (ret < 0)
		return ret;
	*next_r = b->next_email;
	*upto_r = b->began.upto;
	if (b->upto == b->began.upto && b->began.same)
		return 0;
	ret = batch_write(a, b, e);
	if (ret > 0)
		*upto_r = b->upto;
	return ret < 0 ? ret : 1;
}

int text_catch_up(struct account *a, struct err *e)
{
	uint64_t upto, next, first = 0;
	int ret, more = 0;

	pthread_mutex_lock(&a->indexing);
	/* What was there at the call, and what comes meanwhile; but who searches
	 * does not wait for the end of an import. */
	do {
		ret = step(a, &upto, &next, e);
		if (ret > 0 && !first)
			first = next;
		if (ret > 0 && upto + 1 >= first)
			more++;
	} while (ret > 0 && more < MORE_BATCHES);
	pthread_mutex_unlock(&a->indexing);
	return min_of(ret, 0);
}

/* ---- the housekeeper ------------------------------------------------------ */

uint64_t text_wait_ms(uint64_t emails)
{
	return emails < BATCH_EMAILS ? WAIT_MS : 0;
}

int text_open(struct tx *t, struct err *e)
{
	struct account *a = t->account;
	struct done d;
	int ret = done_read(t, &d, e);

	if (ret < 0)
		return ret;
	atomic_store(&a->indexed, d.upto);
	a->unindexed = t->meta.next_email - 1 - d.upto;
	return 0;
}

void text_wanted(struct account *a, uint64_t next)
{
	uint64_t upto = atomic_load(&a->indexed);

	account_chore(a, text_wait_ms(next - 1 - min_of(upto, next - 1)));
}

void text_chore(struct account *a)
{
	uint64_t upto, next;
	struct err e;
	int ret;

	/* Who is at it does all there is. */
	if (pthread_mutex_trylock(&a->indexing))
		return;
	ret = step(a, &upto, &next, &e);
	pthread_mutex_unlock(&a->indexing);
	if (ret >= 0 && upto + 1 >= next)
		ret = text_merge(a, &e);
	if (ret > 0)
		account_chore(a, 0);
	if (ret < 0) {
		log_warn("account=%" PRIu64 " text index: %s", a->id, e.text);
		account_chore(a, RETRY_MS);
	}
}
