/*
 * Pieces of bytes: comparing, cutting, reading numbers. ASCII only; the locale
 * is never asked.
 */
#include "core/base/str.h"

#include <string.h>

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

/* memcmp() of zero bytes must not see NULL. */
static int bytes_cmp(const char *a, const char *b, size_t n)
{
	return n > 0 ? memcmp(a, b, n) : 0;
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && bytes_cmp(a.p, b.p, a.n) == 0;
}

bool str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return true;
}

bool str_starts(struct str s, struct str head)
{
	return s.n >= head.n && bytes_cmp(s.p, head.p, head.n) == 0;
}

bool str_ends(struct str s, struct str tail)
{
	return s.n >= tail.n &&
	       bytes_cmp(s.p + (s.n - tail.n), tail.p, tail.n) == 0;
}

int str_cmp(struct str a, struct str b)
{
	int c = bytes_cmp(a.p, b.p, min_of(a.n, b.n));

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

struct str str_skip(struct str s, size_t n)
{
	check(n <= s.n);
	return n > 0 ? (struct str){s.p + n, s.n - n} : s;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return s;
}

bool str_cut(struct str *s, char sep, struct str *head_r)
{
	size_t n;

	if (s->n == 0)
		return false;
	n = str_find(*s, sep);
	*head_r = (struct str){s->p, n};
	*s = str_skip(*s, n < s->n ? n + 1 : n);
	return true;
}

size_t str_find(struct str s, char c)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

bool str_u64(struct str s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - (unsigned)'0';

		if (d > 9 || __builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, d, &v))
			return false;
	}
	*v_r = v;
	return true;
}

char *str_dup(struct str s)
{
	char *z = mem_grow(NULL, s.n + 1);

	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}
