/*
 * Administration: what jmapctl asks about accounts. Verbs run in the hasher's
 * threads, one after the other; the answer goes back through the master.
 */
#pragma once

#include "core/base/str.h"

struct store_role;

/* words as in cmd/admin.h; ticket is given back with the answer. */
void admin_start(struct store_role *st, uint64_t ticket, struct str words);
