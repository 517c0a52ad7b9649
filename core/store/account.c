/*
 * Open accounts: a map with a bounded LRU of those nobody uses, and the
 * housekeeper.
 *
 * Whoever opens or closes one marks it (OPENING, CLOSING) and works without the
 * store's lock; others who want that account wait. Pinned accounts stay, even
 * above the bound. A removed account (gone) is closed and deleted by its last
 * user. So is one closed of which a checkpoint's sync failed (torn): what is opened
 * next has the whole log again, and copies all of it. Until then it works on the log
 * alone. The housekeeper is one thread: checkpoints, and the notes of seen
 * deliveries of accounts that have no commit of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/internal.h"

#define KEEPER_IDLE_MS 60000

char *account_dir(const struct store *s, uint64_t id)
{
	return path_fmt("%s/accounts/%" PRIu64, s->dir, id);
}

/* ---- files of one account ------------------------------------------------- */

static struct account *account_new(struct store *s, uint64_t id)
{
	struct account *a = mem_new(sizeof(*a));

	a->store = s;
	a->id = id;
	a->dir = account_dir(s, id);
	pthread_mutex_init(&a->writing, NULL);
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->indexing, NULL);
	pthread_mutex_init(&a->copying, NULL);
	CDS_INIT_LIST_HEAD(&a->idle);
	CDS_INIT_LIST_HEAD(&a->chore);
	return a;
}

/* Before another takes the place of its files: SQLite unlinks logs by name. */
static void close_handle(struct account *a, struct db *db)
{
	if (db && atomic_load(&a->torn))
		db_abandon(db);
	db_close(db);
}

static void close_handles(struct account *a)
{
	for (; a->readers; a->readers--)
		close_handle(a, a->reader[a->readers - 1]);
	close_handle(a, steal(a->writer));
}

static void account_free(struct account *a)
{
	close_handles(a);
	digests_fini(&a->seen);
	digests_fini(&a->unkept);
	pthread_mutex_destroy(&a->writing);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->indexing);
	pthread_mutex_destroy(&a->copying);
	free(a->dir);
	free(a);
}

static int open_writer(struct account *a, unsigned flags, struct err *e)
{
	char *path = path_fmt("%s/mail.db", a->dir);
	int ret = db_open(path, flags, &a->writer, e);

	free(path);
	return ret < 0 ? ret : schema_mail(a->writer, e);
}

static int recover(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	int ret = tx_begin(a, TX_WRITE, &t, e);

	if (ret == 0)
		ret = blob_recover(t, e);
	if (ret == 0)
		ret = upload_open(t, e);
	if (ret == 0)
		ret = text_open(t, e);
	return ret < 0 ? ret : tx_commit(t, e);
}

static int open_files(struct account *a, struct err *e)
{
	int ret = open_writer(a, 0, e);

	if (ret == 0)
		ret = recover(a, e);
	/* An account whose files are not there is not one that is not there. */
	if (ret == -ENOENT)
		ret = err_set(e, -EIO, "its files are not there");
	if (ret < 0)
		err_add(e, "account %" PRIu64, a->id);
	return ret;
}

/* The notes of seen deliveries, by a commit of their own. */
static void flush_seen(struct account *a)
{
	struct tx *t cleanup(tx_end) = NULL;
	bool any;
	struct err e;

	pthread_mutex_lock(&a->lock);
	any = a->seen.n > 0;
	pthread_mutex_unlock(&a->lock);
	if (!any)
		return;
	/* On a full disk they wait for the next commit. */
	if (tx_begin(a, TX_WRITE, &t, &e) < 0 || tx_commit(t, &e) < 0)
		log_warn("account=%" PRIu64 " seen deliveries: %s", a->id,
			e.text);
}

static void delete_files(struct store *s, uint64_t id)
{
	char *dir = account_dir(s, id);
	struct err e;

	/* What is left is swept at the next start. */
	if (dir_delete(dir, &e) < 0)
		log_warn("account=%" PRIu64 " delete: %s", id, e.text);
	free(dir);
}

/* ---- a new account -------------------------------------------------------- */

static const struct {
	struct str name, role;
} first_mailboxes[] = {
	{{"Inbox", 5}, {"inbox", 5}},
	{{"Drafts", 6}, {"drafts", 6}},
	{{"Sent", 4}, {"sent", 4}},
	{{"Archive", 7}, {"archive", 7}},
	{{"Junk", 4}, {"junk", 4}},
	{{"Trash", 5}, {"trash", 5}},
};

static int fill(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	int ret = tx_begin(a, TX_WRITE, &t, e);

	for (size_t i = 0; i < countof(first_mailboxes) && ret == 0; i++) {
		struct mailbox m = {
			.name = first_mailboxes[i].name,
			.role = first_mailboxes[i].role,
			.sort_order = (uint32_t)(i + 1) * 10,
			.subscribed = true,
		};
		uint64_t id;

		ret = mailbox_create(t, &m, &id, e);
		check(ret <= 0);
	}
	return ret < 0 ? ret : tx_commit(t, e);
}

static int first_counters(struct account *a, struct err *e)
{
	struct db_stmt *s;
	uint32_t generation;
	int ret = db_stmt(a->writer,
		"INSERT INTO meta (id, generation, modseq, floor, emails,"
		" next_mailbox, next_thread, next_email, state)"
		" VALUES (1, ?, 1, 1, 0, 1, 1, 1, x'')",
		&s, e);

	if (ret < 0)
		return ret;
	random_bytes(&generation, sizeof(generation));
	db_bind_i64(s, 1, generation | 1);
	ret = db_step(s, e);
	db_done(s);
	return min_of(ret, 0);
}

static int make_dirs(const struct account *a, struct err *e)
{
	char *blobs = path_fmt("%s/blobs", a->dir);
	char *new = path_fmt("%s/blobs/new", a->dir);
	char *accounts = path_fmt("%s/accounts", a->store->dir);
	int ret = dir_make(a->dir, e);

	if (ret == 0)
		ret = dir_make(blobs, e);
	if (ret == 0)
		ret = dir_make(new, e);
	if (ret == 0)
		ret = dir_sync(blobs, e);
	if (ret == 0)
		ret = dir_sync(accounts, e);
	free(blobs);
	free(new);
	free(accounts);
	return ret;
}

int account_create(struct store *s, uint64_t id, struct err *e)
{
	struct account *a = account_new(s, id);
	int ret = dir_delete(a->dir, e); /* of an attempt that failed */

	a->quiet = true;
	if (ret == 0)
		ret = make_dirs(a, e);
	if (ret == 0)
		ret = open_writer(a, DB_CREATE, e);
	if (ret == 0)
		ret = first_counters(a, e);
	if (ret == 0)
		ret = fill(a, e);
	if (ret == 0)
		ret = dir_sync(a->dir, e);
	if (ret < 0) {
		err_add(e, "account %" PRIu64, id);
		dir_delete(a->dir, NULL);
	}
	account_free(a);
	return ret;
}

/* ---- the map -------------------------------------------------------------- */

static struct account *find(struct store *s, uint64_t id)
{
	struct map_node *n;

	map_each (&s->accounts, hash_u64(id), n) {
		struct account *a = container_of(n, struct account, node);

		if (a->id == id)
			return a;
	}
	return NULL;
}

static void pin(struct account *a)
{
	if (a->refs++ == 0)
		cds_list_del_init(&a->idle);
}

/* Under the store's lock; nobody finds it open from here on. */
static void mark_closing(struct account *a)
{
	check(a->refs == 0 && a->state == ACCOUNT_OPEN);
	a->state = ACCOUNT_CLOSING;
	cds_list_del_init(&a->idle);
	cds_list_del_init(&a->chore);
	a->due_ms = 0;
	a->store->open--;
}

/* The store's lock is held on entry and on return, not in between. */
static void close_marked(struct account *a)
{
	struct store *s = a->store;
	uint64_t id = a->id;
	bool gone;

	/* Others look at the node until it is out of the map. */
	pthread_mutex_unlock(&s->lock);
	if (!a->gone)
		flush_seen(a);
	close_handles(a);
	pthread_mutex_lock(&s->lock);
	gone = a->gone;
	if (gone) {
		pthread_mutex_unlock(&s->lock);
		delete_files(s, id);
		pthread_mutex_lock(&s->lock);
	}
	map_del(&s->accounts, &a->node);
	account_free(a);
	pthread_cond_broadcast(&s->changed);
}

static void evict(struct store *s)
{
	while (s->open > s->lru && !cds_list_empty(&s->idle)) {
		struct account *a =
			cds_list_first_entry(&s->idle, struct account, idle);

		mark_closing(a);
		close_marked(a);
	}
}

/* Under the lock: the last user of it is leaving. */
static void unpin(struct account *a)
{
	struct store *s = a->store;

	check(a->refs > 0);
	if (--a->refs)
		return;
	if (a->shut)
		pthread_cond_broadcast(&s->changed);
	cds_list_add_tail(&a->idle, &s->idle);
	if (a->gone || atomic_load(&a->torn)) {
		mark_closing(a);
		close_marked(a);
	} else {
		evict(s);
	}
}

static void chore_locked(struct account *a, uint64_t in_ms)
{
	struct store *s = a->store;
	uint64_t due = clock_mono_ms() + in_ms;

	/* What is being opened or closed has nothing to be done later. */
	if (a->state != ACCOUNT_OPEN || (a->due_ms && a->due_ms <= due))
		return;
	if (!a->due_ms)
		cds_list_add_tail(&a->chore, &s->chores);
	a->due_ms = due;
	pthread_cond_signal(&s->work);
}

static int open_checked(struct account *a, struct err *e)
{
	struct dir_account d;
	int ret = dir_by_id(a->store, a->id, &d, e);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return err_set(e, -ENOENT, "no account %" PRIu64, a->id);
	return open_files(a, e);
}

/* Opens the placeholder; the lock is held on entry and return. */
static int open_placed(struct account *a, struct err *e)
{
	struct store *s = a->store;
	int ret;

	pthread_mutex_unlock(&s->lock);
	ret = open_checked(a, e);
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->changed);
	if (ret < 0) {
		map_del(&s->accounts, &a->node);
		account_free(a);
		return ret;
	}
	a->state = ACCOUNT_OPEN;
	s->open++;
	if (a->gone) {
		unpin(a);
		return err_set(e, -ENOENT, "the account was removed");
	}
	if (a->unindexed)
		chore_locked(a, text_wait_ms(a->unindexed));
	if (upload_due_in(a) != UINT64_MAX)
		chore_locked(a, upload_due_in(a));
	evict(s);
	return 0;
}

static int get_locked(
	struct store *s, uint64_t id, struct account **a_r, struct err *e)
{
	struct account *a;
	int ret;

	*a_r = NULL;
	while ((a = find(s, id)) && (a->state != ACCOUNT_OPEN || a->shut))
		pthread_cond_wait(&s->changed, &s->lock);
	if (a && a->gone)
		return err_set(e, -ENOENT, "the account was removed");
	if (a) {
		pin(a);
		*a_r = a;
		return 0;
	}
	a = account_new(s, id);
	a->refs = 1;
	map_put(&s->accounts, &a->node, hash_u64(id));
	/* A caller with cleanup(account_put) must not put what is freed. */
	ret = open_placed(a, e);
	if (ret == 0)
		*a_r = a;
	return ret;
}

int account_get(
	struct store *s, uint64_t id, struct account **a_r, struct err *e)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = get_locked(s, id, a_r, e);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void account_put(struct account *a)
{
	struct store *s = a->store;

	pthread_mutex_lock(&s->lock);
	unpin(a);
	pthread_mutex_unlock(&s->lock);
}

void account_putp(struct account **a)
{
	if (*a)
		account_put(*a);
}

void account_gone(struct store *s, uint64_t id)
{
	struct account *a;

	pthread_mutex_lock(&s->lock);
	while ((a = find(s, id)) && a->state == ACCOUNT_CLOSING)
		pthread_cond_wait(&s->changed, &s->lock);
	if (a) {
		a->gone = true;
		/* Unused: pin and unpin it, which deletes it. */
		if (a->state == ACCOUNT_OPEN) {
			pin(a);
			unpin(a);
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (!a)
		delete_files(s, id);
}

/* Under the lock: nobody has it open, nobody opens it until it is unmapped. */
static struct account *shut_out(struct store *s, uint64_t id)
{
	struct account *a;

	while ((a = find(s, id)) && (a->state != ACCOUNT_OPEN || a->refs)) {
		a->shut = true;
		pthread_cond_wait(&s->changed, &s->lock);
	}
	if (a) {
		mark_closing(a);
		return a;
	}
	a = account_new(s, id);
	a->state = ACCOUNT_CLOSING;
	map_put(&s->accounts, &a->node, hash_u64(id));
	return a;
}

/* A death in between leaves one of both whole: backup_sweep(). */
static int swap_dirs(struct store *s, const char *live, const char *dir,
	const char *dir_old, struct err *e)
{
	char *accounts = path_fmt("%s/accounts", s->dir);
	int ret = 0;

	if (rename(live, dir_old) < 0)
		ret = err_sys(e, "move %s", live);
	if (ret == 0 && rename(dir, live) < 0) {
		ret = err_sys(e, "move %s", dir);
		if (rename(dir_old, live) < 0)
			ret = err_set(e, -ENOTRECOVERABLE,
				"%s is %s until the next start", live, dir_old);
	}
	if (ret == 0 && dir_sync(accounts, e) < 0)
		ret = err_set(e, -ENOTRECOVERABLE,
			"%s may be the old one after a crash", live);
	free(accounts);
	return ret;
}

int account_replace(struct store *s, uint64_t id, const char *dir,
	const char *dir_old, struct err *e)
{
	struct dir_account d;
	struct account *a;
	int ret;

	pthread_mutex_lock(&s->lock);
	a = shut_out(s, id);
	pthread_mutex_unlock(&s->lock);
	close_handles(a);
	ret = dir_by_id(s, id, &d, e);
	if (ret == 0)
		ret = err_set(e, -ENOENT, "the account was removed");
	if (ret > 0)
		ret = swap_dirs(s, a->dir, dir, dir_old, e);
	pthread_mutex_lock(&s->lock);
	map_del(&s->accounts, &a->node);
	account_free(a);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void accounts_close(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->lru = 0;
	evict(s);
	check(s->open == 0 && s->accounts.n == 0);
	pthread_mutex_unlock(&s->lock);
	map_fini(&s->accounts);
}

/* ---- reader handles ------------------------------------------------------- */

int account_reader(struct account *a, struct db **db_r, struct err *e)
{
	struct db *db = NULL;
	char *path;
	int ret;

	pthread_mutex_lock(&a->lock);
	if (a->readers)
		db = a->reader[--a->readers];
	pthread_mutex_unlock(&a->lock);
	if (db) {
		*db_r = db;
		return 0;
	}
	path = path_fmt("%s/mail.db", a->dir);
	ret = db_open(path, DB_READONLY, db_r, e);
	free(path);
	return ret;
}

void account_reader_back(struct account *a, struct db *db)
{
	pthread_mutex_lock(&a->lock);
	if (a->readers < READERS_IDLE) {
		a->reader[a->readers++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&a->lock);
	close_handle(a, db);
}

/* ---- the housekeeper ------------------------------------------------------ */

void account_chore(struct account *a, uint64_t in_ms)
{
	if (a->quiet)
		return;
	pthread_mutex_lock(&a->store->lock);
	chore_locked(a, in_ms);
	pthread_mutex_unlock(&a->store->lock);
}

void account_checkpoint(struct account *a, struct db *db)
{
	struct err e;

	if (pthread_mutex_trylock(&a->copying))
		return;
	if (!atomic_load(&a->torn) && db_checkpoint(db, &e) < 0) {
		log_warn("account=%" PRIu64 " %s", a->id, e.text);
		if (e.code == -ENOTRECOVERABLE)
			atomic_store(&a->torn, true);
	}
	pthread_mutex_unlock(&a->copying);
}

static void checkpoint(struct account *a)
{
	struct db *db;
	struct err e;

	if (!atomic_exchange(&a->want_checkpoint, false))
		return;
	if (account_reader(a, &db, &e) < 0)
		return;
	account_checkpoint(a, db);
	account_reader_back(a, db);
}

/* Takes the account that is due; else when the next one is. */
static struct account *take_due(struct store *s, uint64_t *next_ms_r)
{
	uint64_t now = clock_mono_ms();
	struct account *a;

	*next_ms_r = now + KEEPER_IDLE_MS;
	cds_list_for_each_entry (a, &s->chores, chore) {
		if (a->due_ms <= now) {
			cds_list_del_init(&a->chore);
			a->due_ms = 0;
			pin(a);
			return a;
		}
		*next_ms_r = min_of(*next_ms_r, a->due_ms);
	}
	return NULL;
}

void *accounts_keeper(void *store)
{
	struct store *s = store;
	struct account *a;
	uint64_t next_ms;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		a = take_due(s, &next_ms);
		if (!a) {
			struct timespec at = {
				.tv_sec = (time_t)(next_ms / 1000),
				.tv_nsec = (long)(next_ms % 1000) * 1000000,
			};

			pthread_cond_timedwait(&s->work, &s->lock, &at);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		checkpoint(a);
		flush_seen(a);
		text_chore(a);
		upload_chore(a);
		pthread_mutex_lock(&s->lock);
		unpin(a);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
