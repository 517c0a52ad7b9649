/*
 * The response of Foo/set: what was done, and a SetError for what was not. That of
 * Email/import is the part of it about what was to be created.
 */
#include "proto/jmap/set.h"

static const char *const types[] = {
#define SET_ERROR(name, type) [SET_##name] = type,
#include "proto/jmap/set_errors.def"
#undef SET_ERROR
};

static void write_error(const struct set_item *i, struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "type", types[i->error]);
	if (i->why)
		jw_kstrz(w, "description", i->why);
	if (i->error == SET_INVALID_PROPERTIES) {
		jw_key(w, STR("properties"));
		jw_arr(w);
		for (unsigned k = 0; k < i->bad_n; k++)
			jw_str(w, i->bad[k]);
		jw_arr_end(w);
	}
	if (i->existing.p && i->error == SET_ALREADY_EXISTS)
		jw_kstr(w, "existingId", i->existing);
	if (i->error == SET_BLOB_NOT_FOUND) {
		jw_key(w, STR("notFound"));
		jw_raw(w, i->missing);
	}
	jw_obj_end(w);
}

/* Ids go out as ids, also where the client wrote "#creationId". */
static void write_key(struct set *s, const struct set_item *i, struct jw *w)
{
	struct str id = i->key;

	if (i->kind != SET_CREATE)
		(void)req_id(s->r, s->made, i->key, &id);
	jw_key(w, id);
}

static bool member(const struct set_item *i, enum set_kind kind, bool good)
{
	return i->kind == kind && (i->error == SET_OK) == good;
}

static bool any(const struct set *s, enum set_kind kind, bool good)
{
	for (size_t k = 0; k < s->n; k++)
		if (member(&s->items[k], kind, good))
			return true;
	return false;
}

static void write_done(
	struct set *s, enum set_kind kind, const char *key, struct jw *w)
{
	jw_key(w, str_of(key));
	if (!any(s, kind, true)) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	for (size_t k = 0; k < s->n; k++) {
		const struct set_item *i = &s->items[k];

		if (!member(i, kind, true))
			continue;
		write_key(s, i, w);
		if (i->reply.p)
			jw_raw(w, i->reply);
		else
			jw_null(w);
	}
	jw_obj_end(w);
}

static void write_destroyed(struct set *s, struct jw *w)
{
	jw_key(w, STR("destroyed"));
	if (!any(s, SET_DESTROY, true)) {
		jw_null(w);
		return;
	}
	jw_arr(w);
	for (size_t k = 0; k < s->n; k++) {
		struct str id = s->items[k].key;

		if (!member(&s->items[k], SET_DESTROY, true))
			continue;
		(void)req_id(s->r, s->made, id, &id);
		jw_str(w, id);
	}
	jw_arr_end(w);
}

static void write_refused(
	struct set *s, enum set_kind kind, const char *key, struct jw *w)
{
	jw_key(w, str_of(key));
	if (!any(s, kind, false)) {
		jw_null(w);
		return;
	}
	jw_obj(w);
	for (size_t k = 0; k < s->n; k++) {
		if (!member(&s->items[k], kind, false))
			continue;
		write_key(s, &s->items[k], w);
		write_error(&s->items[k], w);
	}
	jw_obj_end(w);
}

void set_reply(struct set *s, const struct method *m,
	const struct statez *before, const struct statez *after)
{
	struct jw *w = req_reply(s->r, m->name);

	jw_obj(w);
	jw_kstrz(w, "accountId", s->r->account.z);
	jw_kstrz(w, "oldState", before->z);
	jw_kstrz(w, "newState", after->z);
	write_done(s, SET_CREATE, "created", w);
	if (!s->import) {
		write_done(s, SET_UPDATE, "updated", w);
		write_destroyed(s, w);
	}
	write_refused(s, SET_CREATE, "notCreated", w);
	if (!s->import) {
		write_refused(s, SET_UPDATE, "notUpdated", w);
		write_refused(s, SET_DESTROY, "notDestroyed", w);
	}
	jw_obj_end(w);
	req_reply_end(s->r);
}
