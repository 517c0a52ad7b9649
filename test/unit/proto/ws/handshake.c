/* Opening handshakes: which are right, and what refuses the others. */
#include "proto/ws/ws.h"

#include "test/unit/proto/ws/fake.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static struct conf conf;
static struct http_header fields[16];
static struct http_request r;
static struct ws_want want;

static void field(const char *name, const char *value)
{
	assert_true(r.headers_n < countof(fields));
	fields[r.headers_n++] =
		(struct http_header){str_of(name), str_of(value)};
}

static void unset(const char *name)
{
	for (size_t i = 0; i < r.headers_n; i++)
		if (str_ieq(fields[i].name, str_of(name)))
			fields[i].name = STR("X-Unset");
}

static void set(const char *name, const char *value)
{
	unset(name);
	field(name, value);
}

static int setup(void **state)
{
	conf_defaults(&conf);
	conf_swap(&conf, false);
	fake_open();
	r = (struct http_request){.method = STR("GET"),
		.path = STR("/jmap/ws"),
		.authority = STR("Example.org"),
		.protocol = STR("websocket"),
		.headers = fields};
	field("Upgrade", "WebSocket");
	field("Connection", "keep-alive, Upgrade");
	field("Sec-WebSocket-Version", "13");
	field("Sec-WebSocket-Key", KEY);
	want = (struct ws_want){.protocol = STR("jmap"), .check_origin = true};
	return 0;
}

static int teardown(void **state)
{
	fake_close();
	return 0;
}

static unsigned status(void)
{
	const char *why = NULL;
	unsigned ret = ws_check(&r, &want, &why);

	assert_true(!ret == !why);
	return ret;
}

static const char *accept_of(bool *protocol_r)
{
	static struct ws_handshake h;

	ws_remember(&r, &want, &h);
	*protocol_r = h.protocol;
	return h.accept;
}

static void the_sample_of_the_rfc_is_accepted(void **state)
{
	bool protocol;

	assert_true(ws_wanted(&r));
	assert_int_equal(status(), 0);
	/* RFC 6455 1.3 */
	assert_string_equal(
		accept_of(&protocol), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(protocol);
}

static void a_plain_request_is_none(void **state)
{
	r.protocol = STR_NONE;
	set("Upgrade", "h2c");
	assert_false(ws_wanted(&r));
}

static void an_upgrade_that_may_not_be_is_400(void **state)
{
	r.protocol = STR_NONE; /* no Connection: Upgrade, or HTTP/1.0 */
	assert_true(ws_wanted(&r));
	assert_int_equal(status(), 400);
}

static void the_method_must_be_get(void **state)
{
	r.method = STR("POST");
	assert_int_equal(status(), 405);
}

static void a_body_is_400(void **state)
{
	r.content_length = 1;
	assert_int_equal(status(), 400);
}

static void the_version_must_be_13(void **state)
{
	set("Sec-WebSocket-Version", "8");
	assert_int_equal(status(), 426);
	set("Sec-WebSocket-Version", "13, 8");
	assert_int_equal(status(), 426);
	unset("Sec-WebSocket-Version");
	assert_int_equal(status(), 426);
	set("Sec-WebSocket-Version", "13");
	field("Sec-WebSocket-Version", "13");
	assert_int_equal(status(), 400);
}

static void the_key_must_be_16_bytes_of_base64(void **state)
{
	static const char *const wrong[] = {"", "abc", "dGhlIHNhbXBsZSBub25jZQ",
		"dGhlIHNhbXBsZSBub25jZQ=a",
		"dGhlIHNhbXBsZSBub25jZTE=", "dGhlIHNhbXBsZSBub25jZTEy",
		"dGhlIHNhbXBsZSBub25j*Q==", "dGhlIHNhbXBsZSBub25jZQ== x"};

	for (size_t i = 0; i < countof(wrong); i++) {
		set("Sec-WebSocket-Key", wrong[i]);
		assert_int_equal(status(), 400);
	}
	unset("Sec-WebSocket-Key");
	assert_int_equal(status(), 400);
	field("Sec-WebSocket-Key", KEY);
	field("Sec-WebSocket-Key", KEY);
	assert_int_equal(status(), 400);
}

static void the_protocol_is_echoed_if_offered(void **state)
{
	bool protocol;

	field("Sec-WebSocket-Protocol", "xmpp, soap");
	field("sec-websocket-protocol", " mqtt ,jmap");
	assert_int_equal(status(), 0);
	accept_of(&protocol);
	assert_true(protocol);
}

static void other_protocols_alone_are_400(void **state)
{
	set("Sec-WebSocket-Protocol", "xmpp");
	assert_int_equal(status(), 400);
	set("Sec-WebSocket-Protocol", "JMAP"); /* case counts */
	assert_int_equal(status(), 400);
	set("Sec-WebSocket-Protocol", "jmapx");
	assert_int_equal(status(), 400);
	want.protocol = STR_NONE;
	assert_int_equal(status(), 0);
}

static unsigned with_origin(const char *url, const char *origin)
{
	snprintf(conf.jmap_url, sizeof(conf.jmap_url), "%s", url);
	set("Origin", origin);
	return status();
}

static void the_origin_must_be_ours(void **state)
{
	const char *url = "https://Mail.example.org/jmap";

	assert_int_equal(with_origin(url, "https://mail.example.org"), 0);
	assert_int_equal(with_origin(url, "HTTPS://mail.example.org:443"), 0);
	assert_int_equal(with_origin(url, "http://mail.example.org"), 403);
	assert_int_equal(
		with_origin(url, "https://mail.example.org:8443"), 403);
	assert_int_equal(with_origin(url, "https://example.org"), 403);
	assert_int_equal(
		with_origin(url, "https://mail.example.org.evil.example"), 403);
	assert_int_equal(with_origin(url, "null"), 403);
	assert_int_equal(with_origin(url, ""), 403);
	assert_int_equal(with_origin("https://[::1]:8", "https://[::1]:8"), 0);
	assert_int_equal(
		with_origin("https://[::1]:8", "https://[::2]:8"), 403);
	want.check_origin = false;
	assert_int_equal(with_origin(url, "https://evil.example"), 0);
}

static void without_jmap_url_the_origin_must_be_the_host(void **state)
{
	assert_int_equal(with_origin("", "https://example.org"), 0);
	assert_int_equal(with_origin("", "http://example.org:80"), 0);
	assert_int_equal(with_origin("", "http://example.org:81"), 403);
	assert_int_equal(with_origin("", "http://evil.example"), 403);
	r.authority = STR("example.org:81");
	assert_int_equal(with_origin("", "http://example.org:81"), 0);
}

static void two_origins_are_403(void **state)
{
	assert_int_equal(with_origin("", "https://example.org"), 0);
	field("Origin", "https://example.org");
	assert_int_equal(status(), 403);
}

static void over_http_2_there_is_no_key(void **state)
{
	bool protocol;

	r.extended_connect = true;
	r.method = STR("CONNECT");
	r.content_length = UINT64_MAX;
	unset("Sec-WebSocket-Key");
	unset("Connection");
	unset("Upgrade");
	assert_true(ws_wanted(&r));
	assert_int_equal(status(), 0);
	assert_string_equal(accept_of(&protocol), "");
	r.method = STR("GET");
	assert_int_equal(status(), 405);
}

static void a_refused_version_names_ours(void **state)
{
	ws_refuse(&fake.s, 426, "why");
	assert_string_equal(buf_z(&fake.head),
		"426 Content-Type: application/problem+json; "
		"Sec-WebSocket-Version: 13; Upgrade: websocket; "
		"Connection: Upgrade;");
	assert_true(fake.ended);
}

static void a_refused_method_names_ours(void **state)
{
	ws_refuse(&fake.s, 405, "why");
	assert_non_null(strstr(buf_z(&fake.head), " Allow: GET;"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_sample_of_the_rfc_is_accepted),
		T(a_plain_request_is_none),
		T(an_upgrade_that_may_not_be_is_400),
		T(the_method_must_be_get),
		T(a_body_is_400),
		T(the_version_must_be_13),
		T(the_key_must_be_16_bytes_of_base64),
		T(the_protocol_is_echoed_if_offered),
		T(other_protocols_alone_are_400),
		T(the_origin_must_be_ours),
		T(without_jmap_url_the_origin_must_be_the_host),
		T(two_origins_are_403),
		T(over_http_2_there_is_no_key),
		T(a_refused_version_names_ours),
		T(a_refused_method_names_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
