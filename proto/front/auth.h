/*
 * Who is it? HTTP credentials (Basic, RFC 7617; Bearer, RFC 6750) become a login.
 *
 * The store checks them. What it found good is remembered for auth-cache seconds,
 * under an HMAC of the whole Authorization value and the client's address with a key
 * of this process: no secret stays in memory. Requests that come with one credential
 * from one address while it is being checked share that call, so that a client's
 * burst costs one hash. What was refused is not remembered.
 *
 * The store refuses to look at credentials when too many have failed (429). What is
 * remembered is served all the same, at its own address: from elsewhere a guess that
 * is right must look like one that is wrong.
 */
#pragma once

#include "proto/http/stream.h"
#include "proto/jmap/backend.h"

#define AUTH_MAX 65536 /* logins that are remembered */

struct auth;
struct auth_wait;

/*
 * Exactly once, maybe from inside auth_login(): 200 and a login with its name
 * (which lives until the return), 401, 429 (with w->wait_s), or 500 and up when the
 * store cannot say.
 */
typedef void auth_fn(struct auth_wait *w, unsigned status,
	const struct login *login, struct str name);

struct auth_wait { /* embedded; zeroes: not waiting */
	struct cds_list_head node;
	auth_fn *on_login;
	uint32_t wait_s; /* 429: seconds until a login may be tried */
};

struct auth *auth_new(struct loop *l, struct backend *b);
void auth_free(struct auth *a); /* nobody may be waiting */

/* The credentials of that request; conn: http_share.id. */
void auth_login(struct auth *a, const struct http_request *r, uint64_t conn,
	struct auth_wait *w);
/* Whoever waited is gone: on_login is not called. Not waiting: nothing. */
void auth_unwait(struct auth_wait *w);

/* Logins of that account below version are gone, also those just under way. */
void auth_revoke(struct auth *a, uint64_t account, uint32_t version);
/* Is the credential a Bearer token? For auth_refuse(). */
bool auth_is_bearer(const struct http_request *r);
/* Answers 401 with its challenges; bearer: a token was there and is no good. */
void auth_refuse(struct stream *s, bool bearer);
/* Answers 429 (RFC 6585 4). */
void auth_hold_off(struct stream *s, uint32_t wait_s);
/* How many are remembered. */
size_t auth_remembered(const struct auth *a);
