/*
 * A wake-up that is sent only when the other side sleeps.
 *
 * The sleeper: doorbell_arm(), then looks at everything it waits for once more,
 * and sleeps only when there is nothing; on waking doorbell_answer(). The ringer:
 * publishes, then doorbell_ring(). Without an order between "flag, then look" and
 * "publish, then flag" a wake-up is lost once in a million: each side's store may
 * sit in its store buffer while it loads. doorbell.c proves that none is; the
 * loops' whole protocol is in README.md beside this.
 *
 * What carries it is a pipe, since each end has flags of its own. An eventfd is
 * one open file for both sides: whoever clears its O_NONBLOCK makes the other one
 * wait for ever in a read of nothing, or in a write to a counter that is full.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct doorbell_flag { /* in shared memory */
	_Alignas(64) _Atomic uint32_t sleeps;
};

struct doorbell {
	struct doorbell_flag *flag;
	int fd; /* the sleeper reads it, the ringer writes it; nonblocking */
};

void doorbell_arm(struct doorbell *d);
/*
 * Awake again: clears the flag and empties the pipe, rung or not (one system
 * call). The callback of a readable pipe must be this: a hostile ringer may make
 * it readable without a look at the flag. False: the other side has closed its
 * end, and nobody can ring any more: it must not be watched, it stays readable.
 */
bool doorbell_answer(struct doorbell *d);
/*
 * Awake, but not by this bell: clears the flag only, no system call. A ring that
 * came meanwhile leaves the pipe readable, to be answered after the next wait.
 */
void doorbell_disarm(struct doorbell *d);
/* After publishing. Returns whether a wake-up was sent: one per arm at most. */
bool doorbell_ring(struct doorbell *d);
