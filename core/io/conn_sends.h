/*
 * Many small writes as one system call, by io_uring, where the kernel has it: of a
 * push to thousands of connections each then costs about two thirds of a write(2).
 *
 * What plain connections of a loop have to say at the end of a turn is collected
 * and sent together (LOOP_SEND). The sockets are nonblocking, so every send is done
 * when the call returns: nothing is ever in flight between turns, and a connection
 * sees no difference. TLS connections, a few alone, and those that are closing
 * write for themselves.
 *
 * io_uring goes around seccomp. The ring is made disabled, held to SEND, and then
 * enabled: it can do nothing else for good, whoever has the process.
 */
#pragma once

#include "core/base/err.h"

struct loop;

/*
 * From now on, for all connections of that loop. Returns the ring's descriptor, for
 * a filter of system calls; it stays the ring's. < 0: the kernel has it not, or
 * forbids it, and all go on as before.
 */
int conn_sends_open(struct loop *l, struct err *e);
/* Before loop_free(). Nothing happens when there is none. */
void conn_sends_close(struct loop *l);
