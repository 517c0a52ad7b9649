/*
 * What a role can no longer do once it serves: seccomp and Landlock.
 *
 * The system calls of sandbox.def, and no other: the kernel ends the whole process
 * with SIGSYS at the first one. It runs no handler of ours, since code that was taken
 * over would bring its own; which call it was stands in the kernel's log. Landlock,
 * where the kernel has it, allows no path, no TCP connection, and no signal to
 * another process; the store may use what is below its data directory.
 *
 * So whatever a library reads from files at its first use must be used before:
 * the setup() functions of core.
 */
#pragma once

#include <stdbool.h>

#include "core/base/err.h"

enum sandbox_role {
	SANDBOX_WORKER = 1,
	SANDBOX_STORE = 2,
};

/* The program was built with a sanitizer, which needs more of the kernel. */
extern const bool sandbox_never;

/*
 * Shuts it, for good; the process has no other thread yet, and no_new_privs.
 * data_dir is the store's. ring_fd is an io_uring that the role may enter, or -1:
 * it cannot set up or change any. Returns the version of Landlock, 0 where it is
 * not in use (*why_r says why), or < 0 where seccomp failed.
 */
int sandbox_enter(enum sandbox_role role, const char *data_dir, int ring_fd,
	const char **why_r, struct err *e);
