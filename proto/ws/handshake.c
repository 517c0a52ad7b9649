/*
 * The opening handshake (RFC 6455 4.2, RFC 8441 5).
 */
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "proto/ws/deflate.h"
#include "proto/ws/ws.h"

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN 24 /* base64 of 16 bytes */

bool ws_wanted(const struct http_request *r)
{
	return str_eq(r->protocol, STR("websocket")) ||
	       http_lists(r, "Upgrade", STR("websocket"));
}

static bool key_right(struct str key)
{
	struct buf raw cleanup(buf_fini) = {0};

	return key.n == KEY_LEN && base64_decode(key, &raw) && raw.n == 16;
}

/* Subprotocols compare with case: what is echoed is what was offered. */
static bool offers(const struct http_request *r, struct str protocol)
{
	struct str rest, item;

	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_ieq(r->headers[i].name, STR("Sec-WebSocket-Protocol")))
			continue;
		rest = r->headers[i].value;
		while (http_list_next(&rest, &item))
			if (str_eq(item, protocol))
				return true;
	}
	return false;
}

struct origin {
	struct str scheme, host;
	uint64_t port;
};

/* "host", "host:port", "[::1]:port"; an absent port is that of the scheme. */
static bool authority_read(struct str a, struct origin *o)
{
	size_t end = a.n && a.p[0] == '[' ? str_find(a, ']') : 0;
	struct str rest = str_skip(a, end);
	size_t colon = end + str_find(rest, ':');

	o->host = str_n(a.p, colon);
	o->port = str_ieq(o->scheme, STR("https")) ? 443 : 80;
	if (colon == a.n)
		return o->host.n > 0;
	return o->host.n > 0 && str_u64(str_skip(a, colon + 1), &o->port);
}

/* scheme "://" authority, and what follows it in a URL. */
static bool origin_read(struct str url, struct origin *o)
{
	size_t n = str_find(url, ':');

	o->scheme = str_n(url.p, n);
	url = str_skip(url, n);
	if (!str_starts(url, STR("://")))
		return false;
	url = str_skip(url, 3);
	return authority_read(str_n(url.p, str_find(url, '/')), o);
}

static bool origin_same(const struct origin *a, const struct origin *b)
{
	return str_ieq(a->scheme, b->scheme) && str_ieq(a->host, b->host) &&
	       a->port == b->port;
}

/* RFC 6455 10.2: browsers send an Origin, and Basic credentials by themselves. */
static bool origin_passes(const struct http_request *r)
{
	struct origin sent, ours;
	struct str url = str_of(conf_get()->jmap_url);

	if (!http_field_count(r, "Origin"))
		return true;
	if (http_field_count(r, "Origin") > 1 ||
		!origin_read(http_field(r, "Origin"), &sent))
		return false;
	if (url.n)
		return origin_read(url, &ours) && origin_same(&sent, &ours);
	ours.scheme = sent.scheme; /* a proxy may do TLS for us */
	return authority_read(r->authority, &ours) && origin_same(&sent, &ours);
}

static unsigned check_fields(const struct http_request *r, const char **why_r)
{
	if (!str_eq(r->protocol, STR("websocket"))) {
		*why_r = "an HTTP/1.1 Upgrade needs Connection: Upgrade";
		return 400;
	}
	if (!r->extended_connect && r->content_length) {
		*why_r = "a handshake has no body";
		return 400;
	}
	if (http_field_count(r, "Sec-WebSocket-Version") > 1) {
		*why_r = "more than one Sec-WebSocket-Version";
		return 400;
	}
	if (!str_eq(http_field(r, "Sec-WebSocket-Version"), STR("13"))) {
		*why_r = "Sec-WebSocket-Version is not 13";
		return 426;
	}
	if (!r->extended_connect &&
		(http_field_count(r, "Sec-WebSocket-Key") != 1 ||
			!key_right(http_field(r, "Sec-WebSocket-Key")))) {
		*why_r = "Sec-WebSocket-Key is not one key of 16 bytes";
		return 400;
	}
	return 0;
}

unsigned ws_check(const struct http_request *r, const struct ws_want *want,
	const char **why_r)
{
	struct str method = r->extended_connect ? STR("CONNECT") : STR("GET");
	unsigned status;

	if (!str_eq(r->method, method)) {
		*why_r = "a WebSocket handshake is a GET";
		return 405;
	}
	status = check_fields(r, why_r);
	if (status)
		return status;
	if (want->protocol.n && http_field_count(r, "Sec-WebSocket-Protocol") &&
		!offers(r, want->protocol)) {
		*why_r = "none of the subprotocols is spoken here";
		return 400;
	}
	if (want->check_origin && !origin_passes(r)) {
		*why_r = "foreign Origin";
		return 403;
	}
	return 0;
}

void ws_refuse(struct stream *s, unsigned status, const char *why)
{
	static const struct http_header upgrade[] = {
		{{"Sec-WebSocket-Version", 21}, {"13", 2}},
		{{"Upgrade", 7}, {"websocket", 9}}, /* RFC 9110 15.5.22 */
		{{"Connection", 10}, {"Upgrade", 7}},
	};
	static const struct http_header allow[] = {
		{{"Allow", 5}, {"GET", 3}},
	};

	if (status == 426)
		stream_problem_with(s, status, why, upgrade, countof(upgrade));
	else if (status == 405)
		stream_problem_with(s, status, why, allow, countof(allow));
	else
		stream_problem(s, status, why);
}

void ws_remember(const struct http_request *r, const struct ws_want *want,
	struct ws_handshake *h)
{
	struct str key = http_field(r, "Sec-WebSocket-Key");
	struct buf text cleanup(buf_fini) = {0};
	uint8_t digest[SHA1_LEN];

	*h = (struct ws_handshake){0};
	h->protocol = want->protocol.n && offers(r, want->protocol);
	if (want->set)
		deflate_offered(r, &h->deflate);
	if (r->extended_connect)
		return;
	buf_adds(&text, key);
	buf_addz(&text, WS_GUID);
	sha1(buf_str(&text), digest);
	buf_reset(&text);
	base64_add(&text, str_n(digest, sizeof(digest)));
	check(text.n < sizeof(h->accept));
	memcpy(h->accept, text.p, text.n);
}
