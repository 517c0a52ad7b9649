/*
 * LMTP: the dots of DATA, whole and byte by byte, and the paths and parameters of
 * MAIL and RCPT. The first byte says which.
 */
#include "core/base/buf.h"
#include "proto/lmtp/dot.h"
#include "proto/lmtp/path.h"
#include "test/fuzz/fuzz.h"

static size_t dots(struct str in, size_t piece, struct buf *out, bool *end_r)
{
	struct dot d = {0};
	size_t at = 0;

	while (at < in.n && d.state != DOT_END) {
		size_t n = min_of(piece, in.n - at);
		size_t used = dot_feed(&d, in.p + at, n, out);

		check(used == n || (used < n && d.state == DOT_END));
		at += used;
	}
	*end_r = d.state == DOT_END;
	check(out->n <= at);
	return at;
}

static void data_text(struct str in)
{
	struct buf whole cleanup(buf_fini) = {0}, bytes cleanup(buf_fini) = {0};
	bool end_whole, end_bytes;

	check(dots(in, SIZE_MAX, &whole, &end_whole) ==
		dots(in, 1, &bytes, &end_bytes));
	check(end_whole == end_bytes);
	/* Dots held back at the end of a piece are not lost by the next. */
	check(str_eq(buf_str(&whole), buf_str(&bytes)));
}

static void path(struct str in)
{
	struct str addr, key, value;
	const char *end = in.p + in.n;
	bool bad = false;

	if (!path_cut(&in, &addr))
		return;
	check(!addr.n || addr.p + addr.n <= end);
	while (param_cut(&in, &key, &value, &bad))
		check(!in.n || in.p + in.n <= end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in;

	if (!n)
		return 0;
	in = fuzz_exact(data + 1, n - 1);
	if (data[0] & 1)
		data_text(in);
	else
		path(in);
	free((char *)in.p);
	return 0;
}
