/*
 * A call in the store: its request is collected, run, and its answer fed back.
 *
 * It belongs to the main thread, except from exec_submit() (or hasher_submit()) to
 * call_done(), when it belongs to the thread that runs it. A worker that dies or
 * cancels meanwhile leaves a call that is dropped when it comes back.
 */
#pragma once

#include "cmd/jmapd/store/link.h"
#include "core/base/buf.h"

struct store_call {
	struct map_node node; /* link->calls, by id */
	struct store_link *link;
	struct msg_call open;
	struct buf head, body;
	uint64_t got;	      /* body bytes so far */
	size_t spool;	      /* of them counted in st->spooled */
	size_t unsent;	      /* answer bytes counted in link->unsent */
	bool started;	      /* CALL_END came */
	bool running;	      /* a thread has it */
	bool refused;	      /* what still comes of its body is dropped */
	bool seen;	      /* CALL_SEEN came: it may overtake call_done() */
	bool dropped;	      /* nobody waits for the answer */
	_Atomic bool writing; /* CALL_WRITING is on the ring */
	bool replied;	      /* the whole answer is on the ring */
	struct cds_list_head sending;
	unsigned status;
	struct buf answer;
	size_t sent;
	uint64_t credit;
	bool reply_open; /* REPLY is on the ring */
	bool parked;	 /* it waits for credit alone */
	struct job job;
	struct slow_task slow;
	struct done done;
	struct dir_account who;	   /* whose login it came with */
	struct login_try tried;	   /* CALL_LOGIN */
	struct delivery *delivery; /* CALL_DELIVER */
	struct upload *upload;	   /* CALL_UPLOAD */
	struct download *download; /* CALL_DOWNLOAD */
};

/* The body is whole: run it. Main thread. */
void call_start(struct store_call *c);
/* status and answer are set: from any thread. */
void call_done(struct store_call *c);
/* From a running thread, before the first change. False: do not write. */
bool call_writing(struct store_call *c);
/*
 * Is there room for n more request bytes? A worker gets at most half of what the
 * others leave: one that takes all it can does not shut them out. Main thread.
 */
bool call_may_spool(const struct store_call *c, size_t n);
/* Counts request bytes that are kept; gives them back with head and body, or some of
 * them before. Main thread. */
void call_spool(struct store_call *c, size_t n);
void call_unspool_some(struct store_call *c, size_t n);
void call_unspool(struct store_call *c);
/* What it counts for without a body. */
static inline size_t call_base(const struct store_call *c)
{
	return sizeof(*c) + c->head.n;
}
/* Frees it, or leaves that to call_done() while a thread has it. Main thread. */
void call_drop(struct store_call *c);
/* Answers at once from the main thread. */
void call_refuse(struct store_call *c, unsigned status);
/* The whole answer is on the ring. Main thread. */
void call_replied(struct store_call *c);
/* Its answer holds n bytes from now on. Main thread. */
void call_unsent(struct store_call *c, size_t n);
/* Its worker takes so many more answer bytes; or has not taken enough of them. Main
 * thread. */
void call_credit(struct store_call *c, uint64_t bytes);
void call_park(struct store_call *c);
/* Puts answer bytes on the ring: true when the whole answer is there; false: the
 * ring is full, or the call has left link->sending for now. Main thread, *moved is
 * set when anything was put. */
bool call_feed(struct store_call *c, bool *moved);

/*
 * login.c: 0 when that handle is good, now; else the status that says so: 401, or
 * 503 when the directory cannot be read. Fills in who it is. Main thread.
 */
unsigned login_refused(
	struct store_link *l, const struct login *who, struct dir_account *a_r);
/* CALL_LOGIN */
void login_start(struct store_call *c);
void login_forget(struct store_link *l);
/* deliver.c */
void deliver_start(struct store_call *c);
/* It is answered: what is kept until its answer was seen is little. Main thread. */
void deliver_shrink(struct store_call *c);
void deliver_seen(struct store_call *c);
void deliver_free(struct delivery *d);
/* upload.c; all on the main thread. Its head is there: begin. */
void upload_begin(struct store_call *c);
/* Bytes of its body. -EPROTO: the worker sends more than it may. */
int upload_body(struct store_call *c, struct str bytes);
void upload_finish(struct store_call *c);
void upload_free(struct store_call *c);
/* download.c */
void download_start(struct store_call *c);
bool download_feed(struct store_call *c, bool *moved); /* as call_feed() */
void download_free(struct download *d);
