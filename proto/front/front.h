/*
 * The front: what each path of the server does, on the worker's side.
 *
 *	/.well-known/jmap, /jmap/session        the Session object
 *	/jmap/api                               POST a JMAP Request
 *	/jmap/ws (also / and /.well-known/jmap) WebSocket, RFC 8887, RFC 8307
 *	/jmap/ws-echo                           WebSocket echo, when ws-echo is on
 *	/jmap/upload/, /jmap/download/          RFC 8620 6
 *	/jmap/eventsource                       RFC 8620 7.3
 *	/healthz                                200, or 503 without a store
 *
 * It knows HTTP only as streams and the engine only as a backend.
 */
#pragma once

#include "proto/http/stream.h"
#include "proto/jmap/backend.h"
#include "proto/push/push.h"

struct front;

/* crowd counts connections of accounts and addresses; NULL: nobody does. */
struct front *front_new(struct loop *l, struct backend *b, struct push_hub *h,
	struct crowd *crowd);
void front_free(struct front *f); /* after the last of its streams */
/* The server of streams; f's own. */
const struct http_server *front_server(struct front *f);

/* Logins of that account below version are gone: cached ones are forgotten,
 * WebSockets get Close 1008 and EventSources end. */
void front_revoke(struct front *f, uint64_t account, uint32_t version);
/* A new configuration: due times of live connections are computed anew. */
void front_reconfigure(struct front *f);
/* Stop: every WebSocket gets Close 1001 when its calls are done, every EventSource
 * ends. */
void front_drain(struct front *f);
/* WebSockets open now. */
size_t front_websockets(const struct front *f);
