/*
 * Text bodies: charsets, line ends, cuts.
 */
#include "test/unit/core/mime/fixture.h"

#include "core/base/utf8.h"

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

static struct mime_text text_of(struct str body, enum mime_encoding enc,
	const char *type, const char *charset, size_t max)
{
	struct str copy = exact(body);
	struct mime_text t = mime_text_at(copy, 0, copy.n, enc, str_of(type),
		charset ? str_of(charset) : STR_NONE, max, &arena);

	assert_true(utf8_valid(t.text));
	t.text = arena_str(&arena, t.text);
	free((void *)(uintptr_t)copy.p);
	return t;
}

static void assert_charset(
	struct str body, const char *charset, const char *want, bool problem)
{
	struct mime_text t =
		text_of(body, MIME_IDENTITY, "text/plain", charset, 0);

	assert_str(t.text, want);
	assert_int_equal(t.encoding_problem, problem);
	assert_false(t.truncated);
}

#define AE "\xc3\xa4"
#define BAD "\xef\xbf\xbd"

static void test_charsets(void **state)
{
	assert_charset(STR("a" AE), "UTF-8", "a" AE, false);
	assert_charset(
		STR("a\xe4\x80"), "ISO-8859-1", "a" AE "\xe2\x82\xac", false);
	assert_charset(
		STR("\xe4\xa4"), "iso-8859-15", AE "\xe2\x82\xac", false);
	assert_charset(
		STR("\xcf\xf0"), "windows-1251", "\xd0\x9f\xd1\x80", false);
	assert_charset(STR("\xd0\xd2"), "koi8-r", "\xd0\xbf\xd1\x80", false);
	assert_charset(
		STR("\x1b$BF|\x1b(B!"), "iso-2022-jp", "\xe6\x97\xa5!", false);
	assert_charset(STR("\xc4\xe3"), "gb2312", "\xe4\xbd\xa0", false);
	assert_charset(STR("a\0b\0"), "utf-16le", "ab", false);
	assert_charset(STR("\x87\x40"), "Shift_JIS", "\xe2\x91\xa0", false);
	assert_charset(STR("\xa7\x41"), "big5", "\xe4\xbd\xa0", false);
	assert_charset(
		STR("\xc7\xd1"), "ks_c_5601-1987", "\xed\x95\x9c", false);
	assert_charset(STR("plain"), "us-ascii", "plain", false);
	assert_charset(STR(""), "utf-8", "", false);
}

/* Each of the table has a converter here, and all of them read ASCII. */
static void test_every_charset_of_the_table_is_there(void **state)
{
	static const char *const names[] = {
#define CHARSET(name, iconv) name,
#include "core/mime/charset.def"
#undef CHARSET
	};

	for (size_t i = 0; i < countof(names); i++) {
		assert_true(mime_charset_known(str_of(names[i])));
		if (!strstr(names[i], "utf-16") && !strstr(names[i], "utf-32"))
			assert_charset(STR("Abc 1"), names[i], "Abc 1", false);
	}
}

static void test_utf8_sent_as_ascii_is_no_problem(void **state)
{
	assert_charset(STR("a" AE), "us-ascii", "a" AE, false);
	assert_charset(STR("a" AE), NULL, "a" AE, false);
}

static void test_other_8_bit_sent_as_ascii_is_a_guess(void **state)
{
	assert_charset(STR("a\xe4"), "us-ascii", "a" AE, true);
}

static void test_malformed_text_shows_replacements(void **state)
{
	assert_charset(STR("a\xff"
			   "b\xc3"),
		"utf-8", "a" BAD "b" BAD, true);
	assert_charset(STR("a" BAD), "utf-8", "a" BAD, false);
	assert_charset(STR("\x81"), "windows-1252", BAD, true);
	assert_charset(STR("\xc4\xe3\xff"
			   "a"),
		"gb2312", "\xe4\xbd\xa0" BAD "a", true);
	assert_charset(STR("\xc4"), "gb2312", BAD, true);
}

static void test_unknown_charset_is_a_problem(void **state)
{
	assert_charset(STR("a" AE), "x-none", "a" AE, true);
	assert_charset(STR("a\xe4"), "x-unknown", "a" AE, true);
	assert_charset(STR("a\xe4"), "utf-8//IGNORE", "a" AE, true);
	assert_charset(STR("abcd"), "INTERNAL", "abcd", true);
	assert_charset(STR("a"), "a\"b", "a", true);
}

static void test_many_malformed_bytes(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_text t;

	memset(buf_room(&b, 300000), 0xff, 300000);
	b.n = 300000;
	t = text_of(buf_str(&b), MIME_IDENTITY, "text/plain", "euc-jp", 0);
	assert_int_equal(t.text.n, 3 * b.n);
	t = text_of(buf_str(&b), MIME_IDENTITY, "text/plain", "utf-8", 0);
	assert_int_equal(t.text.n, 3 * b.n);
}

static void test_crlf_is_lf(void **state)
{
	assert_charset(STR("a\r\nb\rc\nd\r\r\ne\r"), "utf-8",
		"a\nb\rc\nd\r\ne\r", false);
}

static void test_encodings_are_undone(void **state)
{
	struct mime_text t = text_of(
		STR("a=C3=A4=\r\nb\r\n"), MIME_QP, "text/plain", "utf-8", 0);

	assert_str(t.text, "a" AE "b\n");
	t = text_of(STR("YQ0KYg=="), MIME_BASE64, "text/plain", "utf-8", 0);
	assert_str(t.text, "a\nb");
}

static void test_unknown_encoding_is_a_problem(void **state)
{
	struct mime_message *m = mime_parse(
		STR("Content-Transfer-Encoding: x-none\n\na=3D"), &arena);
	struct mime_text t = mime_body_text(m->raw, m->root, 0, &arena);

	assert_str(t.text, "a=3D");
	assert_true(t.encoding_problem);
}

static void assert_cut(
	const char *type, const char *body, size_t max, const char *want)
{
	struct mime_text t =
		text_of(str_of(body), MIME_IDENTITY, type, "utf-8", max);

	assert_str(t.text, want);
	assert_true(t.truncated);
}

static void test_cut_falls_between_characters(void **state)
{
	assert_cut("text/plain", "abcd", 2, "ab");
	assert_cut("text/plain", "a" AE "b", 2, "a");
	assert_cut("text/plain", "\xf0\x9f\x98\x80", 3, "");
	assert_cut("text/plain", "a\r\nb", 2, "a\n");
}

static void test_text_that_fits_is_whole(void **state)
{
	struct mime_text t =
		text_of(STR("a\r\nb"), MIME_IDENTITY, "text/plain", "utf-8", 3);

	assert_str(t.text, "a\nb");
	assert_false(t.truncated);
}

static void test_cut_is_not_inside_a_tag(void **state)
{
	const char *html = "a<b>c</b>d<!-- > -->e<i x=\">\">f 1 < 2";

	assert_cut("text/html", html, 3, "a");
	assert_cut("text/html", html, 4, "a<b>");
	assert_cut("text/html", html, 7, "a<b>c");
	assert_cut("text/html", html, 17, "a<b>c</b>d");
	assert_cut("text/html", html, 28, "a<b>c</b>d<!-- > -->e");
	assert_cut("text/html", html, strlen(html) - 1,
		"a<b>c</b>d<!-- > -->e<i x=\">\">f 1 < ");
	assert_cut("text/plain", html, 3, "a<b");
}

static void test_every_cut_is_short_enough_and_valid(void **state)
{
	struct str s =
		STR("<p a='" AE "'>\r\n" AE "\xf0\x9f\x98\x80<br/>x</p>");

	for (size_t max = 1; max < s.n; max++) {
		struct mime_text t =
			text_of(s, MIME_IDENTITY, "text/html", "utf-8", max);

		assert_true(t.text.n <= max);
		assert_true(t.truncated || t.text.n == s.n - 1);
	}
}

static void test_numbers_beyond_the_message_are_cut(void **state)
{
	struct mime_text t = mime_text_at(STR("abc"), 1, 100, MIME_IDENTITY,
		STR("text/plain"), STR_NONE, 0, &arena);

	assert_str(t.text, "bc");
	t = mime_text_at(STR("abc"), 9, SIZE_MAX, MIME_IDENTITY,
		STR("text/plain"), STR_NONE, 0, &arena);
	assert_str(t.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_every_charset_of_the_table_is_there),
		cmocka_unit_test(test_utf8_sent_as_ascii_is_no_problem),
		cmocka_unit_test(test_other_8_bit_sent_as_ascii_is_a_guess),
		cmocka_unit_test(test_malformed_text_shows_replacements),
		cmocka_unit_test(test_unknown_charset_is_a_problem),
		cmocka_unit_test(test_many_malformed_bytes),
		cmocka_unit_test(test_crlf_is_lf),
		cmocka_unit_test(test_encodings_are_undone),
		cmocka_unit_test(test_unknown_encoding_is_a_problem),
		cmocka_unit_test(test_cut_falls_between_characters),
		cmocka_unit_test(test_text_that_fits_is_whole),
		cmocka_unit_test(test_cut_is_not_inside_a_tag),
		cmocka_unit_test(test_every_cut_is_short_enough_and_valid),
		cmocka_unit_test(test_numbers_beyond_the_message_are_cut),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
