/* Encodings undone in pieces: always what mime_decode() makes of the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/jmap/blob_decode.h"

static void whole(enum mime_encoding encoding, struct str in, struct buf *out)
{
	struct mime_part p = {.length = in.n, .encoding = encoding};

	mime_decode(in, &p, out);
}

static void in_pieces(enum mime_encoding encoding, struct str in, size_t piece,
	struct buf *out)
{
	struct blob_decoder d = {.encoding = encoding};

	do {
		size_t n = min_of(in.n, piece);

		blob_decode(&d, str_n(in.p, n), n == in.n, out);
		in = str_skip(in, n);
	} while (in.n);
	assert_int_equal(d.carry.n, 0);
	buf_fini(&d.carry);
}

static void assert_same(enum mime_encoding encoding, struct str in)
{
	struct buf want cleanup(buf_fini) = {0};

	whole(encoding, in, &want);
	for (size_t piece = 1; piece <= in.n + 1; piece++) {
		struct buf got cleanup(buf_fini) = {0};

		in_pieces(encoding, in, piece, &got);
		if (!str_eq(buf_str(&got), buf_str(&want)))
			fail_msg("\"%.*s\" in pieces of %zu: \"%.*s\", not "
				 "\"%.*s\"",
				STR_ARG(in), piece, STR_ARG(buf_str(&got)),
				STR_ARG(buf_str(&want)));
	}
}

static void assert_all_same(
	enum mime_encoding encoding, const char *const *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_same(encoding, str_of(t[i]));
}

static void base64_in_pieces(void **state)
{
	static const char *const t[] = {"", "QUJD",
		"QUJDRA==", "QUJDREU=", "QUJD\r\nREVG\r\nRw==\r\n", "QUJDRA",
		"QUJDREV", "QUJDR", "QU JD!R E==VG", "==QUJD",
		"QQ==QQ==QQ==", "Q=U=J=D=", "QUJD=QUJD", "....", "Q..........",
		"QU----JD__RA"};

	assert_all_same(MIME_BASE64, t, countof(t));
}

static void quoted_printable_in_pieces(void **state)
{
	static const char *const t[] = {"", "plain", "a=3Db", "soft=\r\nbreak",
		"soft=\nbreak", "soft= \t\r\nbreak", "blanks  \t \r\nnext",
		"blanks \n", "blanks at the end  ", "=", "==", "===41", "=4",
		"=4=41", "=x=y=zz", "a=", "a=\r", "a=\r\n", "\r\n\r\n",
		"a\r\r\nb", "a\rb", "=C3=A9=C3=A9", "=20=20\r\n", "=3D\r\n",
		"=3D=\r\n", "a =\r\n b", " \r\n \n", "x\n\n\ny"};

	assert_all_same(MIME_QP, t, countof(t));
}

static void uuencode_in_pieces(void **state)
{
	static const char *const t[] = {"", "begin 644 f\n#0V%T\n`\nend\n",
		"text before\r\nbegin 644 f\r\n#0V%T\r\n`\r\nend\r\n",
		"#0V%T\n", "no begin\n#0V%T"};

	assert_all_same(MIME_UUENCODE, t, countof(t));
}

static void what_is_not_encoded_in_pieces(void **state)
{
	assert_same(MIME_IDENTITY, STR("as=3D it\r\nis \r\n"));
}

/* Bytes that matter to the decoders, at random. */
static void nonsense_in_pieces(void **state)
{
	static const char alphabet[] = "=== \t\r\n\n4aZ/+";
	uint64_t seed = 12345;
	char text[24];

	for (int i = 0; i < 3000; i++) {
		size_t n = (size_t)i % sizeof(text);

		for (size_t k = 0; k < n; k++) {
			seed = seed * 6364136223846793005u +
			       1442695040888963407u;
			text[k] =
				alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
		}
		assert_same(MIME_BASE64, str_n(text, n));
		assert_same(MIME_QP, str_n(text, n));
	}
}

/* However long a line is, and whatever is skipped. */
static void little_is_kept_between_pieces(void **state)
{
	static const struct {
		enum mime_encoding encoding;
		char fill;
		size_t most;
	} t[] = {
		{MIME_BASE64, 'Q', 3},
		{MIME_BASE64, '!', 0},
		{MIME_QP, 'x', 3},
		{MIME_QP, ' ', BLOB_CARRY_MAX},
		{MIME_QP, '=', BLOB_CARRY_MAX},
		{MIME_QP, '\r', BLOB_CARRY_MAX},
	};
	static char piece[10007];

	for (size_t i = 0; i < countof(t); i++) {
		struct blob_decoder d = {.encoding = t[i].encoding};
		struct buf out cleanup(buf_fini) = {0};

		memset(piece, t[i].fill, sizeof(piece));
		for (int k = 0; k < 50; k++) {
			blob_decode(
				&d, str_n(piece, sizeof(piece)), false, &out);
			assert_true(d.carry.n <= t[i].most);
		}
		blob_decode(&d, STR_NONE, true, &out);
		assert_int_equal(d.carry.n, 0);
		buf_fini(&d.carry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_in_pieces),
		cmocka_unit_test(quoted_printable_in_pieces),
		cmocka_unit_test(uuencode_in_pieces),
		cmocka_unit_test(what_is_not_encoded_in_pieces),
		cmocka_unit_test(nonsense_in_pieces),
		cmocka_unit_test(little_is_kept_between_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
