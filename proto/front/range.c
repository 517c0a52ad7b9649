#include "proto/front/range.h"

/* "first-last", "first-", "-count" (RFC 9110 14.1.2). */
static bool read_range(struct str s, struct call_range *r)
{
	size_t dash = str_find(s, '-');
	struct str first = str_n(s.p, dash), last;

	if (dash == s.n)
		return false;
	last = str_skip(s, dash + 1);
	r->first = r->last = UINT64_MAX;
	if (first.n == 0)
		return str_u64(last, &r->last);
	if (!str_u64(first, &r->first) || r->first == UINT64_MAX)
		return false;
	return last.n == 0 || (str_u64(last, &r->last) && r->last >= r->first);
}

struct call_range range_of(const struct http_request *r, struct str etag)
{
	struct str value = http_field(r, "Range"), unit;
	struct call_range range = {0};

	if (!str_eq(r->method, STR("GET")) ||
		http_field_count(r, "Range") != 1 ||
		(http_field_count(r, "If-Range") &&
			!str_eq(http_field(r, "If-Range"), etag)) ||
		str_find(value, ',') < value.n)
		return range;
	if (!str_cut(&value, '=', &unit) || !str_ieq(unit, STR("bytes")) ||
		!read_range(str_trim(value), &range))
		return (struct call_range){0};
	range.given = 1;
	return range;
}

bool range_matches(const struct http_request *r, struct str etag)
{
	struct str rest, item;

	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_ieq(r->headers[i].name, STR("If-None-Match")))
			continue;
		rest = r->headers[i].value;
		while (http_list_next(&rest, &item)) {
			if (str_starts(item, STR("W/"))) /* weak: 8.8.3.2 */
				item = str_skip(item, 2);
			if (str_eq(item, STR("*")) || str_eq(item, etag))
				return true;
		}
	}
	return false;
}
