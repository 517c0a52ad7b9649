/*
 * Typed messages of the call ring (worker -> store) and the reply ring.
 *
 * A call is known by a number that its worker picks, never used again in that
 * worker's life. The worker sends CALL, any CALL_BODY (at most MSG_WINDOW bytes
 * ahead of CALL_CREDIT), CALL_END; the store answers REPLY (a small answer whole
 * in it, last = 1), or REPLY, REPLY_BODY..., REPLY_END within MSG_WINDOW ahead of
 * REPLY_CREDIT. Before a call changes anything the store sends CALL_WRITING: a
 * call that was not marked when the store died may safely be asked again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

#define MSG_CHUNK 32768         /* most payload bytes in one record */
#define MSG_WINDOW 262144       /* most bytes of one call on their way */

enum msg_type {
#define MSG(name, value, writer, head) MSG_##name = (value),
#include "ipc/msg.def"
#undef MSG
};

/*
 * CALL_KIND(name, login, body): the free bytes of CALL are the head, those of
 * CALL_BODY the body. Answers are a status and bytes.
 */
enum call_kind {
	CALL_LOGIN = 1,         /* head: "basic\0user\0secret" or "bearer\0token" */
	CALL_SESSION,           /* answer: the Session object's JSON */
	CALL_API,               /* body: RFC 8620 3.3 Request; answer: Response */
	CALL_API_WS,            /* the same in RFC 8887's clothes (requestId) */
	CALL_RCPT,              /* head: address; answer: status only */
	CALL_DELIVER,           /* head: sender\0rcpt\0rcpt...; body: the message */
	CALL_KINDS,
};

/*
 * Proof that the store checked a credential: it travels with every call. The MAC
 * (HMAC-SHA256 cut to 16, under a key of master and store) covers what is before.
 */
struct login {
	uint64_t account;
	uint32_t worker;
	uint32_t version;       /* of the account's credentials */
	uint8_t mac[16];
};

#define CALL_F_WRITES 1u        /* a method of it may change something */
#define CALL_F_RETRY 2u         /* asked again after a store died */

struct msg_call {
	uint64_t call;
	uint64_t conn;          /* its client connection: orders reads after writes */
	uint64_t body_len;      /* bytes, exactly; UINT64_MAX: until CALL_END */
	struct login login;     /* zeroes for LOGIN, RCPT, DELIVER */
	uint32_t kind;
	uint32_t flags;
};

struct msg_chunk {
	uint64_t call;
};

struct msg_credit {
	uint64_t call;
	uint64_t bytes;
};

struct msg_subscribe {
	struct login login;
};

/* Status of an answer; the numbers are HTTP's where one fits (RFC 9110 15). */
struct msg_reply {
	uint64_t call;
	uint64_t len;           /* bytes of the whole answer */
	uint32_t status;
	uint32_t last;          /* the answer is whole in this record */
};

struct msg_revoke {
	uint64_t account;
	uint32_t version;       /* logins with a lower one are gone; UINT32_MAX: all */
	uint32_t pad;
};

/* "CALL_BODY"; "?" for a number that is no message. */
const char *msg_name(uint32_t type);
/*
 * Splits a record into its head (copied to head, which has head_n bytes) and the
 * rest. False when the record is shorter than the head of that type.
 */
bool msg_split(uint32_t type, struct str rec, void *head, size_t head_n,
		struct str *rest_r);
/* Bytes of the head of that type; 0 when there is no such type. */
size_t msg_head_size(uint32_t type);
