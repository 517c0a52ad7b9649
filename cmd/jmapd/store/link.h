/*
 * The store's end of a link: calls are read and collected, answers are fed back.
 *
 * Answers are finished in memory (call.h). A small one is put on the reply ring by
 * the executor itself, under the link's lock; a large one is fed by the main thread
 * in chunks, inside the call's window, so that no big download delays a small
 * answer. A part of the ring is kept for CALL_WRITING alone.
 *
 * What a worker can make us hold is bounded, whatever it does and leaves undone:
 * requests by its share of what all may hold (call_may_spool()), answers that it
 * does not take by LINK_UNSENT_MAX, calls and subscriptions by their number. A
 * turn of one worker is short, and calls that wait for it cost no turn any time.
 */
#pragma once

#include "cmd/jmapd/store/role.h"

struct store_call;

/* Bytes of large answers that wait for their worker; further ones become 503. */
#define LINK_UNSENT_MAX ((size_t)256 << 20)

struct store_link {
	struct store_role *st;
	unsigned worker;
	uint64_t life;
	struct link link;
	struct watch bell;
	struct map calls;	      /* struct store_call by id */
	struct map proven;	      /* logins whose MAC was checked */
	struct cds_list_head sending; /* calls that may send answer bytes */
	struct buf in;		      /* scratch: the record being read */
	struct buf overflow;	      /* small records that found it full */
	size_t spooled;		      /* request bytes of its calls */
	size_t unsent;		      /* answer bytes of its calls */
	unsigned subscribing;	      /* (un)subscriptions under way */
	struct cds_list_head unheard; /* subscriptions that the disk failed */
	pthread_mutex_t lock;	      /* replies ring, dead, full, lied */
	bool dead;
	bool full;     /* the last put found no room */
	bool lied;     /* in what it says of its replies ring */
	unsigned refs; /* main thread: calls not yet freed, + 1 */
};

/* A new life of a worker; takes the descriptors over. */
int store_link_up(struct store_role *st, unsigned worker, uint64_t life,
	const int fd[LINK_FDS], struct err *e);
/* That worker is dead: its calls are dropped when they end. */
void store_link_down(struct store_role *st, unsigned worker);

/* Reads at most a turn's worth; feeds answers and owed notices. True: it moved. */
bool store_link_turn(struct store_link *l);

/*
 * Puts a small record on the reply ring, from any thread. reserve: leave the part
 * that is kept for CALL_WRITING. False: full, or the worker is dead.
 */
bool store_link_put(struct store_link *l, uint16_t type, const void *head,
	size_t head_n, struct str rest, bool reserve);
/* The same for the main thread: a record that found it full waits. */
void store_link_say(
	struct store_link *l, uint16_t type, const void *head, size_t head_n);
void store_link_ref(struct store_link *l);
void store_link_unref(struct store_link *l);
