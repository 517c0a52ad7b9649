/*
 * The paths and parameters of MAIL FROM and RCPT TO (RFC 5321 4.1.2, 4.1.1.11).
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

/*
 * Cuts "<address>" off *rest; a source route is dropped. *addr_r is without the
 * brackets, quoted strings as they stand; empty for "<>". False: no path.
 */
bool path_cut(struct str *rest, struct str *addr_r);
/* The next " KEY=VALUE" or " KEY"; false at the end, *bad_r for nonsense. */
bool param_cut(
	struct str *rest, struct str *key_r, struct str *value_r, bool *bad_r);
