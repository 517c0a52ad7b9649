/*
 * Header properties of a new Email or part (RFC 8621 4.1.2, 4.1.3) become fields.
 */
#include "core/base/clock.h"
#include "proto/jmap/email_create.h"
#include "proto/jmap/json.h"

bool names_add(struct draft *d, struct names *n, struct str name)
{
	const struct names *all = n;

	do {
		for (size_t i = 0; i < all->n; i++)
			if (str_ieq(all->at[i], name))
				return false;
		all = all->more;
	} while (all);
	if (n->n == CREATE_FIELDS_MAX)
		return false;
	if (n->n == n->cap) {
		struct str *at;

		n->cap = n->cap ? 2 * n->cap : 8;
		at = arena_new(&d->tmp, n->cap * sizeof(*at));
		if (n->n > 0)
			memcpy(at, n->at, n->n * sizeof(*at));
		n->at = at;
	}
	n->at[n->n++] = name;
	return true;
}

/* ---- values ---------------------------------------------------------------------- */

/* Elements of an array; false when it is none. */
static bool array(struct json_object *v, size_t *n_r)
{
	if (json_object_get_type(v) != json_type_array)
		return false;
	*n_r = json_object_array_length(v);
	return true;
}

static bool strings(struct draft *d, struct json_object *v,
	const struct str **at_r, size_t *n_r)
{
	struct str *at;

	if (!array(v, n_r))
		return false;
	at = arena_new(&d->tmp, *n_r * sizeof(*at));
	for (size_t i = 0; i < *n_r; i++)
		if (!json_text(json_object_array_get_idx(v, i), &at[i]))
			return false;
	*at_r = at;
	return true;
}

/* An object of no other members than these two. */
static bool pair(struct json_object *o, const char *a, struct json_object **a_r,
	const char *b, struct json_object **b_r)
{
	bool has_a, has_b;

	*a_r = *b_r = NULL;
	if (json_object_get_type(o) != json_type_object)
		return false;
	has_a = json_member(o, a, a_r);
	has_b = json_member(o, b, b_r);
	return json_object_object_length(o) == has_a + has_b;
}

/* Room for the entries of such a list, marks of groups with them. */
struct addresses {
	struct mime_addr *at;
	size_t n;
};

/* RFC 8621 4.1.2.3: EmailAddress. */
static bool add_address(struct addresses *l, struct json_object *o)
{
	struct json_object *name, *email;
	struct mime_addr m = {0};

	if (!pair(o, "name", &name, "email", &email) ||
		!json_text(email, &m.email) ||
		(name && !json_text(name, &m.name)))
		return false;
	l->at[l->n++] = m;
	return true;
}

static bool add_all(struct addresses *l, struct json_object *v)
{
	for (size_t i = 0; i < json_object_array_length(v); i++)
		if (!add_address(l, json_object_array_get_idx(v, i)))
			return false;
	return true;
}

static bool addresses(
	struct draft *d, struct json_object *v, struct addresses *l)
{
	size_t n;

	if (!array(v, &n))
		return false;
	l->at = arena_new(&d->tmp, n * sizeof(*l->at));
	return add_all(l, v);
}

/* RFC 8621 4.1.2.4: EmailAddressGroup. */
static bool group(struct draft *d, struct json_object *o, struct addresses *l)
{
	struct json_object *name, *list;
	struct mime_addr start = {.group_start = true};
	struct mime_addr *more;
	size_t n;

	if (!pair(o, "name", &name, "addresses", &list) || !array(list, &n) ||
		(name && !json_text(name, &start.name)))
		return false;
	more = arena_new(&d->tmp, (l->n + n + 2) * sizeof(*more));
	if (l->n > 0)
		memcpy(more, l->at, l->n * sizeof(*more));
	l->at = more;
	if (name)
		l->at[l->n++] = start;
	if (!add_all(l, list))
		return false;
	if (name)
		l->at[l->n++] = (struct mime_addr){.group_end = true};
	return true;
}

static bool grouped(struct draft *d, struct json_object *v, struct addresses *l)
{
	size_t n;

	if (!array(v, &n) || n > MIME_LIST / 10)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!group(d, json_object_array_get_idx(v, i), l))
			return false;
	return true;
}

/* ---- fields ---------------------------------------------------------------------- */

/* A list of nothing is no field: RFC 5322 has none that may be empty but Bcc. */
static bool put_list(struct draft *d, const struct header_prop *h,
	struct json_object *v, struct buf *out)
{
	const struct str *at;
	struct addresses l = {0};
	size_t n;

	switch (h->form) {
	case FORM_ADDRESSES:
	case FORM_GROUPED:
		if (!(h->form == FORM_GROUPED ? grouped : addresses)(d, v, &l))
			return false;
		return l.n == 0 || compose_addresses(out, h->name, l.at, l.n);
	case FORM_MESSAGE_IDS:
		return strings(d, v, &at, &n) &&
		       (n == 0 || compose_message_ids(out, h->name, at, n));
	default:
		return strings(d, v, &at, &n) &&
		       (n == 0 || compose_urls(out, h->name, at, n));
	}
}

static bool put_field(struct draft *d, const struct header_prop *h,
	struct json_object *v, struct buf *out)
{
	struct str s;
	int64_t ms;
	int offset;

	switch (h->form) {
	case FORM_RAW:
		return json_text(v, &s) && compose_raw(out, h->name, s);
	case FORM_TEXT:
		return json_text(v, &s) && compose_text(out, h->name, s);
	case FORM_DATE:
		return json_text(v, &s) && clock_parse_date(s, &ms, &offset) &&
		       compose_date(out, h->name, ms, offset);
	default:
		return put_list(d, h, v, out);
	}
}

void draft_field(struct draft *d, const struct where *w, const char *key,
	const struct header_prop *h, struct json_object *value, struct buf *out)
{
	size_t n = 1;
	bool good = true;

	if (!value)
		return;
	if (h->all)
		good = array(value, &n) && n <= CREATE_FIELDS_MAX;
	for (size_t i = 0; i < n && good; i++)
		good = put_field(d, h,
			h->all ? json_object_array_get_idx(value, i) : value,
			out);
	if (!good)
		draft_bad(d, w, key,
			"not of the property's type, or no field could hold "
			"it");
}
