/*
 * Blob/copy (RFC 8620 6.3). A login sees one account, so what is copied is there
 * already: the answer says for each blob whether it is.
 */
#include "proto/jmap/blob.h"
#include "proto/jmap/blob_stream.h"
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

static const char *const names[] = {
	"accountId", "fromAccountId", "blobIds", NULL};

struct copy {
	struct req *r;
	struct tx *tx;
	struct json_object *ids;
	struct idmap seen; /* id as it was sent: "f" when it is there */
};

static int read_from(struct copy *c, struct json_object *args)
{
	struct json_object *v;
	struct str id;

	if (!json_member(args, "fromAccountId", &v) || !json_text(v, &id))
		return req_error(c->r, ERROR_INVALID_ARGUMENTS,
			"fromAccountId: missing, or no Id");
	if (!str_eq(id, str_n(c->r->account.z, c->r->account.n)))
		return req_error(c->r, ERROR_FROM_ACCOUNT_NOT_FOUND, "%s", "");
	return 0;
}

static int look(struct copy *c)
{
	for (size_t i = 0; i < json_object_array_length(c->ids); i++) {
		struct str id;
		int ret;

		json_text(json_object_array_get_idx(c->ids, i), &id);
		if (idmap_find(&c->seen, id))
			continue;
		ret = blob_exists(c->r, c->tx, id);
		if (ret < 0)
			return ret;
		idmap_put(
			&c->seen, &c->r->arena, id, ret ? STR("f") : STR_NONE);
	}
	return 0;
}

static void write_copied(const struct copy *c, struct jw *w)
{
	bool any = false;

	jw_key(w, STR("copied"));
	for (const struct idmap_entry *e = c->seen.first; e; e = e->next) {
		if (!e->id.p)
			continue;
		if (!any)
			jw_obj(w);
		any = true;
		jw_key(w, e->key);
		jw_str(w, e->key);
	}
	if (any)
		jw_obj_end(w);
	else
		jw_null(w);
}

static void write_not_copied(const struct copy *c, struct jw *w)
{
	bool any = false;

	jw_key(w, STR("notCopied"));
	for (const struct idmap_entry *e = c->seen.first; e; e = e->next) {
		if (e->id.p)
			continue;
		if (!any)
			jw_obj(w);
		any = true;
		jw_key(w, e->key);
		jw_obj(w);
		jw_kstrz(w, "type", "notFound");
		jw_obj_end(w);
	}
	if (any)
		jw_obj_end(w);
	else
		jw_null(w);
}

static int write_answer(struct copy *c, const struct method *m)
{
	struct jw *w = req_reply(c->r, m->name);
	int ret;

	jw_obj(w);
	jw_kstrz(w, "fromAccountId", c->r->account.z);
	jw_kstrz(w, "accountId", c->r->account.z);
	write_copied(c, w);
	write_not_copied(c, w);
	jw_obj_end(w);
	ret = req_fits(c->r);
	if (ret == 0)
		req_reply_end(c->r);
	return ret;
}

int blob_copy(struct req *r, const struct method *m, struct json_object *args)
{
	struct copy c = {.r = r};
	int ret = args_open(r, args, names, NULL);

	if (ret == 0)
		ret = read_from(&c, args);
	if (ret == 0)
		ret = arg_ids(r, args, "blobIds", false, "maxObjectsInSet",
			r->limit.set, &c.ids);
	if (ret == 0)
		ret = req_read(r, &c.tx);
	if (ret)
		return ret;
	idmap_init(&c.seen);
	ret = look(&c);
	if (ret == 0)
		ret = write_answer(&c, m);
	idmap_fini(&c.seen);
	return ret;
}
