/*
 * Threads for what is slow on purpose: password hashes, and directory changes that
 * an administrator asks for. Bounded in number and in what may queue, and off the
 * executors, so that no login holds up mail.
 *
 * Each flow (an address that logs in) has a queue of its own, and they take turns: a
 * flood from one of them makes the others wait for one task of it at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "core/base/err.h"

#define HASHER_QUEUE 4096 /* most tasks that wait */
#define HASHER_FLOW 1024  /* most of them of one flow */

struct hasher;
struct slow_task {
	struct cds_list_head node;
	uint64_t flow;			  /* whose it is */
	void (*run)(struct slow_task *t); /* in a hasher thread */
};

int hasher_new(unsigned threads, struct hasher **h_r, struct err *e);
/* False: too many wait already, of all or of its flow; t stays the caller's. */
bool hasher_submit(struct hasher *h, struct slow_task *t);
/* Runs what is queued to its end, then ends the threads. */
void hasher_free(struct hasher *h);
