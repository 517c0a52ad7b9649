/*
 * Mailbox/query (RFC 8621 2.3): the whole list at once, since an account has few
 * Mailboxes. Without comparators it is by sortOrder, then name; what comparators
 * find equal is by id.
 */
#include "proto/jmap/mailbox.h"

#include <stdlib.h>

#include "core/mime/collate.h"
#include "core/mime/mime.h"
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

const char *const mailbox_query_args[] = {"sortAsTree", "filterAsTree", NULL};

/* ---- what is asked for ---------------------------------------------------- */

enum match_kind {
	MATCH_ALL,  /* of sub */
	MATCH_ANY,  /* of sub */
	MATCH_NONE, /* of sub */
	MATCH_PARENT,
	MATCH_NAME,
	MATCH_ROLE,
	MATCH_ANY_ROLE,
	MATCH_SUBSCRIBED,
};

struct filter {
	enum match_kind kind;
	struct filter *sub;
	size_t n;
	uint64_t id; /* UINT64_MAX: of no Mailbox */
	struct str text;
	bool flag;
};

enum sort_by { BY_ORDER, BY_NAME, BY_NAME_ASCII, BY_NAME_OCTET, SORTS };

struct own {
	struct filter *filter;
	struct {
		enum sort_by by;
		bool descending;
	} sort[SORTS];
	size_t sort_n;
	bool sort_tree, filter_tree;
	bool made;
	uint64_t *ids;
	size_t n;
};

/* ---- filter --------------------------------------------------------------- */

static int read_filter(
	struct query *q, struct json_object *o, struct filter *f);

static int wrong(struct query *q, const char *name)
{
	return req_error(q->r, ERROR_INVALID_ARGUMENTS,
		"filter: %.60s has the wrong type", name);
}

static int read_parent(
	struct query *q, struct json_object *value, struct filter *f)
{
	struct str ref, id;

	f->kind = MATCH_PARENT;
	if (!value)
		return 0;
	if (!json_text(value, &ref))
		return wrong(q, "parentId");
	if (!req_id(q->r, NULL, ref, &id) || !id_parse('m', id, &f->id) ||
		f->id == 0)
		f->id = UINT64_MAX;
	return 0;
}

/* One member of a FilterCondition. */
static int read_condition(struct query *q, const char *name,
	struct json_object *value, struct filter *f)
{
	if (strcmp(name, "parentId") == 0)
		return read_parent(q, value, f);
	if (strcmp(name, "name") == 0) {
		f->kind = MATCH_NAME;
		if (!json_text(value, &f->text))
			return wrong(q, name);
		if (f->text.n <= MAILBOX_NAME_INPUT)
			f->text = mime_nfc(f->text, &q->r->arena);
		return 0;
	}
	if (strcmp(name, "role") == 0) {
		f->kind = MATCH_ROLE;
		return !value || json_text(value, &f->text) ? 0
							    : wrong(q, name);
	}
	f->kind = strcmp(name, "hasAnyRole") == 0     ? MATCH_ANY_ROLE
		  : strcmp(name, "isSubscribed") == 0 ? MATCH_SUBSCRIBED
						      : MATCH_ALL;
	if (f->kind == MATCH_ALL)
		return req_error(q->r, ERROR_UNSUPPORTED_FILTER,
			"filter: \"%.60s\" is not known", name);
	return json_flag(value, &f->flag) ? 0 : wrong(q, name);
}

static int read_operator(
	struct query *q, struct json_object *o, struct filter *f)
{
	struct json_object *list = NULL;
	struct str op = STR_NONE;
	int ret = 0;

	json_object_object_foreach(o, name, value)
	{
		if (strcmp(name, "operator") == 0)
			(void)json_text(value, &op);
		else if (strcmp(name, "conditions") == 0)
			list = value;
		else
			return req_error(q->r, ERROR_INVALID_ARGUMENTS,
				"filter: \"%.60s\" beside an operator", name);
	}
	f->kind = str_eq(op, STR("AND"))  ? MATCH_ALL
		  : str_eq(op, STR("OR")) ? MATCH_ANY
					  : MATCH_NONE;
	if (f->kind == MATCH_NONE && !str_eq(op, STR("NOT")))
		return wrong(q, "operator");
	if (json_object_get_type(list) != json_type_array)
		return wrong(q, "conditions");
	f->n = json_object_array_length(list);
	f->sub = arena_new(&q->r->arena, f->n * sizeof(*f->sub) + 1);
	for (size_t i = 0; i < f->n && ret == 0; i++)
		ret = read_filter(
			q, json_object_array_get_idx(list, i), &f->sub[i]);
	return ret;
}

/* As deep as JSON may be. */
static int read_filter(struct query *q, struct json_object *o, struct filter *f)
{
	struct json_object *v;
	int ret = 0;

	if (json_object_get_type(o) != json_type_object)
		return wrong(q, "a condition");
	if (json_member(o, "operator", &v))
		return read_operator(q, o, f);
	f->kind = MATCH_ALL;
	f->sub = arena_new(&q->r->arena,
		(size_t)json_object_object_length(o) * sizeof(*f->sub) + 1);
	json_object_object_foreach(o, name, value)
	{
		if (ret == 0)
			ret = read_condition(q, name, value, &f->sub[f->n++]);
	}
	return ret;
}

static bool contains(struct str s, struct str part)
{
	return part.n == 0 || (s.n && memmem(s.p, s.n, part.p, part.n));
}

static bool matches(const struct filter *f, const struct mailbox *m)
{
	bool some = false, every = true;

	switch (f->kind) {
	case MATCH_PARENT:
		return m->parent == f->id;
	case MATCH_NAME:
		return contains(m->name, f->text);
	case MATCH_ROLE:
		return str_eq(m->role, f->text);
	case MATCH_ANY_ROLE:
		return (m->role.n > 0) == f->flag;
	case MATCH_SUBSCRIBED:
		return m->subscribed == f->flag;
	case MATCH_ALL:
	case MATCH_ANY:
	case MATCH_NONE:
		break;
	}
	for (size_t i = 0; i < f->n; i++) {
		bool one = matches(&f->sub[i], m);

		some |= one;
		every &= one;
	}
	return f->kind == MATCH_ALL   ? every
	       : f->kind == MATCH_ANY ? some
				      : !some;
}

/* ---- sort ----------------------------------------------------------------- */

static int read_collation(
	struct query *q, struct json_object *value, enum sort_by *by_r)
{
	static const struct {
		struct str name;
		enum sort_by by;
	} known[] = {
		{STR("i;unicode-casemap"), BY_NAME},
		{STR("i;ascii-casemap"), BY_NAME_ASCII},
		{STR("i;octet"), BY_NAME_OCTET},
	};
	struct str name;

	if (!json_text(value, &name))
		return req_error(q->r, ERROR_INVALID_ARGUMENTS,
			"sort: collation is no String");
	for (size_t i = 0; i < countof(known); i++)
		if (str_eq(name, known[i].name)) {
			*by_r = known[i].by;
			return 0;
		}
	return req_error(
		q->r, ERROR_UNSUPPORTED_SORT, "sort: a collation is not known");
}

/* RFC 8620 5.5 Comparator. */
static int read_comparator(struct query *q, struct json_object *c,
	enum sort_by *by_r, bool *descending_r)
{
	struct str property = STR_NONE;
	bool ascending = true;
	int ret = 0;

	*by_r = BY_NAME;
	if (json_object_get_type(c) != json_type_object)
		return req_error(q->r, ERROR_INVALID_ARGUMENTS,
			"sort: not a Comparator[]");
	json_object_object_foreach(c, name, value)
	{
		if (ret)
			break;
		if (strcmp(name, "property") == 0)
			(void)json_text(value, &property);
		else if (strcmp(name, "collation") == 0)
			ret = read_collation(q, value, by_r);
		else if (strcmp(name, "isAscending") != 0)
			ret = req_error(q->r, ERROR_INVALID_ARGUMENTS,
				"sort: \"%.60s\" is not known", name);
		else if (!json_flag(value, &ascending))
			ret = req_error(q->r, ERROR_INVALID_ARGUMENTS,
				"sort: isAscending is no Boolean");
	}
	*descending_r = !ascending;
	if (ret)
		return ret;
	if (!property.p)
		return req_error(q->r, ERROR_INVALID_ARGUMENTS,
			"sort: a property is missing");
	if (str_eq(property, STR("sortOrder")))
		*by_r = BY_ORDER;
	else if (!str_eq(property, STR("name")))
		return req_error(q->r, ERROR_UNSUPPORTED_SORT,
			"sort: by sortOrder and name only");
	return 0;
}

static int read_sort(struct query *q, struct own *o, struct json_object *sort)
{
	size_t n = sort ? json_object_array_length(sort) : 0;
	bool seen[SORTS] = {false}, descending = false;
	enum sort_by by;

	for (size_t i = 0; i < n; i++) {
		int ret = read_comparator(q, json_object_array_get_idx(sort, i),
			&by, &descending);

		if (ret)
			return ret;
		/* A second look at the same thing decides nothing. */
		if (seen[by])
			continue;
		seen[by] = true;
		o->sort[o->sort_n].by = by;
		o->sort[o->sort_n++].descending = descending;
	}
	if (o->sort_n)
		return 0;
	o->sort[0].by = BY_ORDER;
	o->sort[1].by = BY_NAME;
	o->sort_n = 2;
	return 0;
}

int mailbox_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort)
{
	struct own *o = arena_new(&q->r->arena, sizeof(*o));
	int ret = arg_flag(q->r, q->args, "sortAsTree", &o->sort_tree);

	q->own = o;
	if (ret == 0)
		ret = arg_flag(q->r, q->args, "filterAsTree", &o->filter_tree);
	o->filter = arena_new(&q->r->arena, sizeof(*o->filter));
	if (ret == 0 && filter)
		ret = read_filter(q, filter, o->filter);
	return ret ? ret : read_sort(q, o, sort);
}

/* ---- the list ------------------------------------------------------------- */

struct box {
	const struct mailbox *m;
	struct str folded; /* as BY_NAME compares it */
	struct box *parent, *child, *next;
	bool match;
};

static int names_cmp(enum sort_by by, const struct box *a, const struct box *b)
{
	struct str x = a->m->name, y = b->m->name;

	if (by == BY_NAME)
		return str_cmp(a->folded, b->folded);
	if (by == BY_NAME_OCTET)
		return str_cmp(x, y);
	for (size_t i = 0; i < min_of(x.n, y.n); i++) {
		int c = (unsigned char)x.p[i], d = (unsigned char)y.p[i];

		c -= c >= 'a' && c <= 'z' ? 32 : 0;
		d -= d >= 'a' && d <= 'z' ? 32 : 0;
		if (c != d)
			return c - d;
	}
	return (x.n > y.n) - (x.n < y.n);
}

static int in_order(const void *x, const void *y, void *ctx)
{
	const struct box *a = *(struct box *const *)x;
	const struct box *b = *(struct box *const *)y;
	const struct own *o = ctx;

	for (size_t i = 0; i < o->sort_n; i++) {
		enum sort_by by = o->sort[i].by;
		int c = by == BY_ORDER
				? (a->m->sort_order > b->m->sort_order) -
					  (a->m->sort_order < b->m->sort_order)
				: names_cmp(by, a, b);

		if (c)
			return o->sort[i].descending ? -c : c;
	}
	return (a->m->id > b->m->id) - (a->m->id < b->m->id);
}

static int by_id(const void *x, const void *y)
{
	const struct box *a = x, *b = y;

	return (a->m->id > b->m->id) - (a->m->id < b->m->id);
}

static struct box *box_of(struct box *at, size_t n, uint64_t id)
{
	struct mailbox m = {.id = id};
	struct box key = {.m = &m};

	return id ? bsearch(&key, at, n, sizeof(*at), by_id) : NULL;
}

static struct str fold(struct str name, struct arena *a)
{
	struct buf b cleanup(buf_fini) = {0};

	mime_casemap(name, &b);
	return arena_str(a, buf_str(&b));
}

/* By id. */
static struct box *boxes_new(struct query *q, const struct own *o,
	const struct mailbox *all, size_t n)
{
	struct box *at = arena_new(&q->r->arena, n * sizeof(*at) + 1);

	for (size_t i = 0; i < n; i++)
		at[i] = (struct box){
			.m = &all[i],
			.folded = fold(all[i].name, &q->r->arena),
			.match = matches(o->filter, &all[i]),
		};
	if (n)
		qsort(at, n, sizeof(*at), by_id);
	for (size_t i = 0; i < n; i++)
		at[i].parent = box_of(at, n, at[i].m->parent);
	return at;
}

static bool wanted(const struct own *o, const struct box *b)
{
	if (!o->filter_tree)
		return b->match;
	while (b && b->match)
		b = b->parent;
	return !b;
}

/* Of siblings in order, each with what is below it. */
static void take_tree(struct own *o, const struct box *b)
{
	for (; b; b = b->next) {
		if (wanted(o, b))
			o->ids[o->n++] = b->m->id;
		take_tree(o, b->child);
	}
}

static void take_all(struct own *o, struct box **at, size_t n)
{
	struct box *roots = NULL;

	for (size_t i = n; o->sort_tree && i-- > 0;) {
		struct box **first =
			at[i]->parent ? &at[i]->parent->child : &roots;

		at[i]->next = *first;
		*first = at[i];
	}
	take_tree(o, roots);
	for (size_t i = 0; !o->sort_tree && i < n; i++)
		if (wanted(o, at[i]))
			o->ids[o->n++] = at[i]->m->id;
}

static int make(struct query *q, struct own *o)
{
	const struct mailbox *all;
	struct box *at, **order;
	size_t n;
	int ret = mailbox_list(q->tx, &q->r->arena, &all, &n, &q->r->err);

	if (ret < 0)
		return ret;
	at = boxes_new(q, o, all, n);
	order = arena_new(&q->r->arena, n * sizeof(struct box *) + 1);
	for (size_t i = 0; i < n; i++)
		order[i] = &at[i];
	if (n)
		qsort_r(order, n, sizeof(struct box *), in_order, o);
	o->ids = arena_new(&q->r->arena, n * sizeof(*o->ids) + 1);
	take_all(o, order, n);
	o->made = true;
	return 0;
}

int mailbox_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r)
{
	struct own *o = q->own;
	int ret = o->made ? 0 : make(q, o);
	uint64_t first;

	if (ret < 0)
		return ret;
	if (position >= 0)
		first = (uint64_t)position;
	else
		first = o->n - min_of((uint64_t)o->n, 0 - (uint64_t)position);
	*ids_r = (struct email_ids){.position = first, .total = o->n};
	if (first < o->n) {
		ids_r->at = o->ids + first;
		ids_r->n = min_of(limit, o->n - first);
	}
	return 0;
}

/* ---- /queryChanges (RFC 8621 2.4) ----------------------------------------- */

/* In a tree one Mailbox takes others along. */
static int all_touched(struct query *q, const struct changes *c,
	const uint64_t **ids_r, size_t *n_r)
{
	const struct mailbox *all;
	uint64_t *ids;
	size_t n, k = 0;
	int ret = mailbox_list(q->tx, &q->r->arena, &all, &n, &q->r->err);

	if (ret < 0)
		return ret;
	ids = arena_new(&q->r->arena, (n + c->n) * sizeof(*ids) + 1);
	for (size_t i = 0; i < n; i++)
		ids[k++] = all[i].id;
	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].kind == CHANGE_DESTROYED)
			ids[k++] = c->at[i].id;
	*ids_r = ids;
	*n_r = k;
	return 0;
}

int mailbox_query_touched(
	struct query *q, uint64_t since, const uint64_t **ids_r, size_t *n_r)
{
	const struct own *o = q->own;
	struct changes c;
	uint64_t *ids;
	size_t n = 0;
	int ret = tx_changes(
		q->tx, TYPE_MAILBOX, since, 0, &q->r->arena, &c, &q->r->err);

	if (ret)
		return ret < 0 ? ret
			       : req_error(q->r, ERROR_CANNOT_CALCULATE,
					 "that state is too old");
	ids = arena_new(&q->r->arena, c.n * sizeof(*ids) + 1);
	for (size_t i = 0; i < c.n; i++)
		if (!c.at[i].counts_only)
			ids[n++] = c.at[i].id;
	*ids_r = ids;
	*n_r = n;
	return n && (o->sort_tree || o->filter_tree)
		       ? all_touched(q, &c, ids_r, n_r)
		       : 0;
}
