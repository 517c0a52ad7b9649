/* Heads of requests: what is taken, and what is refused with which status. */
#include "proto/http/h1_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The verdict on bytes that come in pieces of that size; *used_r of them taken. */
static int feed(struct h1_head *h, struct str s, size_t piece, size_t *used_r)
{
	size_t used;
	int ret = 0;

	*used_r = 0;
	while (!ret && *used_r < s.n) {
		size_t n = min_of(piece, s.n - *used_r);
		ret = h1_head_feed(h, s.p + *used_r, n, &used);
		*used_r += used;
		if (!ret)
			assert_int_equal(used, n);
	}
	return ret;
}

static int verdict(struct str s, size_t piece)
{
	struct h1_head h = {0};
	size_t used;
	int ret = feed(&h, s, piece, &used);

	if (ret < 0)
		assert_non_null(h.why);
	h1_head_fini(&h);
	return ret;
}

struct vector {
	const char *what;
	struct str bytes;
	int want;
};

#define V(what, want, bytes)                           \
	{                                              \
		what, {bytes, sizeof(bytes) - 1}, want \
	}
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static void judge(const struct vector *v, size_t n)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 2, 7};

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < countof(pieces); k++) {
			int got = verdict(v[i].bytes, pieces[k]);
			if (got != v[i].want)
				fail_msg("%s: %d, not %d (pieces of %zu)",
					v[i].what, got, v[i].want, pieces[k]);
		}
	}
}

static void smuggling_is_refused(void **state)
{
	static const struct vector v[] = {
		V("bare LF in request line", -400,
			"GET / HTTP/1.1\nHost: a\r\n\r\n"),
		V("bare LF in field", -400, "GET / HTTP/1.1\r\nHost: a\n\r\n"),
		V("bare LF at end", -400, GET "\n"),
		V("bare CR in field", -400, GET "A: b\rc\r\n\r\n"),
		V("bare CR in request line", -400,
			"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("CR CR LF", -400, GET "A: b\r\r\n\r\n"),
		V("space before colon", -400, GET "A : b\r\n\r\n"),
		V("tab before colon", -400, GET "Content-Length\t: 1\r\n\r\n"),
		V("obs-fold", -400, GET "A: b\r\n c\r\n\r\n"),
		V("obs-fold by tab", -400, GET "A: b\r\n\tc\r\n\r\n"),
		V("space after request line", -400,
			"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
		V("length and coding", -400,
			POST "Content-Length: 1\r\nTransfer-Encoding: "
			     "chunked\r\n\r\n"),
		V("coding and length", -400,
			POST "Transfer-Encoding: chunked\r\nContent-Length: "
			     "1\r\n\r\n"),
		V("two lengths", -400,
			POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
		V("two equal lengths", -400,
			POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
		V("two zero lengths", -400,
			POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
		V("list of lengths", -400, POST "Content-Length: 1, 1\r\n\r\n"),
		V("signed length", -400, POST "Content-Length: +1\r\n\r\n"),
		V("negative length", -400, POST "Content-Length: -1\r\n\r\n"),
		V("hex length", -400, POST "Content-Length: 0x1\r\n\r\n"),
		V("empty length", -400, POST "Content-Length:\r\n\r\n"),
		V("length with space", -400,
			POST "Content-Length: 1 1\r\n\r\n"),
		V("length over 2^64", -400,
			POST "Content-Length: 18446744073709551617\r\n\r\n"),
		V("length 2^64-1", -400,
			POST "Content-Length: 18446744073709551615\r\n\r\n"),
		V("coding list", -400,
			POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
		V("coding twice in list", -400,
			POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
		V("coding twice", -400,
			POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
			     "chunked\r\n\r\n"),
		V("coding and identity", -400,
			POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: "
			     "identity\r\n\r\n"),
		V("coding with parameter", -400,
			POST "Transfer-Encoding: chunked;a=b\r\n\r\n"),
		V("coding quoted", -400,
			POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
		V("coding with VT", -400,
			POST "Transfer-Encoding: \x0b"
			     "chunked\r\n\r\n"),
		V("empty coding", -400, POST "Transfer-Encoding:\r\n\r\n"),
		V("unknown coding", -501,
			POST "Transfer-Encoding: gzip\r\n\r\n"),
		V("unknown coding xchunked", -501,
			POST "Transfer-Encoding: xchunked\r\n\r\n"),
		V("coding in HTTP/1.0", -400,
			"POST / HTTP/1.0\r\nTransfer-Encoding: "
			"chunked\r\n\r\n"),
		V("no Host", -400, "GET / HTTP/1.1\r\n\r\n"),
		V("two Hosts", -400, GET "Host: a\r\n\r\n"),
		V("two Hosts in HTTP/1.0", -400,
			"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
		V("empty Host", -400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
		V("Host with path", -400,
			"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
		V("Host with user", -400,
			"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
		V("Host list", -400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
		V("Host with letters in port", -400,
			"GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n"),
		V("Host of a port only", -400,
			"GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
		V("Host with open bracket", -400,
			"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
		V("Host with bracket inside", -400,
			"GET / HTTP/1.1\r\nHost: a]b\r\n\r\n"),
		V("no Host with absolute form", -400,
			"GET http://a/ HTTP/1.1\r\n\r\n"),
	};

	judge(v, countof(v));
}

static void malformed_lines_are_refused(void **state)
{
	static const struct vector v[] = {
		V("NUL in name", -400, GET "A\0B: c\r\n\r\n"),
		V("NUL in value", -400, GET "A: b\0c\r\n\r\n"),
		V("control in value", -400, GET "A: b\001c\r\n\r\n"),
		V("DEL in value", -400, GET "A: b\177c\r\n\r\n"),
		V("no colon", -400, GET "Abc\r\n\r\n"),
		V("empty name", -400, GET ": c\r\n\r\n"),
		V("name with a space", -400, GET "A B: c\r\n\r\n"),
		V("name with a slash", -400, GET "A/B: c\r\n\r\n"),
		V("name with eighth bit", -400, GET "\xc3\xa4: c\r\n\r\n"),
		V("no method", -400, " / HTTP/1.1\r\n\r\n"),
		V("method no token", -400, "G(T / HTTP/1.1\r\n\r\n"),
		V("two spaces", -400, "GET  / HTTP/1.1\r\n\r\n"),
		V("space in target", -400, "GET /a b HTTP/1.1\r\n\r\n"),
		V("space at the end", -400, "GET / HTTP/1.1 \r\n\r\n"),
		V("tab between", -400, "GET\t/ HTTP/1.1\r\n\r\n"),
		V("HTTP/0.9", -400, "GET /\r\n\r\n"),
		V("lower case http", -400, "GET / http/1.1\r\n\r\n"),
		V("long version", -400, "GET / HTTP/1.10\r\n\r\n"),
		V("short version", -400, "GET / HTTP/1\r\n\r\n"),
		V("HTTP/1.2", -505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
		V("HTTP/2.0", -505, "PRI * HTTP/2.0\r\n\r\n"),
		V("two empty lines first", -400, "\r\n\r\n" GET "\r\n"),
		V("TLS handshake", -400, "\x16\x03\x01\x02"),
		V("control in target", -400,
			"GET /\001 HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("eighth bit in target", -400,
			"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("fragment in target", -400,
			"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("NUL escaped", -400,
			"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("escape cut", -400, "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("escape no hex", -400,
			"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("escape empty", -400, "GET /% HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("relative target", -400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("asterisk with GET", -400,
			"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("ftp target", -400,
			"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("user in target", -400,
			"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("no authority in target", -400,
			"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("CONNECT", -501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
	};

	judge(v, countof(v));
}

static void well_formed_heads_are_taken(void **state)
{
	static const struct vector v[] = {
		V("plain", 1, GET "\r\n"),
		V("one empty line first", 1, "\r\n" GET "\r\n"),
		V("HTTP/1.0 without Host", 1, "GET / HTTP/1.0\r\n\r\n"),
		V("length with leading zero", 1,
			POST "Content-Length: 007\r\n\r\n"),
		V("coding in upper case", 1,
			POST "Transfer-Encoding: CHUNKED\r\n\r\n"),
		V("Host with port", 1,
			"GET / HTTP/1.1\r\nHost: a.b:8080\r\n\r\n"),
		V("Host IPv6", 1, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
		V("obs-text in value", 1, GET "A: \xc3\xa4\r\n\r\n"),
		V("empty value", 1, GET "A:\r\n\r\n"),
		V("tabs around value", 1, GET "A:\t b \t\r\n\r\n"),
		V("unknown method", 1, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("OPTIONS *", 1, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
		V("unfinished", 0, GET),
	};

	judge(v, countof(v));
}

static void a_head_is_read_into_its_parts(void **state)
{
	static const char bytes[] =
		"POST /a%2Fb/%c3%A4?x=%20y HTTP/1.1\r\nHOST: Example.org:80\r\n"
		"content-length: 12\r\nX-A:  b c \r\nExpect: 100-continue\r\n"
		"Connection: foo, Close\r\n\r\nbody";
	struct http_header f[H1_FIELDS_MAX];

	for (size_t piece = 1; piece < sizeof(bytes); piece++) {
		struct h1_head h = {0};
		size_t used;
		assert_int_equal(feed(&h, str_of(bytes), piece, &used), 1);
		assert_int_equal(used, sizeof(bytes) - 1 - 4);
		assert_true(str_eq(h.method, STR("POST")));
		assert_true(str_eq(h.target, STR("/a%2Fb/%c3%A4?x=%20y")));
		assert_true(str_eq(h.path, STR("/a/b/\xc3\xa4")));
		assert_true(str_eq(h.query, STR("x=%20y")));
		assert_true(str_eq(h.authority, STR("Example.org:80")));
		assert_int_equal(h.content_length, 12);
		assert_true(h.close && h.expect_continue && !h.keep_alive);
		assert_int_equal(h1_head_fields(&h, f), 5);
		assert_true(str_eq(f[2].name, STR("X-A")));
		assert_true(str_eq(f[2].value, STR("b c")));
		h1_head_fini(&h);
	}
}

static void absolute_form_wins_over_host(void **state)
{
	static const struct {
		struct str bytes, target, authority;
	} v[] = {
		{STR("GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n"),
			STR("/x?y"), STR("b:81")},
		{STR("GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n"), STR("/"),
			STR("b")},
		{STR("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n"), STR("/?q"),
			STR("b")},
	};

	for (size_t i = 0; i < countof(v); i++) {
		struct h1_head h = {0};
		size_t used;
		assert_int_equal(feed(&h, v[i].bytes, 1, &used), 1);
		assert_true(str_eq(h.target, v[i].target));
		assert_true(str_eq(h.authority, v[i].authority));
		h1_head_fini(&h);
	}
}

static const char *upgrade_of(struct h1_head *h, const char *bytes)
{
	size_t used;

	h1_head_fini(h);
	assert_int_equal(feed(h, str_of(bytes), 3, &used), 1);
	return h->protocol;
}

static void upgrade_is_heard_only_where_it_may_be(void **state)
{
	struct h1_head h = {0};

	assert_string_equal(
		upgrade_of(&h, GET "Upgrade: WebSocket\r\n"
				   "Connection: keep-alive, Upgrade\r\n\r\n"),
		"websocket");
	assert_string_equal(upgrade_of(&h, GET "Upgrade: foo, websocket\r\n"
					       "Connection: Upgrade\r\n\r\n"),
		"websocket");
	assert_string_equal(
		upgrade_of(&h,
			GET "Upgrade: h2c\r\n"
			    "Connection: Upgrade, HTTP2-Settings\r\n\r\n"),
		"");
	assert_string_equal(
		upgrade_of(&h, GET "Upgrade: websocket\r\n\r\n"), "");
	assert_string_equal(
		upgrade_of(&h,
			"GET / HTTP/1.0\r\n"
			"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
		"");
	assert_string_equal(
		upgrade_of(&h, POST
			"Upgrade: websocket\r\n"
			"Connection: Upgrade\r\nContent-Length: 3\r\n\r\n"),
		"");
	h1_head_fini(&h);
}

static int with_target(size_t n)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, "GET /");
	memset(buf_room(&b, n), 'x', n);
	b.n += n;
	buf_addz(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(
		verdict(buf_str(&b), 1), verdict(buf_str(&b), SIZE_MAX));
	return verdict(buf_str(&b), SIZE_MAX);
}

static void a_request_line_over_the_limit_is_414(void **state)
{
	size_t most = H1_LINE_MAX - strlen("GET / HTTP/1.1");

	assert_int_equal(with_target(most), 1);
	assert_int_equal(with_target(most + 1), -414);
	assert_int_equal(with_target(most * 3), -414);
}

static void an_endless_request_line_is_414(void **state)
{
	struct h1_head h = {0};
	size_t used = 0, fed = 0;
	int ret = 0;

	while (!ret && fed < 2 * H1_LINE_MAX) {
		ret = h1_head_feed(&h, "x", 1, &used);
		fed += used;
	}
	assert_int_equal(ret, -414);
	assert_int_equal(fed, H1_LINE_MAX + 1); /* the last might be a CR */
	h1_head_fini(&h);
}

static int with_fields(size_t n)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, GET);
	for (size_t i = 1; i < n; i++)
		buf_addz(&b, "A: b\r\n");
	buf_addz(&b, "\r\n");
	return verdict(buf_str(&b), SIZE_MAX);
}

static void more_than_100_fields_are_431(void **state)
{
	assert_int_equal(with_fields(H1_FIELDS_MAX), 1);
	assert_int_equal(with_fields(H1_FIELDS_MAX + 1), -431);
}

static int with_head_of(size_t n)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, GET "A: ");
	while (b.n < n - 4)
		buf_addc(&b, 'x');
	buf_addz(&b, "\r\n\r\n");
	return verdict(buf_str(&b), 1);
}

static void a_head_over_the_limit_is_431(void **state)
{
	assert_int_equal(with_head_of(H1_HEAD_MAX), 1);
	assert_int_equal(with_head_of(H1_HEAD_MAX + 1), -431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smuggling_is_refused),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(well_formed_heads_are_taken),
		cmocka_unit_test(a_head_is_read_into_its_parts),
		cmocka_unit_test(absolute_form_wins_over_host),
		cmocka_unit_test(upgrade_is_heard_only_where_it_may_be),
		cmocka_unit_test(a_request_line_over_the_limit_is_414),
		cmocka_unit_test(an_endless_request_line_is_414),
		cmocka_unit_test(more_than_100_fields_are_431),
		cmocka_unit_test(a_head_over_the_limit_is_431),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
