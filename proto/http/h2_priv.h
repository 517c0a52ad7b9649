/*
 * struct h2 and struct h2_stream, and what their files ask of each other: h2.c
 * (life and output of a connection), h2_drain.c (its end in order), h2_time.c
 * (deadlines), h2_in.c (what comes), h2_out.c (the stream seam: answers).
 *
 * A stream has two ends of life: its server's, which on_done tells, and that on
 * the wire, which nghttp2 tells. H2S_DONE lies between: nobody listens, and
 * what still comes is dropped. Callbacks of nghttp2 may call up; calls from
 * above never call up by themselves but leave a note (todo) for the loop.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "core/io/sock.h"
#include "proto/http/h1_answer.h"
#include "proto/http/h2.h"
#include "proto/http/h2_budget.h"
#include "proto/http/h2_head.h"

#define H2_STREAMS_MAX 128
#define H2_WINDOW (256 * 1024)	     /* bytes a stream may send ahead */
#define H2_CONN_WINDOW (1024 * 1024) /* all streams together */
#define H2_QUEUE 16384		     /* bytes unsent: the socket gets no more */
#define H2_LINGER_MS 5000
#define H2_DRAIN_LINGER_MS 500
#define H2_DRAIN_MS 1000 /* between the first GOAWAY and the last, at most */

enum h2_state {
	H2_OPEN,
	H2_ENDING, /* closed or aborted; on_closed comes */
	H2_CLOSED,
};

enum h2_stream_state {
	H2S_HEAD,    /* its header comes */
	H2S_REQUEST, /* it is worked on */
	H2S_TUNNEL,
	H2S_DONE, /* on_done was called, or nobody was told of it */
	H2S_GONE, /* nghttp2 has forgotten it */
};

enum h2_todo {		   /* bits */
	H2_TODO_INPUT = 1, /* stream_resume(), or what has waited */
	H2_TODO_ROOM = 2,
	H2_TODO_RESET = 4, /* on_done is owed */
};

struct h2_pool {
	struct loop *loop;
	struct http_server srv;
	struct cds_list_head all;
	size_t n;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct h1_date date;
	bool draining;
	bool dying; /* goes with its last connection */
};

struct h2 {
	struct conn *c;
	struct h2_pool *pool;
	nghttp2_session *ng;
	union {
		struct cds_list_head node; /* pool->all, until closed */
		struct defer free;
	};
	struct http_share share;
	struct cds_list_head streams; /* until nghttp2 forgets them */
	struct cds_list_head todo;
	struct defer soon;  /* what is to do */
	struct defer flush; /* output */
	struct timer timer;
	uint64_t since_ms; /* without a stream; or unsent bytes are there */
	uint64_t drain_ms; /* when the last GOAWAY is due; 0: it drains not */
	uint32_t streams_n;
	uint32_t pumps; /* how often output was looked at */
	struct h2_budget budget;
	char *peer;
	uint8_t state;	     /* enum h2_state */
	bool backed_up : 1;  /* the socket does not take all */
	bool stuck : 1;	     /* and for long: see h2_time.c */
	bool terminated : 1; /* nghttp2 ends it by GOAWAY */
	bool drain_last : 1; /* the last GOAWAY is said: no stream any more */
};

struct h2_stream {
	struct stream s;
	struct h2 *h;
	union {
		struct cds_list_head node; /* h->streams, until gone */
		struct defer free;
	};
	struct cds_list_head todo_node; /* zeroes: nothing to do */
	struct h2_head *head;		/* until the request is known */
	struct buf in;			/* came and was not taken */
	struct buf out;			/* not yet asked for by nghttp2 */
	uint64_t in_ms;			/* of the last sign of life */
	uint64_t left_ms;		/* when output left, or began to wait */
	uint64_t out_ms;		/* when held-up output moved */
	uint64_t since_ms;		/* when the wait began: h2_time.c */
	uint64_t in_bytes;		/* of the body, taken */
	uint64_t out_left;		/* of the answer; UINT64_MAX: unknown */
	uint32_t pump;			/* h->pumps when output began to wait */
	uint32_t trailer;		/* bytes */
	int32_t id;
	uint8_t state;	  /* enum h2_stream_state */
	uint8_t todo;	  /* enum h2_todo */
	bool connect : 1; /* extended CONNECT */
	bool is_head : 1;
	bool in_done : 1; /* the peer's END_STREAM came */
	bool eof_told : 1;
	bool held : 1;	  /* in waits for stream_resume() */
	bool in_data : 1; /* on_data runs */
	bool broken : 1;  /* refused: drop what comes */
	bool head_sent : 1;
	bool out_drop : 1; /* HEAD, 204, 304: no body */
	bool out_ended : 1;
	bool out_full : 1; /* on_room is owed */
	bool deferred : 1; /* nghttp2 waits for output */
	bool reset : 1;	   /* RST_STREAM is on its way */
	bool drains : 1;   /* it heard of the drain */
};

extern const struct stream_vt h2_stream_vt;

/* h2.c */
void h2_flush_soon(struct h2 *h);
void h2_todo(struct h2_stream *st, enum h2_todo what);
/* GOAWAY with that error; nothing is heard from now on. */
void h2_terminate(struct h2 *h, uint32_t error_code);
/* One of what a budget bounds; over it, the peer is told to calm down. */
void h2_charge(struct h2 *h, enum h2_cost what);
void h2_calm(struct h2 *h, const char *why);
void h2_abort(struct h2 *h);

/* h2_drain.c */
void h2_drain_begin(struct h2 *h);
void h2_goaway_left(struct h2 *h, const nghttp2_goaway *frame);
void h2_ping_answered(struct h2 *h, const nghttp2_ping *frame);
/* When the last GOAWAY must be said; UINT64_MAX: it is, or there is no drain. */
uint64_t h2_drain_due(const struct h2 *h);
void h2_drain_late(struct h2 *h);

/* h2_time.c */
/* Deadlines are looked at then, if not before. */
void h2_wake_by(struct h2 *h, uint64_t due_ms);
/* Something has a deadline from now on: one timeout, or linger, away. */
void h2_watch(struct h2 *h);
void h2_on_timer(struct timer *t);

/* h2_in.c */
void h2_set_callbacks(nghttp2_session_callbacks *cb);
/* What waits in st->in, and the end behind it. */
void h2_deliver(struct h2_stream *st);
/* The peer's fault: an answer if that is still possible, else RST_STREAM. */
void h2_refuse(struct h2_stream *st, unsigned status, const char *why);
/* Before the others, or with them in turn. */
void h2_go_first(struct h2_stream *st, bool first);
/* The last call up. */
void h2_tell_done(struct h2_stream *st, bool clean);
/* nghttp2 has forgotten it, or never will: off the list, freed later. */
void h2_forget(struct h2_stream *st);

/* h2_out.c */
void h2_reset(struct h2_stream *st, uint32_t error_code);
/* What nghttp2 may send of st->out. */
ssize_t h2_on_read(nghttp2_session *ng, int32_t id, uint8_t *p, size_t n,
	uint32_t *flags, nghttp2_data_source *source, void *up);
