/*
 * List views by receivedAt, from the list index of a mailbox. A position in the
 * second half is walked to from the other end.
 *
 * The whole account has no index of its own (that would be one page more a
 * delivery): the first ones of all are among the first ones of each mailbox. Only
 * a window deep in the middle is found by sorting all.
 */
#include "core/store/query.h"

#include "core/store/internal.h"

#define MERGE_MAX 256 /* mailboxes */

static int count(struct tx *t, uint64_t mailbox, uint64_t *n_r, struct err *e)
{
	int64_t n = 0;
	int ret;

	*n_r = t->meta.emails;
	if (mailbox == 0)
		return 0;
	ret = db_number(t->db, &n, e,
		"SELECT total_emails FROM mailbox WHERE id = ?", "i",
		(int64_t)mailbox);
	*n_r = (uint64_t)n;
	return min_of(ret, 0);
}

static const char *sql_of(const struct email_query *q, bool ascending)
{
	if (q->mailbox)
		return ascending
			       ? "SELECT email FROM mailbox_email"
				 " WHERE mailbox = ?3 ORDER BY received, email"
				 " LIMIT ?1 OFFSET ?2"
			       : "SELECT email FROM mailbox_email"
				 " WHERE mailbox = ?3"
				 " ORDER BY received DESC, email DESC"
				 " LIMIT ?1 OFFSET ?2";
	return ascending ? "SELECT id FROM email ORDER BY received, id"
			   " LIMIT ?1 OFFSET ?2"
			 : "SELECT id FROM email"
			   " ORDER BY received DESC, id DESC"
			   " LIMIT ?1 OFFSET ?2";
}

static int fetch(struct tx *t, const struct email_query *q, bool turn,
	uint64_t offset, uint64_t n, uint64_t *at, struct email_ids *r,
	struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db, sql_of(q, q->ascending != turn), &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)n);
	db_bind_i64(s, 2, (int64_t)offset);
	if (q->mailbox)
		db_bind_i64(s, 3, (int64_t)q->mailbox);
	while (r->n < n && (ret = db_step(s, e)) > 0)
		at[r->n++] = (uint64_t)db_i64(s, 0);
	db_done(s);
	return min_of(ret, 0);
}

struct item {
	int64_t received;
	uint64_t email;
};

static int older(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->received != y->received)
		return x->received < y->received ? -1 : 1;
	return (x->email > y->email) - (x->email < y->email);
}

/* Mailboxes that hold something; when they are more than max, *n_r is, too. */
static int filled(
	struct tx *t, uint64_t *at, size_t max, size_t *n_r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(
		t->db, "SELECT id FROM mailbox WHERE total_emails > 0", &s, e);

	*n_r = 0;
	if (ret < 0)
		return ret;
	while (*n_r <= max && (ret = db_step(s, e)) > 0) {
		if (*n_r < max)
			at[*n_r] = (uint64_t)db_i64(s, 0);
		++*n_r;
	}
	db_done(s);
	return min_of(ret, 0);
}

static int first_of(struct tx *t, uint64_t mailbox, bool ascending,
	uint64_t want, struct item *at, size_t *n, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		ascending ? "SELECT received, email FROM mailbox_email"
			    " WHERE mailbox = ?"
			    " ORDER BY received, email LIMIT ?"
			  : "SELECT received, email FROM mailbox_email"
			    " WHERE mailbox = ?"
			    " ORDER BY received DESC, email DESC LIMIT ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)mailbox);
	db_bind_i64(s, 2, (int64_t)want);
	for (uint64_t i = 0; i < want && (ret = db_step(s, e)) > 0; i++)
		at[(*n)++] =
			(struct item){db_i64(s, 0), (uint64_t)db_i64(s, 1)};
	db_done(s);
	return min_of(ret, 0);
}

/* In order, each once; the window of them goes to out. */
static size_t window(struct item *at, size_t n, bool ascending, uint64_t offset,
	uint64_t want, uint64_t *out)
{
	uint64_t last = 0, seen = 0;
	size_t k = 0;

	if (n)
		qsort(at, n, sizeof(*at), older);
	for (size_t i = 0; i < n && k < want; i++) {
		uint64_t id = at[ascending ? i : n - 1 - i].email;

		/* One email has one date: its copies are neighbours. */
		if (id == last)
			continue;
		last = id;
		if (seen++ >= offset)
			out[k++] = id;
	}
	return k;
}

/* 1: found; 0: too many candidates, sorting all is cheaper. */
static int merge(struct tx *t, bool ascending, uint64_t offset, uint64_t n,
	uint64_t *at, struct email_ids *r, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	uint64_t box[MERGE_MAX], want = offset + n;
	struct item *item;
	size_t boxes, items = 0;
	int ret = filled(t, box, MERGE_MAX, &boxes, e);

	if (ret < 0 || boxes > MERGE_MAX || want > r->total / 2 / (boxes + 1))
		return ret;
	item = arena_new(&tmp, boxes * want * sizeof(*item) + 1);
	for (size_t i = 0; i < boxes && ret == 0; i++)
		ret = first_of(t, box[i], ascending, want, item, &items, e);
	if (ret < 0)
		return ret;
	r->n = window(item, items, ascending, offset, n, at);
	return 1;
}

int email_query(struct tx *t, const struct email_query *q, struct arena *a,
	struct email_ids *r, struct err *e)
{
	uint64_t total, first, n, offset, *at;
	bool turn;
	int ret = count(t, q->mailbox, &total, e);

	if (ret < 0)
		return ret;
	if (q->position >= 0)
		first = (uint64_t)q->position;
	else
		first = total - min_of(total, 0 - (uint64_t)q->position);
	*r = (struct email_ids){.position = first, .total = total};
	n = min_of(q->limit, total - min_of(total, first));
	if (n == 0)
		return 0;
	at = arena_new(a, n * sizeof(*at));
	turn = first > total / 2;
	offset = turn ? total - first - n : first;
	if (q->mailbox == 0)
		ret = merge(t, q->ascending != turn, offset, n, at, r, e);
	if (ret == 0)
		ret = fetch(t, q, turn, offset, n, at, r, e);
	if (ret < 0)
		return ret;
	for (size_t i = 0; turn && i < r->n / 2; i++) {
		uint64_t swap = at[i];

		at[i] = at[r->n - 1 - i];
		at[r->n - 1 - i] = swap;
	}
	r->at = at;
	return 0;
}
