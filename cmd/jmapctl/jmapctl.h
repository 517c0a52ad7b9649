/*
 * jmapctl: speaks with a running jmapd over its control socket, and watches push
 * as any client would. Exit status: 0, 1 (failed), 2 (usage).
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE };

/* control.c: sends the words, prints the output; EXIT_GOOD or EXIT_FAILED. */
int control(const char *socket_path, struct str words);
/* Connects; the descriptor is the caller's. */
int control_dial(const char *socket_path, int *fd_r, struct err *e);

/* A verb that carries contents: what it was given. */
struct transfer_args {
	const char *socket_path;
	struct str words; /* the packet that begins it */
	const char *path;
	const char *mailbox;	   /* --mailbox, or NULL */
	uint64_t max_size_message; /* bytes */
	bool into, force;
};
int import_main(const struct transfer_args *a); /* import.c */
int export_main(const struct transfer_args *a); /* export.c */
int backup_main(const struct transfer_args *a); /* backup.c */
int restore_main(const struct transfer_args *a);

/*
 * secret.c: a line from standard input, or asked for on the terminal without
 * echo (twice when it is a new one).
 */
int secret_read(bool from_stdin, bool twice, struct buf *out, struct err *e);

/* watch.c: `jmapctl watch URL ...`; argv[0] is "watch". */
int watch_main(int argc, char **argv);
extern const char watch_usage[];

/* man.c: a part of a manual page, "options" or "verbs", for the Makefile. */
int man_main(const char *table);
