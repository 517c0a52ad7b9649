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

/*
 * secret.c: a line from standard input, or asked for on the terminal without
 * echo (twice when it is a new one).
 */
int secret_read(bool from_stdin, bool twice, struct buf *out, struct err *e);

/* watch.c: `jmapctl watch URL ...`; argv[0] is "watch". */
int watch_main(int argc, char **argv);
extern const char watch_usage[];
