/*
 * The words that workers and the store share about a call: what it is, who
 * asks. ipc/ carries them, proto/ speaks them; neither includes the other.
 */
#pragma once

#include <stdint.h>

/*
 * A call has a short head, a body, and is answered with a status (the numbers
 * are HTTP's where one fits, RFC 9110 15) and bytes.
 */
enum call_kind {
	CALL_LOGIN = 1, /* head: struct call_from, then "basic\0user\0secret" or
				 * "bearer\0token"; answer: 200 and struct login
				 * + login name; 429 and the seconds, a
				 * uint32_t, until it may be tried again */
	CALL_SESSION,	/* answer: the Session object's JSON */
	CALL_API,	/* body: RFC 8620 3.3 Request; answer: Response */
	CALL_API_WS,	/* the same in RFC 8887's clothes (requestId) */
	CALL_RCPT,	/* head: address; answer: status only */
	CALL_DELIVER,	/* head: trace\0sender\0rcpt\0rcpt...; body: the
				 * message as it came. Return-Path and the trace
				 * fields (whole lines, CRLF) go on top of it; doubles
				 * are told by the body. Answer: one uint16_t LMTP
				 * status a recipient: 250 451 452 550 552 554 */
	CALL_UPLOAD,	/* head: the type as the client says; body: the bytes.
				 * Answer: 201 and the object of RFC 8620 6.1; 507:
				 * there is no room */
	CALL_DOWNLOAD,	/* head: struct call_range, blob id. Answer: 404, or
				 * 200, 206, 416 with a struct call_found, and the
				 * bytes as a stream */
	CALL_KINDS,
};

/*
 * Proof that the store checked a credential: it travels with every call. The
 * MAC (HMAC-SHA256 cut to 16, under a key of master and store) covers what is
 * before, and the life of the worker that it was given to.
 */
struct login {
	uint64_t account;
	uint32_t worker;
	uint32_t version; /* of the account's credentials */
	uint8_t mac[16];
};

/* Where a credential comes from. */
struct call_from {
	uint8_t address[16]; /* IPv4 mapped (RFC 4291 2.5.5.2); zeroes: none */
};

/* Which bytes are wanted (RFC 9110 14.1.2). */
struct call_range {
	uint64_t first; /* UINT64_MAX: the last so many */
	uint64_t last;	/* UINT64_MAX: up to the end */
	uint32_t given; /* 0: all of them */
	uint32_t none;	/* not one is sent: is it there, and how large? */
};

/* Which bytes follow. */
struct call_found {
	uint64_t first, length;
	uint64_t total; /* of the whole */
};

#define CALL_F_WRITES 1u /* a method of it may change something */
#define CALL_F_RETRY 2u	 /* asked again after a store died */
