/*
 * Paths and parameters of MAIL and RCPT.
 */
#include "proto/lmtp/path.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_addresses(void **state)
{
	static const struct {
		const char *in, *address, *rest;
	} rows[] = {
		{"<a@b.example>", "a@b.example", ""},
		{" <a@b.example> SIZE=1", "a@b.example", " SIZE=1"},
		{"<>", "", ""},
		{"<\"a > b\"@c.example>", "\"a > b\"@c.example", ""},
		{"<\"a\\\"> b\"@c.example>", "\"a\\\"> b\"@c.example", ""},
		{"<@x.example,@y.example:a@b.example>", "a@b.example", ""},
		{"<j\xc3\xbcrgen@b.example>", "j\xc3\xbcrgen@b.example", ""},
	};
	for (size_t i = 0; i < countof(rows); i++) {
		struct str rest = str_of(rows[i].in), address;
		assert_true(path_cut(&rest, &address));
		assert_true(str_eq(address, str_of(rows[i].address)));
		assert_true(str_eq(rest, str_of(rows[i].rest)));
	}
}

static void test_what_is_no_path(void **state)
{
	static const char *const bad[] = {"", "a@b", "<a@b", "<\"a@b>",
		"<@x.example>", "<a\tb@c>", "<a\x7f@c>", "x<a@b>"};
	char big[400] = "<";
	struct str rest, address;
	for (size_t i = 0; i < countof(bad); i++) {
		rest = str_of(bad[i]);
		assert_false(path_cut(&rest, &address));
	}
	memset(big + 1, 'a', sizeof(big) - 2);
	big[sizeof(big) - 1] = '>';
	rest = str_n(big, sizeof(big));
	assert_false(path_cut(&rest, &address));
}

static void test_parameters(void **state)
{
	struct str rest = STR(" SIZE=12  SMTPUTF8 BODY=8BITMIME "), k, v;
	bool bad;
	assert_true(param_cut(&rest, &k, &v, &bad));
	assert_true(str_eq(k, STR("SIZE")) && str_eq(v, STR("12")));
	assert_true(param_cut(&rest, &k, &v, &bad));
	assert_true(str_eq(k, STR("SMTPUTF8")) && !v.p);
	assert_true(param_cut(&rest, &k, &v, &bad));
	assert_true(str_eq(k, STR("BODY")) && str_eq(v, STR("8BITMIME")));
	assert_false(param_cut(&rest, &k, &v, &bad));
	assert_false(bad);
	rest = STR("SIZE=1");
	assert_false(param_cut(&rest, &k, &v, &bad));
	assert_true(bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_what_is_no_path),
		cmocka_unit_test(test_parameters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
