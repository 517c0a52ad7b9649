/*
 * The change log: what changed in which order, and what changed since.
 *
 * Within a transaction changes are collected; log_write() folds those of one
 * object into one, in the place of its first change, and gives each the next
 * modseq. All types that changed then stand at the last one. tx_state() writes the
 * log early, so that a state told within the transaction covers all before it.
 *
 * Rows older than 30 days go; meta.floor is the oldest state that can still be
 * answered from.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/store/internal.h"

#define LOOK_BACK 16	/* entries */
#define PRUNE_ROWS 2000 /* a commit: the next one goes on */

/* Many changes of one mailbox in a row become one entry at once. */
static bool merged(struct tx *t, const struct pending *p)
{
	size_t low = max_of(t->written, t->saved ? t->mark.pending : 0);
	size_t i = t->pending_n;

	if (p->kind != CHANGE_UPDATED)
		return false;
	if (i - min_of(i, low) > LOOK_BACK)
		low = i - LOOK_BACK;
	while (i-- > low) {
		struct pending *o = &t->pending[i];

		if (o->type == p->type && o->id == p->id &&
			o->kind == CHANGE_UPDATED) {
			o->counts_only &= p->counts_only;
			return true;
		}
	}
	return false;
}

void log_change(struct tx *t, enum type type, uint64_t id,
	enum change_kind kind, bool counts_only)
{
	struct pending p = {id, type, kind, counts_only};

	check(t->writes && !t->done);
	if (merged(t, &p))
		return;
	if (t->pending_n == t->pending_cap) {
		t->pending_cap = max_of(t->pending_cap * 2, (size_t)64);
		t->pending = mem_grow(
			t->pending, t->pending_cap * sizeof(*t->pending));
	}
	t->pending[t->pending_n++] = p;
}

void log_delivery(struct tx *t)
{
	t->delivered = true;
}

/* ---- folding -------------------------------------------------------------- */

struct folded {
	struct map_node node;
	uint64_t id;
	enum type type;
	enum change_kind kind;
	bool counts_only, dropped;
};

static uint64_t fold_hash(enum type type, uint64_t id)
{
	return hash_u64(id * TYPES + (uint64_t)type);
}

static struct folded *fold_find(struct map *m, enum type type, uint64_t id)
{
	struct map_node *n;

	map_each (m, fold_hash(type, id), n) {
		struct folded *f = container_of(n, struct folded, node);

		if (f->id == id && f->type == type)
			return f;
	}
	return NULL;
}

/* A later change of the same object. */
static void fold(struct folded *f, enum change_kind kind, bool counts_only)
{
	if (kind == CHANGE_DESTROYED) {
		f->dropped = f->kind == CHANGE_CREATED;
		f->kind = CHANGE_DESTROYED;
	}
	f->counts_only &= counts_only;
}

static struct folded *fold_new(struct map *m, struct folded *f, enum type type,
	uint64_t id, enum change_kind kind, bool counts_only)
{
	*f = (struct folded){
		.id = id,
		.type = type,
		.kind = kind,
		.counts_only = counts_only,
	};
	map_put(m, &f->node, fold_hash(type, id));
	return f;
}

/* ---- writing -------------------------------------------------------------- */

static int write_row(
	struct tx *t, const struct folded *f, int64_t now_s, struct err *e)
{
	t->meta.modseq++;
	t->types |= TYPE_BIT(f->type);
	return db_run(t->db, e,
		"INSERT INTO change_log (modseq, type, id, kind,"
		" counts_only, time) VALUES (?, ?, ?, ?, ?, ?)",
		"iiiiii", (int64_t)t->meta.modseq, (int64_t)f->type,
		(int64_t)f->id, (int64_t)f->kind, (int64_t)f->counts_only,
		now_s);
}

static int write_folded(struct tx *t, struct folded *all, struct err *e)
{
	int64_t now_s = clock_real_ms() / 1000;
	struct map seen = {0};
	size_t n = 0;
	int ret = 0;

	for (size_t i = t->written; i < t->pending_n; i++) {
		const struct pending *p = &t->pending[i];
		struct folded *f = fold_find(&seen, p->type, p->id);

		if (f)
			fold(f, p->kind, p->counts_only);
		else
			fold_new(&seen, &all[n++], p->type, p->id, p->kind,
				p->counts_only);
	}
	map_fini(&seen);
	for (size_t i = 0; i < n && ret == 0; i++)
		if (!all[i].dropped)
			ret = write_row(t, &all[i], now_s, e);
	return ret;
}

int log_write(struct tx *t, struct err *e)
{
	struct folded *all;
	uint64_t before = t->meta.modseq;
	int ret;

	if (t->written < t->pending_n) {
		all = mem_new((t->pending_n - t->written) * sizeof(*all));
		ret = write_folded(t, all, e);
		free(all);
		if (ret < 0)
			return ret;
		t->written = t->pending_n;
	}
	if (t->delivered) {
		if (t->meta.modseq == before)
			t->meta.modseq++;
		t->types |= TYPE_BIT(TYPE_EMAIL_DELIVERY);
		t->delivered = false;
	}
	if (t->meta.modseq == before)
		return 0;
	for (enum type i = 0; i < TYPES; i++)
		if (t->types & TYPE_BIT(i))
			t->meta.state[i] = t->meta.modseq;
	return 0;
}

static int prune_to(struct tx *t, int64_t *modseq_r, struct err *e)
{
	int64_t old_s = clock_real_ms() / 1000 - LOG_DAYS * 86400;
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT modseq, time FROM change_log ORDER BY modseq"
		" LIMIT ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, PRUNE_ROWS);
	while ((ret = db_step(s, e)) > 0) {
		if (db_i64(s, 1) >= old_s)
			break;
		*modseq_r = db_i64(s, 0);
	}
	db_done(s);
	return min_of(ret, 0);
}

int log_prune(struct tx *t, struct err *e)
{
	struct account *a = t->account;
	int64_t now = (int64_t)clock_mono_ms(), to = 0;
	int ret;

	if (now < a->prune_due_ms)
		return 0;
	ret = prune_to(t, &to, e);
	if (ret < 0)
		return ret;
	if (to == 0) {
		a->prune_due_ms = now + LOG_PRUNE_MS;
		return 0;
	}
	/* States of objects at or before it cannot be answered from. */
	t->meta.floor = max_of(t->meta.floor, (uint64_t)to);
	return db_run(
		t->db, e, "DELETE FROM change_log WHERE modseq <= ?", "i", to);
}

/* ---- reading -------------------------------------------------------------- */

struct walk {
	struct arena *arena;
	struct map seen;
	struct folded **at; /* in order of first change */
	size_t n, cap;
	size_t live; /* of them, not dropped */
	size_t max;
	uint64_t last; /* modseq that at[] leads to */
};

static struct folded *walk_new(struct walk *w)
{
	struct folded **at;

	if (w->n == w->cap) {
		w->cap = max_of(w->cap * 2, (size_t)64);
		at = arena_new(w->arena, w->cap * sizeof(struct folded *));
		if (w->n)
			memcpy(at, w->at, w->n * sizeof(struct folded *));
		w->at = at;
	}
	w->at[w->n] = arena_new(w->arena, sizeof(struct folded));
	return w->at[w->n++];
}

/* One row; false when it would be one object too many. */
static bool walk_row(struct walk *w, enum type type, struct db_stmt *s)
{
	uint64_t id = (uint64_t)db_i64(s, 1);
	enum change_kind kind = (enum change_kind)db_i64(s, 2);
	bool counts_only = db_i64(s, 3) != 0;
	struct folded *f = fold_find(&w->seen, type, id);

	if (!f) {
		if (w->max && w->live == w->max)
			return false;
		fold_new(&w->seen, walk_new(w), type, id, kind, counts_only);
		w->live++;
	} else {
		fold(f, kind, counts_only);
		w->live -= f->dropped;
	}
	w->last = (uint64_t)db_i64(s, 0);
	return true;
}

/* 1: stopped before the end. */
static int walk_log(struct tx *t, enum type type, uint64_t since,
	struct walk *w, struct err *e)
{
	bool more = false;
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT modseq, id, kind, counts_only FROM change_log"
		" WHERE modseq > ? AND type = ? ORDER BY modseq",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)since);
	db_bind_i64(s, 2, (int64_t)type);
	while (!more && (ret = db_step(s, e)) > 0)
		more = !walk_row(w, type, s);
	db_done(s);
	return ret < 0 ? ret : more;
}

int tx_changes(struct tx *t, enum type type, uint64_t since, size_t max,
	struct arena *a, struct changes *c_r, struct err *e)
{
	struct walk w = {.arena = a, .max = max};
	struct change_entry *at;
	uint64_t state;
	int ret = tx_state(t, type, &state, e);

	if (ret < 0)
		return ret;
	*c_r = (struct changes){.new_modseq = state};
	if (since == state)
		return 0;
	if (since < t->meta.floor || since > state)
		return 1;
	ret = walk_log(t, type, since, &w, e);
	map_fini(&w.seen);
	if (ret < 0)
		return ret;
	at = arena_new(a, w.live * sizeof(*at) + 1);
	for (size_t i = 0; i < w.n; i++)
		if (!w.at[i]->dropped)
			at[c_r->n++] = (struct change_entry){w.at[i]->id,
				w.at[i]->kind, w.at[i]->counts_only};
	c_r->at = at;
	c_r->has_more = ret > 0;
	if (ret > 0)
		c_r->new_modseq = w.last;
	return 0;
}
