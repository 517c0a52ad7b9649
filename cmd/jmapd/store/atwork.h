/*
 * What the store's threads are working on: the notebook that outlives the store,
 * and a watch over those who never come to an end.
 *
 * A request that loops costs a thread for good, and its account with it. So the
 * main thread looks now and then how much CPU each job has used (what waits for a
 * disk uses none). Past request-cpu-limit the process ends as after a failed
 * check, with nothing but that job left in the notebook: it is asked once more,
 * and refused the third time (cmd/jmapd/stats.h).
 */
#pragma once

#include <stdatomic.h>

#include "cmd/jmapd/stats.h"
#include "core/io/loop.h"

/* One job; turn and clock belong together when turn is the same after. */
struct at_work {
	_Atomic uint64_t turn; /* odd: at work */
	_Atomic int clock;     /* clockid_t of the thread */
	/* The watch's own: the CPU time of the thread when it first saw that turn. */
	uint64_t seen_turn, seen_ns;
};

struct at_works {
	struct notebook *book;
	struct loop *loop;
	struct timer timer;
	struct at_work at[NOTEBOOK_SLOTS];
};

/* Main thread; ends with the loop. */
void at_work_watch(
	struct at_works *w, struct notebook *book, struct loop *loop);
/* From the thread that does it. Returns a slot, or -1: not watched. */
int at_work_begin(struct at_works *w, uint64_t digest);
void at_work_end(struct at_works *w, int slot);
