/*
 * Email/query (RFC 8621 4.4): the Emails of a mailbox, or all, by receivedAt.
 *
 * collapseThreads walks the list until the window is full; the total comes from the
 * mailbox's own count of threads, so that only a list of the whole account has to
 * be walked to its end.
 */
#include "proto/jmap/email.h"
#include "proto/jmap/json.h"

enum { STRIDE = 512 };

struct own {
	struct email_query q;
	bool nowhere; /* a mailbox that there is not: no Email is in it */
	bool collapse;
};

/* ---- filter and sort --------------------------------------------------------------------- */

static int unsupported(struct query *q, const char *name)
{
	return req_error(q->r, ERROR_UNSUPPORTED_FILTER,
		"\"%.60s\" is not built yet", name);
}

static int read_filter(
	struct query *q, struct own *o, struct json_object *filter)
{
	struct str ref, id;

	if (!filter)
		return 0;
	json_object_object_foreach(filter, name, value)
	{
		if (strcmp(name, "inMailbox") != 0)
			return unsupported(q, name);
		if (!json_text(value, &ref))
			return req_error(q->r, ERROR_INVALID_ARGUMENTS,
				"filter: inMailbox is no Id");
		o->nowhere = !req_id(q->r, NULL, ref, &id) ||
			     !id_parse('m', id, &o->q.mailbox) ||
			     o->q.mailbox == 0;
	}
	return 0;
}

/* RFC 8620 5.5 Comparator. */
static int read_comparator(
	struct query *q, struct json_object *c, bool *ascending_r)
{
	struct str property = STR_NONE;

	*ascending_r = true;
	if (json_object_get_type(c) != json_type_object)
		return req_error(q->r, ERROR_INVALID_ARGUMENTS,
			"sort: not a Comparator[]");
	json_object_object_foreach(c, name, value)
	{
		if (strcmp(name, "property") == 0) {
			if (!json_text(value, &property))
				property = STR_NONE;
		} else if (strcmp(name, "isAscending") == 0) {
			if (!json_flag(value, ascending_r))
				return req_error(q->r, ERROR_INVALID_ARGUMENTS,
					"sort: isAscending is no Boolean");
		} else {
			/* a collation, or what goes with another property */
			return req_error(q->r, ERROR_UNSUPPORTED_SORT,
				"\"%.60s\" is not built yet", name);
		}
	}
	if (!property.p)
		return req_error(q->r, ERROR_INVALID_ARGUMENTS,
			"sort: a property is missing");
	if (!str_eq(property, STR("receivedAt")))
		return req_error(
			q->r, ERROR_UNSUPPORTED_SORT, "only by receivedAt yet");
	return 0;
}

static int read_sort(struct query *q, struct own *o, struct json_object *sort)
{
	size_t n = sort ? json_object_array_length(sort) : 0;
	bool ascending;

	for (size_t i = 0; i < n; i++) {
		int ret = read_comparator(
			q, json_object_array_get_idx(sort, i), &ascending);

		if (ret)
			return ret;
		/* A second look at the same property decides nothing. */
		if (i == 0)
			o->q.ascending = ascending;
	}
	return 0;
}

int email_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort)
{
	struct own *o = arena_new(&q->r->arena, sizeof(*o));
	int ret = arg_flag(q->r, q->args, "collapseThreads", &o->collapse);

	q->own = o;
	if (ret == 0)
		ret = read_filter(q, o, filter);
	return ret ? ret : read_sort(q, o, sort);
}

/* ---- one Email of each thread -------------------------------------------------------------- */

/* Numbers that were there, in an open table; 0 is none of them. */
struct seen {
	uint64_t *at;
	size_t cap, n;
};

static bool seen_before(struct seen *s, uint64_t v)
{
	size_t i;

	if (s->n * 2 >= s->cap) {
		struct seen bigger = {.cap = s->cap ? s->cap * 2 : 256};

		bigger.at = mem_new(bigger.cap * sizeof(*bigger.at));
		for (i = 0; i < s->cap; i++)
			if (s->at[i])
				seen_before(&bigger, s->at[i]);
		free(s->at);
		*s = bigger;
	}
	for (i = hash_u64(v) & (s->cap - 1); s->at[i];
		i = (i + 1) & (s->cap - 1))
		if (s->at[i] == v)
			return true;
	s->at[i] = v;
	s->n++;
	return false;
}

struct walk {
	struct query *q;
	struct own *o;
	struct seen seen;
	uint64_t want; /* exemplars; then it may end */
	uint64_t *at;
	size_t n, cap;
	bool whole; /* the list came to its end */
};

static int take(struct walk *w, uint64_t id)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct email m;
	int ret = email_find(w->q->tx, id, 0, &tmp, &m, &w->q->r->err);

	if (ret <= 0 || seen_before(&w->seen, m.thread))
		return ret;
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->at = mem_grow(w->at, w->cap * sizeof(*w->at));
	}
	w->at[w->n++] = id;
	return ret;
}

static int walk(struct walk *w)
{
	struct email_query q = w->o->q;
	struct email_ids page;
	int ret = 0;

	q.limit = STRIDE;
	for (q.position = 0; w->n < w->want; q.position += STRIDE) {
		struct arena tmp cleanup(arena_fini) = {0};

		ret = email_query(w->q->tx, &q, &tmp, &page, &w->q->r->err);
		for (size_t i = 0; i < page.n && ret >= 0; i++)
			if (w->n < w->want)
				ret = take(w, page.at[i]);
		if (ret < 0)
			return ret;
		if (page.n < STRIDE) {
			w->whole = true;
			return 0;
		}
	}
	return 0;
}

/* How many threads there are; UINT64_MAX: the walk must tell. */
static int count_threads(struct query *q, struct own *o, uint64_t *n_r)
{
	struct mailbox m;
	int ret;

	*n_r = UINT64_MAX;
	if (o->q.mailbox == 0)
		return 0;
	ret = mailbox_find(q->tx, o->q.mailbox, &q->r->arena, &m, &q->r->err);
	*n_r = ret > 0 ? m.total_threads : 0;
	return min_of(ret, 0);
}

static int collapsed(struct query *q, struct own *o, int64_t position,
	uint64_t limit, struct email_ids *r)
{
	struct walk w = {.q = q, .o = o, .want = UINT64_MAX};
	uint64_t total, first;
	int ret = count_threads(q, o, &total);

	if (ret < 0)
		return ret;
	if (position >= 0 && (total != UINT64_MAX || !q->want_total) &&
		limit < (uint64_t)INT64_MAX)
		w.want = (uint64_t)position + limit;
	ret = walk(&w);
	if (w.whole)
		total = w.n;
	if (position >= 0)
		first = (uint64_t)position;
	else
		first = w.n - min_of(w.n, 0 - (uint64_t)position);
	*r = (struct email_ids){.position = first, .total = total};
	if (ret >= 0 && first < w.n) {
		r->n = min_of(limit, w.n - first);
		r->at = arena_dup(
			&q->r->arena, w.at + first, r->n * sizeof(*r->at));
	}
	free(w.at);
	free(w.seen.at);
	return min_of(ret, 0);
}

int email_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r)
{
	struct own *o = q->own;

	*ids_r = (struct email_ids){.position = (uint64_t)max_of(position, 0)};
	if (o->nowhere)
		return 0;
	if (o->collapse)
		return collapsed(q, o, position, limit, ids_r);
	o->q.position = position;
	o->q.limit = limit;
	return email_query(q->tx, &o->q, &q->r->arena, ids_r, &q->r->err);
}
