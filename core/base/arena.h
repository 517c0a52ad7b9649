/*
 * Memory of one request: many small pieces, given back all at once.
 * All zeroes is a valid empty arena. Not for sharing between threads.
 */
#pragma once

#include "core/base/str.h"

struct arena_block;

struct arena {
	struct arena_block *block;
	size_t used; /* bytes handed out, all blocks */
};

void arena_fini(struct arena *a);
void arena_finip(struct arena *a);	    /* for cleanup(arena_fini) */
void *arena_new(struct arena *a, size_t n); /* zeroed, 16-aligned */
void *arena_dup(struct arena *a, const void *p, size_t n);
/* A copy with a NUL behind it (not counted in n). */
struct str arena_str(struct arena *a, struct str s);
struct str arena_fmt(struct arena *a, const char *fmt, ...) printf_like(2, 3);
