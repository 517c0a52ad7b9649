/*
 * What a role shows the master in shared memory: its counters, and for the store a
 * notebook of the requests it is working on.
 *
 * A request that was being worked on at two deaths of the store is refused the
 * third time. The executors write its digest before they begin and clear it after;
 * the master, which keeps the memory, counts at each death what stood there. The
 * store only reads the counts: it cannot forget them by dying.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/metrics.h"

#define NOTEBOOK_SLOTS 128 /* jobs at work: threads times batch */
#define NOTEBOOK_SEEN 64
#define NOTEBOOK_DEATHS 2 /* as many make a request poison */

struct notebook {
	/* Written by the store. */
	_Alignas(64) _Atomic uint64_t at_work[NOTEBOOK_SLOTS];
	/* Written by the master, while no store lives. */
	struct {
		uint64_t digest;
		uint32_t deaths;
	} seen[NOTEBOOK_SEEN];
	uint32_t next; /* which of seen[] is overwritten next */
};

/* The store's side; digest 0 is never used. Returns a slot, or -1: none free. */
int notebook_begin(struct notebook *n, uint64_t digest);
void notebook_end(struct notebook *n, int slot);
bool notebook_is_poison(const struct notebook *n, uint64_t digest);
/* It was at work at a death: it shares no commit with others any more. */
bool notebook_suspects(const struct notebook *n, uint64_t digest);
/* The master's: after a death by crash or silence (not by kill -9, which says
 * nothing about the requests). Returns how many requests were at work. */
unsigned notebook_death(struct notebook *n);
/* After any other death: what was at work is not held against it. */
void notebook_forget(struct notebook *n);
