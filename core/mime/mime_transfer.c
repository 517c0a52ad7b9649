/*
 * Content transfer encodings undone (RFC 2045 6), and how many bytes that
 * gives.
 *
 * Each decoder is one loop that either writes or only counts: the size that is
 * shown is by construction the size that is downloaded. What comes out is never
 * longer than what goes in. Garbage is skipped or kept, never an error:
 *  - base64 skips what is not of its alphabet; padding ends a group, and more
 *    may follow; a last group without padding still counts;
 *  - quoted-printable keeps a "=" that is no escape;
 *  - uuencode starts behind a "begin" line when there is one.
 * (GMime's decoders lose unpadded tails and all behind the first padding.)
 */
#include <string.h>

#include "core/mime/internal.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { SKIP = 0x40, PAD = 0x80 };

/* clang-format off */
#define X SKIP
#define S8 X, X, X, X, X, X, X, X
#define S32 S8, S8, S8, S8
static const uint8_t sextet[256] = {
	S32, S8, X, X, X, 62, X, X, X, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, X, X, X, PAD, X, X,
	X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, X, X, X, X, X,
	X, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, X, X, X, X, X,
	S32, S32, S32, S32,
};
/* clang-format on */

/* The whole bytes of n sextets, n < 4. */
ALWAYS_INLINE size_t base64_tail(uint32_t acc, unsigned n, char *out)
{
	if (n < 2)
		return 0;
	if (out) {
		acc <<= 6 * (4 - n);
		out[0] = (char)(acc >> 16);
		if (n == 3)
			out[1] = (char)(acc >> 8);
	}
	return n - 1;
}

ALWAYS_INLINE size_t base64(const uint8_t *p, size_t n, char *out)
{
	const uint8_t *end = p + n;
	uint32_t acc = 0;
	unsigned have = 0;
	size_t o = 0;

	while (p < end) {
		uint8_t v;

		while (have == 0 && end - p >= 4) {
			uint32_t a = sextet[p[0]], b = sextet[p[1]];
			uint32_t c = sextet[p[2]], d = sextet[p[3]];

			if ((a | b | c | d) > 63)
				break;
			if (out) {
				out[o] = (char)(a << 2 | b >> 4);
				out[o + 1] = (char)(b << 4 | c >> 2);
				out[o + 2] = (char)(c << 6 | d);
			}
			o += 3;
			p += 4;
		}
		if (p == end)
			break;
		v = sextet[*p++];
		if (v == SKIP)
			continue;
		if (v == PAD) {
			o += base64_tail(acc, have, out ? out + o : NULL);
			have = 0;
			continue;
		}
		acc = acc << 6 | v;
		if (++have < 4)
			continue;
		if (out) {
			out[o] = (char)(acc >> 16);
			out[o + 1] = (char)(acc >> 8);
			out[o + 2] = (char)acc;
		}
		o += 3;
		have = 0;
	}
	return o + base64_tail(acc, have, out ? out + o : NULL);
}

ALWAYS_INLINE size_t put(char *out, size_t o, const char *p, size_t n)
{
	if (out && n > 0)
		memcpy(out + o, p, n);
	return o + n;
}

/* One line's "=XX" undone. */
ALWAYS_INLINE size_t qp_line(struct str s, char *out, size_t o)
{
	while (s.n > 0) {
		size_t eq = str_find(s, '=');
		int byte;

		o = put(out, o, s.p, eq);
		s = str_skip(s, eq);
		if (s.n == 0)
			break;
		byte = mime_hex_byte(str_skip(s, 1));
		if (byte < 0) {
			o = put(out, o, "=", 1);
			s = str_skip(s, 1);
			continue;
		}
		if (out)
			out[o] = (char)byte;
		o++;
		s = str_skip(s, 3);
	}
	return o;
}

ALWAYS_INLINE size_t qp(struct str s, char *out)
{
	size_t o = 0;

	while (s.n > 0) {
		size_t end = str_find(s, '\n');
		size_t next = min_of(end + 1, s.n);
		size_t n;

		if (end > 0 && end < s.n && s.p[end - 1] == '\r')
			end--;
		n = end;
		/* RFC 2045 6.7 (3): blanks at the end came on the way. */
		while (n > 0 && (s.p[n - 1] == ' ' || s.p[n - 1] == '\t'))
			n--;
		if (n > 0 && s.p[n - 1] == '=') {
			o = qp_line(mime_slice(s, 0, n - 1), out, o);
		} else {
			o = qp_line(mime_slice(s, 0, n), out, o);
			o = put(out, o, s.p + end, next - end);
		}
		s = str_skip(s, next);
	}
	return o;
}

ALWAYS_INLINE size_t uu_line(struct str line, char *out, size_t o)
{
	size_t want = (size_t)(line.p[0] - ' ') & 63;
	size_t have = (line.n - 1) / 4 * 3;

	for (size_t i = 0; i < min_of(want, have); i++) {
		const char *g = line.p + 1 + i / 3 * 4;
		unsigned at = i % 3;
		unsigned hi = (unsigned)(g[at] - ' ') & 63;
		unsigned lo = (unsigned)(g[at + 1] - ' ') & 63;

		if (out)
			out[o] =
				(char)(hi << (2 + 2 * at) | lo >> (4 - 2 * at));
		o++;
	}
	return o;
}

static struct str uu_begin(struct str s)
{
	size_t at = 0;

	if (!str_starts(s, STR("begin ")))
		at = mime_find(s, 0, STR("\nbegin ")) + 1;
	if (at >= s.n)
		return s;
	s = str_skip(s, at);
	return str_skip(s, min_of(str_find(s, '\n') + 1, s.n));
}

ALWAYS_INLINE size_t uu(struct str s, char *out)
{
	struct str line;
	size_t o = 0;

	s = uu_begin(s);
	while (str_cut(&s, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (str_eq(line, STR("end")))
			break;
		if (line.n > 0)
			o = uu_line(line, out, o);
	}
	return o;
}

ALWAYS_INLINE size_t run(enum mime_encoding enc, struct str in, char *out)
{
	switch (enc) {
	case MIME_BASE64:
		return base64((const uint8_t *)in.p, in.n, out);
	case MIME_QP:
		return qp(in, out);
	case MIME_UUENCODE:
		return uu(in, out);
	case MIME_IDENTITY:
		break;
	}
	return put(out, 0, in.p, in.n);
}

uint64_t mime_transfer_size(enum mime_encoding enc, struct str in)
{
	return run(enc, in, NULL);
}

void mime_transfer_decode(
	enum mime_encoding enc, struct str in, struct buf *out)
{
	if (in.n > 0)
		out->n += run(enc, in, buf_room(out, in.n));
}
