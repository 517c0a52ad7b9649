/*
 * The negotiation of permessage-deflate (RFC 7692 7.1; the grammar is that of
 * RFC 6455 9.1: a value may be a token or the same token quoted).
 */
#include "conf/conf.h"
#include "proto/ws/deflate.h"

#define NAME "permessage-deflate"
#define BITS_MOST 15

/* Takes from *s up to the next sep that is not quoted, trimmed. */
static bool cut(struct str *s, char sep, struct str *head_r)
{
	bool quoted = false;
	size_t i;

	if (!s->n)
		return false;
	for (i = 0; i < s->n && (quoted || s->p[i] != sep); i++) {
		if (s->p[i] == '"')
			quoted = !quoted;
		else if (quoted && s->p[i] == '\\')
			i++;
	}
	i = min_of(i, s->n);
	*head_r = str_trim(str_n(s->p, i));
	*s = str_skip(*s, min_of(i + 1, s->n));
	return true;
}

/* The text of a quoted string; false when it is none, or longer than any of ours. */
static bool unquote(struct str *v, char text[4])
{
	size_t n = 0, i;

	if (v->n < 2 || v->p[0] != '"')
		return false;
	for (i = 1; i < v->n && v->p[i] != '"'; i++) {
		if (v->p[i] == '\\')
			i++;
		if (i >= v->n || n == 4)
			return false;
		text[n++] = v->p[i];
	}
	if (i != v->n - 1)
		return false;
	*v = str_n(text, n);
	return true;
}

/* 1*DIGIT without a leading zero (RFC 7692 7.1.2), least to 15. */
static bool read_bits(struct str v, unsigned least, unsigned *bits_r)
{
	char text[4];
	uint64_t bits;

	if (v.n && v.p[0] == '"' && !unquote(&v, text))
		return false;
	if (str_starts(v, STR("0")) || !str_u64(v, &bits))
		return false;
	*bits_r = (unsigned)min_of(bits, (uint64_t)UINT16_MAX);
	return *bits_r >= least && *bits_r <= BITS_MOST;
}

/* One "name" or "name=value"; false: this offer is not taken. */
static bool read_param(struct str param, struct deflate_terms *t)
{
	size_t eq = str_find(param, '=');
	struct str name = str_trim(str_n(param.p, eq)), value;
	bool valued = eq < param.n;
	unsigned bits = BITS_MOST;

	value = valued ? str_trim(str_skip(param, eq + 1)) : STR_NONE;
	if (str_eq(name, STR("server_no_context_takeover"))) {
		if (valued || t->server_fresh)
			return false;
		t->server_fresh = true;
	} else if (str_eq(name, STR("client_no_context_takeover"))) {
		if (valued || t->client_fresh)
			return false;
		t->client_fresh = true;
	} else if (str_eq(name, STR("server_max_window_bits"))) {
		if (t->server_asked || !read_bits(value, 9, &bits))
			return false;
		t->server_asked = true;
		t->server_bits = bits & 15;
	} else if (str_eq(name, STR("client_max_window_bits"))) {
		if (t->client_asked || (valued && !read_bits(value, 8, &bits)))
			return false;
		t->client_asked = true;
		t->client_bits = bits & 15;
	} else {
		return false;
	}
	return true;
}

static bool read_offer(struct str offer, struct deflate_terms *t)
{
	struct str part;

	*t = (struct deflate_terms){
		.on = true, .server_bits = BITS_MOST, .client_bits = BITS_MOST};
	if (str_ends(offer, STR(";")))
		return false;
	if (!cut(&offer, ';', &part) || !str_eq(part, STR(NAME)))
		return false;
	while (cut(&offer, ';', &part))
		if (!read_param(part, t))
			return false;
	return true;
}

bool deflate_offered(const struct http_request *r, struct deflate_terms *t)
{
	struct str rest, offer;

	for (size_t i = 0; conf_get()->ws_deflate && i < r->headers_n; i++) {
		if (!str_ieq(r->headers[i].name,
			    STR("Sec-WebSocket-Extensions")))
			continue;
		rest = r->headers[i].value;
		while (cut(&rest, ',', &offer))
			if (read_offer(offer, t))
				return true;
	}
	*t = (struct deflate_terms){0};
	return false;
}

void deflate_answer(const struct deflate_terms *t, struct buf *out)
{
	buf_addz(out, NAME);
	if (t->server_fresh)
		buf_addz(out, "; server_no_context_takeover");
	if (t->client_fresh)
		buf_addz(out, "; client_no_context_takeover");
	if (t->server_asked)
		buf_fmt(out, "; server_max_window_bits=%u",
			(unsigned)t->server_bits);
	if (t->client_asked)
		buf_fmt(out, "; client_max_window_bits=%u",
			(unsigned)t->client_bits);
}
