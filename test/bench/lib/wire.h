/*
 * One connection of a load generator, and the one tunnel of bytes (a WebSocket)
 * on it, over each carrier that the server has. Whoever holds a wire sees none of
 * TLS and HTTP/2: it says bytes, and takes those that have come.
 *
 * What is not as it should be ends the program, as need() does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"

struct wire;

struct wire_to {
	unsigned port;
	bool tls, h2;
	bool deflate; /* permessage-deflate is offered, and must be taken */
	int ahead;    /* bytes that wait unread for us; 0 for any number */
	const char *path;
	const char *auth; /* the Authorization field; "" for none */
};

/* "plain:8080", "tls:8443", "h2c:8080", "h2+deflate:8443". */
void wire_parse(const char *text, struct wire_to *to_r);

/*
 * Connects from 127.0.0.1, or a neighbour of it for each further 20,000 (ports are
 * few), and opens the tunnel; returns when it is open.
 */
struct wire *wire_open(const struct wire_to *to, size_t number);
void wire_close(struct wire *w);

/* For epoll, level-triggered: when it is readable, wire_take(). */
int wire_fd(const struct wire *w);
/* All of it is on its way; waits while the socket is full. */
void wire_say(struct wire *w, const void *p, size_t n);
/* Appends what has come of the tunnel's bytes. */
void wire_take(struct wire *w, struct buf *in);

/*
 * HTTP/2: downloads that path on the same connection, again and again, from now
 * on, whenever wire_take() is called.
 */
void wire_download(struct wire *w, const char *path);
/* Bytes of it so far. */
uint64_t wire_downloaded(const struct wire *w);

/* The TLS session of the wires that come is that of w; NULL ends it. */
void wire_resume(struct wire *w);
bool wire_resumed(const struct wire *w);
