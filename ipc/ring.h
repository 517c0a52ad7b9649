/*
 * Byte ring between one writer process and one reader process.
 *
 * head and tail run freely; used bytes = tail - head. The writer publishes a
 * record by the release store of tail, the reader gives space back by that of
 * head. A record never wraps: a filler record takes the rest of the ring. Ring
 * memory is never reset: each life of a process gets fresh memory.
 *
 * The other side is hostile as far as this side can tell: its index is copied out
 * and checked (it neither leaves the ring nor goes back) before it is used, and
 * so is a record's header. ring_take() copies the payload too, so that nothing changes between
 * check and use; ring_peek() does not, and is for readers that trust the writer.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/base/buf.h"

#define RING_ALIGN 8 /* records start at multiples of it */

struct ring_shm {
	_Alignas(64) _Atomic uint64_t tail;    /* writer's */
	_Alignas(64) _Atomic uint64_t head;    /* reader's */
	_Alignas(64) _Atomic uint32_t starved; /* writer waits for room */
	_Alignas(64) unsigned char data[];     /* cap bytes */
};

struct ring_record {   /* in data, before the payload */
	uint32_t len;  /* payload bytes */
	uint16_t type; /* 0 is filler */
	uint16_t pad;
};

struct ring {
	struct ring_shm *shm;
	uint64_t cap;  /* data bytes, a power of two; private copy */
	uint64_t mine; /* own index: tail of a writer, head of a reader */
	uint64_t seen; /* the other side's index when last looked at */
	uint64_t next; /* reader: where the peeked record ends */
};

/* Bytes of shared memory for a ring of cap data bytes. */
size_t ring_size(size_t cap);
/* Joins fresh (all zero) or living memory as its writer or its reader. */
void ring_open_writer(struct ring *r, void *mem, size_t cap);
void ring_open_reader(struct ring *r, void *mem, size_t cap);

/* Largest payload that always fits an empty ring: a quarter of the ring. */
size_t ring_max(const struct ring *r);

/*
 * Adds one record (type != 0) of the iovecs' bytes. 1 = added, not yet published;
 * 0 = full (starved is set: the reader will ring when there is room again);
 * -EPROTO = the reader's index is nonsense. Total <= ring_max() or check().
 */
int ring_put(struct ring *r, uint16_t type, const struct iovec *v, int n);
/* The same, but keep bytes (at most ring_max()) must be free behind it. */
int ring_put_leaving(struct ring *r, uint16_t type, const struct iovec *v,
	int n, size_t keep);
/* Publishes what was put since; many records, one release store. */
void ring_publish(struct ring *r);
/* Largest payload that a put would take now (0 when full, or when the reader's
 * index is nonsense). Does not set starved: only a put that fails does. */
size_t ring_room(struct ring *r);

/* Takes one record; 1 = there is one, 0 = empty, -EPROTO = a writer's lie.
 * *rec_r points into the ring and lives until ring_release(). */
int ring_peek(struct ring *r, uint16_t *type_r, struct str *rec_r);
/* The same, but appends a copy of the payload to out, at most max bytes. */
int ring_take(struct ring *r, uint16_t *type_r, struct buf *out, size_t max);
/* Gives the peeked or taken record's space back. Returns true when the writer
 * was starved: ring its doorbell. */
bool ring_release(struct ring *r);
bool ring_empty(const struct ring *r);
