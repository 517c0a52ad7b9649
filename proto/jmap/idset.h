/*
 * A set of object numbers, as many as come.
 */
#pragma once

#include <stdbool.h>

#include "core/base/base.h"

/* An open table; all zeroes is a valid empty one. */
struct idset {
	uint64_t *at; /* 0: nothing there */
	size_t cap, n;
};

void idset_fini(struct idset *s);
bool idset_has(const struct idset *s, uint64_t id);
/* False when it was there, and for 0, which is no number. */
bool idset_add(struct idset *s, uint64_t id);
