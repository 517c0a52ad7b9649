/*
 * The JMAP engine (RFC 8620 3): a request's bytes in, the answer's bytes out. It
 * runs in the store on an executor thread; it knows no socket and no ring.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/store/store.h"

struct jmap_call {
	struct store *store;
	struct account *account; /* whose login it is; pinned by the caller */
	uint64_t account_no;	 /* its number in the directory */
	const char *user;	 /* login name */
	uint32_t version;	 /* of the credentials */
	bool websocket;		 /* RFC 8887: @type and requestId */
	bool writable;		 /* it was queued as a write */
	/* Called once, before the first change: from now on the end is unknown if
	 * this process dies (CALL_WRITING). */
	void (*writing)(struct jmap_call *c);
};

/*
 * Runs a whole request. Returns the HTTP status and appends the body: 200 and a
 * Response, or 400 / 413.. and problem details (RFC 8620 3.6.1; with websocket a
 * RequestError, whose "status" is the same). Method errors are inside a Response.
 */
unsigned jmap_run(struct jmap_call *c, struct str request, struct buf *out);

/*
 * The Session object (RFC 8620 2), with the websocket capability (RFC 8887 3), in
 * the base URL of conf's jmap-url.
 */
unsigned jmap_session(struct jmap_call *c, struct buf *out);

/* A message that becomes an Email. */
struct jmap_message {
	struct str raw;
	int64_t received_ms;
	const struct str *keywords; /* valid, lower case (RFC 8621 4.1.1) */
	size_t keywords_n;
	const uint64_t *mailboxes; /* at least one */
	size_t mailboxes_n;
	bool delivery; /* it comes from outside: EmailDelivery changes */
};
/*
 * Parses it, makes its card, threads it, inside the given write transaction.
 * 0, EMAIL_MAILBOX_NOT_FOUND, or < 0.
 */
int jmap_store(struct tx *t, const struct jmap_message *m, uint64_t *id_r,
	uint64_t *thread_r, struct err *e);
/*
 * Puts a raw message (with its trace fields already on top) into the Inbox inside
 * the given write transaction. 0, or < 0. Message digests for doubles are the
 * caller's business.
 */
int jmap_deliver(
	struct tx *t, struct str raw, int64_t received_ms, struct err *e);

/* "json-c 0.16" */
const char *jmap_library_version(void);

/* RequestError / problem details of RFC 8620 3.6.1, for the worker's side too. */
enum request_error {
	REQ_UNKNOWN_CAPABILITY,
	REQ_NOT_JSON,
	REQ_NOT_REQUEST,
	REQ_LIMIT,
	REQ_UNAVAILABLE, /* about:blank, status 503 */
};
/*
 * Appends the JSON. id: raw JSON string or STR_NONE, only with websocket. limit:
 * the property's name for REQ_LIMIT ("maxSizeRequest"), else NULL. Returns status.
 */
unsigned request_error(struct buf *out, enum request_error t, bool websocket,
	struct str id, const char *limit, const char *detail);
