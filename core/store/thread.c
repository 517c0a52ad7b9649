/*
 * Threads, and the four counts of each mailbox.
 *
 * Counts are never computed by counting: each change of one email moves them by
 * what it changes. For that a thread has one row a mailbox it is in (its emails
 * there, the unread ones of them), and one for "mailbox 0": its emails that are
 * not in the trash alone. RFC 8621 2, unreadThreads: a thread in a mailbox is
 * unread when any of its emails is, wherever that is; emails that are only in the
 * trash do not count elsewhere, and in the trash only what is there counts.
 * Unread means neither $seen nor $draft.
 *
 * An email belongs to the threads that share a message id and the base subject with
 * it (RFC 8621 3): both go into one hash. When those are several, email.c makes them
 * one as far as it can.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/store/internal.h"

#define KEYS_MAX 100 /* message ids of one email that count */
/* Emails with one key that are looked at. They are of one thread, but for what was
 * too much to be moved: a reply to a thread of thousands costs no more. */
#define KEY_ROWS 64

struct row {
	uint64_t mailbox; /* 0: all but what is in the trash alone */
	int64_t emails, unread;
	int64_t was_emails, was_unread;
	int64_t total, unseen; /* what the mailbox's own counts move by */
	bool stored;
};

struct rows {
	struct row *at;
	size_t n, cap;
};

static struct row *row_add(struct rows *r, uint64_t mailbox)
{
	if (r->n == r->cap) {
		r->cap = max_of(r->cap * 2, (size_t)8);
		r->at = mem_grow(r->at, r->cap * sizeof(*r->at));
	}
	r->at[r->n] = (struct row){.mailbox = mailbox};
	return &r->at[r->n++];
}

static struct row *row_of(struct rows *r, uint64_t mailbox)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->at[i].mailbox == mailbox)
			return &r->at[i];
	return row_add(r, mailbox);
}

static int rows_load(
	struct tx *t, uint64_t thread, struct rows *r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT mailbox, emails, unread FROM thread_mailbox"
		" WHERE thread = ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)thread);
	while ((ret = db_step(s, e)) > 0) {
		struct row *o = row_add(r, (uint64_t)db_i64(s, 0));

		o->emails = o->was_emails = db_i64(s, 1);
		o->unread = o->was_unread = db_i64(s, 2);
		o->stored = true;
	}
	db_done(s);
	return ret;
}

/* sign -1: the email leaves that place, +1: it comes there. */
static void rows_place(
	struct rows *r, const struct place *p, uint64_t trash, int sign)
{
	bool outside = false;
	struct row *o;

	for (size_t i = 0; i < p->mailboxes_n; i++) {
		o = row_of(r, p->mailboxes[i]);
		o->emails += sign;
		o->total += sign;
		if (p->unread) {
			o->unread += sign;
			o->unseen += sign;
		}
		outside |= p->mailboxes[i] != trash;
	}
	if (!outside)
		return;
	o = row_of(r, 0);
	o->emails += sign;
	if (p->unread)
		o->unread += sign;
}

static int row_store(
	struct tx *t, uint64_t thread, const struct row *o, struct err *e)
{
	if (o->emails < 0 || o->unread < 0 || o->unread > o->emails)
		return err_set(e, -EUCLEAN,
			"counts of thread %" PRIu64 " are wrong", thread);
	if (o->emails == o->was_emails && o->unread == o->was_unread)
		return 0;
	if (o->emails == 0)
		return db_run(t->db, e,
			"DELETE FROM thread_mailbox"
			" WHERE thread = ? AND mailbox = ?",
			"ii", (int64_t)thread, (int64_t)o->mailbox);
	if (o->stored)
		return db_run(t->db, e,
			"UPDATE thread_mailbox SET emails = ?,"
			" unread = ? WHERE thread = ? AND mailbox = ?",
			"iiii", o->emails, o->unread, (int64_t)thread,
			(int64_t)o->mailbox);
	return db_run(t->db, e,
		"INSERT INTO thread_mailbox (thread, mailbox, emails,"
		" unread) VALUES (?, ?, ?, ?)",
		"iiii", (int64_t)thread, (int64_t)o->mailbox, o->emails,
		o->unread);
}

/* Moves one mailbox's counts by what its row moved. */
static int row_count(struct tx *t, const struct row *o, bool was_unread,
	bool is_unread, struct err *e)
{
	int64_t threads = (o->emails > 0) - (o->was_emails > 0);
	int64_t unread = (o->emails > 0 && is_unread) -
			 (o->was_emails > 0 && was_unread);

	if (!o->total && !o->unseen && !threads && !unread)
		return 0;
	log_change(t, TYPE_MAILBOX, o->mailbox, CHANGE_UPDATED, true);
	return db_run(t->db, e,
		"UPDATE mailbox SET total_emails = total_emails + ?,"
		" unread_emails = unread_emails + ?,"
		" total_threads = total_threads + ?,"
		" unread_threads = unread_threads + ? WHERE id = ?",
		"iiiii", o->total, o->unseen, threads, unread,
		(int64_t)o->mailbox);
}

static int rows_store(struct tx *t, uint64_t thread, struct rows *r,
	uint64_t trash, struct err *e)
{
	struct row all = *row_of(r, 0);
	int ret = 0;

	for (size_t i = 0; i < r->n && ret == 0; i++) {
		const struct row *o = &r->at[i];
		const struct row *by = o->mailbox == trash ? o : &all;

		ret = row_store(t, thread, o, e);
		if (ret == 0 && o->mailbox)
			ret = row_count(
				t, o, by->was_unread > 0, by->unread > 0, e);
	}
	return ret;
}

int thread_move(struct tx *t, uint64_t thread, const struct place *from,
	const struct place *to, struct err *e)
{
	struct rows r = {0};
	uint64_t trash;
	int ret = mailbox_trash(t, &trash, e);

	if (ret < 0)
		return ret;
	ret = rows_load(t, thread, &r, e);
	if (ret == 0) {
		rows_place(&r, from, trash, -1);
		rows_place(&r, to, trash, 1);
		ret = rows_store(t, thread, &r, trash, e);
	}
	free(r.at);
	return ret;
}

/* ---- another mailbox becomes the trash ------------------------------------ */

struct ids {
	uint64_t *at;
	size_t n, cap;
};

static void ids_add(struct ids *l, uint64_t id)
{
	if (l->n == l->cap) {
		l->cap = max_of(l->cap * 2, (size_t)64);
		l->at = mem_grow(l->at, l->cap * sizeof(*l->at));
	}
	l->at[l->n++] = id;
}

static int threads_in(
	struct tx *t, uint64_t a, uint64_t b, struct ids *l, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT DISTINCT thread FROM mailbox_email"
		" WHERE mailbox IN (?, ?)",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)a);
	db_bind_i64(s, 2, (int64_t)b);
	while ((ret = db_step(s, e)) > 0)
		ids_add(l, (uint64_t)db_i64(s, 0));
	db_done(s);
	return ret;
}

/* Takes all emails of a thread out of the counts, or puts them back. */
static int thread_count(
	struct tx *t, uint64_t thread, uint64_t trash, int sign, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct rows r = {0};
	struct db_stmt *s;
	int ret = rows_load(t, thread, &r, e);

	if (ret == 0)
		ret = db_stmt(t->db,
			"SELECT mailboxes, flags & 3 FROM email"
			" WHERE thread = ?",
			&s, e);
	if (ret != 0) {
		free(r.at);
		return ret;
	}
	db_bind_i64(s, 1, (int64_t)thread);
	while ((ret = db_step(s, e)) > 0) {
		struct place p = {.unread = db_i64(s, 1) == 0};

		p.mailboxes_n = u64s_unpack(&tmp, db_bytes(s, 0), &p.mailboxes);
		rows_place(&r, &p, trash, sign);
	}
	db_done(s);
	if (ret == 0)
		ret = rows_store(t, thread, &r, trash, e);
	free(r.at);
	return ret;
}

int thread_retrash(
	struct tx *t, uint64_t trash, uint64_t new_trash, struct err *e)
{
	struct ids l = {0};
	int ret = threads_in(t, trash, new_trash, &l, e);

	for (size_t i = 0; i < l.n && ret == 0; i++) {
		ret = thread_count(t, l.at[i], trash, -1, e);
		if (ret == 0)
			ret = thread_count(t, l.at[i], new_trash, 1, e);
	}
	free(l.at);
	return ret;
}

/* ---- which thread --------------------------------------------------------- */

static uint64_t key_of(struct str message_id, struct str subject)
{
	struct buf b = {0};
	uint8_t sha[SHA256_LEN];

	buf_adds(&b, message_id);
	buf_addc(&b, '\0');
	buf_adds(&b, subject);
	sha256(buf_str(&b), sha);
	buf_fini(&b);
	return digest_key(sha);
}

struct str thread_keys(struct arena *a, const struct email_new *n)
{
	size_t ids = min_of(n->message_ids_n, (size_t)KEYS_MAX), keys = 0;
	uint64_t *at = arena_new(a, ids * sizeof(*at) + 1);

	for (size_t i = 0; i < ids; i++) {
		/* Of a very long list: its own, the root, the nearest ones. */
		size_t from =
			i < KEYS_MAX / 2 ? i : n->message_ids_n - (ids - i);
		uint64_t key = key_of(n->message_ids[from], n->base_subject);
		size_t k = 0;

		while (k < keys && at[k] != key)
			k++;
		if (k == keys)
			at[keys++] = key;
	}
	return u64s_pack(a, at, keys);
}

static int join_key(struct tx *t, uint64_t key, struct ids *l, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT thread FROM thread_key WHERE hash = ?"
		" ORDER BY email LIMIT ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)key);
	db_bind_i64(s, 2, KEY_ROWS);
	while ((ret = db_step(s, e)) > 0) {
		uint64_t thread = (uint64_t)db_i64(s, 0);

		if (l->n == 0 || l->at[l->n - 1] != thread)
			ids_add(l, thread);
	}
	db_done(s);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int thread_join(struct tx *t, struct str keys, struct arena *a,
	const uint64_t **at_r, size_t *n_r, struct err *e)
{
	struct ids l = {0};
	const uint64_t *key;
	uint64_t *at;
	size_t n = u64s_unpack(a, keys, &key), k = 0;
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = join_key(t, key[i], &l, e);
	if (l.n)
		qsort(l.at, l.n, sizeof(*l.at), by_number);
	at = arena_new(a, l.n * sizeof(*at) + 1);
	for (size_t i = 0; i < l.n; i++)
		if (k == 0 || at[k - 1] != l.at[i])
			at[k++] = l.at[i];
	free(l.at);
	*at_r = at;
	*n_r = k;
	return ret;
}

int thread_keys_add(struct tx *t, struct str keys, uint64_t email,
	uint64_t thread, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *at;
	size_t n = u64s_unpack(&tmp, keys, &at);
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = db_run(t->db, e,
			"INSERT INTO thread_key (hash, email, thread)"
			" VALUES (?, ?, ?)",
			"iii", (int64_t)at[i], (int64_t)email, (int64_t)thread);
	return ret;
}

int thread_keys_del(
	struct tx *t, struct str keys, uint64_t email, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *at;
	size_t n = u64s_unpack(&tmp, keys, &at);
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = db_run(t->db, e,
			"DELETE FROM thread_key"
			" WHERE hash = ? AND email = ?",
			"ii", (int64_t)at[i], (int64_t)email);
	return ret;
}

int thread_left(struct tx *t, uint64_t thread, struct err *e)
{
	int64_t any;
	int ret = db_number(t->db, &any, e,
		"SELECT id FROM email WHERE thread = ? LIMIT 1", "i",
		(int64_t)thread);

	if (ret < 0)
		return ret;
	log_change(t, TYPE_THREAD, thread,
		ret ? CHANGE_UPDATED : CHANGE_DESTROYED, false);
	return 0;
}

int thread_emails(struct tx *t, uint64_t thread, struct arena *a,
	const uint64_t **ids_r, size_t *n_r, struct err *e)
{
	struct ids l = {0};
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT id FROM email WHERE thread = ?"
		" ORDER BY received, id",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)thread);
	while ((ret = db_step(s, e)) > 0)
		ids_add(&l, (uint64_t)db_i64(s, 0));
	db_done(s);
	*n_r = l.n;
	*ids_r = l.n ? arena_dup(a, l.at, l.n * sizeof(*l.at)) : NULL;
	free(l.at);
	return ret;
}
