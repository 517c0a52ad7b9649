/*
 * JSON pointers with "*" over the text of an answer. Since each part of the answer is
 * visited at most once for a pointer, what a reference yields is never longer than
 * that answer; what several references yield is checked against the room that
 * max-size-response leaves before it is copied.
 */
#include "proto/jmap/refs.h"

#include "proto/jmap/raw.h"
#include "proto/jmap/scan.h"

struct resolve {
	struct req *r;
	struct buf *out;
	bool full; /* more than max-size-response leaves room for */
};

static bool is_ref(struct str quoted, struct arena *a, struct str *name_r)
{
	if (quoted.n < 3 || (quoted.p[1] != '#' && quoted.p[1] != '\\'))
		return false;
	*name_r = raw_text(quoted, a);
	if (name_r->n == 0 || name_r->p[0] != '#')
		return false;
	*name_r = str_skip(*name_r, 1);
	return true;
}

bool refs_in(struct str args)
{
	struct raw_iter i = raw_iter(args);
	struct str name, value, ignore;
	struct arena a cleanup(arena_fini) = {0};

	while (raw_next(&i, &name, &value))
		if (is_ref(name, &a, &ignore))
			return true;
	return false;
}

/* One token of the pointer, "~1" and "~0" undone (RFC 6901 4). */
static bool token(struct str *path, struct arena *a, struct str *t_r)
{
	struct str t;
	char *out;
	size_t n = 0;

	if (path->n == 0 || path->p[0] != '/')
		return false;
	*path = str_skip(*path, 1);
	t = str_n(path->p, str_find(*path, '/'));
	*path = str_skip(*path, t.n);
	*t_r = t;
	if (t.n == 0 || !memchr(t.p, '~', t.n))
		return true;
	out = arena_new(a, t.n);
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] != '~') {
			out[n++] = t.p[i];
			continue;
		}
		if (++i == t.n || (t.p[i] != '0' && t.p[i] != '1'))
			return false;
		out[n++] = t.p[i] == '0' ? '~' : '/';
	}
	*t_r = str_n(out, n);
	return true;
}

/* The member or element that the token names. */
static bool child(struct str v, struct str t, struct str *v_r)
{
	struct raw_iter i;
	struct str name;
	uint64_t index;

	if (raw_type(v) == '{') {
		for (i = raw_iter(v); raw_next(&i, &name, v_r);)
			if (raw_is(name, t))
				return true;
		return false;
	}
	if (raw_type(v) != '[' || !str_u64(t, &index) ||
		(t.n > 1 && t.p[0] == '0'))
		return false;
	for (i = raw_iter(v); raw_next(&i, NULL, v_r); index--)
		if (index == 0)
			return true;
	return false;
}

static bool add(struct resolve *x, struct str v)
{
	if (req_wants(x->r, x->out->n + v.n + 1)) {
		x->full = true;
		return false;
	}
	buf_adds(x->out, v);
	return true;
}

static bool list_add(struct resolve *x, struct str v)
{
	if (x->out->p[x->out->n - 1] != '[')
		buf_addc(x->out, ',');
	return add(x, v);
}

static bool apply(struct resolve *x, struct str v, struct str path, bool list);

/* "*": the rest of the pointer for each element, arrays laid out flat. */
static bool map_through(
	struct resolve *x, struct str v, struct str rest, bool list)
{
	struct raw_iter i;
	struct str item;

	if (!list)
		buf_addc(x->out, '[');
	for (i = raw_iter(v); raw_next(&i, NULL, &item);)
		if (!apply(x, item, rest, true))
			return false;
	if (!list)
		buf_addc(x->out, ']');
	return true;
}

/* Appends the pointer's value; into an open array when list is set. */
static bool apply(struct resolve *x, struct str v, struct str path, bool list)
{
	struct raw_iter i;
	struct str t;

	while (path.n > 0) {
		if (!token(&path, &x->r->arena, &t))
			return false;
		if (raw_type(v) == '[' && str_eq(t, STR("*")))
			return map_through(x, v, path, list);
		if (!child(v, t, &v))
			return false;
	}
	if (!list)
		return add(x, v);
	if (raw_type(v) != '[')
		return list_add(x, v);
	for (i = raw_iter(v); raw_next(&i, NULL, &t);)
		if (!list_add(x, t))
			return false;
	return true;
}

/* The three strings of a ResultReference. */
static bool reference(struct str v, struct arena *a, struct str s[3])
{
	static const char *const names[] = {"resultOf", "name", "path"};
	struct raw_iter i;
	struct str name, value;
	unsigned seen = 0;

	if (raw_type(v) != '{')
		return false;
	for (i = raw_iter(v); raw_next(&i, &name, &value);) {
		for (unsigned k = 0; k < 3; k++) {
			if (!raw_is(name, str_of(names[k])))
				continue;
			if (raw_type(value) != '"')
				return false;
			s[k] = raw_text(value, a);
			seen |= 1u << k;
		}
	}
	return seen == 7;
}

static const struct invocation *answered(const struct req *r, struct str id)
{
	for (size_t i = 0; i < r->now; i++)
		if (raw_is(r->calls[i].id, id))
			return &r->calls[i];
	return NULL;
}

static int resolve_one(struct resolve *x, struct str v)
{
	const struct invocation *from;
	struct req *r = x->r;
	struct str s[3];

	if (!reference(v, &r->arena, s))
		return req_error(r, ERROR_INVALID_RESULT_REFERENCE,
			"not a ResultReference");
	from = answered(r, s[0]);
	if (!from)
		return req_error(r, ERROR_INVALID_RESULT_REFERENCE,
			"no response with that method call id");
	if (!str_eq(from->reply, s[1]))
		return req_error(r, ERROR_INVALID_RESULT_REFERENCE,
			"that response has another name");
	if (apply(x, str_n(r->out->p + from->at, from->n), s[2], false))
		return 0;
	if (x->full)
		return req_wants(r, SIZE_MAX / 2);
	return req_error(
		r, ERROR_INVALID_RESULT_REFERENCE, "the path leads nowhere");
}

/* RFC 8620 3.7: "foo" beside "#foo", however their names are written. */
static bool name_taken(struct idmap *names, struct arena *a, struct str name)
{
	if (idmap_find(names, name))
		return true;
	idmap_put(names, a, name, STR_NONE);
	return false;
}

static int rewrite(struct resolve *x, struct str args, struct idmap *names)
{
	struct raw_iter i = raw_iter(args);
	struct str quoted, name, value;
	struct req *r = x->r;
	int ret;

	buf_addc(x->out, '{');
	while (raw_next(&i, &quoted, &value)) {
		bool ref = is_ref(quoted, &r->arena, &name);

		if (!ref)
			name = raw_text(quoted, &r->arena);
		if (name_taken(names, &r->arena, name))
			return req_error(r, ERROR_INVALID_ARGUMENTS,
				"an argument and a reference of one name");
		if (x->out->p[x->out->n - 1] != '{')
			buf_addc(x->out, ',');
		json_quote(x->out, name);
		buf_addc(x->out, ':');
		if (!ref) {
			buf_adds(x->out, value);
			continue;
		}
		ret = resolve_one(x, value);
		if (ret)
			return ret;
	}
	buf_addc(x->out, '}');
	/* Chains of references could nest without end. */
	if (raw_depth(buf_str(x->out)) > SCAN_DEPTH - 3)
		return req_error(
			r, ERROR_INVALID_ARGUMENTS, "nested too deeply");
	return 0;
}

int refs_resolve(struct req *r, struct str args, struct buf *out)
{
	struct resolve x = {.r = r, .out = out};
	struct idmap names;
	int ret;

	idmap_init(&names);
	ret = rewrite(&x, args, &names);
	idmap_fini(&names);
	return ret;
}
