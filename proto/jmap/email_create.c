/*
 * Email/set create (RFC 8621 4.6): an Email object becomes a message, and that an
 * Email.
 *
 * Fields go in the order of the object's members, then what the server adds.
 */
#include "proto/jmap/email_create.h"

#include "core/base/clock.h"
#include "proto/jmap/json.h"

/* Bytes of a path that is told; what lies deeper is told by its top. */
#define PATH_MAX_BYTES 200

/* ---- refusals --------------------------------------------------------------------- */

static void add_path(struct buf *b, const struct where *w)
{
	if (!w)
		return;
	add_path(b, w->up);
	if (b->n > 0)
		buf_addc(b, '/');
	if (w->name)
		buf_addz(b, w->name);
	else
		buf_u64(b, w->index);
}

void draft_bad(struct draft *d, const struct where *w, const char *prop,
	const char *why)
{
	struct buf b cleanup(buf_fini) = {0};
	const struct where *top = w;

	add_path(&b, w);
	if (prop && b.n > 0)
		buf_addc(&b, '/');
	if (prop)
		buf_addz(&b, prop);
	while (top && top->up)
		top = top->up;
	if (b.n > PATH_MAX_BYTES && top) {
		buf_reset(&b);
		buf_addz(&b, top->name);
	}
	set_bad_str(d->i, arena_str(&d->s->r->arena, buf_str(&b)), why);
}

/* ---- header fields ------------------------------------------------------------------ */

void draft_note(struct draft *d, struct str field)
{
	d->dated |= str_ieq(field, STR("Date"));
	d->named |= str_ieq(field, STR("Message-ID"));
}

static void read_field(struct draft *d, const char *key,
	const struct header_prop *h, struct json_object *v)
{
	size_t before = d->fields.n;
	const char *why = NULL;

	if (str_ieq(str_n(h->name.p, min_of(h->name.n, (size_t)8)),
		    STR("Content-")))
		why = "it belongs to a part";
	else if (str_ieq(h->name, STR("MIME-Version")))
		why = "it is set by the server";
	else if (!names_add(d, &d->names, h->name))
		why = "the field is there already";
	if (why) {
		draft_bad(d, NULL, key, why);
		return;
	}
	draft_field(d, NULL, key, h, v, &d->fields);
	if (d->fields.n > before)
		draft_note(d, h->name);
}

static void read_header(struct draft *d, const char *key, struct json_object *v)
{
	struct header_prop h;
	const char *why = header_prop_read(str_of(key), &h);

	if (why)
		draft_bad(d, NULL, key, why);
	else
		read_field(d, key, &h, v);
}

/* ---- the object ---------------------------------------------------------------------- */

struct meta {
	struct email_edit edit;
	int64_t received_ms;
	bool has_mailboxes;
};

static void read_member(struct draft *d, struct meta *m, struct draft_body *b,
	const char *key, struct json_object *v)
{
	size_t p = prop_find(d->s->type, str_of(key));
	struct header_prop h;

	switch (p) {
	case EMAIL_MAILBOX_IDS:
		m->has_mailboxes = true;
		return email_edit_mailboxes(d->s, d->i, &m->edit, STR_NONE, v);
	case EMAIL_KEYWORDS:
		return email_edit_keywords(d->s, d->i, &m->edit, STR_NONE, v);
	case EMAIL_RECEIVED_AT:
		return email_received_at(d->i, v, &m->received_ms);
	case EMAIL_HEADERS:
		return draft_bad(
			d, NULL, key, "each field is a property of its own");
	case EMAIL_BODY_VALUES:
		return draft_values(d, v);
	case EMAIL_BODY_STRUCTURE:
		b->structure = v;
		return;
	case EMAIL_TEXT_BODY:
		b->text = v;
		return;
	case EMAIL_HTML_BODY:
		b->html = v;
		return;
	case EMAIL_ATTACHMENTS:
		b->attachments = v;
		return;
	default:
		if (card_field((enum email_prop)p, &h))
			read_field(d, key, &h, v);
		else
			read_header(d, key, v);
	}
}

static void read_object(struct draft *d, struct meta *m, struct draft_body *b)
{
	email_edit_init(d->s, NULL, &m->edit);
	m->received_ms = clock_real_ms();
	json_object_object_foreach(d->i->value, key, v)
	{
		read_member(d, m, b, key, v);
	}
	if (!m->has_mailboxes)
		set_bad(d->i, "mailboxIds", "missing");
	else
		email_edit_check(d->i, &m->edit);
}

/* RFC 8621 4.6: the fields that there must be. */
static void complete(struct draft *d)
{
	const char *at = strrchr(d->s->r->call->user, '@');

	if (!d->dated)
		check(compose_date(
			&d->fields, STR("Date"), clock_real_ms(), 0));
	if (!d->named)
		compose_new_message_id(
			&d->fields, at ? str_of(at + 1) : STR("localhost"));
}

static int store(
	struct draft *d, const struct meta *m, struct compose_part *root)
{
	struct buf raw cleanup(buf_fini) = {0};

	complete(d);
	compose_message(&raw, buf_str(&d->fields), root);
	return email_new(d->s, d->i, buf_str(&raw), &m->edit, m->received_ms);
}

static int create(struct draft *d)
{
	struct meta m = {0};
	struct draft_body b = {0};
	struct compose_part root;
	int ret;

	d->i->missing = STR_NONE;
	read_object(d, &m, &b);
	ret = draft_body(d, &b, &root);
	if (ret < 0 || d->i->error != SET_OK)
		return ret;
	if (d->too_large) /* not all blobs were looked for */
		return set_refuse(d->i, SET_TOO_LARGE,
			"more than maxSizeAttachmentsPerEmail");
	if (d->i->missing.p)
		return set_refuse(d->i, SET_BLOB_NOT_FOUND, NULL);
	return store(d, &m, &root);
}

int email_create(struct set *s, struct set_item *i)
{
	struct draft d = {.s = s, .i = i};
	int ret = create(&d);

	for (struct draft_blob *b = d.blobs; b; b = b->next)
		buf_fini(&b->bytes);
	buf_fini(&d.fields);
	arena_fini(&d.tmp);
	return ret;
}

bool email_create_prop(struct str name)
{
	return header_is_prop(name);
}
