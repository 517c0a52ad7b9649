/*
 * The SQLite driver: one connection a struct db, WAL, durable commits.
 *
 * Files are made with mode 0600 (the log beside them takes the same mode).
 * Checkpoints are asked for by the store, apart from that of the last handle that
 * is closed.
 *
 * Two things that SQLite leaves to luck when a sync fails are done here. It does not
 * look whether the folder's sync succeeded that makes the name of a new log durable:
 * settle(). And after a crash it takes what it reads from the log for what is on
 * disk, though the sync that failed may have been the last word about these pages:
 * renew_log().
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/db/driver.h"

#define BUSY_MS 10000

struct sqlite {
	struct db db;
	sqlite3 *c;
	unsigned log_pages;    /* in the log after our last commit */
	char *new_log;	       /* its folder is not synced yet, or NULL */
	sqlite3_int64 changes; /* when it was opened */
};

struct sqlite_stmt {
	struct db_stmt s;
	sqlite3_stmt *c;
};

static sqlite3 *conn(const struct db *db)
{
	return container_of(db, struct sqlite, db)->c;
}

static sqlite3_stmt *stmt(const struct db_stmt *s)
{
	return container_of(s, struct sqlite_stmt, s)->c;
}

/* Classes of db.h; a code that is not here is our SQL's fault. */
static const struct {
	int sqlite, class;
} classes[] = {
	{SQLITE_FULL, -ENOSPC},
	{SQLITE_IOERR, -EIO},
	{SQLITE_CANTOPEN, -EIO},
	{SQLITE_PERM, -EIO},
	{SQLITE_PROTOCOL, -EIO},
	{SQLITE_NOLFS, -EIO},
	{SQLITE_AUTH, -EIO},
	{SQLITE_ABORT, -EIO},
	{SQLITE_NOMEM, -ENOMEM},
	{SQLITE_BUSY, -EBUSY},
	{SQLITE_LOCKED, -EBUSY},
	{SQLITE_CONSTRAINT, -EEXIST},
	{SQLITE_CORRUPT, -EUCLEAN},
	{SQLITE_NOTADB, -EUCLEAN},
	{SQLITE_READONLY, -EROFS},
};

static bool no_space(int sys)
{
	return sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
}

/* Of the file or its log: SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER. */
static int last_errno(sqlite3 *c, int which)
{
	sqlite3_file *f = NULL;
	int sys = 0;

	if (sqlite3_file_control(c, NULL, which, &f) || !f || !f->pMethods)
		return 0;
	if (f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &sys))
		return 0;
	return sys;
}

/*
 * Whether a failed write found no room. SQLite says SQLITE_FULL for ENOSPC only; a
 * quota is an I/O error to it, and by the time we ask, errno may be another call's.
 */
static bool log_no_space(sqlite3 *c)
{
	return no_space(last_errno(c, SQLITE_FCNTL_JOURNAL_POINTER));
}

/*
 * A page that cannot be read is a malformed database to SQLite (3.33 and later). An
 * index of words that is malformed has a code of its own.
 */
static bool unreadable(sqlite3 *c, int code)
{
	return c && code == SQLITE_CORRUPT &&
	       (last_errno(c, SQLITE_FCNTL_FILE_POINTER) == EIO ||
		       last_errno(c, SQLITE_FCNTL_JOURNAL_POINTER) == EIO);
}

static int class_of(sqlite3 *c, int code)
{
	int sys = c ? sqlite3_system_errno(c) : 0;

	if (code == SQLITE_IOERR_WRITE && c && log_no_space(c))
		return -ENOSPC;
	if (code == SQLITE_IOERR_SHMSIZE) /* -shm cannot grow; errno is stale */
		return -ENOSPC;
	if (code == SQLITE_IOERR_FSYNC)
		return -ENOTRECOVERABLE;
	if (unreadable(c, code))
		return -EIO;
	code &= 0xff;
	if ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && no_space(sys))
		return -ENOSPC;
	if (code == SQLITE_CANTOPEN && sys == ENOENT)
		return -ENOENT;
	for (size_t i = 0; i < countof(classes); i++)
		if (classes[i].sqlite == code)
			return classes[i].class;
	return -EINVAL;
}

static int fail(sqlite3 *c, int code, const char *what, struct err *e)
{
	const char *why = c ? sqlite3_errmsg(c) : sqlite3_errstr(code);

	if (unreadable(c, code))
		why = "a page cannot be read";
	return err_set(e, class_of(c, code), "%.80s: %s", what, why);
}

static const char *sq_version(void)
{
	return "SQLite " SQLITE_VERSION;
}

static int on_commit(void *ctx, sqlite3 *c, const char *name, int pages)
{
	struct sqlite *q = ctx;

	q->log_pages = (unsigned)pages;
	return SQLITE_OK;
}

static const char setup_sql[] = "PRAGMA page_size = 4096;"
				"PRAGMA journal_mode = WAL;"
				"PRAGMA synchronous = FULL;"
				"PRAGMA secure_delete = OFF;"
				"PRAGMA foreign_keys = OFF;"
				"PRAGMA cell_size_check = ON;"
				"PRAGMA temp_store = MEMORY;"
				"PRAGMA journal_size_limit = 33554432;";
static const char setup_reader_sql[] =
	"PRAGMA foreign_keys = OFF;"
	"PRAGMA cell_size_check = ON;"
	"PRAGMA temp_store = MEMORY;"
	"PRAGMA query_only = ON;"
	"PRAGMA user_version;"; /* reads: is it a database? */

/* Handles are used by one thread at a time: no mutexes, no shared counters. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

static void sq_setup(void)
{
	char any;

	pthread_once(&configured, configure);
	sqlite3_randomness(sizeof(any), &any); /* reads /dev/urandom once */
}

/* SQLite would make it 0644. */
static int make_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	close(fd);
	return 0;
}

static void sq_close(struct db *db)
{
	struct sqlite *q = container_of(db, struct sqlite, db);

	check(sqlite3_close(q->c) == SQLITE_OK);
	free(q->new_log);
	free(q);
}

static int sq_exec(struct db *db, const char *sql, struct err *e)
{
	int code = sqlite3_exec(conn(db), sql, NULL, NULL, NULL);

	return code ? fail(conn(db), code, sql, e) : 0;
}

/* Writes the same bytes in their place: then a sync is about them again. */
static int rewrite(int fd, off_t size)
{
	char page[65536];
	off_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, page, sizeof(page), at);

		if (n <= 0 || pwrite(fd, page, (size_t)n, at) != n)
			return -1;
		at += n;
	}
	return fsync(fd);
}

/* The log that a crash left, before SQLite reads it: what is not on disk comes
 * there. No handle of the file is open. */
static int renew_log(const char *log, struct err *e)
{
	int fd cleanup(fd_close) = open(log, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s", log);
	if (fstat(fd, &st) < 0 || rewrite(fd, st.st_size) < 0)
		return err_sys(e, "renew %s", log);
	return 0;
}

/* Makes a writer of it: its log is there from here on. */
static int open_log(struct sqlite *q, const char *path, struct err *e)
{
	char *log;
	int ret;

	check(asprintf(&log, "%s-wal", path) > 0);
	ret = renew_log(log, e);
	if (ret == 0)
		ret = sq_exec(&q->db, setup_sql, e);
	if (ret < 0) {
		free(log);
		return ret;
	}
	q->new_log = log;
	*strrchr(log, '/') = '\0'; /* path has one */
	q->changes = sqlite3_total_changes64(q->c);
	return 0;
}

static int sq_settle(struct db *db, struct err *e)
{
	struct sqlite *q = container_of(db, struct sqlite, db);
	int fd cleanup(fd_close) = -1;

	if (!q->new_log || sqlite3_total_changes64(q->c) == q->changes)
		return 0;
	fd = open(q->new_log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, "sync %s", q->new_log);
	free(steal(q->new_log));
	return 0;
}

static int sq_open(
	const char *path, unsigned flags, struct db **db_r, struct err *e)
{
	bool reader = flags & DB_READONLY;
	struct sqlite *q;
	int ret;

	pthread_once(&configured, configure);
	if (flags & DB_CREATE) {
		ret = make_file(path, e);
		if (ret < 0)
			return ret;
	}
	q = mem_new(sizeof(*q));
	q->db.drv = &db_sqlite;
	ret = sqlite3_open_v2(
		path, &q->c, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (ret) {
		ret = fail(q->c, ret, path, e);
	} else {
		sqlite3_extended_result_codes(q->c, 1);
		sqlite3_busy_timeout(q->c, BUSY_MS);
		ret = reader ? sq_exec(&q->db, setup_reader_sql, e)
			     : open_log(q, path, e);
		if (ret < 0)
			err_add(e, "%s", path);
	}
	if (ret < 0) {
		sq_close(&q->db);
		return ret;
	}
	sqlite3_wal_hook(q->c, on_commit, q);
	*db_r = &q->db;
	return 0;
}

static bool sq_alive(const struct db *db)
{
	return !sqlite3_get_autocommit(conn(db));
}

static int sq_prepare(
	struct db *db, const char *sql, struct db_stmt **s_r, struct err *e)
{
	sqlite3_stmt *c;
	struct sqlite_stmt *s;
	int code = sqlite3_prepare_v3(
		conn(db), sql, -1, SQLITE_PREPARE_PERSISTENT, &c, NULL);

	if (code)
		return fail(conn(db), code, sql, e);
	s = mem_new(sizeof(*s));
	s->c = c;
	*s_r = &s->s;
	return 0;
}

static void sq_finalize(struct db_stmt *s)
{
	sqlite3_finalize(stmt(s));
	free(container_of(s, struct sqlite_stmt, s));
}

static void sq_reset(struct db_stmt *s)
{
	sqlite3_reset(stmt(s));
	sqlite3_clear_bindings(stmt(s));
}

static bool sq_bind_i64(struct db_stmt *s, int i, int64_t v)
{
	return sqlite3_bind_int64(stmt(s), i, v) == SQLITE_OK;
}

static bool sq_bind_text(struct db_stmt *s, int i, struct str v)
{
	return sqlite3_bind_text64(stmt(s), i, v.p ? v.p : "", v.n,
		       SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

static bool sq_bind_blob(struct db_stmt *s, int i, struct str v)
{
	return sqlite3_bind_blob64(stmt(s), i, v.p ? v.p : "", v.n,
		       SQLITE_STATIC) == SQLITE_OK;
}

static bool sq_bind_null(struct db_stmt *s, int i)
{
	return sqlite3_bind_null(stmt(s), i) == SQLITE_OK;
}

static int sq_step(struct db_stmt *s, struct err *e)
{
	int code = sqlite3_step(stmt(s));

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return fail(conn(s->db), code, s->sql, e);
}

static int64_t sq_i64(struct db_stmt *s, int i)
{
	return sqlite3_column_int64(stmt(s), i);
}

static struct str sq_bytes(struct db_stmt *s, int i)
{
	const void *p = sqlite3_column_blob(stmt(s), i);
	int n = sqlite3_column_bytes(stmt(s), i);

	return str_n(p, p ? (size_t)n : 0);
}

static bool sq_is_null(struct db_stmt *s, int i)
{
	return sqlite3_column_type(stmt(s), i) == SQLITE_NULL;
}

static int64_t sq_changes(const struct db *db)
{
	return sqlite3_changes64(conn(db));
}

/*
 * One step copies all: with a snapshot open on our side nobody else's commit makes
 * it begin again. The copy is a file of its own once it is closed; until then
 * it needs no journal, since a broken one is worth nothing.
 */
static int copy_to(sqlite3 *from, sqlite3 *to, const char *path, struct err *e)
{
	sqlite3_backup *b;
	int code = sqlite3_exec(to,
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
		NULL, NULL);

	if (code)
		return fail(to, code, path, e);
	b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return fail(to, sqlite3_errcode(to), path, e);
	code = sqlite3_backup_step(b, -1);
	if (code != SQLITE_DONE) {
		sqlite3_backup_finish(b);
		return fail(to, code, path, e);
	}
	code = sqlite3_backup_finish(b);
	return code ? fail(to, code, path, e) : 0;
}

static int sq_backup(struct db *db, const char *path, struct err *e)
{
	sqlite3 *to = NULL;
	int ret = make_file(path, e);

	if (ret < 0)
		return ret;
	ret = sqlite3_open_v2(
		path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (ret)
		ret = fail(to, ret, path, e);
	else
		ret = copy_to(conn(db), to, path, e);
	check(sqlite3_close(to) == SQLITE_OK);
	return ret;
}

static int sq_checkpoint(struct db *db, struct err *e)
{
	int code = sqlite3_wal_checkpoint_v2(
		conn(db), "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	/* Another one is at it. */
	if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY ||
		(code & 0xff) == SQLITE_LOCKED)
		return 0;
	return fail(conn(db), code, "checkpoint", e);
}

static void sq_abandon(struct db *db)
{
	sqlite3_db_config(conn(db), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static unsigned sq_log_pages(const struct db *db)
{
	return container_of(db, struct sqlite, db)->log_pages;
}

const struct db_driver db_sqlite = {
	.name = "sqlite",
	.version = sq_version,
	.setup = sq_setup,
	.open = sq_open,
	.close = sq_close,
	.exec = sq_exec,
	.alive = sq_alive,
	.prepare = sq_prepare,
	.finalize = sq_finalize,
	.reset = sq_reset,
	.bind_i64 = sq_bind_i64,
	.bind_text = sq_bind_text,
	.bind_blob = sq_bind_blob,
	.bind_null = sq_bind_null,
	.step = sq_step,
	.i64 = sq_i64,
	.bytes = sq_bytes,
	.is_null = sq_is_null,
	.changes = sq_changes,
	.backup = sq_backup,
	.settle = sq_settle,
	.checkpoint = sq_checkpoint,
	.abandon = sq_abandon,
	.log_pages = sq_log_pages,
	.sql_begin_read = "BEGIN",
	.sql_begin_write = "BEGIN IMMEDIATE",
	.sql_version = "PRAGMA user_version",
	.sql_set_version = "PRAGMA user_version = ",
	.sql_check = "PRAGMA quick_check(1)",
};
