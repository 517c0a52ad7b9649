/*
 * Hierarchical timing wheel of a loop: the timers of loop.h, kept by their due
 * time in ticks of 1 ms.
 *
 * A level has 64 slots; a slot of level n spans 64^n ticks. A timer lies on the
 * level of the highest group of 6 bits in which its due time differs from now,
 * so slots of a level that are in use always lie ahead and nothing wraps: the
 * first slot of the lowest level in use is the next one to look at. Eleven levels
 * cover every 64-bit time. Setting and stopping are O(1); a timer moves down at
 * most once a level before it is due.
 */
#pragma once

#include <stdint.h>

#include "core/io/loop.h"

#define WHEEL_BITS 6
#define WHEEL_SLOTS (1u << WHEEL_BITS)
#define WHEEL_LEVELS 11

struct wheel {
	uint64_t now;		     /* ms */
	uint64_t used[WHEEL_LEVELS]; /* a bit may outlive its timers */
	struct cds_list_head slot[WHEEL_LEVELS][WHEEL_SLOTS];
	struct cds_list_head due; /* in order; run them next */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_add(struct wheel *w, struct timer *t); /* t->due_ms is set */
/* A moment (ms) at which wheel_run() is worth calling; UINT64_MAX: no timer. */
uint64_t wheel_next(struct wheel *w);
/*
 * Moves to now_ms and runs what is due, in order of due time. A timer that a
 * callback sets to now or earlier waits for the next call.
 */
void wheel_run(struct wheel *w, uint64_t now_ms);
