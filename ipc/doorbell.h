/*
 * An eventfd that is rung only when the other side sleeps.
 *
 * The sleeper: doorbell_arm() (flag = 1, seq_cst fence), then looks at its rings
 * once more, and sleeps only when they are empty; on waking doorbell_answer().
 * The ringer: publishes, then doorbell_ring() (seq_cst fence, reads the flag, and
 * writes the eventfd when it is set). Without the two fences a wake-up is lost
 * once in a million: each side's store may sit in its store buffer while it loads.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct doorbell_flag {          /* in shared memory */
	_Alignas(64) _Atomic uint32_t sleeps;
};

struct doorbell {
	struct doorbell_flag *flag;
	int fd;                 /* eventfd, nonblocking; the owner closes it */
};

void doorbell_arm(struct doorbell *d);
/* Awake again: clears the flag and, if it was rung, the eventfd. */
void doorbell_answer(struct doorbell *d);
/* After publishing. Returns whether a wake-up was sent. */
bool doorbell_ring(struct doorbell *d);
