/*
 * struct ws, and what its files ask of each other: ws.c (life, sending, time),
 * ws_in.c (receiving) and ws_unpack.c (receiving what is compressed).
 */
#pragma once

#include "core/base/utf8.h"
#include "proto/ws/frame.h"
#include "proto/ws/ws.h"

#define WS_FRAGMENTS_MAX 1024 /* of one message */
#define WS_CHOKE (1u << 20)   /* unsent bytes: read no more */
#define WS_PONG_BACKLOG 65536 /* unsent bytes: only the newest Pong */
#define WS_START_MAX 65536    /* bytes of a message over the limit */

enum ws_state {
	WS_OPEN,
	WS_CLOSING, /* our Close is sent, the peer's is awaited */
	WS_ENDING,  /* the stream ends; nothing is read or sent */
	WS_CLOSED,
};

/* What a frame or message in arrival needs; none is kept while idle. */
struct ws_in {
	uint64_t started_ms;
	uint64_t limit;	     /* bytes of the message under way */
	uint64_t at;	     /* payload bytes of this frame so far */
	uint64_t packed_n;   /* bytes of a compressed message so far */
	struct ws_head head; /* of this frame, once head_whole */
	struct buf msg;	     /* unmasked, inflated payload of the message */
	struct utf8 utf8;
	unsigned fragments; /* of the message; 0: none under way */
	bool text;
	bool packed;
	bool head_whole;
	bool too_big; /* only its start is wanted */
	uint8_t bytes_n;
	char bytes[WS_HEAD_MAX]; /* of a head in pieces */
	char control[WS_CONTROL_MAX];
};

struct ws_pong {
	uint8_t n;
	char p[WS_CONTROL_MAX];
};

struct ws {
	struct stream *s;
	const struct ws_ops *ops;
	void *up;
	uint64_t (*max_message)(void);
	struct ws_set *set;
	struct cds_list_head node; /* set->all */
	union {
		struct timer timer;
		struct defer free; /* once closed */
	};
	struct ws_in *in;
	struct ws_pong *pong;	 /* waits for room */
	uint64_t ping_ms;	 /* when the last Ping left */
	uint64_t alive_ms;	 /* life that the stream does not know of */
	struct deflate *deflate; /* once it was of use; terms.on */
	uint32_t timeout_s : 17; /* ws-client-timeout when last looked at */
	uint32_t state : 3;	 /* enum ws_state */
	uint32_t paused : 1;	 /* by the layer above */
	uint32_t choked : 1;	 /* unsent bytes are over WS_CHOKE */
	uint32_t in_data : 1;	 /* on_data runs */
	uint16_t code;		 /* for on_closed */
	struct deflate_terms terms;
};
_Static_assert(sizeof(struct ws) <= 160, "an idle WebSocket is small");

/* Moves to another state; aborts on an edge that the life does not have. */
void ws_to(struct ws *w, enum ws_state next);
void ws_send_frame(struct ws *w, unsigned opcode, struct str payload);
/* RFC 6455 7.1.7: Close with that code, and the end. */
void ws_fail(struct ws *w, unsigned code, const char *reason);
/* The peer's Close came. */
void ws_close_came(struct ws *w, struct str payload);
void ws_ping_came(struct ws *w, struct str payload);
void ws_in_free(struct ws *w);
/* Its context, made if there is none yet; terms.on. */
struct deflate *ws_deflate(struct ws *w);
/* A piece of a compressed message came, and its end. What fails closes. */
void ws_unpack(struct ws *w, struct str piece);
void ws_unpack_end(struct ws *w);
/* w->in: its start goes up as too big, then Close 1009. */
void ws_too_big(struct ws *w);
/* Adds to the message; wrong UTF-8 in a text closes, and is false. */
bool ws_text_right(struct ws *w, const char *p, size_t n);
/* Takes what came; less than n while paused or choked. */
size_t ws_in_data(struct ws *w, char *p, size_t n);
