/*
 * Base subjects (RFC 5256 2.1).
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

static void assert_base(const char *in, const char *want)
{
	struct str copy = exact(str_of(in));

	assert_str(mime_base_subject(copy, &arena), want);
	free((void *)(uintptr_t)copy.p);
}

static void test_prefixes_come_off(void **state)
{
	assert_base(" Re: Hello", "hello");
	assert_base("RE: re:Fwd : FW: Hello", "hello");
	assert_base("Re[2]: Hello", "hello");
	assert_base("Re [tag] : Hello", "hello");
	assert_base("AW: WG: Hallo", "hallo");
	assert_base("Hello (fwd) (FWD)", "hello");
	assert_base("[Fwd: [Fwd: Hello]]", "hello");
	assert_base("[Fwd: Re: Hello (fwd)]", "hello");
}

static void test_tags_come_off_unless_they_are_all(void **state)
{
	assert_base("[list] [x] Re: [list] Hello", "hello");
	assert_base("[list]", "[list]");
	assert_base("Re: [list]", "[list]");
	assert_base("[a [b] c", "[a [b] c");
	assert_base("[", "[");
}

static void test_words_that_only_begin_alike_stay(void **state)
{
	assert_base("Reply: x", "reply: x");
	assert_base("re", "re");
	assert_base("re hello", "re hello");
	assert_base("Forward: x", "forward: x");
}

static void test_case_and_space_are_folded(void **state)
{
	assert_base(" A \t B\r\n  C ", "a b c");
	assert_base("=?utf-8?Q?Re=3A_=C3=84RGER?=", "\xc3\xa4rger");
}

static void test_nothing_left(void **state)
{
	assert_base("", "");
	assert_base("Re:", "");
	assert_base("(fwd)", "");
	assert_base("Re: Fwd: ", "");
}

static void test_many_prefixes(void **state)
{
	static const char *const units[] = {
		"re:", "[", "[]", "re[", "(fwd)", "[fwd:", "re ", "fw "};

	for (size_t i = 0; i < countof(units); i++) {
		struct buf b cleanup(buf_fini) = {0};

		while (b.n < 300000)
			buf_addz(&b, units[i]);
		assert_true(mime_base_subject(buf_str(&b), &arena).n <= b.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes_come_off),
		cmocka_unit_test(test_tags_come_off_unless_they_are_all),
		cmocka_unit_test(test_words_that_only_begin_alike_stay),
		cmocka_unit_test(test_case_and_space_are_folded),
		cmocka_unit_test(test_nothing_left),
		cmocka_unit_test(test_many_prefixes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
