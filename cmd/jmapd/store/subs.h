/*
 * The subscriber table: account -> workers that hold push-enabled connections for
 * it, and where each type stands. Executors look it up on every commit (RCU).
 * Threads that call it are registered with liburcu.
 *
 * A full change ring is no error. What did not fit is kept here as (account, worker,
 * types), and that account's later notices to that worker too; as soon as there is
 * room subs_repair() writes what each type then stands at, lowest modseq first. So
 * memory is bounded, a commit never waits, and nobody is told of a state beyond a
 * gap.
 */
#pragma once

#include <stdbool.h>

#include "core/store/store.h"
#include "ipc/notice.h"

#define SUBS_WORKERS 64

struct subs;
struct subs *subs_new(void);
void subs_free(struct subs *s);

/*
 * The change ring of a worker's life; ring memory stays the caller's. bell(ctx) is
 * called after records were published, from any thread, and may not block.
 */
void subs_link(struct subs *s, unsigned worker, uint64_t life,
	const struct notice_ring *ring, void (*bell)(void *ctx), void *ctx);
/* That life is over: all its subscriptions go; the ring is not touched again. */
void subs_unlink(struct subs *s, unsigned worker);

/*
 * The worker wants the account's changes; modseq[t] is where type t stands. Runs in
 * the account's write turn (no commit of it can fall between). Its baseline is on
 * the ring before any later notice. Nothing happens when life is over already.
 */
void subs_add(struct subs *s, unsigned worker, uint64_t life, uint64_t account,
	uint32_t generation, const uint64_t modseq[TYPES]);
void subs_remove(
	struct subs *s, unsigned worker, uint64_t life, uint64_t account);

/* The change sink: after each commit, on the committing (registered) thread. */
void subs_changed(void *ctx, const struct change *c);

/*
 * The account is another one since it was restored: everybody who watches it is told
 * where all its types stand. In the account's write turn.
 */
void subs_restored(struct subs *s, uint64_t account, uint32_t generation,
	const uint64_t modseq[TYPES]);

/* Writes what did not fit. True when anything was written. */
bool subs_repair(struct subs *s, unsigned worker);
/* Is the worker's index in its change ring nonsense? Nothing is written any more. */
bool subs_lied(struct subs *s, unsigned worker);
/* Is there anything that waits for room? */
bool subs_owes(struct subs *s, unsigned worker);
