/*
 * Everything between one life of a worker and one life of the store: the call
 * ring, the reply ring, the change ring and two doorbell flags in one sealed
 * memfd, and two eventfds. The master makes it and passes the three descriptors
 * to both sides; it never touches the memory itself.
 */
#pragma once

#include "core/base/err.h"
#include "ipc/doorbell.h"
#include "ipc/notice.h"
#include "ipc/ring.h"

#define LINK_CALLS 1048576   /* bytes of the call ring */
#define LINK_REPLIES 4194304 /* bytes of the reply ring */
#define LINK_NOTICES 4096    /* records of the change ring */

enum { LINK_FD_MEM, LINK_FD_WORKER_BELL, LINK_FD_STORE_BELL, LINK_FDS };

struct link {
	void *mem;
	size_t size;
	struct ring calls, replies;
	struct notice_ring notices;
	struct doorbell worker_bell; /* wakes the worker */
	struct doorbell store_bell;  /* wakes the store */
	int fd[LINK_FDS];
};

/* Three new descriptors (CLOEXEC); the caller closes them. */
int link_new(int fd[LINK_FDS], struct err *e);
/*
 * Maps them from the worker's or the store's side. The descriptors are taken over
 * either way: link_close() closes them, and so does a failure.
 */
int link_open_worker(struct link *l, const int fd[LINK_FDS], struct err *e);
int link_open_store(struct link *l, const int fd[LINK_FDS], struct err *e);
void link_close(struct link *l);
