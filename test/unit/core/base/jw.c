/*
 * JSON as it is written.
 */
#include "core/base/jw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/utf8.h"

static void commas_come_by_themselves(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "a", STR("x"));
	jw_ku64(&w, "b", 7);
	jw_key(&w, STR("c"));
	jw_arr(&w);
	jw_u64(&w, 1);
	jw_i64(&w, -2);
	jw_obj(&w);
	jw_obj_end(&w);
	jw_arr(&w);
	jw_arr_end(&w);
	jw_null(&w);
	jw_arr_end(&w);
	jw_kbool(&w, "d", true);
	jw_kstrz(&w, "e", NULL);
	jw_key(&w, STR("f"));
	jw_raw(&w, STR("[0]"));
	jw_key(&w, STR("g"));
	jw_bool(&w, false);
	jw_obj_end(&w);
	assert_string_equal(buf_z(&b),
		"{\"a\":\"x\",\"b\":7,\"c\":[1,-2,{},[],null],"
		"\"d\":true,\"e\":null,\"f\":[0],\"g\":false}");
}

static void a_reopened_level_starts_without_a_comma(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	jw_arr(&w);
	for (int i = 0; i < 2; i++) {
		jw_arr(&w);
		jw_u64(&w, 1);
		jw_u64(&w, 2);
		jw_arr_end(&w);
	}
	jw_arr_end(&w);
	assert_string_equal(buf_z(&b), "[[1,2],[1,2]]");
}

static void sixty_four_levels(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	for (int i = 0; i < 64; i++) {
		jw_arr(&w);
		jw_u64(&w, 1);
	}
	for (int i = 0; i < 64; i++) {
		jw_u64(&w, 2);
		jw_arr_end(&w);
	}
	assert_int_equal(w.depth, 0);
	assert_true(str_starts(buf_str(&b), STR("[1,[1,[1,")));
	assert_true(str_ends(buf_str(&b), STR("],2],2],2]")));
}

static void numbers_at_their_ends(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	jw_arr(&w);
	jw_u64(&w, UINT64_MAX);
	jw_i64(&w, INT64_MIN);
	jw_i64(&w, INT64_MAX);
	jw_arr_end(&w);
	assert_string_equal(buf_z(&b),
		"[18446744073709551615,-9223372036854775808,"
		"9223372036854775807]");
}

static void keys_are_escaped(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstrz(&w, "a\"b", "c\\d");
	jw_obj_end(&w);
	assert_string_equal(buf_z(&b), "{\"a\\\"b\":\"c\\\\d\"}");
}

static void expect_quoted(struct str s, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	json_quote(&b, s);
	assert_string_equal(buf_z(&b), want);
}

static void short_escapes_where_json_has_them(void **state)
{
	expect_quoted(STR("\b\t\n\f\r\"\\/"), "\"\\b\\t\\n\\f\\r\\\"\\\\/\"");
}

static void other_control_bytes_as_numbers(void **state)
{
	expect_quoted(STR("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"");
}

static void nothing_is_an_empty_string(void **state)
{
	expect_quoted(STR_NONE, "\"\"");
}

static void bad_bytes_become_replacements(void **state)
{
	expect_quoted(STR("a\xff"
			  "b"),
		"\"a\xef\xbf\xbd"
		"b\"");
	expect_quoted(STR("\xc3"), "\"\xef\xbf\xbd\"");
	expect_quoted(STR("\xed\xa0\x80"),
		"\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void noncharacters_become_replacements(void **state)
{
	/* RFC 7493 2.1: U+FDD0, U+FFFE, U+1FFFF. */
	expect_quoted(STR("\xef\xb7\x90"), "\"\xef\xbf\xbd\"");
	expect_quoted(STR("\xef\xbf\xbe"), "\"\xef\xbf\xbd\"");
	expect_quoted(STR("\xf0\x9f\xbf\xbf"), "\"\xef\xbf\xbd\"");
	/* Their neighbours stay. */
	expect_quoted(STR("\xef\xb7\xb0"), "\"\xef\xb7\xb0\"");
	expect_quoted(STR("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");
}

/* What the escaping means, byte by byte. */
static void slow_quote(struct buf *b, struct str s)
{
	buf_addc(b, '"');
	while (s.n > 0) {
		uint32_t cp;
		size_t n = utf8_decode(s, &cp);
		char z[4];

		if (cp == '"' || cp == '\\')
			buf_fmt(b, "\\%c", (int)cp);
		else if (cp < ' ' && strchr("\b\t\n\f\r", (int)cp) && cp)
			buf_fmt(b, "\\%c", "btn?fr"[cp - 8]);
		else if (cp < ' ')
			buf_fmt(b, "\\u%04x", (unsigned)cp);
		else
			buf_add(b, z, utf8_encode(cp, z));
		s = str_skip(s, n);
	}
	buf_addc(b, '"');
}

static void the_fast_path_agrees_with_the_slow_one(void **state)
{
	static const char *const piece[] = {"\"", "\\", "\n", "\x01", "\x1f",
		" ", "!", "#", "[", "]", "\x7f", "\x80", "\xff", "\xc3\xa4",
		"\xe2\x82\xac", "\xf0\x9f\x93\xa7"};

	for (size_t i = 0; i < countof(piece); i++) {
		for (size_t at = 0; at < 20; at++) {
			struct buf s cleanup(buf_fini) = {0};
			struct buf got cleanup(buf_fini) = {0};
			struct buf want cleanup(buf_fini) = {0};

			buf_fmt(&s, "%.*s%s%s", (int)at, "abcdefghijklmnopqrst",
				piece[i], "ABCDEFGHIJ");
			json_quote(&got, buf_str(&s));
			slow_quote(&want, buf_str(&s));
			assert_string_equal(buf_z(&got), buf_z(&want));
		}
	}
}

static void random_bytes_agree_with_the_slow_path(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 3000; round++) {
		struct buf s cleanup(buf_fini) = {0};
		struct buf got cleanup(buf_fini) = {0};
		struct buf want cleanup(buf_fini) = {0};

		for (int i = 0; i < round % 50; i++) {
			seed = seed * 1664525 + 1013904223;
			/* Not EF and F0-F4: the slow path knows nothing of
			 * noncharacters. */
			buf_addc(&s, (char)((seed >> 24) % 0xef));
		}
		json_quote(&got, buf_str(&s));
		slow_quote(&want, buf_str(&s));
		assert_string_equal(buf_z(&got), buf_z(&want));
		assert_true(utf8_valid(buf_str(&got)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_come_by_themselves),
		cmocka_unit_test(a_reopened_level_starts_without_a_comma),
		cmocka_unit_test(sixty_four_levels),
		cmocka_unit_test(numbers_at_their_ends),
		cmocka_unit_test(keys_are_escaped),
		cmocka_unit_test(short_escapes_where_json_has_them),
		cmocka_unit_test(other_control_bytes_as_numbers),
		cmocka_unit_test(nothing_is_an_empty_string),
		cmocka_unit_test(bad_bytes_become_replacements),
		cmocka_unit_test(noncharacters_become_replacements),
		cmocka_unit_test(the_fast_path_agrees_with_the_slow_one),
		cmocka_unit_test(random_bytes_agree_with_the_slow_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
