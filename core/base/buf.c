/*
 * The growing byte buffer.
 *
 * Growth is geometric, and the content moves down inside the allocation only
 * when at least as many bytes were dropped before it: adding and dropping cost
 * amortized O(1) a byte, whatever the pattern.
 */
#include "core/base/buf.h"

#include <stdio.h>
#include <string.h>

enum { BUF_MIN = 64 };

void buf_fini(struct buf *b)
{
	if (b->p)
		free(b->p - b->off);
	*b = (struct buf){0};
}

void buf_finip(struct buf *b)
{
	buf_fini(b);
}

void buf_reset(struct buf *b)
{
	if (!b->p)
		return;
	b->p -= b->off;
	b->cap += b->off;
	b->off = 0;
	b->n = 0;
}

/* need = bytes from the content's start on. */
static void make_room(struct buf *b, size_t need)
{
	size_t all = b->off + b->cap;
	char *start = b->p ? b->p - b->off : NULL;
	size_t cap;
	char *p;

	if (start && need <= all && b->n <= b->off) {
		memcpy(start, b->p, b->n);
		b->p = start;
		b->cap = all;
		b->off = 0;
		return;
	}
	cap = max_of(all + all / 2, max_of(need, (size_t)BUF_MIN));
	if (b->off == 0) {
		p = mem_grow(start, cap);
	} else {
		p = mem_grow(NULL, cap);
		if (b->p)
			memcpy(p, b->p, b->n);
		free(start);
	}
	*b = (struct buf){.p = p, .n = b->n, .cap = cap};
}

char *buf_grow(struct buf *b, size_t n)
{
	check(n <= SIZE_MAX / 4 - b->n);
	make_room(b, b->n + n);
	return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_room(b, n), p, n);
	b->n += n;
}

void buf_adds(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void buf_addz(struct buf *b, const char *z)
{
	buf_add(b, z, strlen(z));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n;

	va_copy(again, ap);
	buf_room(b, BUF_MIN);
	room = b->cap - b->n;
	n = vsnprintf(b->p + b->n, room, fmt, ap);
	check(n >= 0);
	if ((size_t)n >= room) {
		room = (size_t)n + 1;
		n = vsnprintf(buf_room(b, room), room, fmt, again);
		check(n >= 0 && (size_t)n < room);
	}
	va_end(again);
	b->n += (size_t)n;
}

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	char *end = digits + sizeof(digits);
	char *d = end;

	do {
		*--d = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_add(b, d, (size_t)(end - d));
}

void buf_drop(struct buf *b, size_t n)
{
	check(n <= b->n);
	if (n == b->n) {
		buf_reset(b);
		return;
	}
	b->p += n;
	b->off += n;
	b->n -= n;
	b->cap -= n;
}

const char *buf_z(struct buf *b)
{
	*buf_room(b, 1) = '\0';
	return b->p;
}

void buf_move(struct buf *dst, struct buf *src)
{
	check(dst != src && dst->n == 0);
	buf_fini(dst);
	*dst = *src;
	*src = (struct buf){0};
}
