/*
 * Transfer encodings: exact sizes, garbage, and the same as GMime on good
 * input.
 */
#include "test/unit/core/mime/fixture.h"

#include <gmime/gmime.h>

static void assert_decodes(
	enum mime_encoding enc, struct str in, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str copy = exact(in);

	mime_transfer_decode(enc, copy, &b);
	assert_int_equal(mime_transfer_size(enc, copy), b.n);
	assert_str(buf_str(&b), want);
	free((void *)(uintptr_t)copy.p);
}

#define B64(in, want) assert_decodes(MIME_BASE64, STR(in), want)
#define QP(in, want) assert_decodes(MIME_QP, STR(in), want)
#define UU(in, want) assert_decodes(MIME_UUENCODE, STR(in), want)

static void test_base64(void **state)
{
	B64("", "");
	B64("QQ==", "A");
	B64("QUI=", "AB");
	B64("QUJD", "ABC");
	B64("QUJD\r\nREVG\r\n", "ABCDEF");
}

static void test_base64_skips_garbage(void **state)
{
	B64("Q!U\n*J\nD\0\x80", "ABC");
	B64("-QUJD_", "ABC");
}

static void test_base64_without_padding_keeps_the_last_bytes(void **state)
{
	B64("QUI", "AB");
	B64("QQ", "A");
	B64("QUJDR", "ABC");
}

static void test_base64_goes_on_behind_padding(void **state)
{
	B64("QQ==QUJD", "AABC");
	B64("QUI=\r\nQUI=", "ABAB");
	B64("====QUJD=", "ABC");
}

static void test_qp(void **state)
{
	QP("", "");
	QP("a=C3=A4=c3=a4", "a\xc3\xa4\xc3\xa4");
	QP("a=\r\nb=\nc", "abc");
	QP("a\r\nb\nc\r\n", "a\r\nb\nc\r\n");
	QP("=3D=\r\n=3D", "==");
}

static void test_qp_drops_blanks_at_line_ends(void **state)
{
	QP("a \t\r\nb  \nc ", "a\r\nb\nc");
	QP("a=  \r\nb", "ab");
	QP("a=20\r\n", "a \r\n");
}

static void test_qp_keeps_what_is_no_escape(void **state)
{
	QP("a=zz=3", "a=zz=3");
	QP("=", "");
	QP("==", "=");
	QP("a=\rb", "a=\rb");
}

static void test_uuencode(void **state)
{
	UU("begin 644 x\n#86)C\n`\nend\nnoise", "abc");
	UU("text\r\nbegin 644 x\r\n#86)C\r\n`\r\nend\r\n", "abc");
	UU("#86)C\n", "abc");
	UU("$86)C9```\n", "abcd");
	UU("#86", "");
	UU("M86)C\n", "abc");
	UU("begin ", "");
}

static void test_identity(void **state)
{
	assert_decodes(MIME_IDENTITY, STR("a=3D\r\n"), "a=3D\r\n");
}

/* A stream of numbers that is the same in every run. */
static uint32_t next_number(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void test_size_is_the_decoded_length_for_any_bytes(void **state)
{
	static const char chars[] = "QUJDabc019+/== \t\r\n=3Dbegin `#M\0\x80";
	uint32_t seed = 1;

	for (int i = 0; i < 3000; i++) {
		struct buf b cleanup(buf_fini) = {0};
		size_t n = next_number(&seed) % 80;
		char *in = mem_grow(NULL, n + 1);
		struct str s = str_n(in, n);

		for (size_t k = 0; k < n; k++)
			in[k] = chars[next_number(&seed) % sizeof(chars)];
		for (int enc = MIME_IDENTITY; enc <= MIME_UUENCODE; enc++) {
			buf_reset(&b);
			mime_transfer_decode(enc, s, &b);
			assert_int_equal(mime_transfer_size(enc, s), b.n);
			assert_true(b.n <= n);
		}
		free(in);
	}
}

static void test_gmime_encodes_what_we_decode(void **state)
{
	static const struct {
		GMimeContentEncoding theirs;
		enum mime_encoding ours;
	} forms[] = {{GMIME_CONTENT_ENCODING_BASE64, MIME_BASE64},
		{GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE, MIME_QP}};
	uint32_t seed = 2;
	char in[500], enc[2000];

	for (int i = 0; i < 500; i++) {
		size_t n = next_number(&seed) % sizeof(in);

		/* Line ends are text to quoted-printable: LF, no CR. */
		for (size_t k = 0; k < n; k++) {
			in[k] = (char)next_number(&seed);
			in[k] = in[k] == '\r' ? '\n' : in[k];
		}
		for (size_t f = 0; f < countof(forms); f++) {
			struct buf b cleanup(buf_fini) = {0};
			GMimeEncoding e;
			size_t len;

			g_mime_encoding_init_encode(&e, forms[f].theirs);
			len = g_mime_encoding_flush(&e, in, n, enc);
			mime_transfer_decode(
				forms[f].ours, str_n(enc, len), &b);
			/* GMime ends text with a soft or hard break. */
			assert_in_range(b.n, n, n + 1);
			assert_memory_equal(b.p ? b.p : "", in, n);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_skips_garbage),
		cmocka_unit_test(
			test_base64_without_padding_keeps_the_last_bytes),
		cmocka_unit_test(test_base64_goes_on_behind_padding),
		cmocka_unit_test(test_qp),
		cmocka_unit_test(test_qp_drops_blanks_at_line_ends),
		cmocka_unit_test(test_qp_keeps_what_is_no_escape),
		cmocka_unit_test(test_uuencode),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_size_is_the_decoded_length_for_any_bytes),
		cmocka_unit_test(test_gmime_encodes_what_we_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
