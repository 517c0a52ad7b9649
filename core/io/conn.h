/*
 * A byte connection: a nonblocking socket, perhaps TLS on it, a queue of what is
 * still unsent. The one place that reads and writes client sockets.
 *
 * Reading goes through one buffer that all connections of a loop share; only what
 * the layer above leaves behind is kept by the connection, so an idle one holds no
 * buffer at all. Writes are gathered and leave as one write(2) at the end of the
 * turn (LOOP_FLUSH). The caller bounds what it queues: see conn_unsent().
 *
 * Life: conn_new() .. on_closed, which is the last callback; the memory is freed
 * in the LOOP_FREE phase after it, so callers may still touch it in that turn.
 * Any function may be called from any callback. An error that a write meets, or
 * conn_abort(), is told by a later on_closed: in LOOP_SOON, LOOP_FLUSH, or when
 * the descriptor or the timer says so.
 *
 * Whoever goes silent while paused is not seen to (only a reset is): that is what
 * deadlines of the layer above are for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/io/loop.h"
#include "core/io/tls.h"

struct conn;

enum conn_end {
	CONN_END_US,   /* conn_close() or conn_abort() */
	CONN_END_PEER, /* end of stream, reset */
	CONN_END_TLS,  /* handshake or record error */
};

struct conn_ops {
	/*
	 * Bytes came. Returns how many were taken; the rest is offered again in
	 * front of what comes next. The bytes may be changed in place and live
	 * until the return. After conn_close/abort within it the value is ignored.
	 */
	size_t (*on_data)(struct conn *c, char *p, size_t n);
	/*
	 * The peer sends no more (half close). NULL: what is queued is sent (it
	 * may still read) for at most 5 s, and the connection ends.
	 */
	void (*on_eof)(struct conn *c);
	/* The queue ran empty after it had not been. May be NULL. */
	void (*on_room)(struct conn *c);
	/*
	 * The last call, once; never from inside conn_new(), conn_write(),
	 * conn_close() or conn_abort(), but from the loop.
	 */
	void (*on_closed)(struct conn *c, enum conn_end why);
};

/*
 * Takes fd over. tls NULL: plain; else the TLS handshake runs first, as server
 * (name NULL) or as client (name: SNI and verified host). handshake_ms bounds it.
 */
struct conn *conn_new(struct loop *l, int fd, struct tls_ctx *tls,
	const char *name, unsigned handshake_ms, const struct conn_ops *ops,
	void *up);
/* Puts another layer on top; bytes left over by the old one go to the new one. */
void conn_set(struct conn *c, const struct conn_ops *ops, void *up);
void *conn_up(const struct conn *c);
struct loop *conn_loop(const struct conn *c);
int conn_fd(const struct conn *c);
bool conn_is_tls(const struct conn *c);
struct str conn_alpn(const struct conn *c); /* empty: none */

/* Queue bytes (copied). Nothing happens after conn_close(). */
void conn_write(struct conn *c, struct str s);
void conn_write2(struct conn *c, struct str a, struct str b);
/* Takes the content of b over without copying where it can; b is empty after. */
void conn_write_buf(struct conn *c, struct buf *b);
size_t conn_unsent(const struct conn *c); /* bytes, plain text */

/* No on_data until resumed: backpressure. Calls nest not. */
void conn_pause(struct conn *c, bool pause);

/* loop_now_ms() of the last inbound byte, and of the last progress of output. */
uint64_t conn_last_in_ms(const struct conn *c);
uint64_t conn_last_out_ms(const struct conn *c);

/*
 * Sends what is queued, says goodbye, waits until the peer has too (or it would
 * get a reset instead of the last bytes), ends: all within linger_ms. Input is
 * thrown away from now on. During a TLS handshake it is conn_abort().
 */
void conn_close(struct conn *c, unsigned linger_ms);
void conn_abort(struct conn *c);	 /* ends at once */
bool conn_closing(const struct conn *c); /* either, or the end */
/* Why TLS ended it (CONN_END_TLS), for a log; else "". Lives as long as c. */
const char *conn_tls_text(const struct conn *c);
