/* The letters that are delivered. */
#pragma once

#include "core/base/buf.h"

/* Number i, of about that many bytes; three in a row are a Thread. */
void letter(struct buf *b, const char *to, long i, size_t bytes);
