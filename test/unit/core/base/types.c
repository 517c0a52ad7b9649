/*
 * Data type names.
 */
#include "core/base/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_name_leads_back(void **state)
{
	for (unsigned t = 0; t < TYPES; t++) {
		const char *name = type_name((enum type)t);

		assert_true(name && *name);
		assert_int_equal(type_by_name(str_of(name)), t);
	}
}

static void names_are_those_of_jmap(void **state)
{
	assert_string_equal(type_name(TYPE_EMAIL), "Email");
	assert_int_equal(
		type_by_name(STR("EmailDelivery")), TYPE_EMAIL_DELIVERY);
}

static void unknown_names_have_no_type(void **state)
{
	assert_int_equal(type_by_name(STR("email")), TYPES);
	assert_int_equal(type_by_name(STR("Emai")), TYPES);
	assert_int_equal(type_by_name(STR("")), TYPES);
}

static void all_has_a_bit_for_each(void **state)
{
	unsigned all = 0;

	for (unsigned t = 0; t < TYPES; t++)
		all |= TYPE_BIT(t);
	assert_int_equal(all, TYPE_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_leads_back),
		cmocka_unit_test(names_are_those_of_jmap),
		cmocka_unit_test(unknown_names_have_no_type),
		cmocka_unit_test(all_has_a_bit_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
