/*
 * UTF-8 checked whole and byte by byte.
 */
#include "core/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const good[] = {"", "abc", "\x7f", "\xc2\x80", "\xdf\xbf",
	"\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
	"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	"abcdefgh\xc3\xa4jklmnopqrstuvw",
	"abcdefghijklmnop\xf0\x9f\x93\xa7 mail"};

/* Bad for good, whatever follows. */
static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf",
	"\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
	"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xfe", "\xc2\x61",
	"\xe0\xa0\x61", "\xf0\x90\x80\x61", "\xc2\xc2", "abcdefghijk\xff",
	"abcdefgh\xc3\xa4\xa4"};

static const char *const open_ended[] = {
	"\xc2", "\xe0\xa0", "\xf0\x90\x80", "abc\xf4", "abcdefgh\xed\x9f"};

static void good_text_is_valid(void **state)
{
	for (size_t i = 0; i < countof(good); i++)
		assert_true(utf8_valid(str_of(good[i])));
	assert_true(utf8_valid(STR("\0")));
	assert_true(utf8_valid(STR_NONE));
}

static void bad_text_is_not(void **state)
{
	for (size_t i = 0; i < countof(bad); i++)
		assert_false(utf8_valid(str_of(bad[i])));
}

static void half_a_character_is_no_text(void **state)
{
	for (size_t i = 0; i < countof(open_ended); i++) {
		struct str s = str_of(open_ended[i]);
		struct utf8 u = {0};

		assert_true(utf8_feed(&u, s.p, s.n));
		assert_false(utf8_whole(&u));
		assert_false(utf8_valid(s));
	}
}

/* Feeds s in pieces of `step` bytes; returns what the last one said. */
static bool feed_by(struct utf8 *u, struct str s, size_t step)
{
	bool ok = true;

	while (s.n > 0) {
		size_t n = min_of(step, s.n);

		ok = utf8_feed(u, s.p, n);
		s = str_skip(s, n);
	}
	return ok;
}

static void pieces_of_any_size_agree_with_the_whole(void **state)
{
	for (size_t step = 1; step < 12; step++) {
		for (size_t i = 0; i < countof(good); i++) {
			struct utf8 u = {0};

			assert_true(feed_by(&u, str_of(good[i]), step));
			assert_true(utf8_whole(&u));
		}
		for (size_t i = 0; i < countof(bad); i++) {
			struct utf8 u = {0};

			assert_false(feed_by(&u, str_of(bad[i]), step));
			assert_false(utf8_whole(&u));
		}
	}
}

static void a_broken_text_stays_broken(void **state)
{
	struct utf8 u = {0};

	assert_false(utf8_feed(&u, "\xff", 1));
	assert_false(utf8_feed(&u, "abc", 3));
	assert_false(utf8_feed(&u, "", 0));
	assert_false(utf8_whole(&u));
}

static void the_bad_byte_is_found_at_once(void **state)
{
	struct utf8 u = {0};

	/* A surrogate shows in its second byte already. */
	assert_true(utf8_feed(&u, "\xed", 1));
	assert_false(utf8_feed(&u, "\xa0", 1));
}

static void every_character_survives(void **state)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		char z[4];
		uint32_t got;
		size_t n;

		if (cp == 0xd800)
			cp = 0xe000;
		n = utf8_encode(cp, z);
		if (!utf8_valid(str_n(z, n)) ||
			utf8_decode(str_n(z, n), &got) != n || got != cp)
			fail_msg("U+%04X", (unsigned)cp);
	}
}

static void no_character_is_encoded_as_a_replacement(void **state)
{
	char z[4];

	assert_int_equal(utf8_encode(0xd800, z), 3);
	assert_memory_equal(z, "\xef\xbf\xbd", 3);
	assert_int_equal(utf8_encode(0x110000, z), 3);
	assert_memory_equal(z, "\xef\xbf\xbd", 3);
}

static void decoding_bad_bytes_moves_on_by_one(void **state)
{
	static const char *const text[] = {"\x80", "\xc0\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xff", "\xc2", "\xe0\xa0",
		"\xf0\x90\x80\x61"};

	for (size_t i = 0; i < countof(text); i++) {
		uint32_t cp = 0;

		assert_int_equal(utf8_decode(str_of(text[i]), &cp), 1);
		assert_int_equal(cp, 0xfffd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_text_is_valid),
		cmocka_unit_test(bad_text_is_not),
		cmocka_unit_test(half_a_character_is_no_text),
		cmocka_unit_test(pieces_of_any_size_agree_with_the_whole),
		cmocka_unit_test(a_broken_text_stays_broken),
		cmocka_unit_test(the_bad_byte_is_found_at_once),
		cmocka_unit_test(every_character_survives),
		cmocka_unit_test(no_character_is_encoded_as_a_replacement),
		cmocka_unit_test(decoding_bad_bytes_moves_on_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
