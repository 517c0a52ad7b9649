/*
 * SearchSnippet/get (RFC 8621 5.1): subject and body of Emails, with what a filter
 * of Email/query looks for marked.
 *
 * Words that a filter wants are those of its "text", "subject" and "body"
 * conditions; what stands below a NOT is not wanted. Whether all of the filter
 * matches is not asked: the client has that from Email/query.
 */
#include "proto/jmap/snippet.h"

#include "core/mime/mime.h"
#include "core/mime/text.h"
#include "core/store/text.h"
#include "proto/jmap/email_query.h"
#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

#define PREVIEW_MAX 255		   /* octets: RFC 8621 5 */
#define BODY_MAX ((size_t)1 << 20) /* bytes of one message's text */

static const char *const names[] = {"accountId", "filter", "emailIds", NULL};

struct queries {
	struct str at[FILTER_CONDITIONS];
	size_t n;
};

struct snippets {
	struct req *r;
	struct tx *tx;
	struct json_object *ids;
	struct queries subject, body;
	struct idmap seen; /* id as it was sent: "f" when found */
};

/* ---- the filter ----------------------------------------------------------------------- */

static void read_text(struct snippets *s, const struct email_filter *f)
{
	if (f->fields & TEXT_SUBJECT)
		s->subject.at[s->subject.n++] = f->text;
	if (f->fields & TEXT_BODY)
		s->body.at[s->body.n++] = f->text;
}

/* As deep as JSON may be (SCAN_DEPTH). */
static void read_filter(struct snippets *s, const struct email_filter *f)
{
	if (f->kind == FILTER_TEXT)
		read_text(s, f);
	if (f->kind != FILTER_AND && f->kind != FILTER_OR)
		return;
	for (size_t i = 0; i < f->n; i++)
		read_filter(s, &f->sub[i]);
}

static int open_filter(struct snippets *s, struct json_object *args)
{
	struct json_object *json;
	struct email_filter *f;
	bool text;
	int ret = arg_of_type(s->r, args, "filter", json_type_object, &json);

	if (ret == 0)
		ret = email_filter_read(s->r, json, &f, &text);
	if (ret == 0 && text)
		read_filter(s, f);
	return ret;
}

/* ---- one Email -------------------------------------------------------------------------- */

static void write_snippet(struct jw *w, const char *key, struct str text,
	const struct queries *q, size_t max)
{
	struct buf out cleanup(buf_fini) = {0};

	jw_key(w, str_of(key));
	if (text_snippet(text, q->at, q->n, max, &out))
		jw_str(w, buf_str(&out));
	else
		jw_null(w);
}

static struct str subject_of(struct str raw, struct arena *a)
{
	const struct mime_message *m = mime_parse(raw, a);
	struct str value = mime_header_raw(m->root, STR("Subject"));

	return value.p ? mime_as_text(value, a) : STR("");
}

static void write_one(
	const struct snippets *s, struct str id, struct str raw, struct jw *w)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct mime_search text cleanup(mime_search_fini) = {0};

	jw_obj(w);
	jw_kstr(w, "emailId", id);
	write_snippet(w, "subject",
		s->subject.n ? subject_of(raw, &tmp) : STR(""), &s->subject,
		SIZE_MAX);
	if (s->body.n)
		mime_search_read(raw, BODY_MAX, &text);
	if (text.body.n)
		text.body.n--; /* the end of its last line */
	write_snippet(w, "preview", buf_str(&text.body), &s->body, PREVIEW_MAX);
	jw_obj_end(w);
}

/* *found_r false: there is no such Email. */
static int get_one(
	struct snippets *s, struct str id, struct jw *w, bool *found_r)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct buf raw cleanup(buf_fini) = {0};
	struct email m;
	uint64_t number;
	int ret;

	*found_r = false;
	if (!id_parse('e', id, &number))
		return 0;
	ret = email_find(s->tx, number, 0, &tmp, &m, &s->r->err);
	if (ret <= 0)
		return ret;
	*found_r = true;
	if (s->subject.n || s->body.n)
		ret = blob_read(s->tx, &m.blob, &raw, &s->r->err);
	if (ret < 0)
		return ret;
	write_one(s, id, buf_str(&raw), w);
	return req_fits(s->r);
}

static int write_list(struct snippets *s, struct jw *w)
{
	int ret = 0;

	for (size_t i = 0; i < json_object_array_length(s->ids) && !ret; i++) {
		struct str id;
		bool found;

		json_text(json_object_array_get_idx(s->ids, i), &id);
		(void)req_id(s->r, NULL, id, &id);
		if (idmap_find(&s->seen, id))
			continue;
		ret = get_one(s, id, w, &found);
		idmap_put(&s->seen, &s->r->arena, id,
			found ? STR("f") : STR_NONE);
	}
	return ret;
}

static int write_answer(struct snippets *s, const struct method *m)
{
	struct jw *w = req_reply(s->r, m->name);
	bool any = false;
	int ret;

	jw_obj(w);
	jw_kstrz(w, "accountId", s->r->account.z);
	jw_key(w, STR("list"));
	jw_arr(w);
	ret = write_list(s, w);
	jw_arr_end(w);
	jw_key(w, STR("notFound"));
	for (const struct idmap_entry *e = s->seen.first; e; e = e->next) {
		if (e->id.p)
			continue;
		if (!any)
			jw_arr(w);
		any = true;
		jw_str(w, e->key);
	}
	if (any)
		jw_arr_end(w);
	else
		jw_null(w); /* RFC 8621 5.1: when all were found */
	jw_obj_end(w);
	if (ret == 0)
		ret = req_fits(s->r);
	if (ret == 0)
		req_reply_end(s->r);
	return ret;
}

int snippet_get(struct req *r, const struct method *m, struct json_object *args)
{
	struct snippets s = {.r = r};
	int ret = args_open(r, args, names, NULL);

	if (ret == 0)
		ret = arg_ids(r, args, "emailIds", false, "maxObjectsInGet",
			r->limit.get, &s.ids);
	if (ret == 0)
		ret = req_read(r, &s.tx);
	if (ret == 0)
		ret = open_filter(&s, args);
	if (ret)
		return ret;
	idmap_init(&s.seen);
	ret = write_answer(&s, m);
	idmap_fini(&s.seen);
	return ret;
}
