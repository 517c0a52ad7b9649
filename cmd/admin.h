/*
 * The control socket, run-dir/control (SOCK_SEQPACKET, mode 0600): how jmapctl
 * speaks with a running jmapd.
 *
 * A request is one packet: words joined by NUL ("account\0add\0alice@example.org\0
 * secret"). The answer is packets that begin with one letter: 'o' and a piece of
 * output, any number of them; then 'k' (done) or 'e' and a sentence (failed).
 * Connections may ask again after that. The verbs are in admin.def; who may speak
 * is decided by the file mode and by SO_PEERCRED (root, or the user of the master).
 */
#pragma once

#define ADMIN_SOCKET "control" /* in run-dir */
#define ADMIN_PACKET 65536     /* most bytes of a packet */
#define ADMIN_OUTPUT 'o'
#define ADMIN_OK 'k'
#define ADMIN_ERROR 'e'

/* ADMIN_STREAM: on to the store with the connection itself (transfer.h). */
enum admin_where { ADMIN_MASTER, ADMIN_STORE, ADMIN_STREAM };
