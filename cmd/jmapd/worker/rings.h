/*
 * The backend seam (proto/jmap/backend.h) plugged into the rings: the worker's end
 * of its link to the store.
 *
 * Calls are numbered, sent as the ring has room and the window allows, and kept
 * until they are answered. When the store dies, its ring is read to the end first;
 * then a call that had begun to write, whose body was streamed, or whose answer had
 * begun to stream is answered 503 (its end is unknown), and every other one is asked again of the next store. With
 * no store for RINGS_PATIENCE_MS all are answered 503.
 */
#pragma once

#include "ipc/link.h"
#include "ipc/msg.h"
#include "proto/jmap/backend.h"

struct loop;
struct rings;

#define RINGS_PATIENCE_MS 30000

struct rings_ops {
	void (*on_notice)(void *ctx, const struct notice *n);
	void (*on_revoke)(void *ctx, uint64_t account, uint32_t version);
	/* A new store is there: subscribe again. */
	void (*on_store)(void *ctx);
};

struct rings *rings_new(struct loop *l, const struct rings_ops *ops, void *ctx);
struct backend *rings_backend(struct rings *r);
/* A new life of the store; takes the descriptors over. */
int rings_link(struct rings *r, const int fd[LINK_FDS], struct err *e);
/* That store is dead. */
void rings_unlink(struct rings *r);
/* Calls under way. */
size_t rings_load(const struct rings *r);
void rings_free(struct rings *r);
