/*
 * pushState as text: what goes in comes out, and nothing else is believed.
 */
#include "proto/push/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/push/push.h"

static void test_token_of_two_accounts_is_found_by_each(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	uint32_t g;
	uint64_t m;
	token_add(&b, 1, 0xdeadbeef, 7);
	token_add(&b, 31 * 32 + 5, 1, UINT64_MAX);
	assert_string_equal(
		buf_z(&b), "u1:deadbeef-7,uv5:1-18446744073709551615");
	assert_true(token_find(buf_str(&b), 1, &g, &m));
	assert_int_equal(g, 0xdeadbeef);
	assert_int_equal(m, 7);
	assert_true(token_find(buf_str(&b), 31 * 32 + 5, &g, &m));
	assert_true(m == UINT64_MAX);
	assert_false(token_find(buf_str(&b), 2, &g, &m));
}

static void test_broken_tokens_are_not_believed(void **state)
{
	static const char *const broken[] = {"", "u1", "u1:", "u1:7",
		"u1:deadbeef7", "u1:deadbeeg-7", "u1:deadbeef-",
		"u1:deadbeef--7", "u1:deadbeef-18446744073709551616",
		"x1:deadbeef-7", "u01:deadbeef-7", "u:deadbeef-7",
		"u1w:deadbeef-7", "u1:DEADBEEF-7", "u1:0deadbeef-7",
		"u1:deadbeef-7x"};
	uint32_t g;
	uint64_t m;
	for (size_t i = 0; i < countof(broken); i++)
		assert_false(token_find(str_of(broken[i]), 1, &g, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_of_two_accounts_is_found_by_each),
		cmocka_unit_test(test_broken_tokens_are_not_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
