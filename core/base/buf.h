/*
 * A growing byte buffer. All zeroes is a valid empty one.
 *
 * [p, p + n) is the content. buf_drop() moves the start forward without
 * copying; the space is won back when the buffer grows or becomes empty.
 */
#pragma once

#include <stdarg.h>

#include "core/base/str.h"

struct buf {
	char *p;    /* first byte of the content */
	size_t n;   /* bytes of content */
	size_t off; /* p - start of the allocation */
	size_t cap; /* bytes from p to the end of the allocation */
};

void buf_fini(struct buf *b);  /* frees; empty afterwards */
void buf_finip(struct buf *b); /* for cleanup(buf_fini) */
void buf_reset(struct buf *b); /* empty, memory kept */

/* Room for n more bytes; returns where they go. Commit with b->n += used. */
char *buf_grow(struct buf *b, size_t n); /* its slow half */
static inline char *buf_room(struct buf *b, size_t n)
{
	/* b->n <= cap always holds, so the difference cannot wrap. */
	if (__builtin_expect(!b->p || b->cap - b->n < n, 0))
		return buf_grow(b, n);
	return b->p + b->n;
}
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, struct str s);
void buf_addz(struct buf *b, const char *z);
static inline void buf_addc(struct buf *b, char c)
{
	*buf_room(b, 1) = c;
	b->n++;
}
void buf_fmt(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_vfmt(struct buf *b, const char *fmt, va_list ap) printf_like(2, 0);
void buf_u64(struct buf *b, uint64_t v); /* decimal */

/* Drops the first n bytes (n <= b->n). */
void buf_drop(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->p, b->n};
}

/* The content with a NUL behind it (not counted in n). */
const char *buf_z(struct buf *b);

/* Moves the whole content of src (memory and all) into the empty dst. */
void buf_move(struct buf *dst, struct buf *src);
