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
 * The secret under which tickets are sealed, before the first connection. Workers
 * that share one resume each other's sessions; without it each has its own.
 */
#define TLS_TICKET_KEY 80
void tls_server_ticket_key(
	struct tls_ctx *t, const uint8_t key[TLS_TICKET_KEY]);
/* Client context; ca_pem empty means the system's CAs; insecure skips checks. */
int tls_client_new(
	struct str ca_pem, bool insecure, struct tls_ctx **t_r, struct err *e);
struct tls_ctx *tls_ref(struct tls_ctx *t);
void tls_unref(struct tls_ctx *t);
const char *tls_version(void); /* of the OpenSSL library */
