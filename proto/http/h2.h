/*
 * HTTP/2 (RFC 9113), server side, on nghttp2: each request of a connection is a
 * stream of stream.h. WebSockets come by extended CONNECT (RFC 8441).
 *
 * Fair: the socket is given little at a time (conn_unsent(), TCP_NOTSENT_LOWAT),
 * tunnels and endless answers go first and all others take turns, so that no
 * download stands in front of a StateChange. Backpressure: windows open as
 * on_data takes bytes and not before; what a stream has to say waits with it until
 * the peer's window and the socket have room. Memory per stream: its window one
 * way, what its server queues the other; idle: no buffer at all.
 *
 * Limits: 128 streams, 32 KB and 100 fields of header (431), the budgets of
 * h2_budget.h (GOAWAY, ENHANCE_YOUR_CALM). Deadlines by http-timeout: header,
 * body, output that does not move, idle connections.
 */
#pragma once

#include "core/io/conn.h"
#include "proto/http/stream.h"

struct h2_pool;
struct h2_pool *h2_pool_new(struct loop *l, const struct http_server *srv);
/*
 * A connection that begins with the client's preface; taken over, its handshake
 * done. Its place in the crowd goes along.
 */
void h2_take(struct h2_pool *p, struct conn *c, const struct http_share *share);
/* No further streams, those under way finish, all hear on_drain: a GOAWAY at once,
 * a last one when the peer has read it (h2_drain.c). */
void h2_drain(struct h2_pool *p);
/* After conf_swap(): due times are computed anew. */
void h2_reconfigure(struct h2_pool *p);
size_t h2_count(const struct h2_pool *p);
/* Ends all at once and frees. */
void h2_pool_free(struct h2_pool *p);
