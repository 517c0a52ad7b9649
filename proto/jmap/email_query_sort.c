/*
 * Comparators of Email/query (RFC 8620 5.5, RFC 8621 4.4.2).
 */
#include "proto/jmap/email_query.h"
#include "proto/jmap/json.h"

const char *const email_sort_names[] = {
	[SORT_RECEIVED] = "receivedAt",
	[SORT_SENT] = "sentAt",
	[SORT_SIZE] = "size",
	[SORT_FROM] = "from",
	[SORT_TO] = "to",
	[SORT_SUBJECT] = "subject",
	[SORT_KEYWORD] = "hasKeyword",
	[SORT_ALL_KEYWORD] = "allInThreadHaveKeyword",
	[SORT_SOME_KEYWORD] = "someInThreadHaveKeyword",
	NULL,
};

const char *const email_collations[] = {
	[COLLATION_UNICODE] = "i;unicode-casemap",
	[COLLATION_ASCII] = "i;ascii-casemap",
	[COLLATION_OCTET] = "i;octet",
	NULL,
};

/* The place of a name in a list; false: it is not there. */
static bool find(const char *const *names, struct str name, unsigned *i_r)
{
	for (*i_r = 0; names[*i_r]; ++*i_r)
		if (str_eq(name, str_of(names[*i_r])))
			return true;
	return false;
}

static int wrong(struct req *r, const char *what)
{
	return req_error(r, ERROR_INVALID_ARGUMENTS, "sort: %s", what);
}

struct comparator {
	struct str property, collation, keyword;
	bool ascending;
};

static int read_members(
	struct req *r, struct json_object *json, struct comparator *c)
{
	*c = (struct comparator){.ascending = true};
	if (json_object_get_type(json) != json_type_object)
		return wrong(r, "not a Comparator[]");
	json_object_object_foreach(json, name, value)
	{
		bool good = false;

		if (strcmp(name, "property") == 0)
			good = json_text(value, &c->property);
		else if (strcmp(name, "isAscending") == 0)
			good = json_flag(value, &c->ascending);
		else if (strcmp(name, "collation") == 0)
			good = json_text(value, &c->collation);
		else if (strcmp(name, "keyword") == 0)
			good = json_text(value, &c->keyword);
		if (!good)
			return req_error(r, ERROR_INVALID_ARGUMENTS,
				"sort: %.60s: wrong type, or unknown", name);
	}
	return c->property.p ? 0 : wrong(r, "a property is missing");
}

static struct str lower(struct req *r, struct str s)
{
	char *p = arena_dup(&r->arena, s.n ? s.p : "", s.n);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	return str_n(p, s.n);
}

static int read_comparator(
	struct req *r, struct json_object *json, struct email_sort *s)
{
	struct comparator c;
	unsigned kind, collation = COLLATION_UNICODE;
	int ret = read_members(r, json, &c);

	if (ret)
		return ret;
	if (!find(email_sort_names, c.property, &kind))
		return req_error(r, ERROR_UNSUPPORTED_SORT, "not by \"%.*s\"",
			(int)min_of(c.property.n, 60u), c.property.p);
	if (c.collation.p && !find(email_collations, c.collation, &collation))
		return req_error(r, ERROR_UNSUPPORTED_SORT,
			"no collation \"%.*s\"",
			(int)min_of(c.collation.n, 60u), c.collation.p);
	if (kind >= SORT_KEYWORD && !c.keyword.p)
		return wrong(r, "a keyword is missing");
	if (kind < SORT_KEYWORD && c.keyword.p)
		return wrong(r, "a keyword does not go with that property");
	*s = (struct email_sort){
		.kind = (enum email_sort_kind)kind,
		.descending = !c.ascending,
		.collation = (enum email_collation)collation,
		.keyword = c.keyword.p ? lower(r, c.keyword) : STR_NONE,
	};
	return 0;
}

int email_sort_read(struct req *r, struct json_object *json,
	const struct email_sort **s_r, size_t *n_r)
{
	struct email_sort *s;
	size_t n = json ? json_object_array_length(json) : 0;
	int ret = 0;

	if (n > EMAIL_SORTS)
		return req_error(r, ERROR_UNSUPPORTED_SORT,
			"more than %d comparators", EMAIL_SORTS);
	s = arena_new(&r->arena, n * sizeof(*s) + 1);
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = read_comparator(
			r, json_object_array_get_idx(json, i), &s[i]);
	*s_r = s;
	*n_r = n;
	return ret;
}
