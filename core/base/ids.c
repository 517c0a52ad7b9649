#include "core/base/ids.h"

const char base32_digits[] = "0123456789abcdefghijklmnopqrstuv";

/* Returns the digits written, without a NUL. */
size_t base32_put(char *z, uint64_t v)
{
	char rev[13];
	size_t n = 0;

	do {
		rev[n++] = base32_digits[v & 31];
		v >>= 5;
	} while (v);
	for (size_t i = 0; i < n; i++)
		z[i] = rev[n - 1 - i];
	return n;
}

int base32_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'v')
		return c - 'a' + 10;
	return -1;
}

bool base32_take(struct str s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 13 || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = base32_digit(s.p[i]);

		if (d < 0 || v >> 59)
			return false;
		v = v << 5 | (uint64_t)d;
	}
	*v_r = v;
	return true;
}

struct idz id_of(char prefix, uint64_t number)
{
	struct idz id;

	id.z[0] = prefix;
	id.n = 1 + base32_put(id.z + 1, number);
	id.z[id.n] = '\0';
	return id;
}

bool id_parse(char prefix, struct str s, uint64_t *number_r)
{
	return s.n > 1 && s.p[0] == prefix &&
	       base32_take(str_skip(s, 1), number_r);
}

/* Written by hand: each answer has one. */
struct statez state_of(uint32_t generation, uint64_t modseq)
{
	struct statez s;
	char rev[20];
	size_t n = 0, k = 0;

	do {
		rev[k++] = base32_digits[generation & 15];
		generation >>= 4;
	} while (generation);
	while (k > 0)
		s.z[n++] = rev[--k];
	s.z[n++] = '-';
	do {
		rev[k++] = (char)('0' + modseq % 10);
		modseq /= 10;
	} while (modseq);
	while (k > 0)
		s.z[n++] = rev[--k];
	s.z[n] = '\0';
	return s;
}

bool state_parse(struct str s, uint32_t *generation_r, uint64_t *modseq_r)
{
	uint32_t g = 0;
	size_t i = 0;

	for (; i < s.n && s.p[i] != '-'; i++) {
		char c = s.p[i];

		if (i == 8 ||
			!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		g = g << 4 | (uint32_t)base32_digit(c);
	}
	if (i == 0 || i == s.n || !str_u64(str_skip(s, i + 1), modseq_r))
		return false;
	*generation_r = g;
	return true;
}
