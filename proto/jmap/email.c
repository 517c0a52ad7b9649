/*
 * Email: the table and Email/get (RFC 8621 4.1, 4.2).
 */
#include "proto/jmap/email.h"

#include <errno.h>

#include "core/base/clock.h"
#include "proto/jmap/json.h"
#include "proto/jmap/types.h"

static const struct prop props[] = {
#define EMAIL_PROP(n, name, flags) {name, flags},
#include "proto/jmap/email_props.def"
#undef EMAIL_PROP
};

static const char *const body_names[] = {
#define BODY_PROP(n, name) name,
#include "proto/jmap/body_props.def"
#undef BODY_PROP
};

#define BODY_ALL ((1u << BODY_PROPS) - 1)

static const uint64_t from_card =
	(PROP_BIT(EMAIL_PREVIEW + 1) - 1) & ~(PROP_BIT(CARD_FIRST) - 1);
static const uint64_t from_parts =
	PROP_BIT(EMAIL_BODY_VALUES) | PROP_BIT(EMAIL_TEXT_BODY) |
	PROP_BIT(EMAIL_HTML_BODY) | PROP_BIT(EMAIL_ATTACHMENTS) |
	PROP_BIT(EMAIL_BODY_STRUCTURE) | PROP_BIT(EMAIL_HEADERS);

/* ---- arguments -------------------------------------------------------------------- */

static int read_body_props(struct get *g, struct email_get *e)
{
	struct json_object *list;
	int ret = arg_of_type(
		g->r, g->args, "bodyProperties", json_type_array, &list);

	if (ret || !list)
		return ret;
	e->body_props = 0;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct str name;
		int b = 0;

		if (!json_text(json_object_array_get_idx(list, i), &name))
			name = STR("");
		while (b < BODY_PROPS && !str_eq(name, str_of(body_names[b])))
			b++;
		if (b == BODY_PROPS)
			return req_error(g->r, ERROR_INVALID_ARGUMENTS,
				"bodyProperties: no \"%.*s\" here",
				(int)min_of(name.n, 80u), name.p);
		e->body_props |= 1u << b;
	}
	return 0;
}

static int get_open(struct get *g)
{
	struct email_get *e = arena_new(&g->r->arena, sizeof(*e));
	int ret;

	e->body_props = BODY_ALL;
	g->own = e;
	if (!g->args)
		return 0;
	ret = read_body_props(g, e);
	if (ret == 0)
		ret = arg_flag(g->r, g->args, "fetchTextBodyValues", &e->text);
	if (ret == 0)
		ret = arg_flag(g->r, g->args, "fetchHTMLBodyValues", &e->html);
	if (ret == 0)
		ret = arg_flag(g->r, g->args, "fetchAllBodyValues", &e->all);
	if (ret == 0)
		ret = arg_int(g->r, g->args, "maxBodyValueBytes", false, 0,
			&e->max_bytes, NULL);
	return ret;
}

/* ---- one Email ------------------------------------------------------------------------ */

/* RFC 8621 4.1.1: Id[Boolean] and String[Boolean]. */
static void write_mailboxes(struct jw *w, const struct email *m)
{
	jw_obj(w);
	for (size_t i = 0; i < m->mailboxes_n; i++)
		jw_kbool(w, id_of('m', m->mailboxes[i]).z, true);
	jw_obj_end(w);
}

static void write_keywords(struct jw *w, const struct email *m)
{
	jw_obj(w);
	for (size_t i = 0; i < m->keywords_n; i++) {
		jw_key(w, m->keywords[i]);
		jw_bool(w, true);
	}
	jw_obj_end(w);
}

static void write_meta(struct jw *w, const struct email *m, unsigned p)
{
	char z[max_of(BLOB_ID_MAX, CLOCK_UTC_MAX)];

	switch (p) {
	case EMAIL_ID:
		return jw_strz(w, id_of('e', m->id).z);
	case EMAIL_BLOB_ID:
		blob_id_of(&m->blob, z);
		return jw_strz(w, z);
	case EMAIL_THREAD_ID:
		return jw_strz(w, id_of('t', m->thread).z);
	case EMAIL_MAILBOX_IDS:
		return write_mailboxes(w, m);
	case EMAIL_KEYWORDS:
		return write_keywords(w, m);
	case EMAIL_SIZE:
		return jw_u64(w, m->size);
	default:
		/* RFC 8620 1.4: whole seconds are enough for a mail's arrival */
		clock_utc(m->received_ms - m->received_ms % 1000, z);
		return jw_strz(w, z);
	}
}

static int write_object(struct email_view *v, struct jw *w)
{
	int ret = 0;

	jw_obj(w);
	for (unsigned p = 0; p < countof(props) && ret == 0; p++) {
		if (!(v->g->props & PROP_BIT(p)))
			continue;
		jw_key(w, str_of(props[p].name));
		if (PROP_BIT(p) & from_parts)
			ret = email_body(v, (enum email_prop)p, w);
		else if (PROP_BIT(p) & from_card)
			jw_raw(w, v->card.prop[p - CARD_FIRST]);
		else
			write_meta(w, &v->m, p);
	}
	if (ret == 0)
		jw_obj_end(w);
	return ret;
}

static unsigned wanted(uint64_t bits)
{
	unsigned want = 0;

	if (bits & PROP_BIT(EMAIL_MAILBOX_IDS))
		want |= EMAIL_WANT_MAILBOXES;
	if (bits & PROP_BIT(EMAIL_KEYWORDS))
		want |= EMAIL_WANT_KEYWORDS;
	if (bits & (from_card | from_parts))
		want |= EMAIL_WANT_CARD;
	return want;
}

/* The card, as good as this object needs it. */
static int open_card(struct email_view *v)
{
	unsigned lacks = 0;

	if (!(v->g->props & (from_card | from_parts)))
		return 0;
	if (v->g->props & from_parts)
		lacks |= CARD_NO_PARTS;
	if (v->g->props & from_card)
		lacks |= CARD_EMPTY;
	if (card_open(v->m.card, &v->card) && !(v->card.flags & lacks))
		return 0;
	return email_whole_card(v);
}

static int get_one(struct get *g, uint64_t id, struct jw *w, bool *found_r)
{
	struct email_view v = {.g = g, .get = g->own};
	int ret = email_find(
		g->tx, id, wanted(g->props), &v.tmp, &v.m, &g->r->err);

	if (ret > 0) {
		*found_r = true;
		ret = open_card(&v);
		if (ret == 0)
			ret = write_object(&v, w);
	}
	buf_fini(&v.raw);
	buf_fini(&v.made);
	arena_fini(&v.tmp);
	return ret;
}

/* RFC 8621 4.2 allows "ids": null, up to maxObjectsInGet. */
static int get_all(
	struct get *g, uint64_t max, const uint64_t **ids_r, size_t *n_r)
{
	struct email_query q = {.limit = max + 1};
	struct email_ids all;
	int ret = email_query(g->tx, &q, &g->r->arena, &all, &g->r->err);

	if (ret == 0) {
		*ids_r = all.at;
		*n_r = all.n;
	}
	return ret;
}

static const char *const get_args[] = {"bodyProperties", "fetchTextBodyValues",
	"fetchHTMLBodyValues", "fetchAllBodyValues", "maxBodyValueBytes", NULL};
static const char *const query_args[] = {"collapseThreads", NULL};

static const struct type_ops ops = {
	.get_args = get_args,
	.get_open = get_open,
	.get_one = get_one,
	.get_all = get_all,
	.update = email_set_update,
	.destroy = email_set_destroy,
	.query_args = query_args,
	.query_open = email_query_open,
	.query_page = email_query_page,
};

const struct jmap_type email_type = {
	.name = "Email",
	.type = TYPE_EMAIL,
	.id_prefix = 'e',
	.props = props,
	.props_n = countof(props),
	.ops = &ops,
};
