/*
 * What the Content-* fields say of a part (RFC 8621 4.1.4, RFC 2045, 2183).
 *
 * Where a field comes twice the last one counts, as in header:{name} of RFC
 * 8621 4.1.3. A Content-Type that cannot be read is text/plain (RFC 2045 5.2).
 */
#include "core/mime/internal.h"

/* The last field of each name; STR_NONE when there is none. */
struct content {
	struct str type, encoding, disposition, id, language, location;
};

static void content_find(const struct mime_part *p, struct content *c)
{
	struct {
		struct str name;
		struct str *to;
	} want[] = {
		{STR("type"), &c->type},
		{STR("transfer-encoding"), &c->encoding},
		{STR("disposition"), &c->disposition},
		{STR("id"), &c->id},
		{STR("language"), &c->language},
		{STR("location"), &c->location},
	};
	struct str head = STR("content-");

	for (size_t i = 0; i < p->headers_n; i++) {
		struct str name = p->headers[i].name;

		if (name.n <= head.n ||
			!str_ieq(mime_slice(name, 0, head.n), head))
			continue;
		name = str_skip(name, head.n);
		for (size_t k = 0; k < countof(want); k++) {
			if (str_ieq(name, want[k].name))
				*want[k].to = p->headers[i].value;
		}
	}
}

/* RFC 2045 5.1 tspecials end a token; so do space, controls and 8 bit. */
static bool is_token(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

static size_t token_end(struct str s, size_t at)
{
	while (at < s.n && is_token(s.p[at]))
		at++;
	return at;
}

/* The token at *at, white space and comments around it skipped. */
static struct str token_take(struct str s, size_t *at)
{
	size_t from = mime_skip_cfws(s, *at);
	size_t to = token_end(s, from);

	*at = mime_skip_cfws(s, to);
	return mime_slice(s, from, to);
}

/* "text/plain", lower case; STR_NONE when it does not parse. */
static struct str type_read(struct str clean, struct arena *a)
{
	size_t at = 0;
	struct str major = token_take(clean, &at);
	struct str minor = STR_NONE;

	if (at < clean.n && clean.p[at] == '/') {
		at++;
		minor = token_take(clean, &at);
	}
	if (major.n == 0 || minor.n == 0)
		return STR_NONE;
	if (at < clean.n && (unsigned char)clean.p[at] >= 0x80)
		return STR_NONE; /* half a word is no type */
	return mime_lower_str(
		arena_fmt(a, "%.*s/%.*s", STR_ARG(major), STR_ARG(minor)), a);
}

static bool is_text(const struct mime_part *p)
{
	return str_starts(p->type, STR("text/"));
}

bool mime_is_multipart(const struct mime_part *p)
{
	return str_starts(p->type, STR("multipart/"));
}

/* No charset has a blank, a quote or a semicolon; what is sent for one does. */
static struct str charset_name(struct str s)
{
	size_t from = 0;
	size_t to;

	while (from < s.n && strchr(" \t'\"", s.p[from]))
		from++;
	for (to = from; to < s.n && !strchr(" \t'\";", s.p[to]);)
		to++;
	return mime_slice(s, from, to);
}

/* A file name as RFC 2231 says, or (as many write it) as encoded words. */
static struct str name_read(
	const struct mime_params *ps, struct str key, struct arena *a)
{
	struct str v = mime_param(ps, key, a);
	struct buf out cleanup(buf_fini) = {0};

	if (v.n == 0)
		return STR_NONE;
	if (str_find(v, '?') == v.n)
		return v;
	mime_words(v, &out);
	return arena_str(a, buf_str(&out));
}

static void read_type(struct mime_part *p, struct str field,
	struct str *boundary_r, struct arena *a)
{
	struct str clean = mime_clean(field, a);
	struct mime_params ps;
	struct str type = type_read(clean, a);

	mime_params_read(&ps, clean, a);
	p->type = type.p ? type : STR("text/plain");
	p->charset = charset_name(mime_param(&ps, STR("charset"), a));
	if (p->charset.n == 0)
		p->charset = is_text(p) ? STR("us-ascii") : STR_NONE;
	p->name = name_read(&ps, STR("name"), a);
	if (mime_is_multipart(p))
		*boundary_r = str_trim(mime_param(&ps, STR("boundary"), a));
}

static void read_disposition(
	struct mime_part *p, struct str field, struct arena *a)
{
	struct str clean = mime_clean(field, a);
	struct mime_params ps;
	size_t at = 0;
	struct str word = token_take(clean, &at);
	struct str name;

	if (word.n > 0 && at < clean.n && clean.p[at] == '=') {
		/* "filename=x": the type that RFC 2183 2 wants is missing. */
		clean = arena_fmt(a, ";%.*s", STR_ARG(clean));
		word = STR_NONE;
	}
	mime_params_read(&ps, clean, a);
	if (word.n > 0)
		p->disposition = mime_lower_str(word, a);
	name = name_read(&ps, STR("filename"), a);
	if (name.p)
		p->name = name;
}

/* RFC 2045 6; the names of uuencode are no standard's, but in use. */
static void read_encoding(
	struct mime_part *p, struct str field, struct arena *a)
{
	static const struct {
		const char *name;
		enum mime_encoding enc;
	} known[] = {
		{"7bit", MIME_IDENTITY},
		{"8bit", MIME_IDENTITY},
		{"binary", MIME_IDENTITY},
		{"base64", MIME_BASE64},
		{"quoted-printable", MIME_QP},
		{"x-uuencode", MIME_UUENCODE},
		{"uuencode", MIME_UUENCODE},
		{"x-uue", MIME_UUENCODE},
	};
	size_t at = 0;
	struct str word = token_take(mime_clean(field, a), &at);

	for (size_t i = 0; i < countof(known); i++) {
		if (str_ieq(word, str_of(known[i].name))) {
			p->encoding = known[i].enc;
			return;
		}
	}
	p->encoding_problem = true;
}

/* Comments, white space and <> off (RFC 8621 4.1.4 cid). */
static struct str id_read(struct str field, struct arena *a)
{
	struct str s = mime_clean(field, a);
	size_t end;

	s = str_trim(str_skip(s, mime_skip_cfws(s, 0)));
	if (s.n > 0 && s.p[0] == '<') {
		s = str_skip(s, 1);
		end = str_find(s, '>');
	} else {
		end = min_of(str_find(s, ' '), str_find(s, '('));
	}
	s = str_trim(mime_slice(s, 0, end));
	return s.n > 0 ? s : STR_NONE;
}

/* RFC 3282 2: comments may stand around each tag; behind one that never ends
 * all is text. */
static struct str language_read(struct str field, struct arena *a)
{
	struct str s = mime_clean(field, a);
	char *p = arena_new(a, s.n + 1);
	bool comments = true;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (comments && s.p[i] == '(') {
			size_t end = mime_comment_end(s, i);

			comments = end < s.n;
			if (comments) {
				i = end;
				continue;
			}
		}
		p[n++] = s.p[i];
	}
	return str_trim(str_n(p, n));
}

/* RFC 2557 4.4.1: a long URI is folded, its white space is none of it. */
static struct str uri_read(struct str field, struct arena *a)
{
	struct str s = mime_clean(field, a);
	char *p = arena_new(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (!mime_is_space(s.p[i]))
			p[n++] = s.p[i];
	}
	return str_n(p, n);
}

void mime_describe(struct mime_part *p, bool in_digest, struct str *boundary_r,
	struct arena *a)
{
	struct content c = {0};

	content_find(p, &c);
	if (c.type.p) {
		read_type(p, c.type, boundary_r, a);
	} else if (in_digest) {
		p->type = STR("message/rfc822"); /* RFC 2046 5.1.5 */
	} else {
		p->type = STR("text/plain");
		p->charset = STR("us-ascii");
	}
	if (c.disposition.p)
		read_disposition(p, c.disposition, a);
	if (c.encoding.p && !mime_is_multipart(p))
		read_encoding(p, c.encoding, a);
	if (c.id.p)
		p->cid = id_read(c.id, a);
	if (c.language.p)
		p->language = language_read(c.language, a);
	if (c.location.p)
		p->location = uri_read(c.location, a);
}
