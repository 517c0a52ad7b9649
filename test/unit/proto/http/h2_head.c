/*
 * The header section of an HTTP/2 request: what it becomes, what is refused.
 */
#include "proto/http/h2_head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct h2_head head;
static struct http_request r;

static int fresh(void **state)
{
	memset(&head, 0, sizeof(head));
	return 0;
}

static int done(void **state)
{
	h2_head_fini(&head);
	return 0;
}

static void add(const char *name, const char *value)
{
	assert_true(h2_head_add(&head, str_of(name), str_of(value)));
}

static void ask(const char *method, const char *path)
{
	add(":method", method);
	add(":scheme", "https");
	add(":authority", "a.example:8");
	add(":path", path);
}

static void refused(unsigned status)
{
	assert_int_equal(h2_head_read(&head, true, &r), status);
	assert_non_null(head.why);
}

static void a_get_becomes_a_request(void **state)
{
	ask("GET", "/a%20b?c=%20d");
	add("accept", " x ");
	add("x", "");
	assert_int_equal(h2_head_read(&head, true, &r), 0);
	assert_true(str_eq(r.method, STR("GET")));
	assert_true(str_eq(r.target, STR("/a%20b?c=%20d")));
	assert_true(str_eq(r.path, STR("/a b")));
	assert_true(str_eq(r.query, STR("c=%20d")));
	assert_true(str_eq(r.authority, STR("a.example:8")));
	assert_int_equal(r.protocol.n, 0);
	assert_false(r.extended_connect);
	assert_int_equal(r.content_length, 0);
	assert_int_equal(r.headers_n, 2);
	assert_true(str_eq(http_field(&r, "Accept"), STR("x")));
}

static void a_body_without_a_length_is_of_unknown_length(void **state)
{
	ask("POST", "/");
	assert_int_equal(h2_head_read(&head, false, &r), 0);
	assert_true(r.content_length == UINT64_MAX);
}

static void a_length_is_read(void **state)
{
	ask("POST", "/");
	add("content-length", "42");
	assert_int_equal(h2_head_read(&head, false, &r), 0);
	assert_int_equal(r.content_length, 42);
}

static void host_stands_in_for_the_authority(void **state)
{
	add(":method", "GET");
	add(":scheme", "http");
	add(":path", "/");
	add("host", "b");
	assert_int_equal(h2_head_read(&head, true, &r), 0);
	assert_true(str_eq(r.authority, STR("b")));
}

static void no_authority_is_400(void **state)
{
	add(":method", "GET");
	add(":scheme", "http");
	add(":path", "/");
	refused(400);
}

static void a_host_that_differs_is_400(void **state)
{
	ask("GET", "/");
	add("host", "b");
	refused(400);
}

static void two_hosts_are_400(void **state)
{
	ask("GET", "/");
	add("host", "a.example:8");
	add("host", "a.example:8");
	refused(400);
}

static void a_user_in_the_authority_is_400(void **state)
{
	add(":method", "GET");
	add(":scheme", "http");
	add(":path", "/");
	add(":authority", "u@b");
	refused(400);
}

static void lengths_that_are_none_are_400(void **state)
{
	static const char *const wrong[] = {"-1", "+1", "1,1", "0x1", "1 ",
		"18446744073709551616", "9223372036854775808"};

	for (size_t i = 0; i < countof(wrong); i++) {
		/* Spaces around it are taken off, as of any field. */
		unsigned want = str_eq(str_of(wrong[i]), STR("1 ")) ? 0 : 400;

		fresh(NULL);
		ask("POST", "/");
		add("content-length", wrong[i]);
		assert_int_equal(h2_head_read(&head, false, &r), want);
		h2_head_fini(&head);
	}
	fresh(NULL);
	ask("POST", "/");
	add("content-length", "1");
	add("content-length", "1");
	refused(400);
}

static void paths_that_are_none_are_400(void **state)
{
	static const char *const wrong[] = {"", "a", "*", "/a b", "/\x7f",
		"/a#b", "/%zz", "/%0", "/%00", "http://a/"};

	for (size_t i = 0; i < countof(wrong); i++) {
		fresh(NULL);
		ask("GET", wrong[i]);
		refused(400);
		h2_head_fini(&head);
	}
	fresh(NULL);
}

static void options_has_the_star(void **state)
{
	ask("OPTIONS", "*");
	assert_int_equal(h2_head_read(&head, true, &r), 0);
	assert_true(str_eq(r.path, STR("*")));
}

static void a_long_path_is_414(void **state)
{
	char path[H2_PATH_MAX + 2];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[H2_PATH_MAX] = '\0';
	ask("GET", path);
	assert_int_equal(h2_head_read(&head, true, &r), 0);
	h2_head_fini(&head);
	fresh(NULL);
	path[H2_PATH_MAX] = 'x';
	path[H2_PATH_MAX + 1] = '\0';
	ask("GET", path);
	refused(414);
}

static void a_method_is_a_token(void **state)
{
	ask("G T", "/");
	refused(400);
}

static void a_tunnel_is_wanted_by_extended_connect(void **state)
{
	ask("CONNECT", "/jmap/ws");
	add(":protocol", "websocket");
	assert_int_equal(h2_head_read(&head, false, &r), 0);
	assert_true(r.extended_connect);
	assert_true(str_eq(r.protocol, STR("websocket")));
	assert_true(str_eq(r.path, STR("/jmap/ws")));
}

static void a_plain_connect_is_501(void **state)
{
	add(":method", "CONNECT");
	add(":authority", "a:1");
	refused(501);
}

static void another_protocol_is_501(void **state)
{
	ask("CONNECT", "/");
	add(":protocol", "connect-udp");
	refused(501);
}

static void a_protocol_without_connect_is_400(void **state)
{
	ask("GET", "/");
	add(":protocol", "websocket");
	refused(400);
}

static void expectations_are_100_continue_or_417(void **state)
{
	ask("POST", "/");
	add("expect", "100-Continue");
	assert_int_equal(h2_head_read(&head, false, &r), 0);
	assert_true(head.expect_continue);
	h2_head_fini(&head);
	fresh(NULL);
	ask("POST", "/");
	add("expect", "tea");
	refused(417);
}

static void a_hundred_fields_are_the_most(void **state)
{
	ask("GET", "/");
	for (int i = 0; i < H2_FIELDS_MAX; i++)
		add("a", "b");
	assert_int_equal(h2_head_read(&head, true, &r), 0);
	assert_int_equal(r.headers_n, H2_FIELDS_MAX);
	add("a", "b");
	refused(431);
}

static void a_list_over_32_kb_is_431_and_a_flood_is_said(void **state)
{
	char value[8192];
	int n = 0;

	memset(value, 'x', sizeof(value));
	ask("GET", "/");
	while (h2_head_add(&head, STR("a"), str_n(value, sizeof(value))))
		n++;
	assert_in_range(n, 12, 16);
	refused(431);
	assert_true(head.text.n <= H2_HEAD_MAX);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_get_becomes_a_request),
		T(a_body_without_a_length_is_of_unknown_length),
		T(a_length_is_read),
		T(host_stands_in_for_the_authority),
		T(no_authority_is_400),
		T(a_host_that_differs_is_400),
		T(two_hosts_are_400),
		T(a_user_in_the_authority_is_400),
		T(lengths_that_are_none_are_400),
		T(paths_that_are_none_are_400),
		T(options_has_the_star),
		T(a_long_path_is_414),
		T(a_method_is_a_token),
		T(a_tunnel_is_wanted_by_extended_connect),
		T(a_plain_connect_is_501),
		T(another_protocol_is_501),
		T(a_protocol_without_connect_is_400),
		T(expectations_are_100_continue_or_417),
		T(a_hundred_fields_are_the_most),
		T(a_list_over_32_kb_is_431_and_a_flood_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
