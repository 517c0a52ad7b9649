/*
 * Blocks that are carved from the front and freed together.
 *
 * Blocks grow from 4 KB to 64 KB with what was handed out so far. A piece that
 * would waste much of a block gets one of its own behind the current one, which
 * goes on being carved. Blocks come zeroed and are never used twice, so a piece
 * costs no memset.
 */
#include "core/base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)65536)
#define ALIGN ((size_t)16)

struct arena_block {
	_Alignas(16) struct arena_block *next;
	size_t cap; /* bytes behind the head */
	size_t used;
};

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->block;

	while (b) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	*a = (struct arena){0};
}

void arena_finip(struct arena *a)
{
	arena_fini(a);
}

static void *carve(struct arena *a, struct arena_block *b, size_t n)
{
	char *p = (char *)(b + 1) + b->used;

	b->used += n;
	a->used += n;
	return p;
}

static struct arena_block *block_new(size_t cap)
{
	struct arena_block *b = mem_new(sizeof(*b) + cap);

	b->cap = cap;
	return b;
}

void *arena_new(struct arena *a, size_t n)
{
	struct arena_block *cur = a->block;
	struct arena_block *b;
	size_t cap = BLOCK_MIN;

	check(n <= SIZE_MAX / 4);
	n = n > 0 ? (n + ALIGN - 1) & ~(ALIGN - 1) : ALIGN;
	if (cur && cur->cap - cur->used >= n)
		return carve(a, cur, n);
	while (cap < a->used && cap < BLOCK_MAX)
		cap *= 2;
	cap -= sizeof(*b);
	if (cur && n > cap / 4) {
		b = block_new(n);
		b->next = cur->next;
		cur->next = b;
	} else {
		b = block_new(max_of(cap, n));
		b->next = cur;
		a->block = b;
	}
	return carve(a, b, n);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *copy = arena_new(a, n);

	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
	char *copy = arena_new(a, s.n + 1);

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return (struct str){copy, s.n};
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	check(n >= 0);
	p = arena_new(a, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (struct str){p, (size_t)n};
}
