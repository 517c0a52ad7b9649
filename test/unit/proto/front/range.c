/* Ranges and conditions of a GET (RFC 9110 13, 14). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/front/range.h"

#define TAG STR("\"tag\"")
#define MAX UINT64_MAX

static struct call_range ask(
	const char *method, const char *range, const char *if_range)
{
	struct http_header h[2] = {{STR("range"), str_of(range)},
		{STR("if-range"), str_of(if_range)}};
	struct http_request r = {
		.method = str_of(method),
		.headers = h,
		.headers_n = if_range ? 2 : 1,
	};

	return range_of(&r, TAG);
}

static void one_range_is_read(void **state)
{
	static const struct {
		const char *value;
		uint64_t first, last;
	} t[] = {
		{"bytes=0-0", 0, 0},
		{"bytes=5-", 5, MAX},
		{"bytes=5-9", 5, 9},
		{"bytes=-7", MAX, 7},
		{"bytes=-0", MAX, 0},
		{"BYTES=1-2", 1, 2},
		{"bytes= 1-2 ", 1, 2},
		{"bytes=18446744073709551614-18446744073709551615", MAX - 1,
			MAX},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct call_range r = ask("GET", t[i].value, NULL);

		assert_true(r.given);
		assert_true(r.first == t[i].first && r.last == t[i].last);
	}
}

static void what_is_none_is_not_given(void **state)
{
	static const char *const t[] = {"", "bytes", "bytes=", "bytes=-",
		"bytes=1", "bytes=2-1", "bytes=a-b", "bytes=1-2,3-4",
		"bytes=1-2,", "items=1-2", "bytes=+1-2", "bytes=1--2",
		"bytes=18446744073709551615-", "bytes=1-18446744073709551616"};

	for (size_t i = 0; i < countof(t); i++)
		assert_false(ask("GET", t[i], NULL).given);
	assert_false(ask("HEAD", "bytes=1-2", NULL).given);
}

static void two_fields_are_none(void **state)
{
	struct http_header h[2] = {{STR("Range"), STR("bytes=1-2")},
		{STR("range"), STR("bytes=1-2")}};
	struct http_request r = {
		.method = STR("GET"), .headers = h, .headers_n = 2};

	assert_false(range_of(&r, TAG).given);
}

/* RFC 9110 13.1.5: a strong comparison. */
static void if_range_must_name_the_very_bytes(void **state)
{
	assert_true(ask("GET", "bytes=1-2", "\"tag\"").given);
	assert_false(ask("GET", "bytes=1-2", "\"other\"").given);
	assert_false(ask("GET", "bytes=1-2", "W/\"tag\"").given);
	assert_false(ask("GET", "bytes=1-2", "tag").given);
}

static bool matches(const char *value)
{
	struct http_header h = {STR("if-none-match"), str_of(value)};
	struct http_request r = {.headers = &h, .headers_n = 1};

	return range_matches(&r, TAG);
}

static void if_none_match(void **state)
{
	struct http_request none = {0};

	assert_true(matches("\"tag\""));
	assert_true(matches("W/\"tag\""));
	assert_true(matches("\"a\", \"tag\""));
	assert_true(matches(" , W/\"tag\","));
	assert_true(matches("*"));
	assert_false(matches("\"other\""));
	assert_false(matches("tag"));
	assert_false(matches(""));
	assert_false(range_matches(&none, TAG));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_range_is_read),
		cmocka_unit_test(what_is_none_is_not_given),
		cmocka_unit_test(two_fields_are_none),
		cmocka_unit_test(if_range_must_name_the_very_bytes),
		cmocka_unit_test(if_none_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
