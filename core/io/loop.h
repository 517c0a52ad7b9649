/*
 * The event loop of a role: descriptors (epoll), timers, work put off to the end
 * of the turn. One thread.
 *
 * A turn: wait, timers that are due, descriptors that are ready, then the deferred
 * work phase by phase. Work deferred in a phase that has run waits for the next
 * turn, which then does not sleep. Callbacks may add and delete any watch, timer
 * or defer, their own included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "core/base/err.h"

struct loop;

struct watch {
	int fd;		 /* -1 when not watched */
	uint32_t events; /* EPOLLIN, EPOLLOUT; errors always come */
	void (*fn)(struct watch *w, uint32_t events);
};

struct timer {
	struct cds_list_head node;
	uint64_t due_ms; /* 0: not set */
	void (*fn)(struct timer *t);
};

enum loop_phase {
	LOOP_SOON,    /* right after the descriptors */
	LOOP_NOTICES, /* pushes: after all answers of the turn */
	LOOP_FLUSH,   /* one write for all that a connection has to say */
	LOOP_SEND,    /* one system call for many such writes */
	LOOP_FREE,    /* memory that callbacks may still look at */
	LOOP_PHASES,
};

struct defer {
	struct cds_list_head node; /* zeroes: not queued */
	void (*fn)(struct defer *d);
};

struct loop *loop_new(struct err *e);
/* Runs what is still deferred; watches and timers are the caller's. */
void loop_free(struct loop *l);

/* Runs until loop_stop(); returns its code, or a negative error of epoll. */
int loop_run(struct loop *l, struct err *e);
void loop_stop(struct loop *l, int code);
/* One turn that waits at most max_wait_ms; for tests. */
int loop_turn(struct loop *l, int max_wait_ms, struct err *e);

/* Level-triggered. Adding aborts on EEXIST and the like: those are our bugs. */
void loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events,
	void (*fn)(struct watch *w, uint32_t events));
void loop_rewatch(struct loop *l, struct watch *w, uint32_t events);
void loop_unwatch(struct loop *l, struct watch *w); /* fd stays open */

/* Timing wheel; 1 ms ticks, O(1). fn runs once at or after due_ms. */
void timer_init(struct timer *t, void (*fn)(struct timer *t));
void timer_set(struct loop *l, struct timer *t, uint64_t due_ms);
void timer_stop(struct loop *l, struct timer *t);
bool timer_is_set(const struct timer *t);

/* Queues d once for that phase; queued already: nothing happens. */
void defer_init(struct defer *d, void (*fn)(struct defer *d));
void loop_defer(struct loop *l, struct defer *d, enum loop_phase phase);
void loop_undefer(struct defer *d);

/*
 * Before the loop blocks it calls before(ctx): true means "there is work", and
 * the loop does not block; after the wait it calls after(ctx). The place of the
 * doorbell's arm, look again, sleep, answer. A turn that need not block skips
 * before, never after. NULL takes the hooks away.
 */
void loop_hooks(struct loop *l, bool (*before)(void *ctx),
	void (*after)(void *ctx), void *ctx);

/* The clock of this turn, read once after the wait. */
uint64_t loop_now_ms(const struct loop *l);

/* Bytes that whoever runs may use until it returns: what conn.c reads into. */
#define LOOP_SCRATCH (128 * 1024)
char *loop_scratch(struct loop *l);

/* Of conn_sends.c, which keeps it here; NULL: there is none. */
struct conn_sends;
struct conn_sends *loop_sends(const struct loop *l);
void loop_set_sends(struct loop *l, struct conn_sends *s);

/* Blocks signo for the process and calls fn in the loop when it comes. */
int loop_signal(struct loop *l, int signo, void (*fn)(int signo, void *ctx),
	void *ctx, struct err *e);
