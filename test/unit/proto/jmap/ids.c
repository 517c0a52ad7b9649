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

/* A part of a part: one more level where the outer one is encoded. */
static void test_a_part_within_a_part(void **state)
{
	const struct blob_part plain = {1000, 500, 0, true};
	const struct blob_part coded = {1000, 500, 1, true}, whole = {0};
	const struct blob_span in = {10, 20, 2}, flat = {30, 40, 0};
	struct blob_part p, q;

	assert_true(part_within(&whole, &in, &p));
	assert_true(p.part && p.offset == 10 && p.length == 20 &&
		    p.encoding == 2 && p.in_n == 0);
	assert_true(part_within(&plain, &in, &p));
	assert_true(p.offset == 1010 && p.length == 20 && p.encoding == 2 &&
		    p.in_n == 0);
	assert_true(part_within(&coded, &flat, &p));
	assert_true(p.offset == 1000 && p.length == 500 && p.encoding == 1);
	assert_true(p.in_n == 1 && p.in[0].offset == 30 &&
		    p.in[0].length == 40 && p.in[0].encoding == 0);
	assert_true(part_within(&p, &in, &q));
	assert_true(q.in_n == 1 && q.in[0].offset == 40 &&
		    q.in[0].length == 20 && q.in[0].encoding == 2);
	for (unsigned n = 2; n < BLOB_CHAIN; n++) {
		assert_true(part_within(&q, &in, &p));
		assert_int_equal(p.in_n, n);
		q = p;
	}
	assert_false(part_within(&q, &in, &p));
}

static void test_a_chain_of_parts_comes_back(void **state)
{
	const uint64_t most = UINT64_MAX;
	struct blob_part p,
		q = {most, most, 3, true, BLOB_CHAIN - 1,
			{{most, most, 2}, {most, most, 1}, {most, most, 0}}};
	struct blob_id b = {{9}}, back;
	char z[BLOB_ID_MAX + 8];

	part_id_of(&b, &q, z);
	assert_true(strlen(z) < BLOB_ID_MAX && id_valid(str_of(z)));
	assert_true(blob_id_parse(str_of(z), &back, &p));
	assert_int_equal(p.in_n, BLOB_CHAIN - 1);
	for (unsigned i = 0; i < p.in_n; i++) {
		assert_int_equal(p.in[i].offset, most);
		assert_int_equal(p.in[i].encoding, 2 - i);
	}
	/* One that is too long, and one that leads on behind what is plain. */
	strcat(z, "_1_1_1");
	assert_false(blob_id_parse(str_of(z), &back, &p));
	q.in_n = 1;
	q.in[0].encoding = 0;
	part_id_of(&b, &q, z);
	assert_true(blob_id_parse(str_of(z), &back, &p));
	strcat(z, "_1_1_1");
	assert_false(blob_id_parse(str_of(z), &back, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blob_ids_come_back),
		cmocka_unit_test(test_every_cut_of_a_blob_id_is_none),
		cmocka_unit_test(test_a_part_within_a_part),
		cmocka_unit_test(test_a_chain_of_parts_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
