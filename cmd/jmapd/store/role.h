/*
 * The store role: one main thread that reads the call rings and feeds the reply
 * rings, executors that run the JMAP engine, a few threads that hash passwords.
 *
 * The main thread never waits for a disk or a peer, apart from look-ups in the
 * directory. What workers write is hostile: a record that breaks the rules ends
 * that worker (CTL_BAD_WORKER), never the store.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cmd/jmapd/role.h"
#include "cmd/jmapd/stats.h"
#include "cmd/jmapd/store/atwork.h"
#include "cmd/jmapd/store/failures.h"
#include "cmd/jmapd/store/hasher.h"
#include "cmd/jmapd/store/subs.h"
#include "core/base/map.h"
#include "core/store/exec.h"
#include "core/store/store.h"
#include "ipc/link.h"
#include "ipc/msg.h"

#define STORE_WORKERS SUBS_WORKERS
/* Request bytes that are being collected, of all calls together. */
#define STORE_SPOOL_MAX (512u << 20)
#define STORE_CALLS_MAX 65536	  /* calls under way for one worker */
#define STORE_REFS_MAX (1u << 20) /* with cancelled ones and subscriptions */

struct store_role {
	struct role role;
	struct loop *loop;
	struct store *store;
	struct exec *exec;
	unsigned threads; /* of exec */
	struct hasher *hasher;
	struct failures *failures; /* of logins */
	struct subs *subs;
	struct streams *streams; /* transfer.h */
	struct notebook *notebook;
	struct at_works at_work;
	uint8_t key[SHA256_LEN]; /* of the login MACs */
	bool have_key;
	struct store_link *link[STORE_WORKERS];
	struct map accounts; /* struct known_account by id */
	size_t spooled;	     /* bytes */
	size_t calls;	     /* under way, all links */
	struct defer drain;
	struct timer drain_timer;
	uint64_t drain_end_ms;
	/* What threads have finished: main thread takes it. */
	pthread_mutex_t done_lock;
	struct cds_list_head done; /* struct done */
	struct watch done_bell;	   /* eventfd */
	bool done_rung;		   /* done_lock */
};

/* Something that the main thread finishes. */
struct done {
	struct cds_list_head node;
	void (*fn)(struct store_role *st, struct done *d);
};
/* From any thread. wake: do not wait for the next turn. */
void store_done(struct store_role *st, struct done *d, bool wake);

/* What the main thread knows of an account without asking the directory. */
struct known_account {
	struct map_node node;
	struct dir_account a;
	bool gone;
	uint64_t uploading; /* bytes of its uploads that come */
};
/* 1, 0 = no such account (then *k_r is NULL), < 0. Main thread. */
int store_account(
	struct store_role *st, uint64_t id, struct known_account **k_r);
/* Credentials changed, or the account is gone: logins end everywhere. */
void store_revoke(
	struct store_role *st, const struct dir_account *a, bool gone);
