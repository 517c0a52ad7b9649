/*
 * Looks into the change ring of a worker, as a debugger may, for when the change
 * was committed of which a client hears: over the wire nobody says so.
 */
#pragma once

#include <stdint.h>

struct notice_shm;

/* NULL where we may not look. */
const struct notice_shm *peek_open(const char *worker_pid);
/* CLOCK_MONOTONIC of the last commit that was told to it. */
uint64_t peek_committed_ns(const struct notice_shm *ring);
