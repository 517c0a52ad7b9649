/*
 * Ids and states: there and back, and nothing else back.
 */
#include "core/base/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_numbers_come_back(void **state)
{
	static const uint64_t numbers[] = {
		0, 1, 31, 32, 1023, 1024, 123456789, UINT64_MAX};

	for (size_t i = 0; i < countof(numbers); i++) {
		struct idz z = id_of('e', numbers[i]);
		uint64_t n = 77;

		assert_int_equal(z.n, strlen(z.z));
		assert_true(id_parse('e', str_n(z.z, z.n), &n));
		assert_true(n == numbers[i]);
		assert_false(id_parse('m', str_n(z.z, z.n), &n));
	}
	assert_string_equal(id_of('u', 32).z, "u10");
	assert_string_equal(id_of('u', 31).z, "uv");
}

static void test_what_is_no_id(void **state)
{
	static const char *const texts[] = {"", "e", "e01", "ew", "eA", "e-1",
		"e 1", "1", "eg000000000000", "e00000000000000", "e1\n"};
	uint64_t n;

	for (size_t i = 0; i < countof(texts); i++)
		assert_false(id_parse('e', str_of(texts[i]), &n));
}

static void test_states(void **state)
{
	static const char *const bad[] = {"", "-", "1-", "-1", "1", "g-1",
		"1-1x", "123456789-1", "A-1", "1--1", "1-18446744073709551616"};
	uint32_t g;
	uint64_t m;

	assert_string_equal(state_of(0xbeef, 12).z, "beef-12");
	assert_true(state_parse(STR("beef-12"), &g, &m));
	assert_true(g == 0xbeef && m == 12);
	assert_true(state_parse(
		str_of(state_of(UINT32_MAX, UINT64_MAX).z), &g, &m));
	assert_true(g == UINT32_MAX && m == UINT64_MAX);
	for (size_t i = 0; i < countof(bad); i++)
		assert_false(state_parse(str_of(bad[i]), &g, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_come_back),
		cmocka_unit_test(test_what_is_no_id),
		cmocka_unit_test(test_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
