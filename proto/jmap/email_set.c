/*
 * Email/set (RFC 8621 4.6): keywords, mailboxIds, destroy. Creating is not built:
 * every creation is refused as forbidden (set.c).
 */
#include "proto/jmap/email.h"
#include "proto/jmap/json.h"

enum { KEYWORDS_MAX = 128, MAILBOXES_MAX = 4096 };

/* What the Email will have. */
struct edit {
	struct str *keywords;
	size_t keywords_n, keywords_cap;
	uint64_t *mailboxes;
	size_t mailboxes_n, mailboxes_cap;
	bool keywords_set, mailboxes_set;
};

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

static void put_keyword(struct set *s, struct set_item *i, struct edit *c,
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
	else if (on && k == c->keywords_cap)
		set_refuse(i, SET_TOO_MANY_KEYWORDS, "at most 128");
	else if (on && k == c->keywords_n)
		c->keywords[c->keywords_n++] = name;
}

static void set_keywords(struct set *s, struct set_item *i, struct edit *c,
	const struct patch *p)
{
	c->keywords_set = true;
	if (p->sub.p) {
		if (p->value && !is_true(p->value))
			set_bad(i, "keywords", "a value is not true");
		else
			put_keyword(s, i, c, p->sub, p->value != NULL);
		return;
	}
	c->keywords_n = 0;
	if (!p->value)
		return; /* the default: none */
	if (json_object_get_type(p->value) != json_type_object) {
		set_bad(i, "keywords", "no object");
		return;
	}
	json_object_object_foreach(p->value, name, on)
	{
		if (!is_true(on))
			set_bad(i, "keywords", "a value is not true");
		else if (i->error == SET_OK)
			put_keyword(s, i, c, str_of(name), true);
	}
}

/* ---- mailboxIds ------------------------------------------------------------------------ */

static void put_mailbox(struct set *s, struct set_item *i, struct edit *c,
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
	else if (on && k == c->mailboxes_cap)
		set_bad(i, "mailboxIds", "more than there can be");
	else if (on && k == c->mailboxes_n)
		c->mailboxes[c->mailboxes_n++] = id;
}

static void set_mailboxes(struct set *s, struct set_item *i, struct edit *c,
	const struct patch *p)
{
	c->mailboxes_set = true;
	if (p->sub.p) {
		if (p->value && !is_true(p->value))
			set_bad(i, "mailboxIds", "a value is not true");
		else
			put_mailbox(s, i, c, p->sub, p->value != NULL);
		return;
	}
	c->mailboxes_n = 0;
	if (json_object_get_type(p->value) != json_type_object) {
		set_bad(i, "mailboxIds", "no object");
		return;
	}
	json_object_object_foreach(p->value, name, on)
	{
		if (!is_true(on))
			set_bad(i, "mailboxIds", "a value is not true");
		else if (i->error == SET_OK)
			put_mailbox(s, i, c, str_of(name), true);
	}
}

/* ---- carrying it out ----------------------------------------------------------------------- */

static void start(struct set *s, const struct email *m, struct edit *c)
{
	struct arena *a = &s->r->arena;

	c->keywords_n = m->keywords_n;
	c->keywords_cap = max_of(m->keywords_n, (size_t)KEYWORDS_MAX);
	c->keywords = arena_new(a, c->keywords_cap * sizeof(*c->keywords));
	for (size_t k = 0; k < m->keywords_n; k++)
		c->keywords[k] = m->keywords[k];
	c->mailboxes_n = m->mailboxes_n;
	c->mailboxes_cap = max_of(m->mailboxes_n, (size_t)MAILBOXES_MAX);
	c->mailboxes = arena_new(a, c->mailboxes_cap * sizeof(*c->mailboxes));
	for (size_t k = 0; k < m->mailboxes_n; k++)
		c->mailboxes[k] = m->mailboxes[k];
}

static int carry_out(struct set *s, struct set_item *i, const struct edit *c)
{
	int ret;

	if (c->mailboxes_n == 0)
		return set_bad(
			i, "mailboxIds", "an Email is in one Mailbox at least");
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
	struct edit c = {0};
	struct email m;
	int ret = email_find(s->tx, i->id,
		EMAIL_WANT_KEYWORDS | EMAIL_WANT_MAILBOXES, &s->r->arena, &m,
		&s->r->err);

	if (ret <= 0)
		return ret < 0 ? ret : set_refuse(i, SET_NOT_FOUND, NULL);
	start(s, &m, &c);
	for (size_t k = 0; k < i->patches_n; k++) {
		if (i->patches[k].prop == EMAIL_KEYWORDS)
			set_keywords(s, i, &c, &i->patches[k]);
		else
			set_mailboxes(s, i, &c, &i->patches[k]);
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
