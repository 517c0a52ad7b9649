/*
 * The stream seam: one request and its answer, whatever carries it.
 *
 * HTTP/1.1 (h1.h) makes streams, HTTP/2 will; JMAP, WebSocket and EventSource see
 * nothing below. A carrier embeds `struct stream` and fills in vt; the server of a
 * stream sets ops and up from within on_request. A stream lives until its
 * on_end... callbacks say so: on_done or on_reset is the last call, exactly once.
 *
 * A tunnel (RFC 6455 over an HTTP/1.1 Upgrade, RFC 8441 over extended CONNECT)
 * is a stream whose both directions are bytes from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/crowd.h"
#include "core/io/loop.h"

struct http_header {
	struct str name;  /* any case; compare with str_ieq */
	struct str value; /* trimmed */
};

struct http_request { /* lives until on_request returns */
	struct str method;
	struct str target;    /* as sent: origin-form */
	struct str path;      /* percent-decoded, without the query */
	struct str query;     /* raw, without '?' */
	struct str authority; /* Host */
	struct str protocol;  /* wanted by Upgrade or :protocol, lower case;
				 * empty when the request may not upgrade */
	const struct http_header *headers;
	size_t headers_n;
	uint64_t content_length; /* UINT64_MAX: unknown (chunked) */
	bool tls;
	bool extended_connect; /* HTTP/2: no Sec-WebSocket-Key (RFC 8441 5) */
	const char *peer;      /* address of the client, for logs */
};

/* What all streams of one client connection share (RFC 8887 4.3.2). */
struct http_share {
	uint64_t id;	   /* of the connection, unique in this process */
	unsigned requests; /* API requests under way on it */
	unsigned uploads;
	uint32_t place; /* of its address in the crowd (core/base/crowd.h) */
	bool crowded;	/* over the cap: it is told so, and ends */
};
/* Any wait for the client of that connection; a crowded one gets little time. */
uint64_t http_timeout_ms(const struct http_share *share);

struct stream;

struct stream_ops {
	/* Body bytes, or tunnel bytes; may be changed in place. Returns how many
	 * were taken: the rest comes again after stream_resume(). */
	size_t (*on_data)(struct stream *s, char *p, size_t n);
	/* The peer's side is whole: end of body (an empty one too, right after
	 * on_request), or half close of a tunnel. May be NULL. */
	void (*on_eof)(struct stream *s);
	/* Unsent bytes ran down to zero after they had not been. May be NULL. */
	void (*on_room)(struct stream *s);
	/* Last call: the answer has left (clean), or the stream broke before. */
	void (*on_done)(struct stream *s, bool clean);
	/* HTTP/1.1: the peer sends nothing more, and the answer is not whole; it
	 * may be gone, or still read. May be NULL. */
	void (*on_hangup)(struct stream *s);
	/* The server stops: finish soon. May be NULL. */
	void (*on_drain)(struct stream *s);
};

struct stream_vt {
	void (*head)(struct stream *s, unsigned status,
		const struct http_header *h, size_t n, uint64_t length);
	void (*write)(struct stream *s, struct str a, struct str b);
	void (*end)(struct stream *s);
	void (*reset)(struct stream *s);
	void (*tunnel)(struct stream *s, const struct http_header *h, size_t n);
	void (*resume)(struct stream *s);
	size_t (*unsent)(const struct stream *s);
	uint64_t (*last_in_ms)(const struct stream *s);
	/* When output that the peer's slowness had held up last moved. */
	uint64_t (*last_out_ms)(const struct stream *s);
	struct loop *(*loop)(const struct stream *s);
};

struct stream {
	const struct stream_vt *vt;
	const struct stream_ops *ops;
	void *up;
	struct http_share *share;
};

/*
 * Who answers requests. on_request must set s->ops, or respond at once. On a
 * connection that is crowded it must refuse.
 */
struct http_server {
	void (*on_request)(
		void *ctx, struct stream *s, const struct http_request *r);
	void *ctx;
	struct crowd *crowd; /* counts connections by address; may be NULL */
};

/* A whole answer: status, fields, body. content_type NULL: no body. */
void stream_respond(struct stream *s, unsigned status, const char *content_type,
	const struct http_header *h, size_t n, struct str body);
/* RFC 7807 problem details with that title; RFC 8620 3.6.1 uses it as well. */
void stream_problem(struct stream *s, unsigned status, const char *detail);
/* The same with fields, for what 401, 405, 426... must carry. */
void stream_problem_with(struct stream *s, unsigned status, const char *detail,
	const struct http_header *h, size_t n);

/* An answer in pieces: head (length UINT64_MAX: unknown), write..., end. */
static inline void stream_head(struct stream *s, unsigned status,
	const struct http_header *h, size_t n, uint64_t length)
{
	s->vt->head(s, status, h, n, length);
}

static inline void stream_write(struct stream *s, struct str a)
{
	s->vt->write(s, a, STR_NONE);
}

/* Two pieces that belong together (frame head, payload): one copy, one write. */
static inline void stream_write2(struct stream *s, struct str a, struct str b)
{
	s->vt->write(s, a, b);
}

/* Nothing more will be written; a tunnel's connection or stream ends cleanly. */
static inline void stream_end(struct stream *s)
{
	s->vt->end(s);
}

/* Breaks it: the connection of HTTP/1.1, RST_STREAM of HTTP/2. */
static inline void stream_reset(struct stream *s)
{
	s->vt->reset(s);
}

/* Answers 101 (or 200 on HTTP/2) with these fields; a tunnel from then on. */
static inline void stream_tunnel(
	struct stream *s, const struct http_header *h, size_t n)
{
	s->vt->tunnel(s, h, n);
}

/* After on_data took less than all: offer the rest (in the next turn). From
 * within on_data it does nothing. */
static inline void stream_resume(struct stream *s)
{
	s->vt->resume(s);
}

static inline size_t stream_unsent(const struct stream *s)
{
	return s->vt->unsent(s);
}

static inline uint64_t stream_last_in_ms(const struct stream *s)
{
	return s->vt->last_in_ms(s);
}

static inline uint64_t stream_last_out_ms(const struct stream *s)
{
	return s->vt->last_out_ms(s);
}

static inline struct loop *stream_loop(const struct stream *s)
{
	return s->vt->loop(s);
}

/* First field of that name; STR_NONE when there is none. */
struct str http_field(const struct http_request *r, const char *name);
/* How many fields of that name there are. */
size_t http_field_count(const struct http_request *r, const char *name);
/* Does any field of that name list the token (case-insensitive, RFC 9110 5.6.1)? */
bool http_lists(
	const struct http_request *r, const char *name, struct str token);
/* Walks a list (RFC 9110 5.6.1): the next element that is not empty, trimmed. */
bool http_list_next(struct str *rest, struct str *item_r);
/* "Not Found" for 404. */
const char *http_reason(unsigned status);
