/*
 * Header text: unfolding, 8 bit bytes, encoded words where they may stand.
 */
#include "test/unit/core/mime/fixture.h"

static struct arena arena;

static int setup(void **state)
{
	mime_setup();
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void assert_clean(struct str in, const char *want)
{
	struct str copy = exact(in);

	assert_str(mime_clean(copy, &arena), want);
	free((void *)(uintptr_t)copy.p);
}

static void assert_words(const char *in, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str copy = exact(str_of(in));

	mime_words(copy, &b);
	assert_str(buf_str(&b), want);
	free((void *)(uintptr_t)copy.p);
}

static void test_folds_vanish_and_blanks_stay(void **state)
{
	assert_clean(STR("a\r\n b\r\n\tc\n d"), "a b\tc d");
	assert_clean(STR("a\r\n\r\n b"), "a b");
}

static void test_break_without_blank_is_a_space(void **state)
{
	assert_clean(STR("a\rb\nc\r\nd"), "a b c d");
}

static void test_nul_is_dropped(void **state)
{
	assert_clean(STR("a\0b\0"), "ab");
}

static void test_8_bit_is_utf8_when_it_can_be(void **state)
{
	assert_clean(STR("h\xc3\xa9llo"), "h\xc3\xa9llo");
	assert_clean(STR("h\xe9llo \x80"), "h\xc3\xa9llo \xe2\x82\xac");
}

static void test_encoded_words(void **state)
{
	assert_words("=?utf-8?Q?J=C3=B6rg_x?=", "J\xc3\xb6rg x");
	assert_words("=?UTF-8?b?SsO2cmc=?=", "J\xc3\xb6rg");
	assert_words("=?iso-8859-1?q?J=F6rg_?= x", "J\xc3\xb6rg  x");
	assert_words("a =?utf-8?Q?b?= c", "a b c");
	assert_words("=?us-ascii*en?Q?lang?=", "lang");
	assert_words("=?utf-8?Q?"
		     "?=",
		"");
}

static void test_charsets_of_cjk(void **state)
{
	assert_words("=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
	assert_words("=?GB2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd");
	assert_words("=?EUC-KR?Q?=C7=D1=B1=DB?=", "\xed\x95\x9c\xea\xb8\x80");
}

static void test_blanks_between_two_words_vanish(void **state)
{
	assert_words("=?utf-8?Q?a?= \t =?iso-8859-1?Q?b?= c", "ab c");
	assert_words("=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b");
}

static void test_character_cut_between_two_words(void **state)
{
	assert_words("=?utf-8?Q?=C3?= =?UTF-8?Q?=A4?=", "\xc3\xa4");
	assert_words("=?utf-8?B?ww==?= =?utf-8?B?pA==?=", "\xc3\xa4");
}

static void test_word_in_the_wrong_place_is_text(void **state)
{
	assert_words("a=?utf-8?Q?b?=", "a=?utf-8?Q?b?=");
	assert_words("=?utf-8?Q?b?=c", "=?utf-8?Q?b?=c");
	assert_words("=?utf-8?Q?a b?=", "=?utf-8?Q?a b?=");
	assert_words(
		"=?utf-8?Q?a?==?utf-8?Q?b?=", "=?utf-8?Q?a?==?utf-8?Q?b?=");
}

static void test_broken_words_are_text(void **state)
{
	static const char *const texts[] = {"=?utf-8?Q?", "=?utf-8?Q?=",
		"=?utf-8?X?a?=", "=??Q?a?=", "=?utf-8??a?=", "=?utf-8?Q?a",
		"=?utf-8?Q?a?b?=", "=?=?=?=?=",
		"=?"
		"?"
		"?"
		"?=",
		"=?x?="};

	for (size_t i = 0; i < countof(texts); i++)
		assert_words(texts[i], texts[i]);
}

static void test_unknown_charset_is_text(void **state)
{
	assert_words("=?x-none?Q?a?= =?utf-8?Q?b?=", "=?x-none?Q?a?= b");
	assert_words("=?utf-16//TRANSLIT?Q?a?=", "=?utf-16//TRANSLIT?Q?a?=");
	assert_words("=?internal?Q?abcd?=", "=?internal?Q?abcd?=");
}

static void test_encoded_controls_are_dropped(void **state)
{
	assert_words("=?utf-8?Q?a=00=0D=0A=09=7F=C2=85b?=", "ab");
}

static void test_malformed_bytes_become_the_replacement(void **state)
{
	assert_words("=?utf-8?Q?a=FFb?=", "a\xef\xbf\xbd"
					  "b");
	assert_words("=?utf-8?Q?a=F?=", "a=F");
}

/* Each "=?" is looked at once: a hundred thousand take no longer each. */
static void test_many_broken_words(void **state)
{
	struct buf in cleanup(buf_fini) = {0};
	struct buf out cleanup(buf_fini) = {0};

	for (int i = 0; i < 200000; i++)
		buf_addz(&in, "=?a?");
	mime_words(buf_str(&in), &out);
	assert_int_equal(out.n, in.n);
}

static void test_comments(void **state)
{
	assert_int_equal(mime_comment_end(STR("(a(b)c)d"), 0), 6);
	assert_int_equal(mime_comment_end(STR("(a\\)b)"), 0), 5);
	assert_int_equal(mime_comment_end(STR("(a(b)"), 0), 5);
	assert_int_equal(mime_comment_end(STR("(\\"), 0), 2);
	assert_int_equal(mime_skip_cfws(STR(" \t(x) (y)z"), 0), 9);
	assert_int_equal(mime_skip_cfws(STR(" (x"), 0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folds_vanish_and_blanks_stay),
		cmocka_unit_test(test_break_without_blank_is_a_space),
		cmocka_unit_test(test_nul_is_dropped),
		cmocka_unit_test(test_8_bit_is_utf8_when_it_can_be),
		cmocka_unit_test(test_encoded_words),
		cmocka_unit_test(test_charsets_of_cjk),
		cmocka_unit_test(test_blanks_between_two_words_vanish),
		cmocka_unit_test(test_character_cut_between_two_words),
		cmocka_unit_test(test_word_in_the_wrong_place_is_text),
		cmocka_unit_test(test_broken_words_are_text),
		cmocka_unit_test(test_unknown_charset_is_text),
		cmocka_unit_test(test_encoded_controls_are_dropped),
		cmocka_unit_test(test_malformed_bytes_become_the_replacement),
		cmocka_unit_test(test_many_broken_words),
		cmocka_unit_test(test_comments),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
