/*
 * Foo/get (RFC 8620 5.1) over the type table.
 */
#include <inttypes.h>

#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

static const char *const names[] = {"accountId", "ids", "properties", NULL};

size_t prop_find(const struct jmap_type *type, struct str name)
{
	size_t i = 0;

	while (i < type->props_n && !str_eq(name, str_of(type->props[i].name)))
		i++;
	return i;
}

int verb_state(struct req *r, struct tx *t, const struct jmap_type *type,
	struct statez *s_r)
{
	uint64_t modseq;
	int ret = tx_state(t, type->type, &modseq, &r->err);

	if (ret == 0)
		*s_r = state_of(tx_generation(t), modseq);
	return ret;
}

static uint64_t defaults(const struct jmap_type *type)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < type->props_n; i++)
		if (type->props[i].flags & PROP_DEFAULT)
			bits |= PROP_BIT(i);
	return bits;
}

static int read_prop(struct get *g, struct json_object *v)
{
	struct str name;
	size_t i;

	if (!json_text(v, &name))
		return req_error(g->r, ERROR_INVALID_ARGUMENTS,
			"properties: not a String[]");
	i = prop_find(g->type, name);
	if (i < g->type->props_n) {
		g->props |= PROP_BIT(i);
		return 0;
	}
	if (g->type->ops->get_prop)
		return g->type->ops->get_prop(g, name);
	return req_error(g->r, ERROR_INVALID_ARGUMENTS,
		"properties: no \"%.*s\" here", (int)min_of(name.n, 80u),
		name.p);
}

static int read_props(struct get *g)
{
	struct json_object *list;
	int ret = arg_of_type(
		g->r, g->args, "properties", json_type_array, &list);

	if (ret || !list) {
		g->props = defaults(g->type);
		return ret;
	}
	g->props = PROP_BIT(0); /* "id" always */
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		ret = read_prop(g, json_object_array_get_idx(list, i));
		if (ret)
			return ret;
	}
	return 0;
}

struct ids {
	const uint64_t *all;	  /* "ids": null */
	struct json_object *list; /* otherwise */
	size_t n;
};

static int read_ids(struct get *g, struct ids *ids)
{
	struct req *r = g->r;
	int ret = arg_ids(r, g->args, "ids", true, "maxObjectsInGet",
		r->limit.get, &ids->list);

	if (ret)
		return ret;
	if (ids->list) {
		ids->n = json_object_array_length(ids->list);
		return 0;
	}
	ret = g->type->ops->get_all(g, r->limit.get, &ids->all, &ids->n);
	if (ret == 0 && ids->n > r->limit.get)
		return req_error(r, ERROR_REQUEST_TOO_LARGE,
			"more than maxObjectsInGet (%" PRIu64 ")",
			r->limit.get);
	return ret;
}

/* The objects that are there; the others' ids go to missing. */
static int write_list(
	struct get *g, const struct ids *ids, struct jw *w, struct idmap *seen)
{
	struct arena *a = &g->r->arena;
	int ret = 0;

	for (size_t i = 0; i < ids->n && ret == 0; i++) {
		struct str id = STR_NONE;
		uint64_t number = 0;
		bool found = false;

		if (ids->list) {
			json_text(json_object_array_get_idx(ids->list, i), &id);
			(void)req_id(g->r, NULL, id, &id);
			if (idmap_find(seen, id))
				continue; /* RFC 8620 5.1: once */
		}
		if (!ids->list)
			number = ids->all[i];
		if (!ids->list || id_parse(g->type->id_prefix, id, &number))
			ret = g->type->ops->get_one(g, number, w, &found);
		if (ret == 0)
			ret = req_fits(g->r);
		if (ids->list && ret == 0)
			idmap_put(seen, a, id, found ? STR("f") : STR_NONE);
	}
	return ret;
}

static int write_answer(struct get *g, const struct ids *ids, const char *name)
{
	struct idmap seen;
	struct statez state;
	struct jw *w;
	int ret = verb_state(g->r, g->tx, g->type, &state);

	if (ret)
		return ret;
	w = req_reply(g->r, name);
	jw_obj(w);
	jw_kstrz(w, "accountId", g->r->account.z);
	jw_kstrz(w, "state", state.z);
	jw_key(w, STR("list"));
	jw_arr(w);
	idmap_init(&seen);
	ret = write_list(g, ids, w, &seen);
	jw_arr_end(w);
	jw_key(w, STR("notFound"));
	jw_arr(w);
	for (const struct idmap_entry *e = seen.first; e; e = e->next)
		if (!e->id.p)
			jw_str(w, e->key);
	jw_arr_end(w);
	jw_obj_end(w);
	idmap_fini(&seen);
	if (ret == 0)
		ret = req_fits(g->r);
	if (ret == 0)
		req_reply_end(g->r);
	return ret;
}

int verb_get(struct req *r, const struct method *m, struct json_object *args)
{
	struct get g = {.r = r, .type = m->type, .args = args};
	const struct type_ops *ops = m->type->ops;
	struct ids ids = {0};
	int ret = args_open(r, args, names, ops->get_args);

	if (ret == 0)
		ret = req_read(r, &g.tx);
	if (ret == 0 && ops->get_open)
		ret = ops->get_open(&g);
	if (ret == 0)
		ret = read_props(&g);
	if (ret == 0)
		ret = read_ids(&g, &ids);
	return ret ? ret : write_answer(&g, &ids, m->name);
}

int get_render(struct req *r, struct tx *t, const struct jmap_type *type,
	uint64_t id, uint64_t props, struct buf *out, bool *found_r)
{
	struct get g = {.r = r, .tx = t, .type = type, .props = props};
	struct jw w;

	jw_init(&w, out);
	*found_r = false;
	if (type->ops->get_open) {
		int ret = type->ops->get_open(&g);

		if (ret)
			return ret;
	}
	return type->ops->get_one(&g, id, &w, found_r);
}
