/*
 * The properties of a WebSocketPushEnable.
 */
#include "proto/front/push_enable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/types.h"
#include "proto/jmap/scan.h"

/* As on_text() comes to it: the text has been scanned. */
static bool read_wish(const char *text, struct arena *a, struct push_wish *r)
{
	struct scan scan;

	scan_json(str_of(text), a, &scan);
	assert_true(scan.valid && scan.object);
	return push_wish_read(str_of(text), a, r);
}

static unsigned types_of(const char *text)
{
	struct arena a cleanup(arena_fini) = {0};
	struct push_wish r;

	assert_true(read_wish(text, &a, &r));
	return r.types;
}

static void null_absent_and_empty_mean_all_types(void **state)
{
	assert_int_equal(types_of("{}"), TYPE_ALL);
	assert_int_equal(types_of(" {\"dataTypes\":null}"), TYPE_ALL);
	assert_int_equal(types_of("{\"dataTypes\" : [ ] }"), TYPE_ALL);
}

static void names_are_types_and_unknown_ones_are_ignored(void **state)
{
	assert_int_equal(
		types_of("{\"dataTypes\":[\"Email\"]}"), TYPE_BIT(TYPE_EMAIL));
	assert_int_equal(types_of("{\"dataTypes\":[\"Mailbox\", "
				  "\"X\",\"Thread\",\"X\"]}"),
		TYPE_BIT(TYPE_MAILBOX) | TYPE_BIT(TYPE_THREAD));
	assert_int_equal(types_of("{\"dataTypes\":[\"email\",\"\"]}"), 0);
}

static void escapes_in_names_and_values_are_read(void **state)
{
	assert_int_equal(types_of("{\"data\\u0054ypes\":[\"\\u0045mail\"]}"),
		TYPE_BIT(TYPE_EMAIL));
}

static void what_stands_deeper_or_behind_strings_is_not_it(void **state)
{
	assert_int_equal(
		types_of("{\"x\":{\"dataTypes\":1,\"pushState\":[]},"
			 "\"y\":\"\\\"dataTypes\\\":7,\",\"z\":[[],{}]}"),
		TYPE_ALL);
}

static void the_push_state_is_a_string_or_null(void **state)
{
	static const struct {
		const char *text, *token;
	} t[] = {
		{"{}", ""},
		{"{\"pushState\":null}", ""},
		{"{\"pushState\":\"\"}", ""},
		{"{\"pushState\":\"abc\",\"dataTypes\":null}", "abc"},
		{"{\"pushState\":\"a\\/\\u00e9\"}", "a/\xc3\xa9"},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct arena a cleanup(arena_fini) = {0};
		struct push_wish r;

		assert_true(read_wish(t[i].text, &a, &r));
		assert_true(str_eq(r.token, str_of(t[i].token)));
	}
}

static void a_wrong_type_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"dataTypes\":\"Email\"}",
		"{\"dataTypes\":{}}",
		"{\"dataTypes\":true}",
		"{\"dataTypes\":0}",
		"{\"dataTypes\":[\"Email\",1]}",
		"{\"dataTypes\":[null]}",
		"{\"dataTypes\":[[\"Email\"]]}",
		"{\"pushState\":1}",
		"{\"pushState\":false}",
		"{\"pushState\":[\"a\"]}",
		"{\"pushState\":{}}",
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct arena a cleanup(arena_fini) = {0};
		struct push_wish r;

		assert_false(read_wish(bad[i], &a, &r));
	}
}

static unsigned types_of_list(const char *list)
{
	unsigned types = 0;

	assert_true(push_types_read(str_of(list), &types));
	return types;
}

static void a_list_names_types_and_a_star_is_all(void **state)
{
	unsigned types;

	assert_int_equal(types_of_list("*"), TYPE_ALL);
	assert_int_equal(types_of_list("Email"), TYPE_BIT(TYPE_EMAIL));
	assert_int_equal(types_of_list("X,Mailbox, Thread,,email"),
		TYPE_BIT(TYPE_MAILBOX) | TYPE_BIT(TYPE_THREAD));
	assert_int_equal(types_of_list("CalendarEvent"), 0);
	assert_int_equal(types_of_list(","), 0);
	assert_false(push_types_read(STR_NONE, &types));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_absent_and_empty_mean_all_types),
		cmocka_unit_test(names_are_types_and_unknown_ones_are_ignored),
		cmocka_unit_test(escapes_in_names_and_values_are_read),
		cmocka_unit_test(
			what_stands_deeper_or_behind_strings_is_not_it),
		cmocka_unit_test(the_push_state_is_a_string_or_null),
		cmocka_unit_test(a_wrong_type_is_refused),
		cmocka_unit_test(a_list_names_types_and_a_star_is_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
