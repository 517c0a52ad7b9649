/*
 * One LMTP connection: where it is in RFC 2033's dialogue.
 */
#pragma once

#include <urcu/list.h>

#include "core/io/conn.h"
#include "proto/jmap/backend.h"
#include "proto/lmtp/dot.h"

#define LMTP_LINE_MAX 2048  /* RFC 5321 4.5.3.1.4, and room for parameters */
#define LMTP_HEAD_MAX 50000 /* bytes of all recipients of a message */
#define LMTP_IDLE_MS 300000 /* RFC 5321 4.5.3.2.7 */

struct lmtp_pool {
	struct loop *loop;
	struct backend *backend;
	struct cds_list_head sessions;
	size_t n;
	bool draining;
	char host[64]; /* for Received */
};

enum lmtp_state {
	LMTP_HELLO, /* nothing but LHLO (and QUIT, NOOP, RSET) yet */
	LMTP_READY,
	LMTP_MAIL,    /* MAIL was taken */
	LMTP_ASKING,  /* a recipient is looked up */
	LMTP_DATA,    /* the message comes */
	LMTP_STORING, /* it is whole; the answer is awaited */
};

struct lmtp {
	struct lmtp_pool *pool;
	struct cds_list_head node;
	struct conn *conn;
	struct timer idle;
	enum lmtp_state state;
	struct str hello;  /* name of the client; malloc memory */
	struct buf sender; /* of the transaction */
	struct buf rcpts;  /* accepted ones, a NUL behind each */
	unsigned rcpts_n;
	struct buf asking; /* the one being looked up */
	struct call call;
	struct dot dot;
	struct buf data; /* of the message, not yet with the backend */
	uint64_t size;	 /* bytes of it so far */
	bool too_big;
	unsigned early;	 /* the backend's answer before the end */
	uint64_t unseen; /* delivery whose replies are not yet out */
};

/* "250 2.0.0 text" and CRLF. */
void lmtp_say(struct lmtp *s, const char *fmt, ...) printf_like(2, 3);
/* command.c: one line without its CRLF. */
void lmtp_command(struct lmtp *s, struct str line);
/* Forgets the transaction. */
void lmtp_reset(struct lmtp *s);
/* data.c */
void lmtp_data_begin(struct lmtp *s);
size_t lmtp_data(struct lmtp *s, const char *p, size_t n);
/* The conversation may go on, or it ends when the server drains. */
void lmtp_ready(struct lmtp *s);
