/* i;unicode-casemap (RFC 5051). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/mime/collate.h"

static void same(const char *text, const char *want)
{
	struct buf out cleanup(buf_fini) = {0};

	mime_casemap(str_of(text), &out);
	assert_int_equal(out.n, strlen(want));
	if (out.n)
		assert_memory_equal(out.p, want, out.n);
}

static void ascii_is_upper_case(void **state)
{
	same("", "");
	same("azAZ09 @[`{~", "AZAZ09 @[`{~");
}

static void letters_are_title_case_and_decomposed(void **state)
{
	same("\xc3\xa4", "A\xcc\x88");
	same("\xc3\x84", "A\xcc\x88");
	same("\xd0\xb6", "\xd0\x96");
	/* RFC 5051 2, its example: U+01C4 is D, z, caron. */
	same("\xc7\x84", "Dz\xcc\x8c");
	same("\xc7\x86", "Dz\xcc\x8c");
	/* of compatibility: the ligature fi, a wide A */
	same("\xef\xac\x81", "fi");
	same("\xef\xbc\xa1", "A");
}

static void what_is_no_text_is_taken_too(void **state)
{
	same("a\xff"
	     "b",
		"A\xef\xbf\xbd"
		"B");
	same("\xc3", "\xef\xbf\xbd");
}

static void a_text_adds_to_what_is_there(void **state)
{
	struct buf out cleanup(buf_fini) = {0};

	mime_casemap(STR("a"), &out);
	mime_casemap(STR("b"), &out);
	assert_int_equal(out.n, 2);
	assert_memory_equal(out.p, "AB", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ascii_is_upper_case),
		cmocka_unit_test(letters_are_title_case_and_decomposed),
		cmocka_unit_test(what_is_no_text_is_taken_too),
		cmocka_unit_test(a_text_adds_to_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
