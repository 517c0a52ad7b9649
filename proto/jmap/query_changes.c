/*
 * Foo/queryChanges (RFC 8620 5.6): what a client does to a list to have it as it is
 * now.
 *
 * Of the old list nothing is known but that what the type did not touch stands in it
 * as before. So all that was touched is taken out, but for what is newer than the
 * client's state, and what of it is in the list now is put in where it stands.
 */
#include "proto/jmap/idset.h"
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

#define PAGE_FIRST 512 /* of the list; the next one is so many times larger */
#define PAGE_GROWS 8
#define CHANGE_JSON 48 /* bytes that one takes about */

static const char *const names[] = {"accountId", "filter", "sort",
	"sinceQueryState", "maxChanges", "upToId", "calculateTotal", NULL};

struct changes_want {
	struct str since, up_to;
	int64_t max; /* INT64_MAX: any number */
	uint64_t modseq;
};

struct place {
	uint64_t id, index;
};

/* What becomes of the list. */
struct moves {
	const uint64_t *touched;
	size_t touched_n;
	struct idset new;  /* not in the old list */
	struct idset look; /* touched */
	struct place *added;
	size_t added_n;
	uint64_t up_to; /* 0: all of the list */
	uint64_t total;
};

/* ---- arguments -------------------------------------------------------------- */

static int read_args(struct query *q, struct changes_want *v)
{
	struct req *r = q->r;
	int ret = args_open(r, q->args, names, q->type->ops->query_args);

	*v = (struct changes_want){.max = INT64_MAX};
	if (ret == 0)
		ret = arg_text(r, q->args, "sinceQueryState", &v->since);
	if (ret == 0 && !v->since.p)
		ret = req_error(
			r, ERROR_INVALID_ARGUMENTS, "sinceQueryState: missing");
	if (ret == 0)
		ret = arg_int(r, q->args, "maxChanges", true, 0, &v->max, NULL);
	if (ret == 0)
		ret = arg_text(r, q->args, "upToId", &v->up_to);
	if (ret == 0)
		ret = arg_flag(r, q->args, "calculateTotal", &q->want_total);
	return ret;
}

static int cannot(struct req *r)
{
	return req_error(
		r, ERROR_CANNOT_CALCULATE, "that state is unknown, or too old");
}

static int read_state(struct query *q, struct changes_want *v)
{
	uint32_t generation;

	if (!state_parse(v->since, &generation, &v->modseq) ||
		generation != tx_generation(q->tx))
		return cannot(q->r);
	return 0;
}

/* ---- what moved --------------------------------------------------------------- */

/* Objects that were made since cannot be in the old list. */
static int find_new(struct query *q, uint64_t since, struct moves *m)
{
	struct changes c;
	int ret = tx_changes(
		q->tx, q->type->type, since, 0, &q->r->arena, &c, &q->r->err);

	if (ret)
		return ret < 0 ? ret : cannot(q->r);
	for (size_t i = 0; i < c.n; i++)
		if (c.at[i].kind == CHANGE_CREATED)
			idset_add(&m->new, c.at[i].id);
	return 0;
}

/* RFC 8620 5.6, upToId: only when nothing can move but by coming and going. */
static void read_up_to(
	struct query *q, const struct changes_want *v, struct moves *m)
{
	const struct type_ops *ops = q->type->ops;
	struct str id;

	if (!v->up_to.p || !ops->query_immutable || !ops->query_immutable(q))
		return;
	if (!req_id(q->r, NULL, v->up_to, &id) ||
		!id_parse(q->type->id_prefix, id, &m->up_to))
		m->up_to = 0;
}

/* Looks through a beginning of the list; true: no need to look further. */
static bool look_through(
	struct moves *m, const struct email_ids *ids, uint64_t there)
{
	m->added_n = 0;
	for (size_t i = 0; i < ids->n && m->added_n < there; i++) {
		if (idset_has(&m->look, ids->at[i]))
			m->added[m->added_n++] = (struct place){ids->at[i], i};
		if (ids->at[i] == m->up_to)
			return true;
	}
	return m->added_n >= there;
}

/* Where touched objects stand now. */
static int find_places(struct query *q, struct moves *m)
{
	const struct type_ops *ops = q->type->ops;
	uint64_t there = UINT64_MAX, limit = PAGE_FIRST;
	struct email_ids ids = {0};
	bool done = false;
	int ret = 0;

	if (ops->query_count)
		ret = ops->query_count(q, m->touched, m->touched_n, &there);
	else
		limit = INT64_MAX;
	if (there == 0 && q->want_total)
		limit = 0;
	for (; ret == 0 && !done && (there || q->want_total);
		limit *= PAGE_GROWS) {
		limit = min_of(limit, (uint64_t)INT64_MAX / PAGE_GROWS);
		ret = ops->query_page(q, 0, limit, &ids);
		if (ret)
			return ret;
		if (q->want_total)
			m->total = ids.total;
		q->want_total = false;
		done = look_through(m, &ids, there) || ids.n < limit;
	}
	return ret;
}

static int find_moves(
	struct query *q, const struct changes_want *v, struct moves *m)
{
	int ret = q->type->ops->query_touched(
		q, v->modseq, &m->touched, &m->touched_n);

	if (ret == ERROR_CANNOT_CALCULATE)
		return cannot(q->r);
	if (ret == 0)
		ret = find_new(q, v->modseq, m);
	if (ret || (m->touched_n == 0 && !q->want_total))
		return ret;
	read_up_to(q, v, m);
	for (size_t i = 0; i < m->touched_n; i++)
		idset_add(&m->look, m->touched[i]);
	m->added =
		arena_new(&q->r->arena, m->touched_n * sizeof(*m->added) + 1);
	return find_places(q, m);
}

/* ---- the answer ----------------------------------------------------------------- */

static void write_id(struct jw *w, const struct query *q, uint64_t number)
{
	struct idz id = id_of(q->type->id_prefix, number);

	jw_str(w, str_n(id.z, id.n));
}

static void write_moves(
	struct jw *w, const struct query *q, const struct moves *m)
{
	jw_key(w, STR("removed"));
	jw_arr(w);
	for (size_t i = 0; i < m->touched_n; i++)
		if (!idset_has(&m->new, m->touched[i]))
			write_id(w, q, m->touched[i]);
	jw_arr_end(w);
	jw_key(w, STR("added"));
	jw_arr(w);
	for (size_t i = 0; i < m->added_n; i++) {
		jw_obj(w);
		jw_key(w, STR("id"));
		write_id(w, q, m->added[i].id);
		jw_ku64(w, "index", m->added[i].index);
		jw_obj_end(w);
	}
	jw_arr_end(w);
}

static int write_answer(struct query *q, const struct method *method,
	const struct changes_want *v, const struct moves *m, bool total)
{
	struct statez state;
	uint64_t n = m->added_n;
	struct jw *w;
	int ret = verb_state(q->r, q->tx, q->type, &state);

	if (ret)
		return ret;
	for (size_t i = 0; i < m->touched_n; i++)
		n += !idset_has(&m->new, m->touched[i]);
	if (n > (uint64_t)v->max || n > req_room(q->r) / CHANGE_JSON)
		return req_error(q->r, ERROR_TOO_MANY_CHANGES, "%s", "");
	w = req_reply(q->r, method->name);
	jw_obj(w);
	jw_kstrz(w, "accountId", q->r->account.z);
	jw_kstr(w, "oldQueryState", v->since);
	jw_kstrz(w, "newQueryState", state.z);
	if (total)
		jw_ku64(w, "total", m->total);
	write_moves(w, q, m);
	jw_obj_end(w);
	ret = req_fits(q->r);
	if (ret == 0)
		req_reply_end(q->r);
	return ret;
}

int verb_query_changes(
	struct req *r, const struct method *method, struct json_object *args)
{
	struct query q = {.r = r, .type = method->type, .args = args};
	struct changes_want v;
	struct moves m = {0};
	bool total;
	int ret = read_args(&q, &v);

	total = q.want_total;
	if (ret == 0)
		ret = req_read(r, &q.tx);
	if (ret == 0)
		ret = query_read(&q);
	if (ret == 0)
		ret = read_state(&q, &v);
	if (ret == 0)
		ret = find_moves(&q, &v, &m);
	if (ret == 0)
		ret = write_answer(&q, method, &v, &m, total);
	idset_fini(&m.new);
	idset_fini(&m.look);
	return ret;
}
