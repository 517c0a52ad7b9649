/*
 * Ids, states, blob ids: there and back, and nothing else back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/jmap/ids.h"

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
		cmocka_unit_test(test_blob_ids_come_back),
		cmocka_unit_test(test_every_cut_of_a_blob_id_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
