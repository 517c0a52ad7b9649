/*
 * List views by receivedAt, from the list index of a mailbox. A position in the
 * second half is walked to from the other end.
 */
#include "core/store/internal.h"

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

int email_query(struct tx *t, const struct email_query *q, struct arena *a,
	struct email_ids *r, struct err *e)
{
	uint64_t total, first, n, *at;
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
	ret = fetch(t, q, turn, turn ? total - first - n : first, n, at, r, e);
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
