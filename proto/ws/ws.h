/*
 * One WebSocket (RFC 6455), server side, on any stream.
 *
 * Messages come whole to the layer above; text is valid UTF-8, checked as it
 * arrives. Pings leave every ws-heartbeat-interval, and a client without any sign
 * of life for ws-client-timeout is closed: any inbound byte is life, and so is
 * progress of unsent output. Both are read from conf_get() each time, so a reload
 * governs live connections (within a second). A message must be whole within
 * ws-message-timeout of its first byte, the first frame's header included, or the
 * end is Close 1008: RFC 6455 7.4.1 has no code for lateness but that for whoever
 * violates our policy.
 *
 * A message over the limit: on_too_big (the layer above may send its error), then
 * Close 1009 and nothing more is read. Memory: nothing but struct ws while idle.
 *
 * With a ws_set, permessage-deflate (RFC 7692) is negotiated if ws-deflate is on;
 * the layer above sees none of it. A limit is one of the inflated message, and
 * holds while it inflates; what is no deflate data is 1007.
 */
#pragma once

#include <stdbool.h>

#include "proto/http/stream.h"
#include "proto/ws/deflate.h"

enum ws_close_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_UNSUPPORTED_DATA = 1003,
	WS_NO_STATUS = 1005, /* never on the wire */
	WS_ABNORMAL = 1006,  /* never on the wire */
	WS_INVALID_DATA = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
	WS_TRY_LATER = 1013,
};

struct ws;

struct ws_ops {
	/* A whole message; it lives until the return, may be changed in place. */
	void (*on_message)(struct ws *w, bool text, char *p, size_t n);
	/* The first part of a message over the limit, for the sender's request id. */
	void (*on_too_big)(struct ws *w, bool text, struct str start);
	/* Unsent bytes ran down to zero. May be NULL. */
	void (*on_room)(struct ws *w);
	/* The server drains: ws_close(1001) when the calls under way are done. */
	void (*on_drain)(struct ws *w);
	/* Last call. code is what the peer said, or why we closed it. */
	void (*on_closed)(struct ws *w, unsigned code);
};

/*
 * All WebSockets of an owner, so that they hear of a new configuration, and what
 * they share to compress. Zeroes are no valid set: ws_set_init() first; it outlives
 * its WebSockets.
 */
struct ws_set {
	struct cds_list_head all;
	size_t n;
	struct deflate_pool *deflate;
};
void ws_set_init(struct ws_set *set);
void ws_set_fini(struct ws_set *set);
/* After conf_swap(): due times are computed anew, for each of them. */
void ws_reconfigure(struct ws_set *set);

struct ws_want {
	struct str protocol; /* the subprotocol we speak: "jmap"; or STR_NONE */
	bool check_origin;   /* foreign Origin is 403 */
	/* Largest message, bytes; asked for at each message's first frame. */
	uint64_t (*max_message)(void);
	/* NULL: of no set; it then looks at the configuration each second, and
	 * compresses nothing. */
	struct ws_set *set;
};

/*
 * Is this request a WebSocket handshake at all (Upgrade: websocket, or :protocol)?
 */
bool ws_wanted(const struct http_request *r);
/*
 * RFC 6455 4.2.1: 0 when the handshake is right, else the HTTP status to refuse it
 * with, and *why_r: 400, 403 (Origin), 405, 426 (version, with
 * Sec-WebSocket-Version: 13). Call before authentication.
 */
unsigned ws_check(const struct http_request *r, const struct ws_want *want,
	const char **why_r);
/* Answers such a refusal with its fields. */
void ws_refuse(struct stream *s, unsigned status, const char *why);

/*
 * What is needed of a right handshake after the request is gone (authentication
 * takes its time): 40 bytes.
 */
struct ws_handshake {
	char accept[32]; /* Sec-WebSocket-Accept, empty over HTTP/2 */
	bool protocol;	 /* was it offered? then it is echoed */
	struct deflate_terms deflate; /* what was offered */
};
void ws_remember(const struct http_request *r, const struct ws_want *want,
	struct ws_handshake *h_r);
/* Answers 101 and makes the WebSocket. */
struct ws *ws_accept(struct stream *s, const struct ws_handshake *h,
	const struct ws_want *want, const struct ws_ops *ops, void *up);

void *ws_up(const struct ws *w);
struct stream *ws_stream(const struct ws *w);
/* One text (or binary) message; copied. Nothing happens once it is closing. */
void ws_send(struct ws *w, bool text, struct str msg);
/* Two pieces that make up one text message: head and shared tail. */
void ws_send2(struct ws *w, struct str a, struct str b);
/* Bytes that are queued and not yet with the kernel. */
size_t ws_unsent(const struct ws *w);
/* Close handshake: Close frame, wait for the peer's (two seconds once ours has left,
 * ws-client-timeout without progress before that), end. */
void ws_close(struct ws *w, unsigned code, const char *reason);
bool ws_is_open(const struct ws *w);
/* No more on_message until false; what comes stays with the carrier. */
void ws_pause(struct ws *w, bool pause);
