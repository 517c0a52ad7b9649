/*
 * The text of DATA (RFC 5321 4.5.2): dots at the start of a line are unstuffed, and
 * only CRLF "." CRLF ends it. A bare CR or LF ends no line, so nothing that another
 * server takes for an end of mail is one here.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

enum dot_state { DOT_BOL, DOT_TEXT, DOT_CR, DOT_DOT, DOT_DOT_CR, DOT_END };

struct dot {
	enum dot_state state; /* zeroes: before the first byte */
};

/* Appends the message's bytes to out. Returns the bytes taken: fewer than n only
 * when the end was found (state DOT_END). */
size_t dot_feed(struct dot *d, const char *p, size_t n, struct buf *out);
