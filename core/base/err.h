/*
 * What went wrong with the world: a negative errno and one sentence.
 *
 * Functions that can fail take `struct err *e` last and return a negative code;
 * callers pass both up unchanged, or add what they were doing with err_add().
 * e may be NULL where nobody reads the sentence. Outcomes that a contract names
 * are positive and are no errors.
 */
#pragma once

#include "core/base/base.h"

struct err {
	int code;	/* negative errno, 0 when nothing happened */
	char text[256]; /* one sentence, no newline */
};

/* Sets the sentence; returns code, which must be negative. */
int err_set(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);

/* The same with ": strerror(errno)" behind it; returns -errno. */
int err_sys(struct err *e, const char *fmt, ...) printf_like(2, 3);

/* Puts "what: " before the sentence that is there; returns e's code,
 * or -EIO when e is NULL: with such an e return the code that came up. */
int err_add(struct err *e, const char *fmt, ...) printf_like(2, 3);
