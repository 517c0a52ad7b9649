/*
 * The change ring: fixed records from the store to one worker.
 *
 * A full ring is no error: notice_put() says so, and the store keeps (account,
 * types) in its subscriber table and writes what each type then stands at later.
 * Same index discipline and trust rules as ring.h.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum notice_kind {
	NOTICE_CHANGE = 1,   /* these types now stand at modseq */
	NOTICE_BASELINE,     /* answer to subscribe: as CHANGE, but no news */
	NOTICE_BASELINE_END, /* last one of a baseline; types may be 0 */
};

struct notice {
	uint64_t account;
	uint64_t modseq;
	uint64_t
		committed_ns; /* CLOCK_MONOTONIC of the commit; 0 for baseline */
	uint32_t generation;  /* of the account's state strings */
	uint16_t types;	      /* TYPE_BIT()s */
	uint16_t kind;
};
_Static_assert(sizeof(struct notice) == 32, "a notice is half a cache line");

struct notice_shm {
	_Alignas(64) _Atomic uint64_t tail;
	_Alignas(64) _Atomic uint64_t head;
	_Alignas(64) _Atomic uint32_t starved;
	_Alignas(64) struct notice slot[];
};

struct notice_ring {
	struct notice_shm *shm;
	uint64_t slots; /* a power of two */
	uint64_t mine;	/* own index: tail of a writer, head of a reader */
	uint64_t seen;	/* the other side's index when last looked at */
};

size_t notice_ring_size(size_t slots);
void notice_open_writer(struct notice_ring *r, void *mem, size_t slots);
void notice_open_reader(struct notice_ring *r, void *mem, size_t slots);
/* 1 = written and published, 0 = full (starved set), -EPROTO = bad index. */
int notice_put(struct notice_ring *r, const struct notice *n);
/* 1 = *n_r is a copy and its slot is given back, 0 = empty, -EPROTO. */
int notice_get(struct notice_ring *r, struct notice *n_r);
/* After a batch of gets: was the writer starved? Then ring its doorbell. */
bool notice_relieve(struct notice_ring *r);
bool notice_empty(const struct notice_ring *r);
