/*
 * What the tests of composing share: numbers that are the same each time, and
 * strings made of them.
 */
#pragma once

#include "test/unit/core/mime/fixture.h"

#include "core/mime/compose.h"

static inline uint32_t number(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Up to n of these pieces, one behind the other. */
static inline struct str pieces_of(struct arena *a, uint32_t *seed, size_t n,
	const char *const *pieces, size_t pieces_n)
{
	struct buf b cleanup(buf_fini) = {0};

	n = number(seed) % (n + 1);
	for (size_t i = 0; i < n; i++)
		buf_addz(&b, pieces[number(seed) % pieces_n]);
	return arena_str(a, buf_str(&b));
}

/* The value of a field that was composed alone, checked as a piece of a header. */
static inline struct str value_in(const struct buf *b)
{
	struct str s = buf_str(b);
	size_t line = 0;

	assert_true(str_ends(s, STR("\r\n")));
	s.n -= 2;
	for (size_t i = 0; i < s.n; i++) {
		line = s.p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 999);
		assert_true(s.p[i] != '\0');
		if (s.p[i] != '\r' && s.p[i] != '\n')
			continue;
		/* A break is a fold, and the line behind it is not blank. */
		if (s.p[i] == '\n') {
			assert_true(i > 0 && s.p[i - 1] == '\r');
			continue;
		}
		assert_true(i + 2 < s.n && s.p[i + 1] == '\n');
		assert_true(s.p[i + 2] == ' ' || s.p[i + 2] == '\t');
		assert_true(strspn(s.p + i + 2, " \t") <
			    strcspn(s.p + i + 2, "\r"));
	}
	return str_skip(s, str_find(s, ':') + 1);
}
