/*
 * pushState: where every account of a connection stands, as text that outlives
 * connections, workers, restarts and nodes: "ACCOUNT:STATE", joined by commas.
 * A STATE is also what a type's /get returns: "<generation>-<modseq>" with the
 * generation in hex. It is EventSource's id as well.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

/* Appends one account's part, after a comma when out has content already. */
void token_add(struct buf *out, uint64_t account, uint32_t generation,
	uint64_t modseq);
/* That account's part; false when the token is broken or does not name it. */
bool token_find(struct str token, uint64_t account, uint32_t *generation_r,
	uint64_t *modseq_r);
