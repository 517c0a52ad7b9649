/*
 * Sockets: listening, accepting, passing descriptors.
 */
#pragma once

#include <sys/socket.h>

#include "core/base/buf.h"
#include "core/base/err.h"

/*
 * A nonblocking CLOEXEC listening socket on addr (AF_INET, AF_INET6, AF_UNIX).
 * IP sockets get SO_REUSEADDR, SO_REUSEPORT; "::" takes IPv4 too. A stale unix
 * socket (nobody accepts) is replaced; mode is its file mode. text names the
 * address in errors: "bind 0.0.0.0:443: Permission denied".
 */
int sock_listen(const struct sockaddr *addr, socklen_t len, const char *text,
	unsigned mode, int *fd_r, struct err *e);

#define SOCK_TEXT_MAX 128
/* "192.0.2.1:4711", "[2001:db8::1]:4711", "unix". */
void sock_peer_text(int fd, char z[SOCK_TEXT_MAX]);

/* SOCK_SEQPACKET pair, nonblocking, CLOEXEC. */
int sock_pair(int fd[2], struct err *e);

/*
 * One packet of a SEQPACKET socket with up to SOCK_FDS descriptors.
 * send: 1 = sent, 0 = would block, < 0 error. Descriptors stay the caller's.
 * recv: 1 = a packet is appended to out; 0 = none there, -EPIPE = the peer is gone,
 * -EMSGSIZE = over max. The *n_r descriptors that came (CLOEXEC) are the caller's,
 * also when there was an error.
 */
#define SOCK_FDS 253 /* SCM_MAX_FD: the kernel passes no more */
int sock_send_fds(
	int sock, struct str packet, const int *fds, size_t n, struct err *e);
int sock_recv_fds(int sock, struct buf *out, size_t max, int fds[SOCK_FDS],
	size_t *n_r, struct err *e);
/* Closes one that came, whatever it is: no lingering socket holds that up. */
void sock_drop(int fd);
