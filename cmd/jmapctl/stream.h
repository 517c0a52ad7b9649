/*
 * A control connection that carries contents (cmd/transfer.h), our end.
 *
 * Packets that come while we send are taken in between, so that neither side
 * waits for the other for good. What the server says in an 'e' is our error.
 */
#pragma once

#include "cmd/admin.h"
#include "cmd/transfer.h"
#include "core/base/buf.h"
#include "core/base/err.h"

struct stream {
	int fd;
	struct buf in;
	/* A packet came while one is sent; NULL: none may. < 0 ends it. */
	int (*came)(void *ctx, char letter, struct str rest, struct err *e);
	void *ctx;
};

/* Connects, sends the words, waits for FRAME_GO. */
int stream_open(struct stream *s, const char *socket_path, struct str words,
	struct err *e);
int stream_send(struct stream *s, char letter, const void *head, size_t head_n,
	struct str rest, struct err *e);
/* The next packet, waited for; rest lives until the next one. ADMIN_ERROR and the
 * end of the connection are < 0, ADMIN_OK is a letter. */
int stream_recv(
	struct stream *s, char *letter_r, struct str *rest_r, struct err *e);
/* Takes a head from the front; < 0 when it is not there. */
int stream_head(struct str *rest, void *head, size_t n, struct err *e);
/* The server ends in order: the next packet is ADMIN_OK. */
int stream_end(struct stream *s, struct err *e);
void stream_fini(struct stream *s);
