/*
 * Foo/query (RFC 8620 5.5): the window into a list that the type computes.
 */
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

/* Ids of the list that are looked through first; then so many times more. */
#define ANCHOR_FIRST ((uint64_t)512)
#define ANCHOR_GROWS 8

static const char *const names[] = {"accountId", "filter", "sort", "position",
	"anchor", "anchorOffset", "limit", "calculateTotal", NULL};

struct window {
	int64_t position, offset;
	struct str anchor;
	int64_t limit;
	bool limit_given;
};

static int read_window(struct query *q, struct window *v)
{
	struct req *r = q->r;
	int ret = arg_int(
		r, q->args, "position", false, INT64_MIN, &v->position, NULL);

	if (ret == 0)
		ret = arg_text(r, q->args, "anchor", &v->anchor);
	if (ret == 0)
		ret = arg_int(r, q->args, "anchorOffset", false, INT64_MIN,
			&v->offset, NULL);
	if (ret == 0)
		ret = arg_int(r, q->args, "limit", true, 0, &v->limit,
			&v->limit_given);
	if (ret == 0)
		ret = arg_flag(r, q->args, "calculateTotal", &q->want_total);
	/* Ours when the client gave none, or a larger one. */
	if (!v->limit_given || (uint64_t)v->limit > r->limit.query) {
		v->limit = (int64_t)r->limit.query;
		v->limit_given = false;
	}
	return ret;
}

int query_read(struct query *q)
{
	struct json_object *filter, *sort;
	int ret =
		arg_of_type(q->r, q->args, "filter", json_type_object, &filter);

	if (ret == 0)
		ret = arg_of_type(
			q->r, q->args, "sort", json_type_array, &sort);
	return ret ? ret : q->type->ops->query_open(q, filter, sort);
}

/* Where the anchor stands in the whole list; looks through ever longer beginnings. */
static int find_anchor(struct query *q, uint64_t number, uint64_t *index_r)
{
	bool want_total = q->want_total;
	struct email_ids ids = {0};
	int ret = 0;

	q->want_total = false;
	for (uint64_t limit = ANCHOR_FIRST; ret == 0; limit *= ANCHOR_GROWS) {
		uint64_t i = 0;

		ret = q->type->ops->query_page(q, 0, limit, &ids);
		while (ret == 0 && i < ids.n && ids.at[i] != number)
			i++;
		*index_r = i;
		if (ret || i < ids.n)
			break;
		if (ids.n < limit)
			ret = req_error(q->r, ERROR_ANCHOR_NOT_FOUND, "%s", "");
	}
	q->want_total = want_total;
	return ret;
}

/* RFC 8620 5.5: the anchor's place plus the offset is the position. */
static int page_by_anchor(
	struct query *q, const struct window *v, struct email_ids *ids_r)
{
	struct str id;
	uint64_t number, first;
	int ret;

	if (!req_id(q->r, NULL, v->anchor, &id) ||
		!id_parse(q->type->id_prefix, id, &number))
		return req_error(q->r, ERROR_ANCHOR_NOT_FOUND, "%s", "");
	ret = find_anchor(q, number, &first);
	if (ret)
		return ret;
	if (v->offset < 0)
		first -= min_of(first, 0 - (uint64_t)v->offset);
	else
		first = min_of(
			first + (uint64_t)v->offset, (uint64_t)INT64_MAX);
	return q->type->ops->query_page(
		q, (int64_t)first, (uint64_t)v->limit, ids_r);
}

static int write_answer(struct query *q, const struct method *m,
	const struct window *v, const struct email_ids *ids)
{
	struct statez state;
	struct jw *w;
	int ret = verb_state(q->r, q->tx, q->type, &state);

	if (ret)
		return ret;
	w = req_reply(q->r, m->name);
	jw_obj(w);
	jw_kstrz(w, "accountId", q->r->account.z);
	jw_kstrz(w, "queryState", state.z);
	jw_kbool(w, "canCalculateChanges", q->type->ops->query_touched != NULL);
	jw_ku64(w, "position", ids->position);
	jw_key(w, STR("ids"));
	jw_arr(w);
	for (size_t i = 0; i < ids->n; i++) {
		struct idz id = id_of(q->type->id_prefix, ids->at[i]);

		jw_str(w, str_n(id.z, id.n));
	}
	jw_arr_end(w);
	if (q->want_total)
		jw_ku64(w, "total", ids->total);
	if (!v->limit_given)
		jw_ku64(w, "limit", (uint64_t)v->limit);
	jw_obj_end(w);
	ret = req_fits(q->r);
	if (ret == 0)
		req_reply_end(q->r);
	return ret;
}

int verb_query(struct req *r, const struct method *m, struct json_object *args)
{
	struct query q = {.r = r, .type = m->type, .args = args};
	struct window v = {0};
	struct email_ids ids;
	int ret = args_open(r, args, names, m->type->ops->query_args);

	if (ret == 0)
		ret = read_window(&q, &v);
	if (ret == 0)
		ret = req_read(r, &q.tx);
	if (ret == 0)
		ret = query_read(&q);
	if (ret == 0)
		ret = v.anchor.p ? page_by_anchor(&q, &v, &ids)
				 : m->type->ops->query_page(&q, v.position,
					   (uint64_t)v.limit, &ids);
	return ret ? ret : write_answer(&q, m, &v, &ids);
}
