/*
 * Everything between one life of a worker and one life of the store: the call
 * ring, the reply ring, the change ring and two doorbell flags in one sealed
 * memfd, and two pipes. The master makes it and passes three descriptors to each
 * side; it never touches the memory itself.
 */
#pragma once

#include "core/base/err.h"
#include "ipc/doorbell.h"
#include "ipc/notice.h"
#include "ipc/ring.h"

#define LINK_CALLS 1048576   /* bytes of the call ring */
#define LINK_REPLIES 4194304 /* bytes of the reply ring */
#define LINK_NOTICES 4096    /* records of the change ring */

/* A side's: the memory, the bell that wakes it, the one that it rings. */
enum { LINK_FD_MEM, LINK_FD_MINE, LINK_FD_THEIRS, LINK_FDS };

struct link {
	void *mem;
	size_t size;
	struct ring calls, replies;
	struct notice_ring notices;
	struct doorbell worker_bell; /* wakes the worker */
	struct doorbell store_bell;  /* wakes the store */
	int fd[LINK_FDS];
};

/* Three new descriptors (CLOEXEC) for each side; the caller closes them. */
int link_new(int worker[LINK_FDS], int store[LINK_FDS], struct err *e);
/*
 * Maps them from the worker's or the store's side. The descriptors are taken over
 * either way: link_close() closes them, and so does a failure.
 */
int link_open_worker(struct link *l, const int fd[LINK_FDS], struct err *e);
int link_open_store(struct link *l, const int fd[LINK_FDS], struct err *e);
void link_close(struct link *l);
