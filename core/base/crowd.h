/*
 * How many are here? The seam by which connections are counted over all workers:
 * the cap of an account's, the cap of an address's. The worker plugs the census in
 * (ipc/census.h), unit tests a fake; NULL counts nobody.
 *
 * A place is what one connection holds from crowd_enter() to crowd_leave(): zero
 * when it was not counted.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

enum crowd_kind { CROWD_ACCOUNT, CROWD_ADDRESS, CROWD_KINDS };

struct crowd;

struct crowd_ops {
	bool (*enter)(struct crowd *c, enum crowd_kind kind, struct str who,
		uint64_t max, uint32_t *place_r);
	void (*leave)(struct crowd *c, enum crowd_kind kind, uint32_t place);
};

struct crowd {
	const struct crowd_ops *ops;
};

/* One more of them; false: max are here, and it is not counted. max 0: no cap. */
static inline bool crowd_enter(struct crowd *c, enum crowd_kind kind,
	struct str who, uint64_t max, uint32_t *place_r)
{
	*place_r = 0;
	return !c || c->ops->enter(c, kind, who, max, place_r);
}

/* Gives a place back; none: nothing. */
static inline void crowd_leave(
	struct crowd *c, enum crowd_kind kind, uint32_t *place)
{
	if (c && *place)
		c->ops->leave(c, kind, *place);
	*place = 0;
}
