/*
 * UTF-8 checked as it arrives (RFC 3629): no overlong form, no surrogate, at
 * most U+10FFFF. All zeroes is the start state; 8 bytes of it.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

#define UTF8_BAD 0xfffdu /* stands for what is no character */

struct utf8 {
	uint32_t need;	/* continuation bytes still missing */
	uint8_t lo, hi; /* bounds of the next one */
};

/*
 * false as soon as the bytes so far cannot be the start of valid UTF-8, and
 * from then on.
 */
bool utf8_feed(struct utf8 *u, const void *p, size_t n);
/* Between two characters? */
bool utf8_whole(const struct utf8 *u);
bool utf8_valid(struct str s);

/* Decodes one character of valid or invalid UTF-8; returns its bytes (>= 1).
 * s must not be empty. */
size_t utf8_decode(struct str s, uint32_t *cp_r); /* bad: 1, U+FFFD */
/* What is no character (a surrogate, above U+10FFFF) is written as U+FFFD. */
size_t utf8_encode(uint32_t cp, char out[4]);
