/*
 * What every carrier of streams shares: whole answers, problem details, lookups
 * in a request's fields, the reason phrases.
 */
#include "proto/http/stream.h"

#include "conf/conf.h"
#include "core/base/jw.h"

/* A whole answer adds one field of its own to those of the caller. */
#define RESPOND_FIELDS 16
#define CROWDED_MS 5000 /* to ask, and be told that there are too many */

uint64_t http_timeout_ms(const struct http_share *share)
{
	uint64_t ms = conf_get()->http_timeout * 1000;

	return share->crowded ? min_of(ms, (uint64_t)CROWDED_MS) : ms;
}

void stream_respond(struct stream *s, unsigned status, const char *content_type,
	const struct http_header *h, size_t n, struct str body)
{
	struct http_header all[RESPOND_FIELDS] = {0};
	size_t count = 0;

	check(n < countof(all));
	check(content_type || !body.n);
	if (content_type)
		all[count++] = (struct http_header){
			STR("Content-Type"), str_of(content_type)};
	for (size_t i = 0; i < n; i++)
		all[count++] = h[i];
	stream_head(s, status, all, count, body.n);
	if (body.n)
		stream_write(s, body);
	stream_end(s);
}

void stream_problem_with(struct stream *s, unsigned status, const char *detail,
	const struct http_header *h, size_t n)
{
	struct buf body cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "type", "about:blank");
	jw_kstrz(&w, "title", http_reason(status)); /* RFC 7807 4.2 */
	jw_ku64(&w, "status", status);
	if (detail)
		jw_kstrz(&w, "detail", detail);
	jw_obj_end(&w);
	stream_respond(
		s, status, "application/problem+json", h, n, buf_str(&body));
}

void stream_problem(struct stream *s, unsigned status, const char *detail)
{
	stream_problem_with(s, status, detail, NULL, 0);
}

struct str http_field(const struct http_request *r, const char *name)
{
	struct str want = str_of(name);

	for (size_t i = 0; i < r->headers_n; i++)
		if (str_ieq(r->headers[i].name, want))
			return r->headers[i].value;
	return STR_NONE;
}

size_t http_field_count(const struct http_request *r, const char *name)
{
	struct str want = str_of(name);
	size_t count = 0;

	for (size_t i = 0; i < r->headers_n; i++)
		count += str_ieq(r->headers[i].name, want);
	return count;
}

bool http_list_next(struct str *rest, struct str *item_r)
{
	while (str_cut(rest, ',', item_r)) {
		*item_r = str_trim(*item_r);
		if (item_r->n)
			return true;
	}
	return false;
}

bool http_lists(
	const struct http_request *r, const char *name, struct str token)
{
	struct str want = str_of(name), rest, item;

	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_ieq(r->headers[i].name, want))
			continue;
		rest = r->headers[i].value;
		while (http_list_next(&rest, &item))
			if (str_ieq(item, token))
				return true;
	}
	return false;
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *phrase;
	} reasons[] = {
#define REASON(code, text) {code, text},
#include "proto/http/reasons.def"
#undef REASON
	};

	for (size_t i = 0; i < countof(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].phrase;
	return "Unknown";
}
