/*
 * HTTP clients, whatever they speak: HTTP/2 when ALPN says "h2" or, without TLS,
 * when the client's first bytes are HTTP/2's preface (RFC 9113 3.3: prior
 * knowledge); else HTTP/1.1. Until that is known a connection is a descriptor and
 * a deadline.
 */
#pragma once

#include "core/io/conn.h"
#include "proto/http/stream.h"

/* What TLS listeners offer, in order. */
#define HTTP_ALPN "\x02h2\x08http/1.1"

struct http_pool;
struct http_pool *http_pool_new(struct loop *l, const struct http_server *srv);
/* A new client; fd is taken over. */
void http_accept(struct http_pool *p, int fd, struct tls_ctx *tls);
/* Idle connections close, requests under way finish, tunnels hear on_drain. */
void http_drain(struct http_pool *p);
/* After conf_swap(): deadlines of live connections follow. */
void http_reconfigure(struct http_pool *p);
size_t http_count(const struct http_pool *p);
/* Ends all at once and frees. */
void http_pool_free(struct http_pool *p);
