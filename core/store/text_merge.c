/*
 * Words of destroyed emails leave the file.
 *
 * FTS5 only notes that an entry is deleted; the entry itself goes when the segment
 * that it is in is merged with the note, which for a large old segment may be never.
 * So once the emails that have left are a sixteenth of those that are there, all
 * segments are merged into one, which leaves out both: a piece at a time, so that
 * nobody waits for it, each in a transaction of its own. For what is destroyed that
 * is some 8 KB of writing an email, and the index is never larger than it should be
 * by more than that share.
 *
 * words_done: dead, how many have left since; merging, how many of them the merge
 * that is under way takes with it, 0: none is.
 */
#include "core/store/internal.h"

/* Pages; FTS5 takes it as a hint: it is some 100 in one go, and 20 ms. */
#define PIECE "16"
#define SHARE 16
#define WAIT_MS 10000

int text_died(struct tx *t, struct err *e)
{
	account_chore(t->account, WAIT_MS);
	return db_run(t->db, e,
		"UPDATE words_done SET dead = dead + 1 WHERE id = 1", "");
}

struct state {
	int64_t dead, merging;
};

static int state_read(struct tx *t, struct state *s, struct err *e)
{
	int ret;

	*s = (struct state){0};
	ret = db_number(t->db, &s->dead, e,
		"SELECT dead FROM words_done WHERE id = 1", "");
	if (ret < 0)
		return ret;
	ret = db_number(t->db, &s->merging, e,
		"SELECT merging FROM words_done WHERE id = 1", "");
	return min_of(ret, 0);
}

static bool is_due(const struct tx *t, const struct state *s)
{
	return s->merging ||
	       (s->dead > 0 && (uint64_t)s->dead * SHARE >= t->meta.emails);
}

static int look(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	struct state s = {0};
	int ret = tx_begin(a, TX_READ, &t, e);

	if (ret == 0)
		ret = state_read(t, &s, e);
	return ret < 0 ? ret : is_due(t, &s);
}

/* Changes to the index's own tables; below two of them, nothing was left to do
 * (FTS5's manual: the "merge" command). */
static int merge_piece(struct tx *t, bool first, bool *more_r, struct err *e)
{
	static const char total[] = "SELECT total_changes()";
	int64_t before = 0, after = 0;
	int ret = db_number(t->db, &before, e, total, "");

	/* Below zero: all segments, however few and large they are. */
	if (ret >= 0)
		ret = first ? db_run(t->db, e,
				      "INSERT INTO words (words, rank)"
				      " VALUES ('merge', -" PIECE ")",
				      "")
			    : db_run(t->db, e,
				      "INSERT INTO words (words, rank)"
				      " VALUES ('merge', " PIECE ")",
				      "");
	if (ret >= 0)
		ret = db_number(t->db, &after, e, total, "");
	*more_r = after - before >= 2;
	return min_of(ret, 0);
}

static int merge(
	struct tx *t, const struct state *s, bool *more_r, struct err *e)
{
	int ret = merge_piece(t, s->merging == 0, more_r, e);

	if (ret < 0 || (*more_r && s->merging))
		return ret;
	if (*more_r)
		return db_run(t->db, e,
			"UPDATE words_done SET merging = dead WHERE id = 1",
			"");
	return db_run(t->db, e,
		"UPDATE words_done SET merging = 0,"
		" dead = dead - iif(merging, merging, dead) WHERE id = 1",
		"");
}

int text_merge(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	struct state s = {0};
	bool more = false;
	int ret = look(a, e);

	if (ret <= 0)
		return ret;
	ret = tx_begin(a, TX_WRITE, &t, e);
	if (ret == 0)
		ret = state_read(t, &s, e);
	if (ret == 0 && is_due(t, &s))
		ret = merge(t, &s, &more, e);
	if (ret == 0)
		ret = tx_commit(t, e);
	return ret < 0 ? ret : more;
}
