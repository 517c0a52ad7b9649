/*
 * What a database driver fills in: one table of functions, and the heads of its
 * connection and statement. db.c keeps transactions honest and statements cached
 * for all drivers; a driver only carries out.
 *
 * Driver functions return 0 or a class of db.h with a sentence in e.
 */
#pragma once

#include "core/base/map.h"
#include "core/db/db.h"

struct db_driver {
	const char *name;
	const char *(*version)(void);
	void (*setup)(void);
	int (*open)(const char *path, unsigned flags, struct db **db_r,
		struct err *e);
	void (*close)(struct db *db); /* frees; no statement is left */
	int (*exec)(struct db *db, const char *sql, struct err *e);
	/* Whether the server still has the transaction that db.c began: some
	 * failures (disk full) make it roll back by itself. */
	bool (*alive)(const struct db *db);
	int (*prepare)(struct db *db, const char *sql, struct db_stmt **s_r,
		struct err *e);
	void (*finalize)(struct db_stmt *s);
	void (*reset)(struct db_stmt *s); /* and unbinds */
	/* False when the parameter is not there or the value too long. */
	bool (*bind_i64)(struct db_stmt *s, int i, int64_t v);
	bool (*bind_text)(struct db_stmt *s, int i, struct str v);
	bool (*bind_blob)(struct db_stmt *s, int i, struct str v);
	bool (*bind_null)(struct db_stmt *s, int i);
	int (*step)(struct db_stmt *s, struct err *e);
	int64_t (*i64)(struct db_stmt *s, int i);
	struct str (*bytes)(struct db_stmt *s, int i);
	bool (*is_null)(struct db_stmt *s, int i);
	int64_t (*changes)(const struct db *db);
	int (*backup)(struct db *db, const char *path, struct err *e);
	/* Before a commit: what it rests on is on disk. */
	int (*settle)(struct db *db, struct err *e);
	int (*checkpoint)(struct db *db, struct err *e);
	void (*abandon)(struct db *db);
	unsigned (*log_pages)(const struct db *db);
	/* SQL that differs between drivers. */
	const char *sql_begin_read, *sql_begin_write;
	const char *sql_version, *sql_set_version; /* a number follows */
	const char *sql_check; /* one row "ok", or what is wrong */
};

struct db {
	const struct db_driver *drv;
	struct map stmts;
	bool tx, saved; /* in a transaction, in a savepoint */
	int dead;	/* why the transaction undid itself, or 0 */
};

struct db_stmt {
	struct map_node node;
	struct db *db;
	const char *sql; /* its address is the key */
	bool busy, bad_bind;
};

extern const struct db_driver db_sqlite;
