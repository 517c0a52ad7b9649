/* A set of object numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/jmap/idset.h"

static void an_empty_one_has_nothing(void **state)
{
	struct idset s = {0};

	assert_false(idset_has(&s, 1));
	assert_false(idset_has(&s, 0));
	idset_fini(&s);
}

static void each_number_is_there_once(void **state)
{
	struct idset s = {0};

	for (uint64_t i = 1; i < 5000; i++) {
		assert_false(idset_has(&s, i * 64));
		assert_true(idset_add(&s, i * 64));
		assert_false(idset_add(&s, i * 64));
	}
	assert_int_equal(s.n, 4999);
	for (uint64_t i = 1; i < 5000; i++) {
		assert_true(idset_has(&s, i * 64));
		assert_false(idset_has(&s, i * 64 + 1));
	}
	assert_true(idset_add(&s, UINT64_MAX));
	assert_true(idset_has(&s, UINT64_MAX));
	idset_fini(&s);
	assert_false(idset_has(&s, 64));
}

static void nothing_is_no_number(void **state)
{
	struct idset s = {0};

	assert_false(idset_add(&s, 0));
	assert_true(idset_add(&s, 1));
	assert_false(idset_add(&s, 0));
	assert_false(idset_has(&s, 0));
	assert_int_equal(s.n, 1);
	idset_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_has_nothing),
		cmocka_unit_test(each_number_is_there_once),
		cmocka_unit_test(nothing_is_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
