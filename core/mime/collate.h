/*
 * Texts as collations compare them.
 */
#pragma once

#include "core/base/buf.h"

/*
 * i;unicode-casemap (RFC 5051 2): appends the text in title case, decomposed. What
 * comes out is compared as bytes. Linear; any bytes are taken.
 */
void mime_casemap(struct str text, struct buf *out);
