/*
 * The master's line to a role: typed packets with descriptors (ctl.def), and the
 * numbers of the descriptors that a role is born with.
 */
#pragma once

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/io/sock.h"

/* The only descriptors a role has when its main() begins, beside 0, 1, 2. */
enum role_fd {
	ROLE_FD_CTL = 3,      /* SOCK_SEQPACKET to the master */
	ROLE_FD_STATS = 4,    /* memfd: struct stats_block */
	ROLE_FD_NOTEBOOK = 5, /* memfd: struct notebook (store), else closed */
	ROLE_FD_FIRST_FREE = 6,
};

enum ctl_type {
#define CTL(name, value) CTL_##name = (value),
#include "cmd/jmapd/ctl.def"
#undef CTL
};

#define CTL_PACKET 65536 /* most bytes of a packet */

struct ctl_head {
	uint32_t type;
	uint32_t flags;
	uint64_t a, b;
};

#define CTL_LISTEN_TLS 1u
#define CTL_LISTEN_LMTP 2u

struct ctl_packet {
	struct ctl_head head;
	struct str rest;  /* lives as long as the buffer */
	int fd[SOCK_FDS]; /* the receiver's to close */
	size_t fds;
};

/* 1 = sent, 0 = the other side does not read, < 0 = it is gone. */
int ctl_send(int sock, const struct ctl_head *h, struct str rest,
	const int *fds, size_t n, struct err *e);
/* 1 = a packet, 0 = none there, < 0 = gone or nonsense (p has the descriptors that
 * came with it). in is scratch. */
int ctl_recv(int sock, struct buf *in, struct ctl_packet *p, struct err *e);
/* Closes the descriptors that nobody took (steal them by setting -1). */
void ctl_close_fds(struct ctl_packet *p);
const char *ctl_name(uint32_t type);
