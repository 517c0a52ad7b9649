/*
 * TLS of listeners: OpenSSL on memory BIOs, so that conn.c alone reads and writes
 * sockets. TLS 1.2 and 1.3, server side, plus a client context for jmapctl.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/str.h"

struct tls_ctx; /* counted: a live connection keeps its own */

/*
 * Server context from PEM bytes (the roles cannot read files). alpn is a wire
 * list of what is offered, in order ("\x08http/1.1"). Modern defaults: TLS 1.2
 * with AEAD and forward secrecy only, session tickets, released buffers.
 */
int tls_server_new(struct str cert_pem, struct str key_pem, struct str alpn,
	struct tls_ctx **t_r, struct err *e);
/*
 * The secrets under which tickets are sealed (RFC 5077 4, RFC 8446 4.6.1): the
 * first one seals, each opens; what the second one opens is renewed. A key that
 * seals for lifetime_s and opens for as long again lets every ticket live that
 * long. Whoever is given the same ones resumes the same sessions.
 */
#define TLS_TICKET_KEY 80
#define TLS_TICKET_KEYS 2
struct tls_tickets {
	uint32_t lifetime_s; /* of a ticket */
	uint32_t keys_n;
	uint8_t key[TLS_TICKET_KEYS][TLS_TICKET_KEY];
};
/* From the next handshake on; without them t seals under a key of its own. */
void tls_server_tickets(struct tls_ctx *t, const struct tls_tickets *keys);
/* One more key, the oldest goes. */
void tls_tickets_rotate(struct tls_tickets *keys);
/* Client context; ca_pem empty means the system's CAs; insecure skips checks. */
int tls_client_new(
	struct str ca_pem, bool insecure, struct tls_ctx **t_r, struct err *e);
struct tls_ctx *tls_ref(struct tls_ctx *t);
void tls_unref(struct tls_ctx *t);
const char *tls_version(void); /* of the OpenSSL library */
