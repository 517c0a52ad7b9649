/*
 * What the files of core/store share, and nobody else sees.
 *
 * An account is opened once (map of the store) and pinned by refs. It has one
 * writer handle, under `writing`, and a pool of reader handles. `lock` guards the
 * pool and the deliveries that were seen. Order of locks: store, then account;
 * `writing` before both. The directory's mutex is the innermost.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <urcu/list.h>

#include "core/base/map.h"
#include "core/db/db.h"
#include "core/store/blob.h"

#define BODY_ROW_MAX 65536    /* bytes; a larger message is a file */
#define READERS_IDLE 4	      /* reader handles an account keeps */
#define LOG_PAGES_WANTED 1000 /* a checkpoint is asked for above */
#define LOG_PAGES_MAX 4000    /* who commits makes it */
#define SEEN_FLUSH_MS 5000    /* notes of seen deliveries live no longer */
#define DELIVERY_TWICE_MS (3600 * 1000)
#define LOG_DAYS 30
#define LOG_PRUNE_MS (3600 * 1000)

struct digest {
	uint8_t b[SHA256_LEN];
};

/* A growing array, for the few lists that live longer than an arena. */
struct digests {
	struct digest *at;
	size_t n, cap;
};
void digests_add(struct digests *d, const uint8_t b[SHA256_LEN]);
/* Moves all of src behind dst. */
void digests_take(struct digests *dst, struct digests *src);
void digests_fini(struct digests *d);

enum account_state { ACCOUNT_OPENING, ACCOUNT_OPEN, ACCOUNT_CLOSING };

struct account {
	struct map_node node;	    /* store: all, by id */
	struct cds_list_head idle;  /* store: when refs == 0 */
	struct cds_list_head chore; /* store: chores, when due_ms != 0 */
	uint64_t due_ms;	    /* clock_mono_ms; under the store's lock */
	struct store *store;
	uint64_t id;
	enum account_state state;
	unsigned refs;
	bool quiet; /* being made: tells nobody */
	bool gone;  /* removed: delete when refs == 0 */
	bool shut;  /* its files will be others: newcomers wait */
	char *dir;

	pthread_mutex_t writing;
	struct db *writer;
	int64_t prune_due_ms; /* clock_mono_ms; under writing */
	/* Under writing. */
	bool blobs_gone;  /* rows of blob_gone whose files are gone */
	bool blobs_stuck; /* others: they wait for the next opening */
	bool doubt; /* a crash may find our last commit done (db_commit()) */
	struct digests unkept; /* committed, and still in blobs/new/ */

	pthread_mutex_t lock;
	struct db *reader[READERS_IDLE];
	unsigned readers;
	struct digests seen;
	_Atomic bool want_checkpoint;
	pthread_mutex_t copying; /* a checkpoint is made; after all others */
	_Atomic bool torn;	 /* one failed (db_checkpoint()): its last user
				  * closes it */
	_Atomic int64_t upload_due_ms; /* clock_real_ms; 0: there is none */

	pthread_mutex_t indexing; /* before `writing` */
	_Atomic uint64_t indexed; /* text index: up to this email */
	uint64_t unindexed;	  /* ids above it when it was opened */
};

struct directory {
	pthread_mutex_t lock;
	struct db *db;
	bool torn; /* a checkpoint failed: none before the next opening */
};

struct store {
	char *dir;
	int lock_fd;
	struct change_sink sink;
	struct store_guard guard;
	struct directory directory;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* an account's state, or the end */
	struct map accounts;
	struct cds_list_head idle; /* oldest first */
	unsigned open, lru;

	pthread_t keeper;
	pthread_cond_t work; /* for the housekeeper */
	struct cds_list_head chores;
	bool stopping;

	_Atomic uint64_t spools; /* their names: numbers */
};

/* ---- files ---------------------------------------------------------------- */

int dir_make(const char *path, struct err *e); /* 0700, may exist */
int dir_sync(const char *path, struct err *e);
int dir_delete(const char *path, struct err *e); /* with what is in it */
char *path_fmt(const char *fmt, ...) printf_like(1, 2);

/* ---- schema --------------------------------------------------------------- */

/* -EPROTO when a newer version wrote it; older ones are brought up to date. */
int schema_mail(struct db *db, struct err *e);
int schema_directory(struct db *db, struct err *e);

/* ---- directory, accounts -------------------------------------------------- */

/* In lower case into *out; false when it is no address we would take. */
bool address_read(struct str s, struct buf *out);
int directory_open(struct store *s, struct err *e);
void directory_close(struct store *s);
/* Deletes what dir_add() or dir_remove() left behind when the process died. */
int directory_sweep(struct store *s, struct err *e);

char *account_dir(const struct store *s, uint64_t id);
int account_create(struct store *s, uint64_t id, struct err *e);
/* The account is not in the directory any more: its files go with its last
 * user. */
void account_gone(struct store *s, uint64_t id);
/*
 * The files in dir take the place of the account's, which go to dir_old. Waits
 * until nobody has it pinned (the caller must not); who wants it waits meanwhile.
 * -ENOENT when it is not in the directory any more; -ENOTRECOVERABLE when the disk
 * failed half-way: whatever is left of both must stay for backup_sweep().
 */
int account_replace(struct store *s, uint64_t id, const char *dir,
	const char *dir_old, struct err *e);
/* Finishes the swap that a death interrupted; deletes what others left. */
int backup_sweep(struct store *s, struct err *e);
/* The housekeeper looks at it in so many milliseconds, or earlier. */
void account_chore(struct account *a, uint64_t in_ms);
/* Unless one is being made, or one has failed. */
void account_checkpoint(struct account *a, struct db *db);
int account_reader(struct account *a, struct db **db_r, struct err *e);
void account_reader_back(struct account *a, struct db *db);
void accounts_close(struct store *s);
void *accounts_keeper(void *store);

/* ---- transactions --------------------------------------------------------- */

struct meta {
	uint64_t modseq, floor, emails;
	uint64_t next_mailbox, next_thread, next_email;
	uint64_t state[TYPES];
	uint64_t generation; /* of 32 bits: no padding, see meta_write() */
};

struct pending {
	uint64_t id;
	enum type type;
	enum change_kind kind;
	bool counts_only;
};

/* An email got another id: its thread became part of another one. */
struct moved {
	uint64_t from, to;
};

/* What a savepoint can bring back. */
struct tx_mark {
	struct meta meta;
	uint32_t types;
	bool delivered;
	size_t pending, written, files_new, files_gone, moved;
};

struct tx {
	struct account *account;
	struct db *db;
	bool writes, done, saved;
	struct meta meta, began;
	uint32_t types; /* changed so far */
	bool delivered; /* EmailDelivery is still to be written */
	struct pending *pending;
	size_t pending_n, pending_cap;
	size_t written; /* of them, rows of the change log already */
	struct tx_mark mark;
	struct digests seen;	  /* their notes go with this commit */
	struct digests files_new; /* blobs/new/, synced */
	struct digests files_gone;
	struct moved *moved; /* in their order */
	size_t moved_n, moved_cap;
	uint64_t trash; /* mailbox with that role, when known */
	bool trash_known;
	bool mailbox_defer; /* the rules sleep: mailbox.c */
};

/* ---- change log ----------------------------------------------------------- */

/* Object changed; it gets its modseq when the log is written. */
void log_change(struct tx *t, enum type type, uint64_t id,
	enum change_kind kind, bool counts_only);
void log_delivery(struct tx *t);
/* Writes what is pending: modseqs and states are final for what was changed. */
int log_write(struct tx *t, struct err *e);
int log_prune(struct tx *t, struct err *e);

/* ---- threads and counts --------------------------------------------------- */

/* Where one email stands, as far as counts go; mailboxes_n = 0: nowhere. */
struct place {
	const uint64_t *mailboxes;
	size_t mailboxes_n;
	bool unread;
};
/* Brings all counts and the thread's rows from old to new. */
int thread_move(struct tx *t, uint64_t thread, const struct place *from,
	const struct place *to, struct err *e);
/* The mailbox with the role trash changes from old to new (0: none). */
int thread_retrash(
	struct tx *t, uint64_t trash, uint64_t new_trash, struct err *e);
/* 8 bytes a message id; joins ids and base subject (RFC 8621 3). */
struct str thread_keys(struct arena *a, const struct email_new *n);
/* The threads that share a key with it, oldest first. */
int thread_join(struct tx *t, struct str keys, struct arena *a,
	const uint64_t **at_r, size_t *n_r, struct err *e);
int thread_keys_add(struct tx *t, struct str keys, uint64_t email,
	uint64_t thread, struct err *e);
int thread_keys_del(
	struct tx *t, struct str keys, uint64_t email, struct err *e);
/* After an email left it: destroyed when that was the last, else updated. */
int thread_left(struct tx *t, uint64_t thread, struct err *e);

/* The mailbox with the role trash, 0 when there is none; kept by the tx. */
int mailbox_trash(struct tx *t, uint64_t *id_r, struct err *e);
/* 1 when all of them are there, 0 when not. */
int mailboxes_exist(struct tx *t, const uint64_t *ids, size_t n, struct err *e);

/* ---- blobs ---------------------------------------------------------------- */

uint64_t digest_key(const uint8_t sha[SHA256_LEN]);
/* Large ones: a synced file in blobs/new/ before the commit. */
int blob_write(struct tx *t, const uint8_t sha[SHA256_LEN], struct str raw,
	struct err *e);
/* The same for a spool that has ended: its file is moved. */
int blob_take(struct tx *t, struct spool *p, struct err *e);
/* The email or upload that had it is gone: so is the file when no other has it. */
int blob_unref(struct tx *t, const uint8_t sha[SHA256_LEN], struct err *e);
void blob_committed(struct tx *t);
/* Files beyond the first keep ones go; in doubt they wait for blob_recover(). */
void blob_undo(struct tx *t, size_t keep);
/* When an account is opened: finishes what a death interrupted. */
int blob_recover(struct tx *t, struct err *e);

/* ---- uploads -------------------------------------------------------------- */

/* data-dir/uploads/ is there, and empty. */
int spool_sweep(struct store *s, struct err *e);
/* Its file gets that name, and is the caller's. */
int spool_move(struct spool *p, const char *path, struct err *e);

/* When an account is opened: the old ones go. */
int upload_open(struct tx *t, struct err *e);
/* One came: the housekeeper will look in time. */
void upload_wanted(struct account *a);
/* How long until the next one goes; UINT64_MAX: there is none. */
uint64_t upload_due_in(struct account *a);
/* The housekeeper: what is old goes. */
void upload_chore(struct account *a);

/* ---- lists ---------------------------------------------------------------- */

/* The value of email.sort. */
struct str email_sort_pack(
	struct arena *a, struct str subject, struct str from, struct str to);

/* ---- text index ----------------------------------------------------------- */

/*
 * The email leaves the text index, if it is in it. Called while its rows are still
 * there. An email that changes its id is forgotten under the old one; the new one
 * is higher than all that were indexed, and so is indexed in its turn.
 */
int text_forget(struct tx *t, uint64_t email, struct err *e);
/* When an account is opened: fills in indexed and unindexed. */
int text_open(struct tx *t, struct err *e);
/* How long so many emails may wait for the housekeeper. */
uint64_t text_wait_ms(uint64_t emails);
/* Emails were committed, the next one gets that id: the housekeeper will come. */
void text_wanted(struct account *a, uint64_t next_email);
/* An email has left the index. */
int text_died(struct tx *t, struct err *e);
/* Merges one piece when so many have that it is worth it. 1: there is more. */
int text_merge(struct account *a, struct err *e);
/* The housekeeper: one batch, or one piece. */
void text_chore(struct account *a);

/* ---- little helpers ------------------------------------------------------- */

/* Numbers in a row's blob: 8 bytes each, little endian. */
struct str u64s_pack(struct arena *a, const uint64_t *at, size_t n);
size_t u64s_unpack(struct arena *a, struct str b, const uint64_t **at_r);

/* Notes older than an hour, and those that were seen. */
int delivery_forget(struct tx *t, struct err *e);
