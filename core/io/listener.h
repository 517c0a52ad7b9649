/*
 * Accepts from a listening socket: at most 16 a turn, so that a flood of new
 * clients delays nobody; pauses (and retries each 100 ms) while descriptors or
 * memory are short, keeping the queue in the kernel. Some descriptors are not for
 * clients: what the master sends over a control line comes as one.
 */
#pragma once

#include <sys/socket.h>

#include "core/base/err.h"
#include "core/io/loop.h"

struct listener;

#define LISTENER_RESERVE 32 /* descriptors that clients leave free */

/*
 * fd is nonblocking and stays the caller's until listener_free(). on_accept gets a
 * nonblocking CLOEXEC socket that is now its own (TCP_NODELAY set on TCP).
 */
struct listener *listener_new(struct loop *l, int fd,
	void (*on_accept)(void *ctx, int fd), void *ctx);
/*
 * Accepts what the kernel's queue holds now: closing the last descriptor of a
 * listening socket resets whoever still waits there.
 */
void listener_accept_rest(struct listener *l);
void listener_free(struct listener *l); /* closes nothing */
