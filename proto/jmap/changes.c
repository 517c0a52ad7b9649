/*
 * Foo/changes (RFC 8620 5.2) over the change log.
 */
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

static const char *const names[] = {
	"accountId", "sinceState", "maxChanges", NULL};

struct want {
	struct str since;
	int64_t max;
	uint32_t generation;
	uint64_t modseq;
};

static int read_args(struct req *r, struct json_object *args, struct want *want)
{
	int ret = args_open(r, args, names, NULL);

	*want = (struct want){.max = (int64_t)r->limit.changes};
	if (ret == 0)
		ret = arg_text(r, args, "sinceState", &want->since);
	if (ret == 0 && !want->since.p)
		ret = req_error(
			r, ERROR_INVALID_ARGUMENTS, "sinceState: missing");
	if (ret == 0)
		ret = arg_int(r, args, "maxChanges", true, 1, &want->max, NULL);
	if (ret == 0 && (uint64_t)want->max > r->limit.changes)
		want->max = (int64_t)r->limit.changes;
	return ret;
}

static int cannot(struct req *r)
{
	return req_error(
		r, ERROR_CANNOT_CALCULATE, "that state is unknown, or too old");
}

static void write_ids(struct jw *w, const struct jmap_type *type,
	const struct changes *c, enum change_kind kind, const char *key)
{
	jw_key(w, str_of(key));
	jw_arr(w);
	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].kind == kind) {
			struct idz id = id_of(type->id_prefix, c->at[i].id);

			jw_str(w, str_n(id.z, id.n));
		}
	jw_arr_end(w);
}

static int write_answer(struct req *r, const struct method *m,
	const struct want *want, const struct changes *c)
{
	struct statez now = state_of(want->generation, c->new_modseq);
	struct jw *w = req_reply(r, m->name);
	int ret;

	jw_obj(w);
	jw_kstrz(w, "accountId", r->account.z);
	jw_kstr(w, "oldState", want->since);
	jw_kstrz(w, "newState", now.z);
	jw_kbool(w, "hasMoreChanges", c->has_more);
	write_ids(w, m->type, c, CHANGE_CREATED, "created");
	write_ids(w, m->type, c, CHANGE_UPDATED, "updated");
	write_ids(w, m->type, c, CHANGE_DESTROYED, "destroyed");
	if (m->type->ops->changes_more)
		m->type->ops->changes_more(w, c);
	jw_obj_end(w);
	ret = req_fits(r);
	if (ret == 0)
		req_reply_end(r);
	return ret;
}

int verb_changes(
	struct req *r, const struct method *m, struct json_object *args)
{
	struct changes c;
	struct want want;
	struct tx *t;
	int ret = read_args(r, args, &want);

	if (ret == 0)
		ret = req_read(r, &t);
	if (ret)
		return ret;
	if (!state_parse(want.since, &want.generation, &want.modseq) ||
		want.generation != tx_generation(t))
		return cannot(r);
	ret = tx_changes(t, m->type->type, want.modseq, (size_t)want.max,
		&r->arena, &c, &r->err);
	if (ret < 0)
		return ret;
	return ret > 0 ? cannot(r) : write_answer(r, m, &want, &c);
}
