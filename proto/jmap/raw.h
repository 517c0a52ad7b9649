/*
 * Walking JSON that is known to be good, as text: no tree, no memory.
 *
 * The envelope of a request and back-references into earlier answers need no
 * more than to know where a value begins and ends. Every str here must come from
 * a text that scan_json() found good or that we wrote ourselves.
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"

/* The offset behind spaces, and behind the value that begins at `at`. */
size_t raw_space(struct str s, size_t at);
size_t raw_skip(struct str s, size_t at);
/* Levels of nesting. */
size_t raw_depth(struct str s);

/* Members of an object or elements of an array, one by one. */
struct raw_iter {
	struct str s;
	size_t at;
};
struct raw_iter raw_iter(struct str container);
/* name_r: with quotes; give NULL for an array. */
bool raw_next(struct raw_iter *i, struct str *name_r, struct str *value_r);

static inline char raw_type(struct str v)
{
	return v.n > 0 ? v.p[0] : '\0'; /* '{' '[' '"' 't' 'f' 'n' or a digit */
}

/* The characters of a string with quotes; in the arena where it has escapes. */
struct str raw_text(struct str quoted, struct arena *a);
/* Does the string with quotes say `text`? */
bool raw_is(struct str quoted, struct str text);
