/*
 * base64, base64url and hex.
 */
#include "core/base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool decodes(
	bool (*fn)(struct str, struct buf *), struct str s, struct str want)
{
	struct buf b cleanup(buf_fini) = {0};

	return fn(s, &b) && str_eq(buf_str(&b), want);
}

/* Refused, and what was in the buffer stays as it was. */
static bool refuses(bool (*fn)(struct str, struct buf *), struct str s)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, "before");
	return !fn(s, &b) && str_eq(buf_str(&b), STR("before"));
}

static void the_vectors_of_rfc_4648(void **state)
{
	static const struct {
		const char *plain, *coded;
	} known[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < countof(known); i++) {
		struct buf b cleanup(buf_fini) = {0};

		base64_add(&b, str_of(known[i].plain));
		assert_string_equal(buf_z(&b), known[i].coded);
		assert_true(decodes(base64_decode, str_of(known[i].coded),
			str_of(known[i].plain)));
	}
}

static void the_alphabets_differ_in_two(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	base64_add(&b, STR("\xfb\xff"));
	buf_addc(&b, ' ');
	base64url_add(&b, STR("\xfb\xff"));
	assert_string_equal(buf_z(&b), "+/8= -_8");
	assert_true(decodes(base64_decode, STR("+/8="), STR("\xfb\xff")));
	assert_true(decodes(base64url_decode, STR("-_8"), STR("\xfb\xff")));
	assert_true(refuses(base64_decode, STR("-_8=")));
	assert_true(refuses(base64url_decode, STR("+/8")));
}

static void every_length_survives(void **state)
{
	char text[256];

	for (int i = 0; i < 256; i++)
		text[i] = (char)(i * 7);
	for (size_t n = 0; n <= sizeof(text); n++) {
		struct buf b cleanup(buf_fini) = {0};
		struct buf u cleanup(buf_fini) = {0};
		struct buf h cleanup(buf_fini) = {0};
		struct str s = str_n(text, n);

		base64_add(&b, s);
		base64url_add(&u, s);
		hex_add(&h, s);
		assert_int_equal(b.n, (n + 2) / 3 * 4);
		assert_int_equal(h.n, 2 * n);
		assert_true(decodes(base64_decode, buf_str(&b), s));
		assert_true(decodes(base64url_decode, buf_str(&u), s));
		assert_true(decodes(hex_decode, buf_str(&h), s));
	}
}

static void base64_refuses_what_it_would_not_write(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zm8", "Zg===", "=",
		"==", "===", "====", "Z===", "Zg==Zg==", "Zm=v", "Zm9v\n",
		"Zm9 ", " m9v", "Zm9v====", "Zm9\xff",
		/* bits behind the last byte */
		"Zh==", "Zm9="};

	for (size_t i = 0; i < countof(bad); i++)
		assert_true(refuses(base64_decode, str_of(bad[i])));
	assert_true(refuses(base64_decode, STR("Zm9\0")));
}

static void base64url_refuses_what_it_would_not_write(void **state)
{
	static const char *const bad[] = {"Z", "Zg==", "Zm8=", "Zm9vZ",
		"Zm9v=", "Zm 9", "Zh", "Zm9", "Zm9\xff"};

	for (size_t i = 0; i < countof(bad); i++)
		assert_true(refuses(base64url_decode, str_of(bad[i])));
}

static void every_byte_is_in_the_alphabet_or_refused(void **state)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int c = 0; c < 256; c++) {
		char four[4] = {(char)c, 'A', 'A', 'A'};
		struct buf b cleanup(buf_fini) = {0};
		const char *at = c ? strchr(chars, c) : NULL;

		assert_int_equal(base64_decode(str_n(four, 4), &b), !!at);
		if (at) {
			assert_int_equal(
				(unsigned char)b.p[0], (at - chars) << 2);
		}
	}
}

static void hex_is_lower_case_and_reads_both(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	hex_add(&b, STR("\x00\xaf\x5c"));
	assert_string_equal(buf_z(&b), "00af5c");
	assert_true(decodes(hex_decode, STR("00Af5C"), STR("\x00\xaf\x5c")));
}

static void hex_refuses(void **state)
{
	static const char *const bad[] = {
		"0", "0g", "g0", "0x10", " 0", "000", "0\xff"};

	for (size_t i = 0; i < countof(bad); i++)
		assert_true(refuses(hex_decode, str_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors_of_rfc_4648),
		cmocka_unit_test(the_alphabets_differ_in_two),
		cmocka_unit_test(every_length_survives),
		cmocka_unit_test(base64_refuses_what_it_would_not_write),
		cmocka_unit_test(base64url_refuses_what_it_would_not_write),
		cmocka_unit_test(every_byte_is_in_the_alphabet_or_refused),
		cmocka_unit_test(hex_is_lower_case_and_reads_both),
		cmocka_unit_test(hex_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
