/*
 * Pieces of a request's target that every carrier reads alike.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

/* RFC 9110 4.2.3, RFC 3986 3.2: a host, perhaps a port; no user. */
bool http_authority_valid(struct str a);
/*
 * Percent-decodes raw to `to`, which has room for raw.n bytes; false for a bad
 * escape, and for that of NUL.
 */
bool http_path_decode(struct str raw, char *to, size_t *n_r);
