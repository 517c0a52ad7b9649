/*
 * Email/set (RFC 8621 4.6): keywords, mailboxIds, destroy. email_create.c has the
 * rest.
 */
#include "proto/jmap/email_set.h"

#include "core/base/clock.h"
#include "proto/jmap/json.h"

/* RFC 8621 4.1.1: %x21-%x7e without ( ) { ] % * " \, in lower case. */
static bool keyword(struct str s, struct arena *a, struct str *out_r)
{
	char *p;

	if (s.n == 0 || s.n > 255)
		return false;
	p = arena_dup(a, s.p, s.n);
	for (size_t i = 0; i < s.n; i++) {
		if (p[i] <= 0x20 || p[i] >= 0x7f || strchr("(){]%*\"\\", p[i]))
			return false;
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 32);
	}
	*out_r = str_n(p, s.n);
	return true;
}

static bool is_true(struct json_object *v)
{
	bool on = false;

	return json_flag(v, &on) && on;
}

/* ---- keywords ------------------------------------------------------------------------ */

static void put_keyword(struct set *s, struct set_item *i, struct email_edit *c,
	struct str name, bool on)
{
	size_t k = 0;

	if (!keyword(name, &s->r->arena, &name)) {
		set_bad(i, "keywords", "no keyword of RFC 8621 4.1.1");
		return;
	}
	while (k < c->keywords_n && !str_eq(c->keywords[k], name))
		k++;
	if (!on && k < c->keywords_n)
		c->keywords[k] = c->keywords[--c->keywords_n];
	else if (on && k == EMAIL_KEYWORDS_MAX)
		set_refuse(i, SET_TOO_MANY_KEYWORDS, "at most 128");
	else if (on && k == c->keywords_n)
		c->keywords[c->keywords_n++] = name;
}

void email_edit_keywords(struct set *s, struct set_item *i,
	struct email_edit *c, struct str sub, struct json_object *value)
{
	c->keywords_set = true;
	if (sub.p) {
		if (value && !is_true(value))
			set_bad(i, "keywords", "a value is not true");
		else
			put_keyword(s, i, c, sub, value != NULL);
		return;
	}
	c->keywords_n = 0;
	if (!value)
		return; /* the default: none */
	if (json_object_get_type(value) != json_type_object) {
		set_bad(i, "keywords", "no object");
		return;
	}
	json_object_object_foreach(value, name, on)
	{
		if (!is_true(on))
			set_bad(i, "keywords", "a value is not true");
		else if (i->error != SET_TOO_MANY_KEYWORDS)
			put_keyword(s, i, c, str_of(name), true);
	}
}

/* ---- mailboxIds ------------------------------------------------------------------------ */

static void put_mailbox(struct set *s, struct set_item *i, struct email_edit *c,
	struct str name, bool on)
{
	uint64_t id = 0;
	size_t k = 0;

	if (!set_ref(s, 'm', name, &id)) {
		/* Taking out what is not there is no fault. */
		if (on)
			set_bad(i, "mailboxIds", "no such Mailbox");
		return;
	}
	while (k < c->mailboxes_n && c->mailboxes[k] != id)
		k++;
	if (!on && k < c->mailboxes_n)
		c->mailboxes[k] = c->mailboxes[--c->mailboxes_n];
	else if (on && k == EMAIL_MAILBOXES_MAX)
		set_refuse(i, SET_TOO_MANY_MAILBOXES, "maxMailboxesPerEmail");
	else if (on && k == c->mailboxes_n)
		c->mailboxes[c->mailboxes_n++] = id;
}

void email_edit_mailboxes(struct set *s, struct set_item *i,
	struct email_edit *c, struct str sub, struct json_object *value)
{
	c->mailboxes_set = true;
	if (sub.p) {
		if (value && !is_true(value))
			set_bad(i, "mailboxIds", "a value is not true");
		else
			put_mailbox(s, i, c, sub, value != NULL);
		return;
	}
	c->mailboxes_n = 0;
	if (json_object_get_type(value) != json_type_object) {
		set_bad(i, "mailboxIds", "no object");
		return;
	}
	json_object_object_foreach(value, name, on)
	{
		if (!is_true(on))
			set_bad(i, "mailboxIds", "a value is not true");
		else if (i->error != SET_TOO_MANY_MAILBOXES)
			put_mailbox(s, i, c, str_of(name), true);
	}
}

void email_edit_check(struct set_item *i, const struct email_edit *c)
{
	if (c->mailboxes_n == 0 && i->error != SET_TOO_MANY_MAILBOXES)
		set_bad(i, "mailboxIds", "an Email is in one Mailbox at least");
}

/* ---- carrying it out ----------------------------------------------------------------------- */

void email_edit_init(struct set *s, const struct email *m, struct email_edit *c)
{
	struct arena *a = &s->r->arena;
	size_t keywords = m ? m->keywords_n : 0;
	size_t mailboxes = m ? m->mailboxes_n : 0;

	*c = (struct email_edit){
		.keywords_n = keywords, .mailboxes_n = mailboxes};
	c->keywords =
		arena_new(a, max_of(keywords, (size_t)EMAIL_KEYWORDS_MAX) *
				     sizeof(*c->keywords));
	for (size_t k = 0; k < keywords; k++)
		c->keywords[k] = m->keywords[k];
	c->mailboxes =
		arena_new(a, max_of(mailboxes, (size_t)EMAIL_MAILBOXES_MAX) *
				     sizeof(*c->mailboxes));
	for (size_t k = 0; k < mailboxes; k++)
		c->mailboxes[k] = m->mailboxes[k];
}

static int carry_out(
	struct set *s, struct set_item *i, const struct email_edit *c)
{
	int ret;

	email_edit_check(i, c);
	if (i->error != SET_OK)
		return 0;
	ret = email_update(s->tx, i->id, c->keywords_set ? c->keywords : NULL,
		c->keywords_n, c->mailboxes_set ? c->mailboxes : NULL,
		c->mailboxes_n, &s->r->err);
	if (ret == EMAIL_MAILBOX_NOT_FOUND)
		return set_bad(i, "mailboxIds", "no such Mailbox");
	if (ret == EMAIL_NOT_FOUND)
		return set_refuse(i, SET_NOT_FOUND, NULL);
	return ret;
}

int email_set_update(struct set *s, struct set_item *i)
{
	struct email_edit c;
	struct email m;
	int ret = email_find(s->tx, i->id,
		EMAIL_WANT_KEYWORDS | EMAIL_WANT_MAILBOXES, &s->r->arena, &m,
		&s->r->err);

	if (ret <= 0)
		return ret < 0 ? ret : set_refuse(i, SET_NOT_FOUND, NULL);
	email_edit_init(s, &m, &c);
	for (size_t k = 0; k < i->patches_n; k++) {
		const struct patch *p = &i->patches[k];

		if (p->prop == EMAIL_KEYWORDS)
			email_edit_keywords(s, i, &c, p->sub, p->value);
		else
			email_edit_mailboxes(s, i, &c, p->sub, p->value);
	}
	return i->error == SET_OK ? carry_out(s, i, &c) : 0;
}

int email_set_destroy(struct set *s, struct set_item *i)
{
	int ret = email_destroy(s->tx, i->id, &s->r->err);

	if (ret == EMAIL_NOT_FOUND)
		return set_refuse(i, SET_NOT_FOUND, NULL);
	return ret;
}

/* ---- new ones ------------------------------------------------------------------------------ */

void email_received_at(
	struct set_item *i, struct json_object *value, int64_t *ms_r)
{
	struct str s;

	if (value && (!json_text(value, &s) || !clock_parse_utc(s, ms_r)))
		set_bad(i, "receivedAt", "no UTCDate");
}

int email_new(struct set *s, struct set_item *i, struct str raw,
	const struct email_edit *c, int64_t received_ms)
{
	struct jmap_message m = {
		.raw = raw,
		.received_ms = received_ms,
		.keywords = c->keywords,
		.keywords_n = c->keywords_n,
		.mailboxes = c->mailboxes,
		.mailboxes_n = c->mailboxes_n,
	};
	uint64_t thread;
	int ret;

	if (raw.n > s->r->limit.message)
		return set_refuse(
			i, SET_TOO_LARGE, "more than max-size-message");
	ret = jmap_store(s->tx, &m, &i->id, &thread, &s->r->err);
	if (ret == EMAIL_MAILBOX_NOT_FOUND)
		return set_bad(i, "mailboxIds", "no such Mailbox");
	return ret;
}
