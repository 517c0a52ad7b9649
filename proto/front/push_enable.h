/*
 * What a client wants to be told: a WebSocketPushEnable (RFC 8887 4.3.5.2), and the
 * types of an EventSource (RFC 8620 7.3).
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"

struct push_wish {
	unsigned types;	  /* set of TYPE_BIT */
	struct str token; /* pushState, or empty; in the arena or the text */
};

/*
 * text is an object that scan_json() found valid. False when a property is of a
 * wrong type. dataTypes that is null, absent or empty means all; names that we
 * do not know are ignored, and only such names mean no type at all.
 */
bool push_wish_read(struct str text, struct arena *a, struct push_wish *r);
/*
 * "*", or names joined by commas, of which those that we do not know are ignored.
 * False: it is empty.
 */
bool push_types_read(struct str list, unsigned *types_r);
