/*
 * Emails of some mailboxes in order of receivedAt, newest or oldest first: the list
 * indexes of the mailboxes, merged. Pieces grow while the walk goes on, so that a
 * short one reads little and a long one asks seldom. An email has one date: its
 * copies in several mailboxes are neighbours.
 */
#include "core/store/email_search.h"

#define CHUNK_MIN 16
#define CHUNK_ALL 16384 /* items of all mailboxes that are held at once */

void walk_begin(struct walk *w, struct arena *a)
{
	w->chunk_max = max_of(CHUNK_ALL / max_of(w->n, (size_t)1), CHUNK_MIN);
	w->chunk = min_of(max_of(w->chunk, (size_t)CHUNK_MIN), w->chunk_max);
	w->email = 0;
	for (size_t i = 0; i < w->n; i++)
		w->box[i].n = w->box[i].i = 0;
}

static int more_stmt(const struct walk *w, struct db_stmt **s_r, struct err *e)
{
	if (w->ascending)
		return db_stmt(w->tx->db,
			"SELECT received, email, thread FROM mailbox_email"
			" WHERE mailbox = ?1 AND (received, email) > (?2, ?3)"
			" AND received <= ?4"
			" ORDER BY received, email LIMIT ?5",
			s_r, e);
	return db_stmt(w->tx->db,
		"SELECT received, email, thread FROM mailbox_email"
		" WHERE mailbox = ?1 AND (received, email) < (?2, ?3)"
		" AND received >= ?4"
		" ORDER BY received DESC, email DESC LIMIT ?5",
		s_r, e);
}

/* The next piece of one mailbox. */
static int more(
	struct walk *w, struct walk_box *b, struct arena *a, struct err *e)
{
	struct walk_item from = {w->ascending ? w->low : w->high,
		w->ascending ? 0 : (uint64_t)INT64_MAX, 0};
	size_t want = b->n ? min_of(b->n * 4, w->chunk_max) : w->chunk;
	struct db_stmt *s;
	int ret = more_stmt(w, &s, e);

	if (ret < 0)
		return ret;
	if (b->n)
		from = b->at[b->n - 1];
	db_bind_i64(s, 1, (int64_t)b->mailbox);
	db_bind_i64(s, 2, from.received);
	db_bind_i64(s, 3, (int64_t)from.email);
	db_bind_i64(s, 4, w->ascending ? w->high : w->low);
	db_bind_i64(s, 5, (int64_t)want);
	if (want > b->n)
		b->at = arena_new(a, want * sizeof(*b->at));
	b->i = b->n = 0;
	while ((ret = db_step(s, e)) > 0)
		b->at[b->n++] = (struct walk_item){db_i64(s, 0),
			(uint64_t)db_i64(s, 1), (uint64_t)db_i64(s, 2)};
	db_done(s);
	b->last = b->n < want;
	return ret;
}

static bool is_before(const struct walk *w, const struct walk_item *x,
	const struct walk_item *y)
{
	bool older = x->received < y->received ||
		     (x->received == y->received && x->email < y->email);

	return older == w->ascending;
}

int walk_next(
	struct walk *w, struct arena *a, struct walk_item *i_r, struct err *e)
{
	for (;;) {
		struct walk_box *first = NULL;

		for (size_t i = 0; i < w->n; i++) {
			struct walk_box *b = &w->box[i];

			if (b->i == b->n && !b->last) {
				int ret = more(w, b, a, e);

				if (ret < 0)
					return ret;
			}
			if (b->i < b->n &&
				(!first || is_before(w, &b->at[b->i],
						   &first->at[first->i])))
				first = b;
		}
		if (!first)
			return 0;
		*i_r = first->at[first->i++];
		if (i_r->email != w->email) {
			w->email = i_r->email;
			return 1;
		}
	}
}
