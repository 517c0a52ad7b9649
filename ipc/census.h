/*
 * Who is here, counted over all workers and without asking any of them (struct
 * crowd). Each life of a worker has a sealed memfd that only it writes and every
 * sibling reads: two tables, of accounts and of addresses, with how many
 * connections of each that worker has. Whoever enters counts itself first and sums
 * over all workers then, so that no two of them take the last place; of two that
 * try in the same instant both may be refused.
 *
 * The master makes the memory and tells it; what a dead worker counted goes with
 * its memory. A sibling that lies can have clients refused or let in, no more: its
 * memory is read word by word, and nothing in it is an index or a length.
 *
 * Nobody is refused for want of room: who finds its bucket full is not counted.
 */
#pragma once

#include "core/base/crowd.h"
#include "core/base/err.h"

#define CENSUS_WORKERS 64
#define CENSUS_BUCKETS 8192 /* a table */
#define CENSUS_SLOTS 16	    /* a bucket */
#define CENSUS_COUNT_BITS 24

/* Of all workers of a master: nobody outside can choose who shares a bucket. */
struct census_key {
	uint64_t k[2];
};

/*
 * How many of whom: count in the low bits, above it the tag, bits of the hash that
 * did not choose the bucket. A free slot has count 0, whatever its tag. Both change
 * at once, so no reader takes one's count for the other's.
 */
typedef _Atomic uint64_t census_word;

struct census_shm {
	_Alignas(64)
		census_word word[CROWD_KINDS][CENSUS_BUCKETS * CENSUS_SLOTS];
};

/*
 * The memory of one life; own is to be written by its worker, shown can only be
 * read, whatever its bearer tries. The caller closes both.
 */
int census_make(int *own_r, int *shown_r, struct err *e);

struct census;
/* One worker's view. Until it has memory of its own it counts nobody. */
struct census *census_new(void);
void census_free(struct census *c);
/* Its own memory; fd stays the caller's. Once. */
int census_own(
	struct census *c, int fd, const struct census_key *key, struct err *e);
/* That of a sibling's new life, in place of its last one; fd stays the caller's. */
int census_see(struct census *c, unsigned index, int fd, struct err *e);
/* That sibling is dead, and with it whoever it had. */
void census_forget(struct census *c, unsigned index);
struct crowd *census_crowd(struct census *c); /* c's own */
