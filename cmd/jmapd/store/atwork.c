#include "cmd/jmapd/store/atwork.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "conf/conf.h"
#include "core/base/log.h"

#define LOOK_MS 500

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	/* Of a thread that is gone: it does not loop. */
	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int at_work_begin(struct at_works *w, uint64_t digest)
{
	int slot = notebook_begin(w->book, digest);
	clockid_t clock;

	if (slot < 0 || pthread_getcpuclockid(pthread_self(), &clock) != 0)
		return slot;
	struct at_work *a = &w->at[slot];
	atomic_store(&a->clock, clock);
	atomic_fetch_add(&a->turn, 1); /* pairs: used_ns() */
	return slot;
}

void at_work_end(struct at_works *w, int slot)
{
	if (slot < 0)
		return;
	if (atomic_load(&w->at[slot].turn) & 1)
		atomic_fetch_add(&w->at[slot].turn, 1);
	notebook_end(w->book, slot);
}

/* CPU that the job in that slot has used since it was first seen there. */
static uint64_t used_ns(struct at_work *a)
{
	uint64_t turn = atomic_load(&a->turn), now;

	if (!(turn & 1))
		return 0;
	now = cpu_ns(atomic_load(&a->clock));
	if (atomic_load(&a->turn) != turn)
		return 0;
	if (a->seen_turn != turn) {
		a->seen_turn = turn;
		a->seen_ns = now;
	}
	return now - min_of(now, a->seen_ns);
}

/* Every job of one batch runs in one thread: they all stay in the notebook. */
static void end_looping(struct at_works *w, int clock, uint64_t limit)
{
	log_error("a request has used %" PRIu64
		  " seconds of CPU: the store ends, and starts again",
		limit);
	for (int i = 0; i < NOTEBOOK_SLOTS; i++)
		if (atomic_load(&w->at[i].clock) != clock)
			notebook_end(w->book, i);
	abort();
}

static void on_look(struct timer *t)
{
	struct at_works *w = container_of(t, struct at_works, timer);
	uint64_t limit = conf_get()->request_cpu_limit;

	for (int i = 0; i < NOTEBOOK_SLOTS; i++)
		if (used_ns(&w->at[i]) > limit * 1000000000)
			end_looping(w, atomic_load(&w->at[i].clock), limit);
	timer_set(w->loop, t, loop_now_ms(w->loop) + LOOK_MS);
}

void at_work_watch(struct at_works *w, struct notebook *book, struct loop *loop)
{
	w->book = book;
	w->loop = loop;
	timer_init(&w->timer, on_look);
	timer_set(loop, &w->timer, loop_now_ms(loop) + LOOK_MS);
}
