/*
 * HTTP/1.1 (RFC 9112), server side, strict: whatever request smuggling lives on is
 * 400 and the end of the connection.
 *
 * Keep-alive, pipelining (one request is worked on at a time, its answer leaves
 * before the next is looked at), chunked both ways, Expect: 100-continue. Limits:
 * request line 8 KB, 100 fields, 32 KB of header (431, 414); deadlines for header
 * and body from http-timeout (408). The head's memory is given back once a tunnel
 * stands: an idle WebSocket keeps the stream and nothing more.
 */
#pragma once

#include "core/io/conn.h"
#include "proto/http/stream.h"

struct h1;

/* All HTTP/1.1 connections of a worker, so that they can be drained. */
struct h1_pool;
struct h1_pool *h1_pool_new(struct loop *l, const struct http_server *srv);
/* A new client, past its handshake if TLS. Its place in the crowd goes along. */
void h1_take(struct h1_pool *p, struct conn *c, const struct http_share *share);
/* Idle ones close, requests under way finish with Connection: close, tunnels hear
 * on_drain. */
void h1_drain(struct h1_pool *p);
/* After conf_swap(): due times are computed anew. */
void h1_reconfigure(struct h1_pool *p);
size_t h1_count(const struct h1_pool *p);
/* Ends all at once and frees. */
void h1_pool_free(struct h1_pool *p);
