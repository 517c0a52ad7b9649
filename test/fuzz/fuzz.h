/*
 * What the fuzzers share. Each target is one LLVMFuzzerTestOneInput(); bytes go
 * to the code under test at their exact length on the heap, so that the address
 * sanitizer sees one read too far. A promise that is broken ends in check().
 */
#pragma once

#include <stdint.h>

#include "core/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A copy without a byte behind it; the caller frees p. */
static inline struct str fuzz_exact(const void *p, size_t n)
{
	char *copy = mem_grow(NULL, n ? n : 1);

	if (n)
		memcpy(copy, p, n);
	return str_n(copy, n);
}

/* The input as a tape: what is not there reads as zero. */
struct tape {
	const uint8_t *p;
	size_t n;
};

static inline uint64_t tape_take(struct tape *t, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < min_of(bytes, 8) && t->n; i++, t->p++, t->n--)
		v |= (uint64_t)*t->p << 8 * i;
	return v;
}
