/*
 * A piece of bytes that somebody else owns: pointer and length, no NUL.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "core/base/base.h"

struct str {
	const char *p;
	size_t n; /* bytes */
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *z)
{
	return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_n(const void *p, size_t n)
{
	return (struct str){p, n};
}

bool str_eq(struct str a, struct str b);
/* ASCII letters compare without case; the locale is never asked. */
bool str_ieq(struct str a, struct str b);
bool str_starts(struct str s, struct str head);
bool str_ends(struct str s, struct str tail);
int str_cmp(struct str a, struct str b); /* bytewise, shorter first */

/* s without the first n bytes (n <= s.n). */
struct str str_skip(struct str s, size_t n);
/* Spaces and tabs off both ends. */
struct str str_trim(struct str s);
/*
 * Takes from *s up to the next sep; the separator is dropped. Yields true while
 * there was something to take: "a,,b" gives "a", "", "b"; "a," gives "a"; ""
 * gives nothing.
 */
bool str_cut(struct str *s, char sep, struct str *head_r);
/* Offset of c, or s.n when it is not there. */
size_t str_find(struct str s, char c);

/* Strict decimal, no sign, no space, at most 2^64-1; false leaves *v_r. */
bool str_u64(struct str s, uint64_t *v_r);

/* A NUL-terminated copy in malloc memory. */
char *str_dup(struct str s);
