/*
 * permessage-deflate (RFC 7692): what is negotiated, messages in and out. Knows
 * no frames.
 *
 * All WebSockets of a worker share one deflater per window size and one inflater;
 * only a message that arrives in pieces has an inflater of its own. What makes
 * context takeover is kept beside them, as plain bytes: the end of what the client
 * sent (its window, which must stay as long as it may refer to it), and the end of
 * what it was sent (the history, which a sender may forget at any time, and which
 * goes when it was not used for a while). Both are charged to ws-deflate-memory,
 * the windows from the handshake on; when that is used up, a handshake gets
 * no_context_takeover in both directions, and then nothing is kept at all.
 */
#pragma once

#include "proto/http/stream.h"

#define DEFLATE_LEAST 512	/* bytes: shorter messages go plain */
#define DEFLATE_MOST (1u << 20) /* longer ones would hold up the worker */

/* What was offered, then what was agreed on. Zeroes: no compression. */
struct deflate_terms {
	uint16_t on : 1;
	uint16_t server_bits : 4; /* the window of what we send, 9-15 */
	uint16_t client_bits : 4;
	uint16_t server_asked : 1; /* server_max_window_bits was offered */
	uint16_t client_asked : 1;
	uint16_t server_fresh : 1; /* server_no_context_takeover */
	uint16_t client_fresh : 1;
};

/* What the WebSockets of a worker share. */
struct deflate_pool;
struct deflate_pool *deflate_pool_new(void);
/* After the last of them. NULL is well. */
void deflate_pool_free(struct deflate_pool *p);

/*
 * The first offer that we can take (RFC 7692 7.1): false, and all zeroes, when
 * there is none. An offer with a parameter that is unknown, doubled or wrong is not
 * taken; nor is server_max_window_bits=8, which zlib cannot do.
 */
bool deflate_offered(const struct http_request *r, struct deflate_terms *t_r);
/* Decides what is kept, and charges it until deflate_leave(). */
void deflate_agree(struct deflate_pool *p, struct deflate_terms *t);
/* Sec-WebSocket-Extensions of the answer. */
void deflate_answer(const struct deflate_terms *t, struct buf *out);

/* One WebSocket's side of it; made when the first message is compressed. */
struct deflate;
struct deflate *deflate_new(void);
/* The end of a WebSocket that agreed; d may be NULL. */
void deflate_leave(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d);
/* Gives back what was not used for a while and need not be kept. */
void deflate_rest(struct deflate_pool *p, struct deflate *d, uint64_t now_ms);

enum inflate_result {
	INFLATE_DONE,	 /* all of *in is taken, and all it says is in msg */
	INFLATE_MORE,	 /* call again */
	INFLATE_BAD,	 /* no deflate data */
	INFLATE_TOO_BIG, /* msg would pass limit, which it has reached */
};

/*
 * Inflates some of a message's compressed bytes to the end of msg, at most 16 KB at
 * a time. What is taken is cut from *in. Nothing may follow BAD and TOO_BIG.
 */
enum inflate_result deflate_in(struct deflate_pool *p, struct deflate *d,
	struct str *in, struct buf *msg, uint64_t limit);
/* What the sender left out at the end (RFC 7692 7.2.2): to be inflated as well. */
struct str deflate_in_tail(const struct deflate *d);
/* The message is whole; false: its deflate data is not. */
bool deflate_in_end(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d);

/* Compresses a + b as one message; what it returns lives until the next call. */
struct str deflate_out(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d, struct str a, struct str b, uint64_t now_ms);
