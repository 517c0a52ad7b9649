/*
 * WebSocket clients that cost little themselves: one thread, one epoll, frames
 * encoded once (masked by zeroes, which RFC 6455 5.3 lets a client choose).
 */
#pragma once

#include "test/bench/lib/wire.h"

struct client {
	struct wire *wire;
	struct buf in;
	uint64_t pushes, answers; /* frames that came */
};

struct crowd {
	const struct wire_to *to;
	int ep;
	struct client *c;
	size_t n;
	uint64_t pushes, deflated; /* of all: StateChanges; compressed frames */
	size_t frame_n;		   /* bytes of the last push */
};

/* Each with the Authorization of to, or the i-th (and round again) of auth. */
void crowd_open(struct crowd *w, const struct wire_to *to, size_t n,
	char *const *auth, size_t auths);
/* A frame of one text message, compressed when the crowd's wires are. */
void crowd_encode(const struct crowd *w, struct buf *out, const char *text);
void crowd_say(const struct crowd *w, const struct client *c, const char *text);
/* Takes what is there, counts it by kind; the number of frames. */
size_t crowd_take(struct crowd *w, struct client *c);
/* Waits for some at most that long (-1: for ever), and takes it. */
void crowd_wait(struct crowd *w, int ms);
/* Push is enabled for the first n, and known to be: an answer behind it came. */
void crowd_enable(struct crowd *w, size_t n, const char *hello);
