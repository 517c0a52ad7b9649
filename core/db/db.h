/*
 * The database seam: open, transaction, statement, bind, step, column, error.
 *
 * One struct db is one connection, used by one thread at a time. SQL text is shared
 * by all drivers; what differs is in the driver's table. SQLite is the driver that
 * is here; a second one has to fill in struct db_driver (driver.h) and nothing else.
 *
 * Errors are negative: -ENOSPC (disk full), -EIO, -EBUSY, -EEXIST (constraint),
 * -EUCLEAN (corrupt), -EROFS (write on a read-only handle), -EINVAL (our SQL);
 * -ENOTRECOVERABLE: a sync failed, and the kernel says so once, then forgets which
 * pages it never wrote.
 */
#pragma once

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/str.h"

struct db;
struct db_stmt;

/*
 * Once per process, before threads and before it may open only its own files: the
 * library reads what makes its random numbers.
 */
void db_setup(void);

#define DB_CREATE 1u /* make the file when it is missing */
#define DB_READONLY 2u

/* path is the file; readers and the writer of one file are separate handles. */
int db_open(const char *path, unsigned flags, struct db **db_r, struct err *e);
void db_close(struct db *db);
void db_closep(struct db **db);

/*
 * Schema version of the file (0 when new), and its change. A caller refuses files
 * of a newer version itself.
 */
int db_version(struct db *db, int64_t *v_r, struct err *e);
int db_set_version(struct db *db, int64_t v, struct err *e);

/* Many statements, no results. */
int db_exec(struct db *db, const char *sql, struct err *e);

/* write: takes the write lock at once. A read transaction is one snapshot. */
int db_begin(struct db *db, bool write, struct err *e);
/*
 * On an error everything is rolled back; durable when it returns 0. After
 * -ENOTRECOVERABLE a crash may find it done all the same, until another commit has
 * succeeded.
 */
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);
int db_savepoint(struct db *db, struct err *e); /* nest not */
int db_release(struct db *db, struct err *e);
void db_rollback_to(struct db *db); /* and releases */
bool db_in_tx(const struct db *db);

/*
 * The prepared statement of that text; kept by the handle under the address of
 * sql (a literal), reset and unbound. Never freed by the caller.
 */
int db_stmt(
	struct db *db, const char *sql, struct db_stmt **s_r, struct err *e);
/* Parameters count from 1. Bytes are not copied: they live until db_done(). */
void db_bind_i64(struct db_stmt *s, int i, int64_t v);
void db_bind_text(struct db_stmt *s, int i, struct str v);
void db_bind_blob(struct db_stmt *s, int i, struct str v);
void db_bind_null(struct db_stmt *s, int i);
/* 1 = a row, 0 = no more, < 0 = error. */
int db_step(struct db_stmt *s, struct err *e);
/* Columns count from 0; bytes live until the next step. */
int64_t db_i64(struct db_stmt *s, int i);
struct str db_bytes(struct db_stmt *s, int i);
bool db_is_null(struct db_stmt *s, int i);
/* Resets the statement: its read is over. Always call it. */
void db_done(struct db_stmt *s);
int64_t db_changes(const struct db *db); /* rows of the last statement */

/*
 * One statement without results. Parameters by letter: i int64_t, t struct str
 * as text, b struct str as blob, n NULL (takes no argument). 0 or < 0.
 */
int db_run(
	struct db *db, struct err *e, const char *sql, const char *types, ...);
/* The same for a query of at most one row of one number; 1, 0, < 0. */
int db_number(struct db *db, int64_t *v_r, struct err *e, const char *sql,
	const char *types, ...);

/*
 * A copy of the database as a new file: of the snapshot that db has open, or else
 * of what is there when it begins. Others may write meanwhile. The file is not
 * synced.
 */
int db_backup(struct db *db, const char *path, struct err *e);
/* Reads all of it: -EUCLEAN and what is wrong first, or 0. */
int db_check(struct db *db, struct err *e);
/*
 * Copies pages from the log back to the file; never waits, and copies what it can.
 * After -ENOTRECOVERABLE nobody may do another one, on any handle, before all handles
 * of the file are closed (db_abandon()): pages that were copied before count as done
 * and may not be there, and the next one that succeeds would give up the log, which
 * has them all.
 */
int db_checkpoint(struct db *db, struct err *e);
/* db_close() makes no checkpoint: who opens the file next reads the log anew. */
void db_abandon(struct db *db);
/* Pages that stood in the log after this handle's last commit. */
unsigned db_log_pages(const struct db *db);
/* "SQLite 3.40.1" */
const char *db_driver_version(void);
