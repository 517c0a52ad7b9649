/*
 * struct h1, and what its files ask of each other: h1.c (life and time), h1_in.c
 * (reading), h1_out.c (the stream seam: answers).
 *
 * The stream is part of the connection: h->s is used anew for each request. All
 * that only HTTP needs (parser, timer, peer's name) is in struct h1_req, which a
 * tunnel gives back.
 */
#pragma once

#include "core/io/sock.h"
#include "proto/http/h1.h"
#include "proto/http/h1_answer.h"
#include "proto/http/h1_parse.h"

#define H1_LINGER_MS 5000
#define H1_DRAIN_LINGER_MS 500
#define H1_DRAIN_HEAD_MS 1000

enum h1_state {
	H1_IDLE,   /* between requests */
	H1_HEAD,   /* a head has begun */
	H1_STREAM, /* a request is worked on */
	H1_TUNNEL,
	H1_ENDING, /* closed or aborted; on_closed comes */
	H1_CLOSED,
};

struct h1_pool {
	struct loop *loop;
	struct http_server srv;
	struct cds_list_head all;
	size_t n;
	bool draining;
	bool dying; /* goes with its last connection */
	struct h1_date date;
};

struct h1_req {
	struct h1 *h;
	struct h1_head head;
	struct h1_chunked chunked;
	uint64_t in_left;  /* body bytes to come, by Content-Length */
	uint64_t in_bytes; /* body bytes that came */
	uint64_t out_left; /* body bytes to write, by Content-Length */
	uint64_t since_ms; /* when the wait of the timer began */
	struct timer timer;
	struct defer finish; /* at the end: frees this */
	char peer[SOCK_TEXT_MAX];
};

struct h1 {
	struct stream s;
	struct conn *c;
	struct h1_pool *pool;
	union {
		struct cds_list_head node; /* pool->all, until closed */
		struct defer free;
	};
	struct http_share share;
	struct h1_req *q;	/* NULL in a tunnel */
	uint64_t out_ms;	/* see v_last_out_ms() */
	uint32_t kernel_unsent; /* when last looked at */
	uint8_t state;		/* enum h1_state */
	uint8_t framing;	/* enum h1_framing, of the answer */
	bool held : 1;		/* conn is paused */
	bool eof : 1;		/* the peer's side is closed */
	bool close : 1;		/* after this answer */
	bool in_done : 1;	/* the body is whole */
	bool broken : 1;	/* framing is lost: drop what comes */
	bool is_head : 1;
	bool http10 : 1;
	bool head_sent : 1;
	bool out_ended : 1;
	bool out_drop : 1; /* HEAD, 204, 304: no body */
	bool was_backed_up : 1;
	bool aborted : 1;
};
/* Ten thousand idle WebSockets keep one each. */
_Static_assert(sizeof(struct h1) <= 120, "an idle tunnel is small");

extern const struct stream_vt h1_stream_vt;

/* Moves to another state; aborts on an edge that the life does not have. */
void h1_to(struct h1 *h, enum h1_state next);
/* The timer fires one timeout from now. */
void h1_arm(struct h1 *h);
/* Stops reading, and reads on. */
void h1_hold(struct h1 *h);
void h1_release(struct h1 *h);
/* Sends what is queued, drops what comes, ends. */
void h1_close(struct h1 *h);
void h1_abort(struct h1 *h);
/* The answer is complete: when it has left, the next request or the end. */
void h1_finish_soon(struct h1 *h);
/* Gives h->q back; its pieces may be looked at until the end of this turn. */
void h1_req_drop(struct h1 *h);

/* The peer's fault: one answer, if that is still possible, and the end. */
void h1_refuse(struct h1 *h, unsigned status, const char *why);
size_t h1_on_data(struct conn *c, char *p, size_t n);
