/*
 * Email/query and Email/queryChanges (RFC 8621 4.4, 4.5): the hooks.
 *
 * A list that looks for a text first brings the text index up to date and then
 * begins a new snapshot, so that what its state promises to know it has looked at.
 */
#include "proto/jmap/email_query.h"

#include "proto/jmap/email.h"
#include "proto/jmap/idset.h"
#include "proto/jmap/json.h"

struct own {
	struct email_filter *filter;
	struct email_search q;
	bool text;  /* the text index is asked */
	bool fresh; /* it is up to date */
};

int email_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort)
{
	struct own *o = arena_new(&q->r->arena, sizeof(*o));
	int ret = arg_flag(q->r, q->args, "collapseThreads", &o->q.collapse);

	q->own = o;
	if (ret == 0)
		ret = email_filter_read(q->r, filter, &o->filter, &o->text);
	if (ret == 0)
		ret = email_sort_read(q->r, sort, &o->q.sort, &o->q.sort_n);
	o->q.filter = o->filter;
	return ret;
}

/* Once: a page and what was touched are of one snapshot. */
static int freshen(struct query *q)
{
	struct own *o = q->own;
	int ret = o->text && !o->fresh ? req_read_indexed(q->r, &q->tx) : 0;

	o->fresh = true;
	return ret;
}

int email_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r)
{
	struct own *o = q->own;
	int ret = freshen(q);

	if (ret)
		return ret;
	o->q.position = position;
	o->q.limit = limit;
	o->q.want_total = q->want_total;
	return email_search(q->tx, &o->q, &q->r->arena, ids_r, &q->r->err);
}

/* ---- what may have moved (RFC 8620 5.6) ---------------------------------------- */

static bool is_immutable(const struct email_filter *f)
{
	switch (f->kind) {
	case FILTER_AND:
	case FILTER_OR:
	case FILTER_NOT:
		for (size_t i = 0; i < f->n; i++)
			if (!is_immutable(&f->sub[i]))
				return false;
		return true;
	case FILTER_IN_MAILBOX:
	case FILTER_OTHER_THAN:
	case FILTER_ALL_KEYWORD:
	case FILTER_SOME_KEYWORD:
	case FILTER_NONE_KEYWORD:
	case FILTER_KEYWORD:
	case FILTER_NOT_KEYWORD:
		return false;
	default:
		return true;
	}
}

bool email_query_immutable(const struct query *q)
{
	const struct own *o = q->own;

	for (size_t i = 0; i < o->q.sort_n; i++)
		if (o->q.sort[i].kind >= SORT_KEYWORD)
			return false;
	return !o->filter || is_immutable(o->filter);
}

/* Does an Email's place depend on others of its Thread? */
static bool asks_thread(const struct email_filter *f)
{
	if (f->kind > FILTER_NOT)
		return f->kind >= FILTER_ALL_KEYWORD &&
		       f->kind <= FILTER_NONE_KEYWORD;
	for (size_t i = 0; i < f->n; i++)
		if (asks_thread(&f->sub[i]))
			return true;
	return false;
}

static bool is_threaded(const struct own *o)
{
	for (size_t i = 0; i < o->q.sort_n; i++)
		if (o->q.sort[i].kind >= SORT_ALL_KEYWORD)
			return true;
	return o->q.collapse || (o->filter && asks_thread(o->filter));
}

struct touched {
	struct query *q;
	struct buf ids; /* uint64_t each */
	struct idset seen, threads;
};

static void add_email(struct touched *t, uint64_t id)
{
	if (idset_add(&t->seen, id))
		buf_add(&t->ids, &id, sizeof(id));
}

static int add_thread(struct touched *t, uint64_t thread)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const uint64_t *ids;
	size_t n;
	int ret;

	if (!idset_add(&t->threads, thread))
		return 0;
	ret = thread_emails(t->q->tx, thread, &tmp, &ids, &n, &t->q->r->err);
	for (size_t i = 0; i < n && ret == 0; i++)
		add_email(t, ids[i]);
	return ret;
}

/* The other Emails of an Email that is still there. */
static int add_thread_of(struct touched *t, uint64_t id)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct email m;
	int ret = email_find(t->q->tx, id, 0, &tmp, &m, &t->q->r->err);

	return ret > 0 ? add_thread(t, m.thread) : ret;
}

/* Threads that Emails joined or left. Their log is the Emails' own, so a modseq of
 * the one type means the same for the other. */
static int add_threads(struct touched *t, uint64_t since)
{
	struct query *q = t->q;
	struct changes c;
	uint64_t state;
	int ret = tx_state(q->tx, TYPE_THREAD, &state, &q->r->err);

	if (ret < 0 || since >= state)
		return ret;
	ret = tx_changes(
		q->tx, TYPE_THREAD, since, 0, &q->r->arena, &c, &q->r->err);
	if (ret)
		return ret < 0 ? ret : ERROR_CANNOT_CALCULATE;
	for (size_t i = 0; i < c.n && ret == 0; i++)
		if (c.at[i].kind != CHANGE_DESTROYED)
			ret = add_thread(t, c.at[i].id);
	return ret;
}

static int find_touched(struct touched *t, uint64_t since)
{
	struct query *q = t->q;
	bool threaded = is_threaded(q->own);
	bool immutable = email_query_immutable(q);
	struct changes c;
	int ret = tx_changes(
		q->tx, TYPE_EMAIL, since, 0, &q->r->arena, &c, &q->r->err);

	if (ret)
		return ret < 0 ? ret : ERROR_CANNOT_CALCULATE;
	for (size_t i = 0; i < c.n && ret == 0; i++) {
		/* What is the same for good is where it was. */
		if (immutable && c.at[i].kind == CHANGE_UPDATED)
			continue;
		add_email(t, c.at[i].id);
		if (threaded)
			ret = add_thread_of(t, c.at[i].id);
	}
	return ret == 0 && threaded ? add_threads(t, since) : ret;
}

int email_query_touched(
	struct query *q, uint64_t since, const uint64_t **ids_r, size_t *n_r)
{
	struct touched t = {.q = q};
	int ret = freshen(q);

	if (ret == 0)
		ret = find_touched(&t, since);
	*n_r = t.ids.n / sizeof(uint64_t);
	*ids_r = arena_dup(&q->r->arena, t.ids.n ? t.ids.p : "", t.ids.n);
	buf_fini(&t.ids);
	idset_fini(&t.seen);
	idset_fini(&t.threads);
	return ret;
}

int email_query_count(
	struct query *q, const uint64_t *ids, size_t n, uint64_t *count_r)
{
	struct own *o = q->own;

	return email_search_count(q->tx, &o->q, ids, n, count_r, &q->r->err);
}
