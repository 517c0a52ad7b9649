/*
 * One TLS stream between bytes and bytes: conn.c lends it the cipher text that
 * came and sends the cipher text that it makes. No call here touches a socket.
 *
 * What was lent and could not be used yet is copied by tls_io_keep(), so that the
 * lender's buffer is free again; an idle stream holds neither.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/io/tls.h"

struct tls_io;

#define TLS_PIECE 16384 /* plain bytes of one record */
/* More cipher text than this is never ours: a peer that forces answers. */
#define TLS_OUT_MAX (256 * 1024)

enum tls_io_result {	  /* what is not a number of bytes */
	TLS_IO_MORE = 0,  /* needs more input */
	TLS_IO_EOF = -1,  /* close_notify came */
	TLS_IO_FAIL = -2, /* fatal; an alert may wait in tls_io_out() */
};

/* name as in conn_new(). Takes its own reference of t. */
struct tls_io *tls_io_new(struct tls_ctx *t, const char *name);
void tls_io_free(struct tls_io *io);

/* Lends n bytes of cipher text until tls_io_keep(). */
void tls_io_lend(struct tls_io *io, const char *p, size_t n);
void tls_io_keep(struct tls_io *io);
/* Cipher or plain text is there that tls_io_read() has not given out yet. */
bool tls_io_holds(const struct tls_io *io);

/* Goes on with the handshake; 1 = it is done, else MORE or FAIL. */
int tls_io_handshake(struct tls_io *io);
bool tls_io_ready(const struct tls_io *io);
/* Plain bytes (> 0), or MORE, EOF, FAIL. */
int tls_io_read(struct tls_io *io, char *p, size_t cap);
/* Encrypts all n bytes (n <= TLS_PIECE); false: fatal. After the handshake. */
bool tls_io_write(struct tls_io *io, const char *p, size_t n);
/* Appends close_notify. */
void tls_io_bye(struct tls_io *io);
struct buf *tls_io_out(struct tls_io *io); /* cipher text to send */

struct str tls_io_alpn(const struct tls_io *io);
const char *tls_io_text(const struct tls_io *io); /* of the FAIL, or "" */
