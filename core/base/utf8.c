/*
 * UTF-8 by the table of RFC 3629 4: a lead byte tells how many bytes follow and
 * the bounds of the next one, which keep out overlong forms, surrogates and
 * what is above U+10FFFF. Every later byte is 80..BF.
 *
 * A broken state has lo > hi: no byte ever fits again.
 */
#include "core/base/utf8.h"

#define HIGH_BITS 0x8080808080808080u

static const struct utf8 broken = {.need = 1, .lo = 0xff, .hi = 0};

/* The state behind a lead byte >= 0x80. */
static struct utf8 lead(uint8_t c)
{
	if (c < 0xc2)
		return broken;
	if (c < 0xe0)
		return (struct utf8){1, 0x80, 0xbf};
	if (c < 0xf0) {
		return (struct utf8){
			2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
	}
	if (c < 0xf5) {
		return (struct utf8){
			3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
	}
	return broken;
}

/* Where ASCII ends between p and end. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		if (w & HIGH_BITS)
			break;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

bool utf8_feed(struct utf8 *u, const void *p, size_t n)
{
	const uint8_t *at = p, *end;
	struct utf8 s = *u;

	if (n == 0) /* p may be NULL, to which nothing may be added */
		return s.lo <= s.hi;
	end = at + n;
	while (at < end) {
		if (s.need > 0) {
			if (*at < s.lo || *at > s.hi) {
				*u = broken;
				return false;
			}
			at++;
			s = (struct utf8){s.need - 1, 0x80, 0xbf};
			continue;
		}
		if (*at < 0x80)
			at = skip_ascii(at, end);
		if (at < end)
			s = lead(*at++);
	}
	*u = s;
	return s.lo <= s.hi;
}

bool utf8_whole(const struct utf8 *u)
{
	return u->need == 0;
}

bool utf8_valid(struct str s)
{
	struct utf8 u = {0};

	return utf8_feed(&u, s.p, s.n) && utf8_whole(&u);
}

size_t utf8_decode(struct str s, uint32_t *cp_r)
{
	static const uint8_t lead_bits[] = {0x7f, 0x1f, 0x0f, 0x07};
	struct utf8 u;
	uint32_t cp;
	size_t len;

	check(s.n > 0);
	cp = (uint8_t)s.p[0];
	if (cp < 0x80) {
		*cp_r = cp;
		return 1;
	}
	*cp_r = UTF8_BAD;
	u = lead((uint8_t)cp);
	len = u.need + 1;
	if (s.n < len || u.lo > u.hi)
		return 1;
	cp &= lead_bits[u.need];
	for (size_t i = 1; i < len; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < u.lo || c > u.hi)
			return 1;
		cp = cp << 6 | (c & 0x3f);
		u.lo = 0x80;
		u.hi = 0xbf;
	}
	*cp_r = cp;
	return len;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
	size_t n;

	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		cp = UTF8_BAD;
	n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (char)((0xf00 >> n & 0xf0) | cp);
	return n;
}
