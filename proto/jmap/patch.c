/*
 * Objects to create and PatchObjects (RFC 8620 5.3), checked against the type's
 * table before the type sees them: names, server-set properties, paths.
 *
 * Our objects are at most two levels deep where a path may point (keywords/x), so
 * that a patch is a property and perhaps one name in it.
 */
#include "proto/jmap/json.h"
#include "proto/jmap/set.h"

int set_refuse(struct set_item *i, enum set_error e, const char *why)
{
	i->error = e;
	i->why = why;
	return 0;
}

int set_bad_str(struct set_item *i, struct str prop, const char *why)
{
	for (unsigned k = 0; k < i->bad_n; k++)
		if (str_eq(i->bad[k], prop))
			return 0;
	if (i->bad_n < countof(i->bad))
		i->bad[i->bad_n++] = prop;
	return set_refuse(i, SET_INVALID_PROPERTIES, why);
}

int set_bad(struct set_item *i, const char *prop, const char *why)
{
	return set_bad_str(i, str_of(prop), why);
}

bool set_ref(const struct set *s, char prefix, struct str ref, uint64_t *id_r)
{
	struct str id;

	return req_id(s->r, s->made, ref, &id) && id_parse(prefix, id, id_r);
}

/* "~1" and "~0" undone; false for another "~" (RFC 6901 3). */
static bool unescape(struct str s, struct arena *a, struct str *out_r)
{
	char *out;
	size_t n = 0;

	*out_r = s;
	if (!s.p || !memchr(s.p, '~', s.n))
		return true;
	out = arena_new(a, s.n);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '~') {
			out[n++] = s.p[i];
			continue;
		}
		if (++i == s.n || (s.p[i] != '0' && s.p[i] != '1'))
			return false;
		out[n++] = s.p[i] == '0' ? '~' : '/';
	}
	*out_r = str_n(out, n);
	return true;
}

/* Splits a path. False: it breaks the rules, whatever the object is. */
static bool split(
	struct set *s, struct str path, struct str *name_r, struct str *sub_r)
{
	size_t slash = str_find(path, '/');
	struct str rest = STR_NONE;

	*sub_r = STR_NONE;
	if (slash < path.n) {
		rest = str_skip(path, slash + 1);
		/* What is below a keyword or a mailbox id is no object. */
		if (str_find(rest, '/') < rest.n)
			return false;
		if (!unescape(rest, &s->r->arena, sub_r))
			return false;
		if (!sub_r->p)
			*sub_r = STR("");
	}
	return unescape(str_n(path.p, slash), &s->r->arena, name_r);
}

/* Reads one member; the item is refused when it will not do. */
static void read_member(struct set *s, struct set_item *i, const char *name,
	struct json_object *value)
{
	struct patch *p = &i->patches[i->patches_n];
	struct str prop = str_of(name);

	*p = (struct patch){.value = value};
	if (i->kind == SET_UPDATE && !split(s, prop, &prop, &p->sub)) {
		set_refuse(i, SET_INVALID_PATCH, "a path that leads nowhere");
		return;
	}
	p->prop = (unsigned)prop_find(s->type, prop);
	if (p->prop == s->type->props_n) {
		if (i->kind != SET_CREATE || !s->type->ops->create_prop ||
			!s->type->ops->create_prop(prop))
			set_bad_str(i, prop, "no such property");
		return;
	}
	i->patches_n++;
}

/* RFC 8620 5.3: no pointer is the prefix of another. */
static bool prefixes(const struct set_item *i)
{
	uint64_t whole = 0, part = 0;

	for (size_t k = 0; k < i->patches_n; k++)
		*(i->patches[k].sub.p ? &part : &whole) |=
			PROP_BIT(i->patches[k].prop);
	return (whole & part) != 0;
}

static const struct prop *prop_of(const struct set *s, const struct patch *p)
{
	return &s->type->props[p->prop];
}

/* RFC 8620 5.3: a server-set property may be there when it says what is so. */
static int compare_fixed(struct set *s, struct set_item *i, uint64_t fixed)
{
	struct buf now cleanup(buf_fini) = {0};
	struct json_object *o cleanup(json_free) = NULL;
	const char *why;
	bool found;
	int ret = get_render(
		s->r, s->tx, s->type, i->id, fixed | PROP_BIT(0), &now, &found);

	if (ret || !found)
		return ret ? ret : set_refuse(i, SET_NOT_FOUND, NULL);
	if (fixed)
		o = json_parse(buf_str(&now), &why);
	for (size_t k = 0; k < i->patches_n; k++) {
		const struct patch *p = &i->patches[k];
		const char *name = prop_of(s, p)->name;
		struct json_object *v = NULL;

		if (!(fixed & PROP_BIT(p->prop)))
			continue;
		if (p->sub.p || !o || !json_member(o, name, &v) ||
			!json_equal(v, p->value))
			set_bad(i, name, "it is set by the server");
	}
	return 0;
}

/* Takes what was only compared out of the list. */
static void drop_fixed(struct set_item *i, uint64_t fixed)
{
	size_t n = 0;

	for (size_t k = 0; k < i->patches_n; k++)
		if (!(fixed & PROP_BIT(i->patches[k].prop)))
			i->patches[n++] = i->patches[k];
	i->patches_n = n;
}

static int check_fixed(struct set *s, struct set_item *i)
{
	uint64_t fixed = 0;
	int ret;

	for (size_t k = 0; k < i->patches_n; k++) {
		const struct prop *p = prop_of(s, &i->patches[k]);
		bool bad = p->flags & PROP_SERVER;

		if (i->kind == SET_CREATE && bad)
			set_bad(i, p->name, "it is set by the server");
		if (p->flags & (PROP_SERVER | PROP_IMMUTABLE))
			fixed |= PROP_BIT(i->patches[k].prop);
	}
	if (i->kind == SET_CREATE)
		return 0;
	ret = compare_fixed(s, i, fixed);
	drop_fixed(i, fixed);
	return ret;
}

int patch_read(struct set *s, struct set_item *i)
{
	i->patches = arena_new(
		&s->r->arena, (size_t)json_object_object_length(i->value) *
				      sizeof(*i->patches));
	i->patches_n = 0;
	json_object_object_foreach(i->value, name, value)
	{
		if (i->error != SET_INVALID_PATCH)
			read_member(s, i, name, value);
	}
	if (i->error != SET_INVALID_PATCH && prefixes(i))
		set_refuse(i, SET_INVALID_PATCH, "a path begins another");
	if (i->error == SET_INVALID_PATCH)
		return 0;
	return check_fixed(s, i);
}
