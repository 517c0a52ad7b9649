/*
 * The head of a request: bytes gather line by line in h->text, each line is
 * checked when it is whole, and what the fields mean together (host, framing,
 * connection) when the empty line has come. The text does not move from then on.
 */
#include "proto/http/h1_parse.h"

#include <ctype.h>

#include "proto/http/target.h"

static int refuse(struct h1_head *h, int status, const char *why)
{
	h->why = why;
	return -status;
}

bool h1_is_tchar(unsigned char c)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr(marks, c));
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!h1_is_tchar((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

void h1_head_fini(struct h1_head *h)
{
	buf_fini(&h->text);
	buf_fini(&h->aux);
	*h = (struct h1_head){0};
}

/* RFC 9112 3: three parts with exactly one space between them. */
static int request_line(struct h1_head *h, struct str line)
{
	struct str version;
	size_t sp = str_find(line, ' ');

	h->method = str_n(line.p, sp);
	if (!is_token(h->method) || sp == line.n)
		return refuse(h, 400, "malformed request line");
	line = str_skip(line, sp + 1);
	sp = str_find(line, ' ');
	h->target = str_n(line.p, sp);
	if (!h->target.n || sp == line.n)
		return refuse(h, 400, "malformed request line");
	version = str_skip(line, sp + 1);
	if (version.n != 8 || !str_starts(version, STR("HTTP/")) ||
		!isdigit((unsigned char)version.p[5]) || version.p[6] != '.' ||
		!isdigit((unsigned char)version.p[7]))
		return refuse(h, 400, "malformed HTTP version");
	for (size_t i = 0; i < h->target.n; i++) {
		unsigned char c = (unsigned char)h->target.p[i];
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return refuse(h, 400, "invalid character in target");
	}
	if (version.p[5] != '1' || version.p[7] > '1')
		return refuse(h, 505, "only HTTP/1.0 and HTTP/1.1 are spoken");
	h->http10 = version.p[7] == '0';
	h->has_request_line = true;
	return 0;
}

/* RFC 9112 5: no white space before the colon, no folded lines. */
static int field_line(struct h1_head *h, struct str line)
{
	struct h1_field *f = &h->fields[h->fields_n];
	size_t colon = str_find(line, ':');
	struct str name = str_n(line.p, colon), value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(h, 400, "folded field line");
	if (colon == line.n || !is_token(name))
		return refuse(h, 400, "malformed field name");
	if (h->fields_n == H1_FIELDS_MAX)
		return refuse(h, 431, "too many fields");
	value = str_trim(str_skip(line, colon + 1));
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return refuse(h, 400, "invalid character in a field");
	}
	f->name = (uint16_t)(name.p - h->text.p);
	f->name_n = (uint16_t)name.n;
	f->value = value.n ? (uint16_t)(value.p - h->text.p) : f->name;
	f->value_n = (uint16_t)value.n;
	h->fields_n++;
	return 0;
}

static int on_host(struct h1_head *h, struct str v)
{
	if (h->has_host)
		return refuse(h, 400, "more than one Host");
	if (!http_authority_valid(v))
		return refuse(h, 400, "malformed Host");
	h->has_host = true;
	h->authority = v;
	return 0;
}

/* RFC 9112 6.3: one length, said once. */
static int on_length(struct h1_head *h, struct str v)
{
	if (h->content_length == UINT64_MAX)
		return refuse(h, 400, "both lengths and codings");
	if (h->has_length)
		return refuse(h, 400, "more than one Content-Length");
	if (!str_u64(v, &h->content_length) || h->content_length > INT64_MAX)
		return refuse(h, 400, "malformed Content-Length");
	h->has_length = true;
	return 0;
}

static int on_coding(struct h1_head *h, struct str v)
{
	if (h->has_length || h->content_length == UINT64_MAX)
		return refuse(h, 400, "both lengths and codings");
	if (h->http10) /* RFC 9112 6.1: its framing is faulty */
		return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
	if (!str_ieq(v, STR("chunked"))) {
		if (is_token(v))
			return refuse(h, 501, "unknown transfer coding");
		return refuse(h, 400, "ambiguous Transfer-Encoding");
	}
	h->content_length = UINT64_MAX;
	return 0;
}

static int on_connection(struct h1_head *h, struct str v)
{
	struct str item;

	while (http_list_next(&v, &item)) {
		h->close |= str_ieq(item, STR("close"));
		h->keep_alive |= str_ieq(item, STR("keep-alive"));
		h->upgrade |= str_ieq(item, STR("upgrade"));
	}
	return 0;
}

static int on_expect(struct h1_head *h, struct str v)
{
	if (h->http10) /* RFC 9110 10.1.1: ignored there */
		return 0;
	if (str_ieq(v, STR("100-continue")))
		h->expect_continue = true;
	else
		h->expect_other = true;
	return 0;
}

/* The first that we might speak; "websocket" before all others, "h2c" never. */
static int on_upgrade(struct h1_head *h, struct str v)
{
	struct str item;

	while (http_list_next(&v, &item)) {
		bool ws = str_ieq(item, STR("websocket"));
		if (str_ieq(item, STR("h2c")) || (h->protocol[0] && !ws) ||
			item.n >= sizeof(h->protocol))
			continue;
		for (size_t i = 0; i < item.n; i++)
			h->protocol[i] =
				(char)tolower((unsigned char)item.p[i]);
		h->protocol[item.n] = '\0';
	}
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct h1_head *h, struct str value);
} known_fields[] = {
	{"host", on_host},
	{"content-length", on_length},
	{"transfer-encoding", on_coding},
	{"connection", on_connection},
	{"expect", on_expect},
	{"upgrade", on_upgrade},
};

static int read_fields(struct h1_head *h)
{
	for (unsigned i = 0; i < h->fields_n; i++) {
		const struct h1_field *f = &h->fields[i];
		struct str name = str_n(h->text.p + f->name, f->name_n);
		for (size_t k = 0; k < countof(known_fields); k++) {
			if (!str_ieq(name, str_of(known_fields[k].name)))
				continue;
			int ret = known_fields[k].fn(
				h, str_n(h->text.p + f->value, f->value_n));
			if (ret)
				return ret;
		}
	}
	if (!h->has_host && !h->http10) /* RFC 9112 3.2 */
		return refuse(h, 400, "no Host");
	if (h->http10 || !h->upgrade || h->content_length)
		h->protocol[0] = '\0'; /* RFC 9110 7.8 */
	if (h->http10 || !h->content_length)
		h->expect_continue = false;
	return 0;
}

/* RFC 9112 3.2.2: "http://host/path"; its authority wins over Host. */
static int absolute_form(struct h1_head *h, struct str *rest_r)
{
	struct str t = h->target;
	size_t scheme = str_find(t, ':'), end = 0;
	struct str name = str_n(t.p, scheme);

	if (!str_ieq(name, STR("http")) && !str_ieq(name, STR("https")))
		return refuse(h, 400, "malformed target");
	t = str_skip(t, scheme);
	if (!str_starts(t, STR("://")))
		return refuse(h, 400, "malformed target");
	t = str_skip(t, 3);
	while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
		end++;
	h->authority = str_n(t.p, end);
	if (!http_authority_valid(h->authority))
		return refuse(h, 400, "malformed authority in target");
	*rest_r = str_skip(t, end);
	return 0;
}

static int decode_path(struct h1_head *h, struct str raw)
{
	char *to = h->aux.p + h->aux.n;

	h->path = str_n(to, 0);
	if (!http_path_decode(raw, to, &h->path.n))
		return refuse(h, 400, "bad escape in path");
	h->aux.n += h->path.n;
	return 0;
}

static int read_target(struct h1_head *h)
{
	struct str rest = h->target;
	size_t q;
	int ret;

	if (str_eq(rest, STR("*"))) {
		h->path = rest;
		if (!str_eq(h->method, STR("OPTIONS")))
			return refuse(h, 400, "malformed target");
		return 0;
	}
	if (str_eq(h->method, STR("CONNECT"))) /* RFC 9110 9.3.6 */
		return refuse(h, 501, "no proxy");
	if (rest.p[0] != '/') {
		ret = absolute_form(h, &rest);
		if (ret)
			return ret;
	}
	/* One allocation: what points into it must stay where it is. */
	buf_room(&h->aux, 2 * rest.n + 4);
	if (!rest.n || rest.p[0] != '/')
		buf_addc(&h->aux, '/');
	buf_adds(&h->aux, rest);
	h->target = buf_str(&h->aux);
	q = str_find(h->target, '?');
	h->query = q < h->target.n ? str_skip(h->target, q + 1) : STR_NONE;
	return decode_path(h, str_n(h->target.p, q));
}

/* The request line's pieces were found before the text moved last. */
static int head_whole(struct h1_head *h)
{
	struct str line = str_skip(buf_str(&h->text), h->start);
	int ret;

	ret = request_line(h, str_n(line.p, str_find(line, '\r')));
	if (ret)
		return ret;
	ret = read_fields(h);
	if (ret)
		return ret;
	ret = read_target(h);
	return ret ? ret : 1;
}

/* One whole line, CRLF and all, ends h->text. */
static int take_line(struct h1_head *h)
{
	struct str line = str_skip(buf_str(&h->text), h->line);

	if (line.n < 2 || line.p[line.n - 2] != '\r')
		return refuse(h, 400, "bare LF"); /* RFC 9112 2.2 */
	line.n -= 2;
	if (str_find(line, '\r') != line.n)
		return refuse(h, 400, "bare CR");
	h->line = h->text.n;
	if (h->has_request_line)
		return line.n ? field_line(h, line) : head_whole(h);
	if (line.n) {
		h->start = (size_t)(line.p - h->text.p);
		return request_line(h, line);
	}
	if (h->skipped_line)
		return refuse(h, 400, "malformed request line");
	h->skipped_line = true;
	return 0;
}

static int check_room(struct h1_head *h, size_t n, bool whole)
{
	size_t line = h->text.n - h->line + n;

	/* Without its CRLF, of which the CR may be there. */
	if (!h->has_request_line && line > H1_LINE_MAX + (whole ? 2 : 1))
		return refuse(h, 414, "request line too long");
	if (h->text.n + n > H1_HEAD_MAX)
		return refuse(h, 431, "header too large");
	return 0;
}

int h1_head_feed(struct h1_head *h, const char *p, size_t n, size_t *used_r)
{
	int ret = 0;

	*used_r = 0;
	while (!ret && *used_r < n) {
		const char *from = p + *used_r;
		const char *lf = memchr(from, '\n', n - *used_r);
		size_t k = lf ? (size_t)(lf - from) + 1 : n - *used_r;

		/* Not HTTP at all, a TLS handshake say: no line may ever end. */
		if (!h->has_request_line && h->text.n == h->line &&
			!h1_is_tchar((unsigned char)*from) && *from != '\r')
			return refuse(h, 400, "malformed request line");
		ret = check_room(h, k, lf != NULL);
		if (ret)
			return ret;
		buf_add(&h->text, from, k);
		*used_r += k;
		if (lf)
			ret = take_line(h);
	}
	return ret;
}

size_t h1_head_fields(
	const struct h1_head *h, struct http_header out[H1_FIELDS_MAX])
{
	for (unsigned i = 0; i < h->fields_n; i++) {
		const struct h1_field *f = &h->fields[i];
		out[i] = (struct http_header){
			str_n(h->text.p + f->name, f->name_n),
			str_n(h->text.p + f->value, f->value_n)};
	}
	return h->fields_n;
}
