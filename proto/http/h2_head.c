#include "proto/http/h2_head.h"

#include "proto/http/h1_parse.h"
#include "proto/http/target.h"

static const char *const pseudo_names[] = {
	[H2_METHOD] = ":method",
	[H2_SCHEME] = ":scheme",
	[H2_AUTHORITY] = ":authority",
	[H2_PATH] = ":path",
	[H2_PROTOCOL] = ":protocol", /* RFC 8441 4 */
};

void h2_head_fini(struct h2_head *h)
{
	buf_fini(&h->text);
	buf_fini(&h->path);
}

static struct h2_piece *piece_for(struct h2_head *h, struct str name)
{
	if (name.n && name.p[0] == ':') {
		for (size_t i = 0; i < H2_PSEUDOS; i++)
			if (str_eq(name, str_of(pseudo_names[i])))
				return &h->pseudo[i];
		return NULL; /* nghttp2 refuses those */
	}
	return h->fields_n < H2_FIELDS_MAX ? &h->fields[h->fields_n++] : NULL;
}

bool h2_head_add(struct h2_head *h, struct str name, struct str value)
{
	size_t size = h->size + name.n + value.n + 32;
	struct h2_piece *p = NULL;

	h->size = (uint32_t)min_of(size, (size_t)UINT32_MAX);
	h->too_big |= size > H2_HEAD_MAX;
	if (!h->too_big)
		p = piece_for(h, name);
	if (!p) {
		h->too_big = true;
		return size <= H2_HEAD_FLOOD;
	}
	p->name = (uint32_t)h->text.n;
	p->name_n = (uint32_t)name.n;
	buf_adds(&h->text, name);
	p->value = (uint32_t)h->text.n;
	p->value_n = (uint32_t)value.n;
	buf_adds(&h->text, value);
	return true;
}

static struct str value_of(const struct h2_head *h, const struct h2_piece *p)
{
	return p->name_n ? str_trim(str_n(h->text.p + p->value, p->value_n))
			 : STR_NONE;
}

static unsigned refuse(struct h2_head *h, unsigned status, const char *why)
{
	h->why = why;
	return status;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!h1_is_tchar((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

/* RFC 9113 8.3.1: Host is only another way to say the same. */
static unsigned read_authority(struct h2_head *h, struct http_request *r)
{
	struct str host = http_field(r, "host");
	size_t hosts = http_field_count(r, "host");

	r->authority = value_of(h, &h->pseudo[H2_AUTHORITY]);
	if (hosts > 1)
		return refuse(h, 400, "more than one Host");
	if (h->pseudo[H2_AUTHORITY].name_n) {
		if (hosts && !str_ieq(host, r->authority))
			return refuse(h, 400, "Host is not :authority");
	} else {
		r->authority = host;
	}
	if (!http_authority_valid(r->authority))
		return refuse(h, 400, "no or malformed authority");
	return 0;
}

static unsigned read_path(struct h2_head *h, struct http_request *r)
{
	struct str raw = value_of(h, &h->pseudo[H2_PATH]);
	size_t q;

	r->target = raw;
	if (raw.n > H2_PATH_MAX)
		return refuse(h, 414, "path too long");
	for (size_t i = 0; i < raw.n; i++) {
		unsigned char c = (unsigned char)raw.p[i];
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return refuse(h, 400, "invalid character in path");
	}
	if (str_eq(raw, STR("*")) && str_eq(r->method, STR("OPTIONS"))) {
		r->path = raw;
		return 0;
	}
	if (!raw.n || raw.p[0] != '/')
		return refuse(h, 400, "malformed path");
	q = str_find(raw, '?');
	r->query = q < raw.n ? str_skip(raw, q + 1) : STR_NONE;
	raw.n = q;
	buf_room(&h->path, raw.n + 1);
	if (!http_path_decode(raw, h->path.p, &h->path.n))
		return refuse(h, 400, "bad escape in path");
	r->path = buf_str(&h->path);
	return 0;
}

/* That the body is as long as it says nghttp2 watches. */
static unsigned read_length(struct h2_head *h, bool end, struct http_request *r)
{
	struct str v = http_field(r, "content-length");

	r->content_length = end ? 0 : UINT64_MAX;
	if (http_field_count(r, "content-length") > 1)
		return refuse(h, 400, "more than one Content-Length");
	if (!v.n || r->extended_connect)
		return 0;
	if (!str_u64(v, &r->content_length) || r->content_length > INT64_MAX)
		return refuse(h, 400, "malformed Content-Length");
	return 0;
}

static unsigned read_expect(struct h2_head *h, struct http_request *r)
{
	size_t n = http_field_count(r, "expect");

	if (!n)
		return 0;
	if (n > 1 || !str_ieq(http_field(r, "expect"), STR("100-continue")))
		return refuse(h, 417, "only 100-continue can be expected");
	h->expect_continue = r->content_length != 0;
	return 0;
}

/* RFC 8441 4, and RFC 9220 3 on what protocol is not spoken. */
static unsigned read_connect(struct h2_head *h, struct http_request *r)
{
	if (!str_eq(r->method, STR("CONNECT")))
		return r->protocol.n ? refuse(h, 400, ":protocol needs CONNECT")
				     : 0;
	if (!h->pseudo[H2_PROTOCOL].name_n)
		return refuse(h, 501, "no proxy");
	if (!str_eq(r->protocol, STR("websocket")))
		return refuse(h, 501, "unknown :protocol");
	r->extended_connect = true;
	return 0;
}

unsigned h2_head_read(struct h2_head *h, bool end, struct http_request *r)
{
	static unsigned (*const reads[])(
		struct h2_head * h, struct http_request * r) = {
		read_connect, read_authority, read_path};
	unsigned status = 0;

	*r = (struct http_request){
		.method = value_of(h, &h->pseudo[H2_METHOD]),
		.protocol = value_of(h, &h->pseudo[H2_PROTOCOL]),
		.headers = h->out,
		.headers_n = h->fields_n,
	};
	if (h->too_big)
		return refuse(h, 431, "header too large");
	for (unsigned i = 0; i < h->fields_n; i++) {
		const struct h2_piece *p = &h->fields[i];
		h->out[i] = (struct http_header){
			str_n(h->text.p + p->name, p->name_n), value_of(h, p)};
	}
	if (!is_token(r->method))
		return refuse(h, 400, "malformed method");
	for (size_t i = 0; i < countof(reads) && !status; i++)
		status = reads[i](h, r);
	if (!status)
		status = read_length(h, end, r);
	return status ? status : read_expect(h, r);
}
