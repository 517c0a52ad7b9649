/*
 * Emails: a narrow row for lists and counts, a wide one with the card and, up to
 * 64 KB, the message. Everything that hangs on an email (list index, counts,
 * thread, blob) moves in here with it.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/store/internal.h"

#define FLAGS_READ 3 /* $seen, $draft: RFC 8621 2, unreadEmails */
/* What one message may move from thread to thread: some 0.5 ms an email. */
#define MERGE_EMAILS 1000
#define MERGE_BYTES ((uint64_t)128 << 20)

static const struct {
	int bit;
	struct str name;
} flag[] = {
#define KEYWORD(bit, name) {bit, {name, sizeof(name) - 1}},
#include "core/store/keyword.def"
#undef KEYWORD
};

/* A row of email, in an arena. */
struct row {
	uint64_t thread, size;
	int64_t received, flags;
	const uint64_t *mailboxes;
	size_t mailboxes_n;
	struct str keywords, sha, keys;
};

/* ---- keywords ------------------------------------------------------------- */

static int64_t flag_of(struct str keyword)
{
	for (size_t i = 0; i < countof(flag); i++)
		if (str_eq(flag[i].name, keyword))
			return 1ll << flag[i].bit;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Flags, and the others sorted, once each, separated by spaces. */
static int keywords_pack(struct arena *a, const struct str *at, size_t n,
	int64_t *flags_r, struct str *text_r, struct err *e)
{
	struct str *rest = arena_new(a, n * sizeof(*rest) + 1), last = STR_NONE;
	struct buf b cleanup(buf_fini) = {0};
	size_t k = 0;

	*flags_r = 0;
	for (size_t i = 0; i < n; i++) {
		int64_t f = flag_of(at[i]);

		if (at[i].n == 0 || str_find(at[i], ' ') < at[i].n)
			return err_set(e, -EINVAL, "a keyword is not valid");
		*flags_r |= f;
		if (!f)
			rest[k++] = at[i];
	}
	if (k)
		qsort(rest, k, sizeof(*rest), by_bytes);
	for (size_t i = 0; i < k; i++) {
		if (str_eq(rest[i], last))
			continue;
		if (b.n)
			buf_addc(&b, ' ');
		buf_adds(&b, rest[i]);
		last = rest[i];
	}
	*text_r = arena_str(a, buf_str(&b));
	return 0;
}

/* ---- mailboxes ------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorted, once each. 1 when all are there and it is at least one. */
static int mailboxes_pack(struct tx *t, struct arena *a, const uint64_t *at,
	size_t n, const uint64_t **at_r, size_t *n_r, struct err *e)
{
	uint64_t *own = arena_new(a, n * sizeof(*own) + 1);
	size_t k = 0;

	if (n == 0)
		return 0;
	memcpy(own, at, n * sizeof(*own));
	qsort(own, n, sizeof(*own), by_number);
	for (size_t i = 0; i < n; i++)
		if (k == 0 || own[k - 1] != own[i])
			own[k++] = own[i];
	*at_r = own;
	*n_r = k;
	return mailboxes_exist(t, own, k, e);
}

static bool holds(const uint64_t *at, size_t n, uint64_t v)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] == v)
			return true;
	return false;
}

static int list_add(struct tx *t, uint64_t mailbox, const struct row *r,
	uint64_t id, struct err *e)
{
	return db_run(t->db, e,
		"INSERT INTO mailbox_email (mailbox, received, email,"
		" thread) VALUES (?, ?, ?, ?)",
		"iiii", (int64_t)mailbox, r->received, (int64_t)id,
		(int64_t)r->thread);
}

static int list_del(struct tx *t, uint64_t mailbox, const struct row *r,
	uint64_t id, struct err *e)
{
	return db_run(t->db, e,
		"DELETE FROM mailbox_email WHERE mailbox = ?"
		" AND received = ? AND email = ?",
		"iii", (int64_t)mailbox, r->received, (int64_t)id);
}

static struct place place_of(const struct row *r)
{
	return (struct place){
		.mailboxes = r->mailboxes,
		.mailboxes_n = r->mailboxes_n,
		.unread = !(r->flags & FLAGS_READ),
	};
}

static const struct row nowhere;

/* Brings the list index and all counts from one row to the next. */
static int move(struct tx *t, uint64_t id, const struct row *from,
	const struct row *to, struct err *e)
{
	struct place a = place_of(from), b = place_of(to);
	int ret = 0;

	for (size_t i = 0; i < a.mailboxes_n && ret == 0; i++)
		if (!holds(b.mailboxes, b.mailboxes_n, a.mailboxes[i]))
			ret = list_del(t, a.mailboxes[i], from, id, e);
	for (size_t i = 0; i < b.mailboxes_n && ret == 0; i++)
		if (!holds(a.mailboxes, a.mailboxes_n, b.mailboxes[i]))
			ret = list_add(t, b.mailboxes[i], to, id, e);
	if (ret < 0)
		return ret;
	return thread_move(
		t, from == &nowhere ? to->thread : from->thread, &a, &b, e);
}

static int row_find(struct tx *t, uint64_t id, struct arena *a, struct row *r,
	struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT thread, received, size, flags, sha, mailboxes,"
		" keywords, thread_keys FROM email WHERE id = ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)id);
	ret = db_step(s, e);
	if (ret > 0) {
		*r = (struct row){
			.thread = (uint64_t)db_i64(s, 0),
			.received = db_i64(s, 1),
			.size = (uint64_t)db_i64(s, 2),
			.flags = db_i64(s, 3),
			.sha = arena_str(a, db_bytes(s, 4)),
		};
		r->mailboxes_n = u64s_unpack(a, db_bytes(s, 5), &r->mailboxes);
		r->keywords = arena_str(a, db_bytes(s, 6));
		r->keys = arena_str(a, db_bytes(s, 7));
	}
	db_done(s);
	if (ret > 0 && r->sha.n != SHA256_LEN)
		return err_set(
			e, -EUCLEAN, "email %" PRIu64 " has no digest", id);
	return ret;
}

/* ---- threads that become one ---------------------------------------------- */

/* A thread, as far as it matters whether it can be moved. */
struct crowd {
	uint64_t thread, emails, bytes;
};

static int crowd_of(
	struct tx *t, uint64_t thread, struct crowd *c, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT count(*), coalesce(sum(size), 0) FROM"
		" (SELECT size FROM email WHERE thread = ? LIMIT ?)",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)thread);
	db_bind_i64(s, 2, MERGE_EMAILS + 1);
	ret = db_step(s, e);
	if (ret > 0)
		*c = (struct crowd){
			thread, (uint64_t)db_i64(s, 0), (uint64_t)db_i64(s, 1)};
	db_done(s);
	return min_of(ret, 0);
}

static void moved_add(struct tx *t, uint64_t from, uint64_t to)
{
	if (t->moved_n == t->moved_cap) {
		t->moved_cap = max_of(t->moved_cap * 2, (size_t)16);
		t->moved = mem_grow(t->moved, t->moved_cap * sizeof(*t->moved));
	}
	t->moved[t->moved_n++] = (struct moved){from, to};
}

uint64_t email_now(const struct tx *t, uint64_t id)
{
	for (size_t i = 0; i < t->moved_n; i++)
		if (t->moved[i].from == id)
			id = t->moved[i].to;
	return id;
}

static int rename_rows(struct tx *t, uint64_t id, uint64_t to,
	const struct row *r, struct err *e)
{
	int ret = db_run(t->db, e,
		"UPDATE email SET id = ?, thread = ? WHERE id = ?", "iii",
		(int64_t)to, (int64_t)r->thread, (int64_t)id);

	if (ret == 0)
		ret = db_run(t->db, e, "UPDATE body SET id = ? WHERE id = ?",
			"ii", (int64_t)to, (int64_t)id);
	if (ret == 0)
		ret = db_run(t->db, e,
			"UPDATE blob SET email = ?"
			" WHERE hash = ? AND email = ?",
			"iii", (int64_t)to,
			(int64_t)digest_key((const uint8_t *)r->sha.p),
			(int64_t)id);
	if (ret == 0)
		ret = thread_keys_del(t, r->keys, id, e);
	return ret ? ret : thread_keys_add(t, r->keys, to, r->thread, e);
}

/* RFC 8621 3: threadId is immutable, so the email goes and comes back. */
static int rethread(struct tx *t, uint64_t id, uint64_t thread, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	uint64_t to = t->meta.next_email++;
	struct row old, r;
	int ret = row_find(t, id, &tmp, &old, e);

	if (ret == 0)
		ret = err_set(e, -EUCLEAN, "a thread has a lost email");
	if (ret < 0)
		return ret;
	r = old;
	r.thread = thread;
	ret = text_forget(t, id, e);
	if (ret == 0)
		ret = move(t, id, &old, &nowhere, e);
	if (ret == 0)
		ret = rename_rows(t, id, to, &r, e);
	if (ret == 0)
		ret = move(t, to, &nowhere, &r, e);
	if (ret < 0)
		return ret;
	moved_add(t, id, to);
	log_change(t, TYPE_EMAIL, id, CHANGE_DESTROYED, false);
	log_change(t, TYPE_EMAIL, to, CHANGE_CREATED, false);
	return 0;
}

static int merge(struct tx *t, uint64_t from, uint64_t into, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *ids;
	size_t n;
	int ret = thread_emails(t, from, &tmp, &ids, &n, e);

	for (size_t i = 0; i < n && ret == 0; i++)
		ret = rethread(t, ids[i], into, e);
	if (ret == 0)
		log_change(t, TYPE_THREAD, from, CHANGE_DESTROYED, false);
	return ret;
}

/*
 * The largest of them, of equals the oldest, takes in the others: so an email moves
 * at most some ten times in its life, whatever comes in which order. What would
 * move too much in one go stays apart.
 */
static int unite(struct tx *t, const uint64_t *threads, size_t n,
	uint64_t *thread_r, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct crowd *at = arena_new(&tmp, n * sizeof(*at)), *into = at;
	uint64_t emails = 0, bytes = 0;
	int ret = 0;

	for (size_t i = 0; i < n && ret == 0; i++) {
		ret = crowd_of(t, threads[i], &at[i], e);
		if (at[i].emails > into->emails)
			into = &at[i];
	}
	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct crowd *c = &at[i];

		if (c == into || emails + c->emails > MERGE_EMAILS ||
			bytes + c->bytes > MERGE_BYTES)
			continue;
		emails += c->emails;
		bytes += c->bytes;
		ret = merge(t, c->thread, into->thread, e);
	}
	*thread_r = into->thread;
	return ret;
}

static int join(struct tx *t, struct row *r, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *threads;
	size_t n;
	int ret = thread_join(t, r->keys, &tmp, &threads, &n, e);

	if (ret < 0)
		return ret;
	if (n == 0)
		r->thread = t->meta.next_thread++;
	else if (n == 1)
		r->thread = threads[0];
	else
		ret = unite(t, threads, n, &r->thread, e);
	log_change(t, TYPE_THREAD, r->thread,
		n ? CHANGE_UPDATED : CHANGE_CREATED, false);
	return ret;
}

/* ---- new ------------------------------------------------------------------ */

static int insert_rows(struct tx *t, uint64_t id, const struct row *r,
	const struct email_new *n, struct arena *a, struct err *e)
{
	bool large = n->raw.n > BODY_ROW_MAX;
	int ret = db_run(t->db, e,
		"INSERT INTO email (id, thread, received, sent, size,"
		" flags, attachment, mailboxes, keywords, sha,"
		" thread_keys, sort)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"iiiiiiibtbbb", (int64_t)id, (int64_t)r->thread, r->received,
		n->sent_ms, (int64_t)r->size, r->flags,
		(int64_t)n->has_attachment,
		u64s_pack(a, r->mailboxes, r->mailboxes_n), r->keywords, r->sha,
		r->keys, email_sort_pack(a, n->base_subject, n->from, n->to));

	if (ret < 0)
		return ret;
	if (large)
		return db_run(t->db, e,
			"INSERT INTO body (id, card, subject, sender,"
			" rcpt, raw) VALUES (?, ?, '', '', '', NULL)",
			"ib", (int64_t)id, n->card);
	return db_run(t->db, e,
		"INSERT INTO body (id, card, subject, sender, rcpt, raw)"
		" VALUES (?, ?, '', '', '', ?)",
		"ibb", (int64_t)id, n->card, n->raw);
}

static int insert_blob(struct tx *t, uint64_t id, const uint8_t *sha,
	struct str raw, struct err *e)
{
	int ret = 0;

	if (raw.n > BODY_ROW_MAX)
		ret = blob_write(t, sha, raw, e);
	if (ret < 0)
		return ret;
	return db_run(t->db, e, "INSERT INTO blob (hash, email) VALUES (?, ?)",
		"ii", (int64_t)digest_key(sha), (int64_t)id);
}

static int insert(struct tx *t, uint64_t id, struct row *r, const uint8_t *sha,
	const struct email_new *n, struct arena *a, struct err *e)
{
	int ret = insert_blob(t, id, sha, n->raw, e);

	if (ret < 0)
		return ret;
	ret = insert_rows(t, id, r, n, a, e);
	if (ret < 0)
		return ret;
	ret = thread_keys_add(t, r->keys, id, r->thread, e);
	if (ret < 0)
		return ret;
	return move(t, id, &nowhere, r, e);
}

int email_add(struct tx *t, const struct email_new *n, uint64_t *id_r,
	uint64_t *thread_r, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct row r = {.received = n->received_ms, .size = n->raw.n};
	uint8_t sha[SHA256_LEN];
	uint64_t id;
	int ret = mailboxes_pack(t, &tmp, n->mailboxes, n->mailboxes_n,
		&r.mailboxes, &r.mailboxes_n, e);

	if (ret <= 0)
		return ret < 0 ? ret : EMAIL_MAILBOX_NOT_FOUND;
	ret = keywords_pack(
		&tmp, n->keywords, n->keywords_n, &r.flags, &r.keywords, e);
	if (ret < 0)
		return ret;
	sha256(n->raw, sha);
	r.sha = str_n(sha, sizeof(sha));
	r.keys = thread_keys(&tmp, n);
	ret = join(t, &r, e);
	id = t->meta.next_email++;
	t->meta.emails++;
	log_change(t, TYPE_EMAIL, id, CHANGE_CREATED, false);
	if (ret == 0)
		ret = insert(t, id, &r, sha, n, &tmp, e);
	if (ret < 0)
		return ret;
	if (n->delivery)
		log_delivery(t);
	*id_r = id;
	*thread_r = r.thread;
	return 0;
}

/* ---- changes -------------------------------------------------------------- */

static bool row_same(const struct row *a, const struct row *b)
{
	return a->flags == b->flags && str_eq(a->keywords, b->keywords) &&
	       a->mailboxes_n == b->mailboxes_n &&
	       memcmp(a->mailboxes, b->mailboxes, a->mailboxes_n * 8) == 0;
}

static int row_store(struct tx *t, uint64_t id, const struct row *old,
	const struct row *r, struct arena *a, struct err *e)
{
	int ret = db_run(t->db, e,
		"UPDATE email SET flags = ?, mailboxes = ?, keywords = ?"
		" WHERE id = ?",
		"ibti", r->flags, u64s_pack(a, r->mailboxes, r->mailboxes_n),
		r->keywords, (int64_t)id);

	if (ret < 0)
		return ret;
	log_change(t, TYPE_EMAIL, id, CHANGE_UPDATED, false);
	return move(t, id, old, r, e);
}

int email_update(struct tx *t, uint64_t id, const struct str *keywords,
	size_t keywords_n, const uint64_t *mailboxes, size_t mailboxes_n,
	struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct row old, r;
	int ret = row_find(t, id, &tmp, &old, e);

	if (ret <= 0)
		return ret < 0 ? ret : EMAIL_NOT_FOUND;
	r = old;
	if (mailboxes) {
		ret = mailboxes_pack(t, &tmp, mailboxes, mailboxes_n,
			&r.mailboxes, &r.mailboxes_n, e);
		if (ret <= 0)
			return ret < 0 ? ret : EMAIL_MAILBOX_NOT_FOUND;
	}
	ret = keywords ? keywords_pack(&tmp, keywords, keywords_n, &r.flags,
				 &r.keywords, e)
		       : 0;
	if (ret < 0 || row_same(&old, &r))
		return ret;
	return row_store(t, id, &old, &r, &tmp, e);
}

static int delete_rows(
	struct tx *t, uint64_t id, const struct row *r, struct err *e)
{
	const uint8_t *sha = (const uint8_t *)r->sha.p;
	int ret = db_run(
		t->db, e, "DELETE FROM email WHERE id = ?", "i", (int64_t)id);

	if (ret == 0)
		ret = db_run(t->db, e, "DELETE FROM body WHERE id = ?", "i",
			(int64_t)id);
	if (ret == 0)
		ret = db_run(t->db, e,
			"DELETE FROM blob WHERE hash = ? AND email = ?", "ii",
			(int64_t)digest_key(sha), (int64_t)id);
	if (ret == 0)
		ret = thread_keys_del(t, r->keys, id, e);
	if (ret == 0 && r->size > BODY_ROW_MAX)
		ret = blob_unref(t, sha, e);
	return ret;
}

int email_destroy(struct tx *t, uint64_t id, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct row r;
	int ret = row_find(t, id, &tmp, &r, e);

	if (ret <= 0)
		return ret < 0 ? ret : EMAIL_NOT_FOUND;
	ret = text_forget(t, id, e);
	if (ret == 0)
		ret = delete_rows(t, id, &r, e);
	if (ret == 0)
		ret = move(t, id, &r, &nowhere, e);
	if (ret == 0)
		ret = thread_left(t, r.thread, e);
	if (ret < 0)
		return ret;
	t->meta.emails--;
	log_change(t, TYPE_EMAIL, id, CHANGE_DESTROYED, false);
	return 0;
}
