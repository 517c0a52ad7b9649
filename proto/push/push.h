/*
 * Push: from notices to StateChange (RFC 8620 7.1, RFC 8887 4.3.5).
 *
 * The hub of a worker keeps for each watched account one modseq per type; a client
 * keeps its set of types, what is pending, and when it may speak again. Merging is
 * `pending |= types`: memory is bounded whatever the rate.
 *
 * The first change after a quiet window leaves at once (in the loop's NOTICES phase,
 * after all answers of the turn); further ones wait and leave as one frame when the
 * window (ws-throttle) ends. Never two frames in one window. While the client has
 * unsent bytes nothing is sent; it gets the newest state once it reads again. Equal
 * frames for many clients are encoded once.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/types.h"
#include "core/io/loop.h"

struct push_hub;
struct push_watch; /* an account that somebody here watches */

struct push_hub_ops {
	/* First client of that account / last one gone: the backend's watch. ctx
	 * and cookie are what push_enable was given. */
	void (*watch)(void *ctx, uint64_t account, const void *cookie);
	void (*unwatch)(void *ctx, uint64_t account);
};

struct push_client;
struct push_client_ops {
	/* Sends one StateChange: json is the whole object, or NULL pieces never. */
	void (*send)(struct push_client *c, struct str json);
	/* Something is pending where nothing was: the owner may note what it
	 * has to say first. May be NULL. */
	void (*pended)(struct push_client *c);
	/* Not 0: nothing is pushed now (bytes still unsent, an answer that goes
	 * first); push_room() when that is over. */
	size_t (*unsent)(struct push_client *c);
	/* Milliseconds of the window: ws-throttle, or the EventSource's. */
	uint64_t (*throttle_ms)(void);
	/* Once for each enable, maybe from inside it: no change of the account
	 * goes unheard from now on. May be NULL. */
	void (*stands)(struct push_client *c);
	/* Its StateChange is RFC 8620's own, without RFC 8887's pushState. */
	bool plain;
};

struct push_client { /* embedded; about 100 bytes */
	const struct push_client_ops *ops;
	struct push_hub *hub;
	struct push_watch *watch;    /* NULL: not enabled */
	struct cds_list_head node;   /* among the watch's clients */
	struct cds_list_head queued; /* among those to be served this turn */
	struct timer timer;	     /* the window's end */
	uint64_t sent_ms;	     /* last frame; 0: none yet */
	uint64_t told;		     /* modseq up to which it was told */
	uint32_t told_generation;
	uint16_t types;	  /* wanted */
	uint16_t pending; /* wanted and changed since told */
	bool resuming;	  /* waits for the baseline */
	bool settling;	  /* waits for the first one: ops->stands */
	bool fresh;	  /* token unreadable: full state */
};

struct push_hub *push_hub_new(
	struct loop *l, const struct push_hub_ops *ops, void *ctx);
void push_hub_free(struct push_hub *h); /* no client may be enabled */

/* What the change ring says; kind as in ipc/notice.h, spelt out here since proto
 * does not know ipc. */
struct push_notice {
	uint64_t account;
	uint64_t modseq;
	uint32_t generation;
	uint16_t types;
	bool baseline; /* where the types stand: no news by itself */
	bool baseline_end;
};
void push_notice(struct push_hub *h, const struct push_notice *n);

/*
 * The store is new: every watch will get a baseline again; what moved meanwhile is
 * found by comparing, so no change goes unheard.
 */
void push_restart(struct push_hub *h);
/* Calls fn for each watched account (to subscribe again). */
void push_each(struct push_hub *h,
	void (*fn)(void *ctx, uint64_t account, const void *cookie), void *ctx);

void push_client_init(struct push_client *c, struct push_hub *h,
	const struct push_client_ops *ops);
/*
 * RFC 8887 4.3.5.2: types is a TYPE_BIT set; token is pushState (empty: none): what
 * changed since is sent at once, and only that; a token that cannot be read, or
 * is of another generation, gets the full state. Without a token: only what
 * changes from now on. Replaces an earlier enable. cookie (a struct login, copied:
 * cookie_n bytes) is handed to the hub's watch.
 */
void push_enable(struct push_client *c, uint64_t account, const void *cookie,
	size_t cookie_n, unsigned types, struct str token);
void push_disable(struct push_client *c);
/* The token of where its account stands now, as token_add() adds it: of an enabled
 * client, from within send or stands. */
void push_token(const struct push_client *c, struct buf *out);
/* The client read all that was unsent: what is pending may leave. */
void push_room(struct push_client *c);
/* New ws-throttle: due times are computed anew for all clients. */
void push_reconfigure(struct push_hub *h);
