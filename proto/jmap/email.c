/*
 * Email: the table and Email/get (RFC 8621 4.1, 4.2).
 *
 * A list view is pieces of the row and of the card. Only header:*, headers, body
 * values, and a message whose card is not whole need its bytes.
 */
#include "proto/jmap/email_set.h"

#include <errno.h>

#include "core/base/clock.h"
#include "proto/jmap/json.h"
#include "proto/jmap/types.h"

enum { ROWS_KEPT = 256 * 1024 }; /* bytes of the request's arena */

static const struct prop props[] = {
#define EMAIL_PROP(n, name, flags) {name, flags},
#include "proto/jmap/email_props.def"
#undef EMAIL_PROP
};

/* Names behind a first one, as JSON. */
static const struct str keys[] = {
#define EMAIL_PROP(n, name, flags) {",\"" name "\":", sizeof(name) + 3},
#include "proto/jmap/email_props.def"
#undef EMAIL_PROP
};

static const char *const body_names[] = {
#define BODY_PROP(n, name) name,
#include "proto/jmap/body_props.def"
#undef BODY_PROP
};

static const uint64_t from_card =
	(PROP_BIT(EMAIL_PREVIEW + 1) - 1) & ~(PROP_BIT(CARD_FIRST) - 1);
/* These take the card's parts. */
static const uint64_t from_parts =
	PROP_BIT(EMAIL_BODY_VALUES) | PROP_BIT(EMAIL_TEXT_BODY) |
	PROP_BIT(EMAIL_HTML_BODY) | PROP_BIT(EMAIL_ATTACHMENTS) |
	PROP_BIT(EMAIL_BODY_STRUCTURE);

/* ---- arguments -------------------------------------------------------------------- */

static int read_body_prop(
	struct req *r, struct json_object *v, struct email_get *e)
{
	const char *why = "no such property";
	struct str name;
	int b = 0;

	if (!json_text(v, &name))
		return req_error(r, ERROR_INVALID_ARGUMENTS,
			"bodyProperties: not a String[]");
	if (header_is_prop(name)) {
		why = header_props_add(&e->body_headers, name, &r->arena);
		if (!why)
			return 0;
	}
	while (b < BODY_PROPS && !str_eq(name, str_of(body_names[b])))
		b++;
	if (b == BODY_PROPS)
		return req_error(r, ERROR_INVALID_ARGUMENTS,
			"bodyProperties: \"%.*s\": %s",
			(int)min_of(name.n, 80u), name.p, why);
	e->body_props |= 1u << b;
	return 0;
}

static int read_body_props(
	struct req *r, struct json_object *args, struct email_get *e)
{
	struct json_object *list;
	int ret =
		arg_of_type(r, args, "bodyProperties", json_type_array, &list);

	e->body_default = !list;
	e->body_props = list ? 0 : (1u << BODY_KEPT) - 1;
	for (size_t i = 0;
		ret == 0 && list && i < json_object_array_length(list); i++)
		ret = read_body_prop(r, json_object_array_get_idx(list, i), e);
	return ret;
}

const char *const email_get_args[] = {"bodyProperties", "fetchTextBodyValues",
	"fetchHTMLBodyValues", "fetchAllBodyValues", "maxBodyValueBytes", NULL};

int email_get_read(struct req *r, struct json_object *args, struct email_get *e)
{
	int ret = read_body_props(r, args, e);

	if (ret == 0)
		ret = arg_flag(r, args, "fetchTextBodyValues", &e->text);
	if (ret == 0)
		ret = arg_flag(r, args, "fetchHTMLBodyValues", &e->html);
	if (ret == 0)
		ret = arg_flag(r, args, "fetchAllBodyValues", &e->all);
	if (ret == 0)
		ret = arg_int(r, args, "maxBodyValueBytes", false, 0,
			&e->max_bytes, NULL);
	return ret;
}

static int get_open(struct get *g)
{
	struct email_get *e = arena_new(&g->r->arena, sizeof(*e));

	g->own = e;
	e->body_default = true;
	e->body_props = (1u << BODY_KEPT) - 1;
	return g->args ? email_get_read(g->r, g->args, e) : 0;
}

static int get_prop(struct get *g, struct str name)
{
	struct email_get *e = g->own;
	const char *why = header_props_add(&e->headers, name, &g->r->arena);

	if (!why)
		return 0;
	return req_error(g->r, ERROR_INVALID_ARGUMENTS,
		"properties: \"%.*s\": %s", (int)min_of(name.n, 80u), name.p,
		why);
}

/* ---- one Email ------------------------------------------------------------------------ */

/* Text that needs no escapes. */
static void put_text(struct buf *out, struct str s)
{
	char *p = buf_room(out, s.n + 2);

	p[0] = p[s.n + 1] = '"';
	memcpy(p + 1, s.p, s.n);
	out->n += s.n + 2;
}

static void put_id(struct buf *out, char prefix, uint64_t number)
{
	char *p = buf_room(out, ID_MAX + 2);
	size_t n = 2;

	p[0] = '"';
	p[1] = prefix;
	n += base32_put(p + n, number);
	p[n++] = '"';
	out->n += n;
}

/* RFC 8621 4.1.1: Id[Boolean] and String[Boolean]. */
static void put_mailboxes(struct buf *out, const struct email *m)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < m->mailboxes_n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		put_id(out, 'm', m->mailboxes[i]);
		buf_adds(out, STR(":true"));
	}
	buf_addc(out, '}');
}

static void put_keywords(struct buf *out, const struct email *m)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < m->keywords_n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_quote(out, m->keywords[i]);
		buf_adds(out, STR(":true"));
	}
	buf_addc(out, '}');
}

static void put_blob_id(struct buf *out, const struct email_view *v)
{
	char z[BLOB_ID_MAX];

	if (v->within.part)
		part_id_of(&v->m.blob, &v->within, z);
	else
		blob_id_of(&v->m.blob, z);
	put_text(out, str_of(z));
}

static void put_meta(struct buf *out, const struct email_view *v, unsigned p)
{
	const struct email *m = &v->m;
	char z[CLOCK_UTC_MAX];

	/* These come from the bytes; the others are null without a row (4.9). */
	if (p == EMAIL_BLOB_ID)
		return put_blob_id(out, v);
	if (p == EMAIL_SIZE)
		return buf_u64(out, m->size);
	if (v->parsed)
		return buf_adds(out, STR("null"));
	switch (p) {
	case EMAIL_ID:
		return put_id(out, 'e', m->id);
	case EMAIL_THREAD_ID:
		return put_id(out, 't', m->thread);
	case EMAIL_MAILBOX_IDS:
		return put_mailboxes(out, m);
	case EMAIL_KEYWORDS:
		return put_keywords(out, m);
	default:
		/* RFC 8620 1.4: whole seconds are enough for a mail's arrival */
		clock_utc(m->received_ms - m->received_ms % 1000, z);
		return put_text(out, str_of(z));
	}
}

/* The card, as good as this object needs it. */
static int open_card(struct email_view *v)
{
	unsigned lacks = 0;

	if (!(v->props & (from_card | from_parts)) || v->card.bytes.p)
		return 0;
	if (v->props & from_parts)
		lacks |= CARD_NO_PARTS;
	if (v->props & from_card)
		lacks |= CARD_EMPTY;
	if (card_open(v->m.card, &v->card) && !(v->card.flags & lacks))
		return 0;
	return email_whole_card(v);
}

/*
 * The members are put by hand, since that is most of what a list view costs: the
 * names need no escapes, and the values are JSON already. The first one goes
 * through the writer, which then knows that there is one.
 */
static int write_object(struct email_view *v, struct jw *w)
{
	uint64_t left = v->props & (PROP_BIT(EMAIL_HEADERS) - 1);
	int ret = 0;

	jw_obj(w);
	if (left) {
		jw_key(w, str_of(props[__builtin_ctzll(left)].name));
		jw_raw(w, STR(""));
	}
	for (bool first = true; left && ret == 0; left &= left - 1) {
		unsigned p = (unsigned)__builtin_ctzll(left);

		if (!first)
			buf_adds(w->out, keys[p]);
		first = false;
		if (PROP_BIT(p) & from_card)
			buf_adds(w->out, v->card.prop[p - CARD_FIRST]);
		else if (p > EMAIL_PREVIEW)
			ret = email_body(v, (enum email_prop)p, w->out);
		else
			put_meta(w->out, v, p);
	}
	if (ret == 0 &&
		(v->get->headers.n || v->props & PROP_BIT(EMAIL_HEADERS)))
		ret = email_headers(v, w);
	if (ret == 0)
		jw_obj_end(w);
	return ret;
}

int email_view_write(struct email_view *v, struct jw *w)
{
	struct jw before = *w;
	size_t at = w->out->n;
	int ret = open_card(v);

	if (ret == 0)
		ret = write_object(v, w);
	if (ret) {
		w->out->n = at;
		*w = before;
	}
	return ret;
}

void email_view_fini(struct email_view *v)
{
	buf_fini(&v->raw);
	buf_fini(&v->made);
	arena_fini(&v->tmp);
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

static int get_one(struct get *g, uint64_t id, struct jw *w, bool *found_r)
{
	struct email_view v = {
		.r = g->r, .tx = g->tx, .get = g->own, .props = g->props};
	struct arena *a = &g->r->arena;
	int ret;

	/* Rows of a list go side by side; those of a long one not for long. */
	if (a->used > ROWS_KEPT)
		a = &v.tmp;
	ret = email_find(g->tx, id, wanted(g->props), a, &v.m, &g->r->err);

	if (ret > 0) {
		*found_r = true;
		ret = email_view_write(&v, w);
	}
	email_view_fini(&v);
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

static const char *const query_args[] = {"collapseThreads", NULL};

static const struct type_ops ops = {
	.get_args = email_get_args,
	.get_open = get_open,
	.get_prop = get_prop,
	.get_one = get_one,
	.get_all = get_all,
	.create_prop = email_create_prop,
	.created = EMAIL_CREATED_PROPS,
	.create = email_create,
	.update = email_set_update,
	.destroy = email_set_destroy,
	.now = email_now,
	.query_args = query_args,
	.query_open = email_query_open,
	.query_page = email_query_page,
	.query_touched = email_query_touched,
	.query_immutable = email_query_immutable,
	.query_count = email_query_count,
};

const struct jmap_type email_type = {
	.name = "Email",
	.type = TYPE_EMAIL,
	.id_prefix = 'e',
	.props = props,
	.props_n = countof(props),
	.ops = &ops,
};
