/*
 * Ids, states, blob ids: there and back, and nothing else back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/jmap/ids.h"

static void test_numbers_come_back(void **state)
{
	static const uint64_t numbers[] = {
		0, 1, 31, 32, 1023, 1024, 123456789, UINT64_MAX};

	for (size_t i = 0; i < countof(numbers); i++) {
		struct idz z = id_of('e', numbers[i]);
		uint64_t n = 77;

		assert_int_equal(z.n, strlen(z.z));
		assert_true(id_valid(str_n(z.z, z.n)));
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

static void test_blob_ids_come_back(void **state)
{
	struct blob_id b, back;
	struct blob_part p, q = {1234567890123, 42, 2, true};
	char z[BLOB_ID_MAX];

	for (int i = 0; i < SHA256_LEN; i++)
		b.sha[i] = (uint8_t)(i * 37 + 1);
	blob_id_of(&b, z);
	assert_true(id_valid(str_of(z)));
	assert_true(blob_id_parse(str_of(z), &back, &p));
	assert_false(p.part);
	assert_memory_equal(&b, &back, sizeof(b));
	part_id_of(&b, &q, z);
	assert_true(id_valid(str_of(z)));
	assert_true(blob_id_parse(str_of(z), &back, &p));
	assert_memory_equal(&b, &back, sizeof(b));
	assert_true(p.part && p.offset == q.offset && p.length == 42 &&
		    p.encoding == 2);
}

static void test_every_cut_of_a_blob_id_is_none(void **state)
{
	struct blob_id b = {{255, 1}}, back;
	struct blob_part p, q = {100, 7, 1, true};
	char z[BLOB_ID_MAX];

	part_id_of(&b, &q, z);
	for (size_t n = 0; n < strlen(z); n++)
		assert_false(blob_id_parse(str_n(z, n), &back, &p));
	blob_id_of(&b, z);
	for (size_t n = 0; n < strlen(z); n++)
		assert_false(blob_id_parse(str_n(z, n), &back, &p));
	/* The last digit has four bits that must be zero. */
	z[52] = '1';
	assert_false(blob_id_parse(str_of(z), &back, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_come_back),
		cmocka_unit_test(test_what_is_no_id),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_blob_ids_come_back),
		cmocka_unit_test(test_every_cut_of_a_blob_id_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
