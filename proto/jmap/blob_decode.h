/*
 * A transfer encoding undone piece by piece (RFC 2045 6): what comes out, all
 * together, is what mime_decode() makes of the whole.
 *
 * A piece is cut where a decoder has nothing to remember, and what is behind the cut
 * is kept for the next one: at most BLOB_CARRY_MAX bytes, except for uuencode, which
 * has no such place and is kept whole.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/mime/mime.h"

#define BLOB_CARRY_MAX 65536

struct blob_decoder { /* zeroes, and the encoding */
	enum mime_encoding encoding;
	struct buf carry;
};

/* last: nothing comes after it. */
void blob_decode(
	struct blob_decoder *d, struct str bytes, bool last, struct buf *out);
