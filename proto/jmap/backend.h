/*
 * The backend seam: how the worker's side asks the JMAP engine, wherever it runs.
 *
 * The worker plugs in rings to the store; unit tests plug in a fake and need no
 * process. A caller embeds `struct call`; the backend knows it by that until it is
 * answered (on_answer, exactly once) or cancelled (then never).
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/call.h"
#include "core/base/map.h"

struct call {
	/* The answer, whole; bytes live until the return. Never from inside submit.
	 * Statuses that the backend itself gives: 503 (the end of a write is
	 * unknown, or the store is away and stays away). */
	void (*on_answer)(struct call *c, unsigned status, struct str body);
	/* Streamed bodies: call_write() may go on. May be NULL otherwise. */
	void (*on_room)(struct call *c);
	/*
	 * Streamed answers; NULL: it comes whole. on_head, then on_data as far as
	 * took() lets it, then on_answer: with the same status when all has come,
	 * with 503 when it broke off. What is no success may come as on_answer
	 * alone.
	 */
	void (*on_head)(
		struct call *c, unsigned status, const struct call_found *f);
	void (*on_data)(struct call *c, struct str bytes);
	/* The backend's own from here on. */
	struct map_node node;
	uint64_t id; /* 0: not under way */
	void *private;
};

struct call_open {
	enum call_kind kind;
	unsigned flags; /* CALL_F_WRITES */
	uint64_t conn;	/* http_share.id: orders reads after writes */
	const struct login *login; /* NULL where none is needed */
	struct str head;	   /* copied */
};

struct backend;
struct backend_ops {
	/* A call with its whole body, which is taken over (b is empty after). It is
	 * asked again of the next store while that is safe. */
	void (*submit)(struct backend *b, struct call *c,
		const struct call_open *o, struct buf *body);
	/* A call whose body comes in pieces; not asked again: 503 instead. */
	void (*open)(
		struct backend *b, struct call *c, const struct call_open *o);
	/* Returns the bytes taken; less than n: wait for on_room. */
	size_t (*write)(
		struct backend *b, struct call *c, const char *p, size_t n);
	void (*end)(struct backend *b, struct call *c);
	/* So many bytes of on_data have gone on: as many more may come. */
	void (*took)(struct backend *b, struct call *c, size_t n);
	void (*cancel)(struct backend *b, struct call *c);
	/* The answer of that call has left for the client (CALL_DELIVER). */
	void (*seen)(struct backend *b, uint64_t call_id);
	/* Changes of that account come to the worker's push hub from now on;
	 * counted: each watch needs its unwatch. */
	void (*watch)(struct backend *b, const struct login *who);
	void (*unwatch)(struct backend *b, uint64_t account);
	/* Is the store there at this moment (/healthz)? */
	bool (*ready)(const struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
};

static inline void call_submit(struct backend *b, struct call *c,
	const struct call_open *o, struct buf *body)
{
	b->ops->submit(b, c, o, body);
}

static inline void call_cancel(struct backend *b, struct call *c)
{
	if (c->id)
		b->ops->cancel(b, c);
}
