/*
 * What tls.c (contexts) gives to tls_io.c (streams).
 */
#pragma once

#include <openssl/ssl.h>

#include "core/io/tls.h"

struct tls_ctx {
	SSL_CTX *ctx;
	BIO_METHOD *bio; /* between SSL and struct tls_io */
	unsigned refs;
	bool client, insecure;
	struct tls_tickets tickets;
	struct str alpn; /* ours, behind the struct */
};

BIO_METHOD *tls_io_method(void); /* the caller frees it */

/* "what: reason of OpenSSL"; empties OpenSSL's queue. Returns code. */
int tls_error(struct err *e, int code, const char *what);
