/*
 * Threads for what is slow on purpose: password hashes, and directory changes that
 * an administrator asks for. Bounded in number and in what may queue, and off the
 * executors, so that no login holds up mail.
 */
#pragma once

#include <stdbool.h>
#include <urcu/list.h>

#include "core/base/err.h"

#define HASHER_QUEUE 4096 /* most tasks that wait */

struct hasher;
struct slow_task {
	struct cds_list_head node;
	void (*run)(struct slow_task *t); /* in a hasher thread */
};

int hasher_new(unsigned threads, struct hasher **h_r, struct err *e);
/* False: too many wait already; t stays the caller's. */
bool hasher_submit(struct hasher *h, struct slow_task *t);
/* Runs what is queued to its end, then ends the threads. */
void hasher_free(struct hasher *h);
