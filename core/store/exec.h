/*
 * Executors: an account is an actor for writes.
 *
 * Jobs that write run one at a time per account, in the order they came; jobs that
 * only read run beside them. A connection's read never overtakes a write that the
 * same connection sent before. Different accounts run side by side; one account
 * gets at most half of the threads (at least one). Queued jobs that can share a
 * commit (same batch function) are handed over together.
 *
 * Every thread registers with liburcu; fn runs without the executor's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "core/base/err.h"

struct exec;

#define EXEC_BATCH 64 /* most jobs that share one commit */

struct job {
	struct cds_list_head node;
	uint64_t account;
	uint64_t conn; /* 0: orders with nothing */
	bool writes;
	/* Runs one job, or, when batch is set, n >= 1 jobs with equal batch. The job
	 * is the callee's from then on: it may free it. */
	void (*run)(struct job *j);
	void (*batch)(struct job **j, size_t n);
	struct cds_list_head followers; /* exec's own */
};

int exec_new(unsigned threads, struct exec **x_r, struct err *e);
/* From any thread. */
void exec_submit(struct exec *x, struct job *j);
/* Jobs that wait or run. */
uint64_t exec_load(const struct exec *x);
/* Waits for all jobs (none may come any more), ends the threads, frees. */
void exec_free(struct exec *x);
