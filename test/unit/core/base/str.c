/*
 * Pieces of bytes.
 */
#include "core/base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void eq_wants_length_and_bytes(void **state)
{
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abd")));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
}

static void ieq_folds_ascii_letters_only(void **state)
{
	assert_true(str_ieq(STR("Content-TYPE"), STR("content-type")));
	assert_false(str_ieq(STR("a"), STR("ab")));
	/* Neighbours of the letters, 0x20 apart. */
	assert_false(str_ieq(STR("@"), STR("`")));
	assert_false(str_ieq(STR("["), STR("{")));
	assert_false(str_ieq(STR("\xc3\x84"), STR("\xc3\xa4")));
}

static void starts_and_ends(void **state)
{
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(STR("abc"), STR("")));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_false(str_ends(STR("abc"), STR("ab")));
	assert_false(str_ends(STR_NONE, STR("a")));
	assert_true(str_ends(STR_NONE, STR_NONE));
}

static void cmp_is_bytewise_shorter_first(void **state)
{
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp(STR("ab"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
}

static void skip_takes_from_the_front(void **state)
{
	assert_true(str_eq(str_skip(STR("abc"), 1), STR("bc")));
	assert_true(str_eq(str_skip(STR("abc"), 3), STR("")));
	assert_int_equal(str_skip(STR_NONE, 0).n, 0);
}

static void trim_takes_spaces_and_tabs(void **state)
{
	assert_true(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
	assert_true(str_eq(str_trim(STR(" \t ")), STR("")));
	assert_true(str_eq(str_trim(STR("\na\r")), STR("\na\r")));
	assert_int_equal(str_trim(STR_NONE).n, 0);
}

static void cut_yields_empty_pieces_between(void **state)
{
	struct str s = STR("a,,b");
	struct str head;

	assert_true(str_cut(&s, ',', &head));
	assert_true(str_eq(head, STR("a")));
	assert_true(str_cut(&s, ',', &head));
	assert_true(str_eq(head, STR("")));
	assert_true(str_cut(&s, ',', &head));
	assert_true(str_eq(head, STR("b")));
	assert_false(str_cut(&s, ',', &head));
}

static void cut_of_nothing_gives_nothing(void **state)
{
	struct str s = STR("");
	struct str none = STR_NONE;
	struct str head;

	assert_false(str_cut(&s, ',', &head));
	assert_false(str_cut(&none, ',', &head));
}

static void cut_ends_with_a_trailing_separator(void **state)
{
	struct str s = STR("a,");
	struct str head;

	assert_true(str_cut(&s, ',', &head));
	assert_true(str_eq(head, STR("a")));
	assert_false(str_cut(&s, ',', &head));
}

static void find_yields_the_length_when_absent(void **state)
{
	assert_int_equal(str_find(STR("abc"), 'c'), 2);
	assert_int_equal(str_find(STR("abc"), 'x'), 3);
	assert_int_equal(str_find(STR_NONE, 'x'), 0);
	assert_int_equal(str_find(STR("a\0b"), '\0'), 1);
}

static void u64_reads_the_whole_range(void **state)
{
	uint64_t v;

	assert_true(str_u64(STR("0"), &v));
	assert_int_equal(v, 0);
	assert_true(str_u64(STR("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(str_u64(STR("007"), &v));
	assert_int_equal(v, 7);
}

static void u64_refuses_and_leaves_the_value(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1a",
		"0x1", "18446744073709551616", "99999999999999999999",
		"184467440737095516150"};
	uint64_t v = 42;

	for (size_t i = 0; i < countof(bad); i++) {
		assert_false(str_u64(str_of(bad[i]), &v));
		assert_int_equal(v, 42);
	}
}

static void dup_ends_in_nul(void **state)
{
	char *z cleanup(free) = str_dup(str_n("abcdef", 3));
	char *none cleanup(free) = str_dup(STR_NONE);

	assert_string_equal(z, "abc");
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eq_wants_length_and_bytes),
		cmocka_unit_test(ieq_folds_ascii_letters_only),
		cmocka_unit_test(starts_and_ends),
		cmocka_unit_test(cmp_is_bytewise_shorter_first),
		cmocka_unit_test(skip_takes_from_the_front),
		cmocka_unit_test(trim_takes_spaces_and_tabs),
		cmocka_unit_test(cut_yields_empty_pieces_between),
		cmocka_unit_test(cut_of_nothing_gives_nothing),
		cmocka_unit_test(cut_ends_with_a_trailing_separator),
		cmocka_unit_test(find_yields_the_length_when_absent),
		cmocka_unit_test(u64_reads_the_whole_range),
		cmocka_unit_test(u64_refuses_and_leaves_the_value),
		cmocka_unit_test(dup_ends_in_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
