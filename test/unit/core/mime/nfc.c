/*
 * Names in Normalization Form C.
 */
#include "test/unit/core/mime/fixture.h"

static struct arena arena;

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static struct str nfc(struct str in)
{
	struct str copy = exact(in);
	struct str out = arena_str(&arena, mime_nfc(copy, &arena));

	free((void *)(uintptr_t)copy.p);
	return out;
}

static void test_letters_and_accents_are_composed(void **state)
{
	assert_str(nfc(STR("Mu\xcc\x88ll")), "M\xc3\xbcll");
	assert_str(nfc(STR("\xe2\x84\xab")), "\xc3\x85");
	assert_str(nfc(STR("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab")),
		"\xed\x95\x9c");
}

static void test_what_is_composed_stays(void **state)
{
	assert_str(nfc(STR("M\xc3\xbcll")), "M\xc3\xbcll");
	assert_str(nfc(STR("plain")), "plain");
	assert_str(nfc(STR("")), "");
	/* Compatibility is none of its business. */
	assert_str(nfc(STR("\xef\xac\x81")), "\xef\xac\x81");
}

static void test_what_is_no_text_comes_back(void **state)
{
	static const struct str bad[] = {
		{"a\0u\xcc\x88", 5}, {"\xff", 1}, {"u\xcc", 2}};

	for (size_t i = 0; i < countof(bad); i++)
		assert_true(str_eq(nfc(bad[i]), bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letters_and_accents_are_composed),
		cmocka_unit_test(test_what_is_composed_stays),
		cmocka_unit_test(test_what_is_no_text_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
