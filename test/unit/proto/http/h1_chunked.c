/* The chunked coding: bodies that come out, and framing that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/http/h1_parse.h"

/* Decodes pieces; 2 when the body is whole, negative when refused, 0 unfinished. */
static int decode(struct str s, size_t piece, struct buf *out, size_t *used_r)
{
	struct h1_chunked c = {0};
	size_t at = 0, used;
	int ret = 0;

	while (at < s.n && ret >= 0 && ret != 2) {
		size_t end = min_of(s.n, at + min_of(piece, s.n - at));
		ret = h1_chunked_feed(&c, s.p + at, end - at, &used);
		at += used;
		if (ret == 1 && at < end) {
			size_t n = (size_t)min_of(end - at, c.left);
			buf_add(out, s.p + at, n);
			h1_chunked_took(&c, n);
			at += n;
		}
	}
	*used_r = at;
	return ret;
}

static void bodies_come_out_however_they_are_cut(void **state)
{
	struct str s = STR("5;a=b\r\nhello\r\n1\r\n \r\n00A;x=\"y;z\"\r\n"
			   "0123456789\r\n0\r\nTrailer: x\r\n\r\nGET");

	for (size_t piece = 1; piece <= s.n; piece++) {
		struct buf out cleanup(buf_fini) = {0};
		size_t used;
		assert_int_equal(decode(s, piece, &out, &used), 2);
		assert_true(str_eq(buf_str(&out), STR("hello 0123456789")));
		assert_int_equal(used, s.n - 3);
	}
}

static void malformed_framing_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		int want;
	} v[] = {
		{"\r\n", -400},
		{"g\r\n", -400},
		{" 1\r\n", -400},
		{"1 \r\n", -400},
		{"1 ;a\r\n", -400},
		{"-1\r\n", -400},
		{"+1\r\n", -400},
		{"0x1\r\n", -400},
		{"1\n", -400},
		{"1\rx", -400},
		{"1;a\n", -400},
		{"1;a\rb", -400},
		{"1;\001\r\n", -400},
		{"1\r\nab\r\n", -400},
		{"1\r\na\n", -400},
		{"1\r\na\rb", -400},
		{";a\r\n", -400},
		{"10000000000000000\r\n", -400},
		{"00000000000000001\r\n", -400},
		{"0\r\n x: y\r\n", -400},
		{"0\r\nx y: z\r\n", -400},
		{"0\r\n: z\r\n", -400},
		{"0\r\nx: y\n", -400},
		{"0\r\nx: y\r\r", -400},
		{"0\r\nx\r\n", -400},
		{"0\r\n\n", -400},
		{"0\r\n\rx", -400},
		{"1\r\na\r\n0\r\n", 0},
		{"ffffffffffffffff\r\n", 1},
		{"0\r\n\r\n", 2},
	};

	for (size_t i = 0; i < countof(v); i++) {
		for (size_t piece = 1; piece < 30; piece += 28) {
			struct buf out cleanup(buf_fini) = {0};
			size_t used;
			int got =
				decode(str_of(v[i].bytes), piece, &out, &used);
			if (got != v[i].want)
				fail_msg("%s: %d", v[i].bytes, got);
		}
	}
}

static int with_extension(size_t n)
{
	struct buf b cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	size_t used;

	buf_addz(&b, "0;");
	for (size_t i = 0; i < n; i++)
		buf_addc(&b, 'x');
	buf_addz(&b, "\r\n\r\n");
	return decode(buf_str(&b), SIZE_MAX, &out, &used);
}

static void a_long_extension_is_refused(void **state)
{
	assert_int_equal(with_extension(H1_EXT_MAX), 2);
	assert_int_equal(with_extension(H1_EXT_MAX + 1), -400);
}

static void many_extensions_are_refused(void **state)
{
	struct buf b cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	size_t used;

	for (size_t i = 0; i <= H1_EXTS_MAX / 4; i++)
		buf_addz(&b, "1;abcd\r\nx\r\n");
	assert_int_equal(decode(buf_str(&b), SIZE_MAX, &out, &used), -400);
	assert_int_equal(out.n, H1_EXTS_MAX / 4);
}

static void a_long_trailer_is_431(void **state)
{
	struct buf b cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	size_t used;

	buf_addz(&b, "0\r\n");
	while (b.n < H1_TRAILER_MAX + 100)
		buf_addz(&b, "X-Trailer: y\r\n");
	assert_int_equal(decode(buf_str(&b), SIZE_MAX, &out, &used), -431);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_come_out_however_they_are_cut),
		cmocka_unit_test(malformed_framing_is_refused),
		cmocka_unit_test(a_long_extension_is_refused),
		cmocka_unit_test(many_extensions_are_refused),
		cmocka_unit_test(a_long_trailer_is_431),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
