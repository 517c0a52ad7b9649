/*
 * Parsed forms of a field: text, message ids, URLs, raw.
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

static void assert_text(struct str in, const char *want)
{
	assert_str(mime_as_text(in, &arena), want);
}

static void assert_list(
	size_t (*fn)(struct str, struct arena *, const struct str **),
	const char *in, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str copy = exact(str_of(in));
	const struct str *list;
	size_t n = fn(copy, &arena, &list);

	for (size_t i = 0; i < n; i++) {
		buf_adds(&b, list[i]);
		buf_addc(&b, '|');
	}
	assert_string_equal(buf_z(&b), want);
	free((void *)(uintptr_t)copy.p);
}

#define IDS(in, want) assert_list(mime_as_message_ids, in, want)
#define URLS(in, want) assert_list(mime_as_urls, in, want)

static void test_text_is_unfolded_and_decoded(void **state)
{
	assert_text(STR("  Hello\r\n =?utf-8?Q?W=C3=B6rld?="),
		"Hello W\xc3\xb6rld");
	assert_text(STR(""), "");
	assert_text(STR("   "), "");
	assert_text(STR(" a\0b"), "ab");
}

static void test_text_is_in_form_c(void **state)
{
	assert_text(STR("e\xcc\x81"), "\xc3\xa9");
	assert_text(STR("=?utf-8?Q?e=CC=81?="), "\xc3\xa9");
}

/* Ordering marks is quadratic: a long value is left as it came. */
static void test_long_text_with_marks_is_left_alone(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i < 100000; i++)
		buf_addz(&b, i % 2 ? "\xcc\x81" : "\xcc\xa3");
	assert_int_equal(mime_as_text(buf_str(&b), &arena).n, b.n);
}

static void test_raw_is_valid_utf8_without_nul(void **state)
{
	assert_str(mime_as_raw(STR(" a\r\n b"), &arena), " a\r\n b");
	assert_str(mime_as_raw(STR("a\0b\xff\xc3\xa4"), &arena),
		"ab\xef\xbf\xbd\xc3\xa4");
}

static void test_message_ids(void **state)
{
	IDS(" <a@x>", "a@x|");
	IDS("<a@x>\r\n <b@y>(c)<c@z>", "a@x|b@y|c@z|");
	IDS("<a@x>, <b@y>", "a@x|b@y|");
	IDS("< a@x >", "a@x|");
	IDS("<a\r\n @x>", "a@x|");
	IDS("Your message of \"<Tue>\" <a@x>", "a@x|");
}

static void test_no_message_ids(void **state)
{
	IDS("", "");
	IDS("a@x", "");
	IDS("<>", "");
	IDS("<a@x", "");
	IDS("(<a@x>)", "");
	IDS("\"", "");
	IDS("<a <b@x>", "b@x|");
}

static void test_urls(void **state)
{
	URLS("<mailto:l@x?subject=help> (List), <https://x/y\r\n z>",
		"mailto:l@x?subject=help|https://x/yz|");
	URLS("NO (posting not allowed)", "");
}

static void test_list_ends_at_the_limit(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	const struct str *ids;

	for (int i = 0; i < 3 * MIME_LIST; i++)
		buf_addz(&b, "<a>");
	assert_int_equal(
		mime_as_message_ids(buf_str(&b), &arena, &ids), MIME_LIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_unfolded_and_decoded),
		cmocka_unit_test(test_text_is_in_form_c),
		cmocka_unit_test(test_long_text_with_marks_is_left_alone),
		cmocka_unit_test(test_raw_is_valid_utf8_without_nul),
		cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_no_message_ids),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_list_ends_at_the_limit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
