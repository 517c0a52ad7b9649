/*
 * struct conn, and what its files ask of each other: conn.c (life, and what the
 * layer above calls), conn_in.c (reading), conn_out.c (writing, saying goodbye),
 * conn_sends.c (writing many at once).
 *
 * What is needed only for a while (TLS, a deadline, leftover bytes, unsent bytes)
 * is allocated for that while, so that an idle plain connection costs this struct
 * and nothing else.
 */
#pragma once

#include <sys/types.h>

#include "core/io/conn.h"
#include "core/io/tls_io.h"

enum conn_state {
	CONN_HANDSHAKE, /* TLS only */
	CONN_OPEN,
	CONN_CLOSING, /* conn_close(): input is thrown away */
	CONN_ENDED,   /* socket closed; on_closed comes in LOOP_SOON */
	CONN_GONE,    /* on_closed was called; LOOP_FREE frees */
};

struct conn_deadline {
	struct timer timer;
	struct conn *c;
};

struct conn {
	struct watch watch;
	struct defer flush;
	struct defer soon; /* start, leftover bytes, on_closed, free */
	struct loop *loop;
	const struct conn_ops *ops;
	void *up;
	struct buf out;	    /* plain text, unsent */
	struct buf left;    /* plain text that the layer above left */
	struct tls_io *tls; /* NULL: plain */
	struct conn_deadline *deadline; /* handshake or linger, or NULL */
	uint64_t last_in_ms, last_out_ms;
	int fd;
	uint8_t state; /* enum conn_state */
	uint8_t why;   /* enum conn_end */
	bool paused : 1;
	bool eof : 1;	  /* the peer sends no more */
	bool blocked : 1; /* the kernel takes no more: EPOLLOUT */
	bool full : 1;	  /* out was not empty: on_room is owed */
	bool in_data : 1; /* on_data runs */
	bool bye : 1;	  /* shut down for writing */
};

_Static_assert(sizeof(struct conn) <= 200, "an idle connection is small");

/* Moves to another state; aborts on an edge that the life does not have. */
void conn_state(struct conn *c, enum conn_state to);
/* Tells epoll what is wanted now. */
void conn_arm(struct conn *c);
/* Ends it and calls on_closed: only where no callback of c is running. */
void conn_end(struct conn *c, enum conn_end why);
void conn_set_deadline(struct conn *c, unsigned ms);
void conn_drop_deadline(struct conn *c);

/* Reads and delivers; leftover bytes first when again is true. */
void conn_input(struct conn *c, bool again);

/* One write of what is queued; then whatever follows from that. */
void conn_output(struct conn *c);
/*
 * The same in two halves, for a write that somebody else made: n is what send(2)
 * said, or -errno. The first half calls nobody; its result is the second one's.
 */
int conn_took(struct conn *c, ssize_t n);
void conn_settle(struct conn *c, int ret);
/* True: what is queued goes out in this turn's LOOP_SEND (conn_sends.h). */
bool conn_sends_take(struct conn *c);
/* CONN_OPEN to CONN_CLOSING. */
void conn_start_closing(struct conn *c, enum conn_end why, unsigned linger_ms);
