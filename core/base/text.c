/*
 * Bytes as text: base64, base64url and hex (RFC 4648 4, 5, 8).
 *
 * Decoders take exactly what the encoders write: no white space, padding as the
 * form wants it, and no bit set behind the last byte (3.5), so that a text has
 * one reading and a reading one text. A text that is refused leaves out as it
 * was. These are not for secrets whose timing counts: they look into tables.
 */
#include "core/base/crypto.h"

enum { BAD = 0xff };

static const char std_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789-_";

/* Encodes whole and broken groups; returns the end, without padding. */
static char *encode(char *o, const uint8_t *p, size_t n, const char *chars)
{
	uint32_t v;

	for (; n >= 3; n -= 3, p += 3) {
		v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*o++ = chars[v >> 18];
		*o++ = chars[v >> 12 & 63];
		*o++ = chars[v >> 6 & 63];
		*o++ = chars[v & 63];
	}
	if (n == 0)
		return o;
	v = (uint32_t)p[0] << 16 | (n == 2 ? (uint32_t)p[1] << 8 : 0);
	*o++ = chars[v >> 18];
	*o++ = chars[v >> 12 & 63];
	if (n == 2)
		*o++ = chars[v >> 6 & 63];
	return o;
}

static char *encode_room(struct buf *b, size_t n)
{
	check(n <= SIZE_MAX / 8);
	return buf_room(b, n / 3 * 4 + 4);
}

void base64_add(struct buf *b, struct str s)
{
	char *o = encode_room(b, s.n);
	char *end = encode(o, (const uint8_t *)s.p, s.n, std_chars);

	for (; (end - o) % 4 != 0; end++)
		*end = '=';
	b->n += (size_t)(end - o);
}

void base64url_add(struct buf *b, struct str s)
{
	char *o = encode_room(b, s.n);

	b->n += (size_t)(encode(o, (const uint8_t *)s.p, s.n, url_chars) - o);
}

/* Value of a character; c62 and c63 are where the alphabets differ. */
static inline uint32_t sextet(char c, char c62, char c63)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	return c == c62 ? 62 : c == c63 ? 63 : BAD;
}

/* Decodes unpadded text; appends, or leaves out alone and returns false. */
static bool decode(struct str s, char c62, char c63, struct buf *out)
{
	uint8_t *start = (uint8_t *)buf_room(out, s.n / 4 * 3 + 3);
	uint8_t *o = start;
	uint32_t acc = 0;
	uint32_t bad = 0;
	unsigned bits = 0;

	if (s.n % 4 == 1)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint32_t v = sextet(s.p[i], c62, c63);

		bad |= v;
		acc = acc << 6 | (v & 63);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*o++ = (uint8_t)(acc >> bits);
		}
	}
	if (bad > 63 || (acc & ((1u << bits) - 1)) != 0)
		return false;
	out->n += (size_t)(o - start);
	return true;
}

bool base64_decode(struct str s, struct buf *out)
{
	size_t pad = 0;

	if (s.n % 4 != 0)
		return false;
	while (pad < 2 && pad < s.n && s.p[s.n - 1 - pad] == '=')
		pad++;
	return decode(str_n(s.p, s.n - pad), '+', '/', out);
}

bool base64url_decode(struct str s, struct buf *out)
{
	return decode(s, '-', '_', out);
}

void hex_add(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	char *o;

	check(s.n <= SIZE_MAX / 8);
	o = buf_room(b, s.n * 2);
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		*o++ = hex[c >> 4];
		*o++ = hex[c & 15];
	}
	b->n += s.n * 2;
}

static uint8_t nibble(char c)
{
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (uint8_t)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (uint8_t)(c - 'A' + 10);
	return BAD;
}

bool hex_decode(struct str s, struct buf *out)
{
	char *o;

	if (s.n % 2 != 0)
		return false;
	o = buf_room(out, s.n / 2);
	for (size_t i = 0; i < s.n; i += 2) {
		uint8_t hi = nibble(s.p[i]);
		uint8_t lo = nibble(s.p[i + 1]);

		if (hi == BAD || lo == BAD)
			return false;
		*o++ = (char)(hi << 4 | lo);
	}
	out->n += s.n / 2;
	return true;
}
