/*
 * struct front, and what its files ask of each other.
 *
 * front.c knows the paths; request.c is a request that needs a login, from its head
 * to its answer; api.c, session.c, upload.c, download.c, eventsource.c and jws.c are
 * the kinds of such requests. A WebSocket leaves its request behind and is a struct
 * jws from then on, an EventSource a struct source; crowded.c says that there are too
 * many of them.
 */
#pragma once

#include "proto/front/auth.h"
#include "proto/front/front.h"
#include "proto/http/gzip.h"
#include "proto/jmap/engine.h"
#include "proto/ws/ws.h"

struct front {
	struct loop *loop;
	struct backend *backend;
	struct push_hub *hub;
	struct http_server server;
	struct auth *auth;
	struct gzip *gzip;
	struct cds_list_head requests; /* with a login, or waiting for one */
	struct ws_set sockets;
	struct map accounts;	      /* of struct jws: see jws.c */
	struct cds_list_head sources; /* of struct source: see eventsource.c */
	bool draining;
};

struct request;

/* What happens to a request once it is known whose it is. */
struct request_kind {
	/* Before: what of it must be remembered, in q->own. May be NULL. */
	void (*open)(struct request *q, const struct http_request *r);
	void (*fini)(struct request *q); /* frees q->own; may be NULL */
	/* name: of the login; lives until the return. */
	void (*start)(struct request *q, struct str name);
	/* Body bytes; returns how many were taken, the rest comes again after
	 * stream_resume(). NULL: a body means nothing and is dropped. */
	size_t (*data)(struct request *q, struct str bytes);
	void (*eof)(struct request *q);	 /* may be NULL */
	void (*room)(struct request *q); /* of its stream; may be NULL */
	void (*answer)(struct request *q, unsigned status, struct str body);
};

struct request {
	struct front *f;
	struct stream *s;
	const struct request_kind *kind;
	struct cds_list_head node; /* front.requests */
	struct auth_wait wait;
	struct call call;
	struct login login;
	struct buf body;
	void *own;		       /* of its kind */
	struct ws_handshake handshake; /* of a WebSocket */
	uint64_t content_length;
	char peer[64];	/* for the log, when refused */
	bool known : 1; /* login is there */
	bool bearer : 1;
	bool json : 1;	  /* Content-Type: application/json */
	bool gzip : 1;	  /* the client accepts it */
	bool eof : 1;	  /* the body is whole */
	bool counted : 1; /* in share->requests */
	bool uploads : 1; /* counted in share->uploads */
	bool answered : 1;
};

extern const struct request_kind api_kind, session_kind, jws_kind, upload_kind,
	download_kind, source_kind;

/* Asks who it is, then starts it. hs: of a WebSocket, else NULL. */
void request_new(struct front *f, struct stream *s,
	const struct http_request *r, const struct request_kind *k,
	const struct ws_handshake *hs);
/* Forgets the stream, which is somebody else's from now on. */
void request_free(struct request *q);
/* Is there room for one more of its connection? Then it counts. */
bool request_count(struct request *q);
bool request_count_upload(struct request *q);
void request_uncount(struct request *q);
/* Sends the call; its answer comes to kind->answer. body is taken over. */
void request_submit(struct request *q, enum call_kind kind, unsigned flags,
	struct buf *body);
/* It is answered now; what comes of its body is dropped. */
void request_answering(struct request *q);
/* The one answer, compressed for who accepts it; cache: Cache-Control. */
void request_respond(struct request *q, unsigned status, const char *type,
	const char *cache, struct str body);
/* RFC 8620 3.6.1; limit and detail as in request_error(). */
void request_refuse(struct request *q, enum request_error t, const char *limit,
	const char *detail);
/* An answer of the backend that is no success, with or without a body. */
void request_fail(struct request *q, unsigned status, struct str body);

/* Is that the id of the login's account? */
bool request_owns(const struct request *q, struct str account);

/* A request on a connection over the cap of its address: it is told so. */
void crowded_serve(
	struct front *f, struct stream *s, const struct http_request *r);
/* One more WebSocket or EventSource of the login's account; false: too many. */
bool crowded_enter(const struct request *q, uint32_t *place_r);
void crowded_leave(struct front *f, uint32_t *place);
/* After a false: 429, or Close 1013; a WebSocket's request is freed. */
void crowded_refuse(struct request *q);
void crowded_refuse_websocket(struct request *q);

/* A handshake for JMAP's WebSocket that we take; else it is refused, and false. */
bool jws_handshake(struct front *f, struct stream *s,
	const struct http_request *r, struct ws_handshake *hs_r);
/* Opens that WebSocket. */
struct ws *jws_accept(struct front *f, struct stream *s,
	const struct ws_handshake *hs, const struct ws_ops *ops, void *up);
/* All WebSockets of that account with a lower version: Close 1008. */
void jws_revoke(struct front *f, uint64_t account, uint32_t version);
/* All: Close 1001 when their calls are done. */
void jws_drain(struct front *f);
/* All EventSources of that account with a lower version: the end. */
void source_revoke(struct front *f, uint64_t account, uint32_t version);
/* After conf_swap(): due times are computed anew. */
void source_reconfigure(struct front *f);
/* All: the end, after which clients come again. */
void source_drain(struct front *f);
