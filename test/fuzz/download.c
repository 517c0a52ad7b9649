/*
 * Downloads: encodings undone in pieces are what they are undone at once, whatever
 * the bytes and the pieces; names, types and ranges of a client become header fields
 * without a byte that a field may not have.
 */
#include "proto/front/file_name.h"
#include "proto/front/range.h"
#include "proto/jmap/blob_decode.h"
#include "proto/jmap/ids.h"
#include "test/fuzz/fuzz.h"

static void pieces(enum mime_encoding encoding, struct str in, size_t piece)
{
	struct blob_decoder d = {.encoding = encoding};
	struct mime_part p = {.length = in.n, .encoding = encoding};
	struct buf got cleanup(buf_fini) = {0}, want cleanup(buf_fini) = {0};

	mime_decode(in, &p, &want);
	do {
		size_t n = min_of(in.n, piece);
		struct str one = fuzz_exact(in.p, n);

		blob_decode(&d, one, n == in.n, &got);
		check(encoding == MIME_UUENCODE || d.carry.n <= BLOB_CARRY_MAX);
		free((char *)(uintptr_t)one.p);
		in = str_skip(in, n);
	} while (in.n);
	check(d.carry.n == 0);
	check(str_eq(buf_str(&got), buf_str(&want)));
	buf_fini(&d.carry);
}

static bool is_printable(struct str s, const char *and_also)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < ' ' || s.p[i] > '~') &&
			!memchr(and_also, s.p[i], strlen(and_also)))
			return false;
	return true;
}

static void fields(struct str s)
{
	struct buf out cleanup(buf_fini) = {0}, value cleanup(buf_fini) = {0};
	struct http_header h[2] = {
		{STR("Range"), s}, {STR("If-None-Match"), s}};
	struct http_request r = {
		.method = STR("GET"), .headers = h, .headers_n = 2};
	struct call_range range = range_of(&r, STR("\"x\""));

	disposition_of(s, &out);
	check(is_printable(buf_str(&out), ""));
	check(str_starts(buf_str(&out), STR("attachment")));
	if (media_type_valid(s)) /* RFC 9110 5.6.3: blanks around ";" */
		check(is_printable(s, "\t"));
	if (query_value(s, STR("type"), &value))
		check(value.n <= s.n);
	check(!range.given || range.first == UINT64_MAX ||
		range.first <= range.last);
	range_matches(&r, STR("\"x\""));
}

/* The first byte says what the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s;

	if (n == 0)
		return 0;
	s = fuzz_exact(data + 1, n - 1);
	if (data[0] & 128)
		fields(s);
	else
		pieces((enum mime_encoding)(data[0] & 3), s,
			1 + (size_t)(data[0] >> 2 & 31) * 3);
	free((char *)(uintptr_t)s.p);
	return 0;
}
