/*
 * Email/parse (RFC 8621 4.9): a blob shown as an Email, without a row.
 *
 * Any bytes can be taken apart, so what is a message is our word: one that has a
 * header field. A message that is itself a part gives its parts ids that lead
 * through it (ids.h), as far as such ids go.
 */
#include "proto/jmap/blob.h"
#include "proto/jmap/email.h"
#include "proto/jmap/json.h"
#include "proto/jmap/types.h"

static const char *const names[] = {"accountId", "blobIds", "properties", NULL};

static const uint64_t defaults =
	(PROP_BIT(EMAIL_ATTACHMENTS + 1) - 1) & ~(PROP_BIT(EMAIL_SENT_AT) - 1);

struct parse {
	struct req *r;
	struct tx *tx;
	struct email_get get;
	uint64_t props;
	struct json_object *ids;
	struct idmap seen; /* what became of each: one of the following */
	bool any;	   /* "parsed" was opened */
};

#define PARSED STR("parsed")
#define NOT_PARSABLE STR("notParsable")
#define NOT_FOUND STR("notFound")

/* ---- arguments -------------------------------------------------------------------- */

static int read_prop(struct parse *p, struct json_object *v)
{
	const char *why = "no such property";
	struct str name;
	size_t i;

	if (!json_text(v, &name))
		return req_error(p->r, ERROR_INVALID_ARGUMENTS,
			"properties: not a String[]");
	i = prop_find(&email_type, name);
	if (i < email_type.props_n) {
		p->props |= PROP_BIT(i);
		return 0;
	}
	if (header_is_prop(name)) {
		why = header_props_add(&p->get.headers, name, &p->r->arena);
		if (!why)
			return 0;
	}
	return req_error(p->r, ERROR_INVALID_ARGUMENTS,
		"properties: \"%.*s\": %s", (int)min_of(name.n, 80u), name.p,
		why);
}

static int read_props(struct parse *p, struct json_object *args)
{
	struct json_object *list;
	int ret = arg_of_type(p->r, args, "properties", json_type_array, &list);

	p->props = list ? 0 : defaults;
	for (size_t i = 0;
		ret == 0 && list && i < json_object_array_length(list); i++)
		ret = read_prop(p, json_object_array_get_idx(list, i));
	return ret;
}

/* ---- blobs ------------------------------------------------------------------------ */

bool email_is_message(struct str raw)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const struct mime_header *h;

	return mime_fields_at(raw, 0, raw.n, &tmp, &h) > 0;
}

static int write_email(
	struct parse *p, struct str id, struct email_view *v, struct jw *w)
{
	if (!p->any)
		jw_obj(w);
	p->any = true;
	jw_key(w, id);
	return email_view_write(v, w);
}

/* What becomes of a blob, in *fate_r; its Email is appended. */
static int parse_into(struct parse *p, struct str id, struct email_view *v,
	struct jw *w, struct str *fate_r)
{
	static const struct blob_span whole;
	struct blob_part ignore;
	int ret;

	*fate_r = NOT_FOUND;
	if (!blob_id_parse(id, &v->m.blob, &v->within))
		return 0;
	ret = blob_bytes(p->r, p->tx, id, &v->raw);
	if (ret <= 0)
		return ret;
	*fate_r = NOT_PARSABLE;
	/* Parts of it could not be named. */
	if (!part_within(&v->within, &whole, &ignore) ||
		!email_is_message(buf_str(&v->raw)))
		return 0;
	*fate_r = PARSED;
	v->m.size = v->raw.n;
	return write_email(p, id, v, w);
}

static int parse_one(struct parse *p, struct str id, struct jw *w)
{
	struct email_view v = {.r = p->r,
		.tx = p->tx,
		.get = &p->get,
		.props = p->props,
		.parsed = true};
	struct str fate;
	int ret;

	if (idmap_find(&p->seen, id))
		return 0; /* a map has it once */
	ret = parse_into(p, id, &v, w, &fate);
	email_view_fini(&v);
	if (ret)
		return ret;
	idmap_put(&p->seen, &p->r->arena, id, fate);
	return req_fits(p->r);
}

/* ---- the answer ------------------------------------------------------------------- */

/* The ids with that fate, null for none. */
static void write_ids(struct parse *p, struct str fate, struct jw *w)
{
	bool any = false;

	jw_key(w, fate);
	for (const struct idmap_entry *e = p->seen.first; e; e = e->next) {
		if (!str_eq(e->id, fate))
			continue;
		if (!any)
			jw_arr(w);
		any = true;
		jw_str(w, e->key);
	}
	if (any)
		jw_arr_end(w);
	else
		jw_null(w);
}

static int write_answer(struct parse *p, const struct method *m)
{
	struct jw *w = req_reply(p->r, m->name);
	int ret = 0;

	jw_obj(w);
	jw_kstrz(w, "accountId", p->r->account.z);
	jw_key(w, PARSED);
	for (size_t i = 0; i < json_object_array_length(p->ids); i++) {
		struct str id;

		json_text(json_object_array_get_idx(p->ids, i), &id);
		ret = parse_one(p, id, w);
		if (ret)
			return ret;
	}
	if (p->any)
		jw_obj_end(w);
	else
		jw_null(w);
	write_ids(p, NOT_PARSABLE, w);
	write_ids(p, NOT_FOUND, w);
	jw_obj_end(w);
	ret = req_fits(p->r);
	if (ret == 0)
		req_reply_end(p->r);
	return ret;
}

int email_parse(struct req *r, const struct method *m, struct json_object *args)
{
	struct parse p = {.r = r};
	int ret = args_open(r, args, names, email_get_args);

	if (ret == 0)
		ret = req_read(r, &p.tx);
	if (ret == 0)
		ret = email_get_read(r, args, &p.get);
	if (ret == 0)
		ret = read_props(&p, args);
	if (ret == 0)
		ret = arg_ids(r, args, "blobIds", false, "maxObjectsInGet",
			r->limit.get, &p.ids);
	if (ret)
		return ret;
	idmap_init(&p.seen);
	ret = write_answer(&p, m);
	idmap_fini(&p.seen);
	return ret;
}
