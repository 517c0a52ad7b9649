/*
 * Typed messages of the call ring (worker -> store) and the reply ring.
 *
 * A call is known by a number that its worker picks, never used again in that
 * worker's life. The worker sends CALL, any CALL_BODY (at most MSG_WINDOW bytes
 * ahead of CALL_CREDIT), CALL_END; the store answers REPLY (a small answer whole
 * in it, last = 1), or REPLY, REPLY_BODY..., REPLY_END within MSG_WINDOW ahead of
 * REPLY_CREDIT. The REPLY of a CALL_DOWNLOAD has a struct call_found in it; when
 * fewer bytes than it promised come before REPLY_END, the answer broke off. Before a
 * call changes anything the store sends CALL_WRITING: a call that was not marked when
 * the store died may safely be asked again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/call.h"
#include "core/base/str.h"

#define MSG_CHUNK 32768	  /* most payload bytes in one record */
#define MSG_WINDOW 262144 /* most bytes of one call on their way */

enum msg_type {
#define MSG(name, value, writer, head) MSG_##name = (value),
#include "ipc/msg.def"
#undef MSG
};

enum msg_writer { MSG_BY_NOBODY, MSG_BY_WORKER, MSG_BY_STORE };

struct msg_call {
	uint64_t call;
	uint64_t conn; /* its client connection: orders reads after writes */
	uint64_t body_len;  /* bytes, exactly; UINT64_MAX: until CALL_END */
	struct login login; /* zeroes for LOGIN, RCPT, DELIVER */
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
	uint64_t len; /* bytes of the whole answer */
	uint32_t status;
	uint32_t last; /* the answer is whole in this record */
};

struct msg_revoke {
	uint64_t account;
	uint32_t
		version; /* logins with a lower one are gone; UINT32_MAX: all */
	uint32_t pad;
};

/* "CALL_BODY"; "?" for a number that is no message. */
const char *msg_name(uint32_t type);
/* Whose ring that type belongs in; MSG_BY_NOBODY when there is no such type. */
enum msg_writer msg_writer(uint32_t type);
/*
 * Splits a record into its head (copied to head, which has head_n bytes) and the
 * rest. False when there is no such type, when its head is larger than head_n, or
 * when the record is shorter than that head.
 */
bool msg_split(uint32_t type, struct str rec, void *head, size_t head_n,
	struct str *rest_r);
/* Bytes of the head of that type; 0 when there is no such type. */
size_t msg_head_size(uint32_t type);
