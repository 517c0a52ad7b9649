/*
 * What all drivers share: the statement cache and the rules of transactions.
 *
 * A transaction that the driver undid by itself (disk full in the middle) is
 * dead: every later statement of it fails with the first failure's code until
 * db_rollback(), so that nothing slips into a commit of its own.
 */
#include "core/db/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/db/driver.h"

void db_setup(void)
{
	db_sqlite.setup();
}

int db_open(const char *path, unsigned flags, struct db **db_r, struct err *e)
{
	return db_sqlite.open(path, flags, db_r, e);
}

static bool stmt_drop(struct map_node *n, void *ctx)
{
	struct db *db = ctx;
	struct db_stmt *s = container_of(n, struct db_stmt, node);

	map_del(&db->stmts, n);
	db->drv->finalize(s);
	return true;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_rollback(db);
	map_walk(&db->stmts, stmt_drop, db);
	map_fini(&db->stmts);
	db->drv->close(db);
}

void db_closep(struct db **db)
{
	db_close(*db);
}

/* Remembers why a transaction is over before its time. */
static int judge(struct db *db, int ret)
{
	if (ret < 0 && db->tx && !db->dead && !db->drv->alive(db))
		db->dead = ret;
	return ret;
}

static int refuse_dead(const struct db *db, struct err *e)
{
	return err_set(e, db->dead, "the transaction was undone");
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
	if (db->dead)
		return refuse_dead(db, e);
	return judge(db, db->drv->exec(db, sql, e));
}

static struct db_stmt *cached(struct db *db, const char *sql, uint64_t hash)
{
	struct map_node *n;

	map_each (&db->stmts, hash, n) {
		struct db_stmt *s = container_of(n, struct db_stmt, node);

		if (s->sql == sql)
			return s;
	}
	return NULL;
}

int db_stmt(struct db *db, const char *sql, struct db_stmt **s_r, struct err *e)
{
	uint64_t hash = hash_u64((uintptr_t)sql);
	struct db_stmt *s = cached(db, sql, hash);
	int ret;

	if (!s) {
		ret = judge(db, db->drv->prepare(db, sql, &s, e));
		if (ret < 0)
			return ret;
		s->db = db;
		s->sql = sql;
		map_put(&db->stmts, &s->node, hash);
	}
	check(!s->busy);
	s->busy = true;
	s->bad_bind = false;
	*s_r = s;
	return 0;
}

void db_bind_i64(struct db_stmt *s, int i, int64_t v)
{
	s->bad_bind |= !s->db->drv->bind_i64(s, i, v);
}

void db_bind_text(struct db_stmt *s, int i, struct str v)
{
	s->bad_bind |= !s->db->drv->bind_text(s, i, v);
}

void db_bind_blob(struct db_stmt *s, int i, struct str v)
{
	s->bad_bind |= !s->db->drv->bind_blob(s, i, v);
}

void db_bind_null(struct db_stmt *s, int i)
{
	s->bad_bind |= !s->db->drv->bind_null(s, i);
}

int db_step(struct db_stmt *s, struct err *e)
{
	struct db *db = s->db;

	check(s->busy);
	if (db->dead)
		return refuse_dead(db, e);
	if (s->bad_bind)
		return err_set(
			e, -EINVAL, "a parameter does not fit: %.80s", s->sql);
	return judge(db, db->drv->step(s, e));
}

int64_t db_i64(struct db_stmt *s, int i)
{
	return s->db->drv->i64(s, i);
}

struct str db_bytes(struct db_stmt *s, int i)
{
	return s->db->drv->bytes(s, i);
}

bool db_is_null(struct db_stmt *s, int i)
{
	return s->db->drv->is_null(s, i);
}

void db_done(struct db_stmt *s)
{
	check(s->busy);
	s->busy = false;
	s->db->drv->reset(s);
}

int64_t db_changes(const struct db *db)
{
	return db->drv->changes(db);
}

static void bind_all(struct db_stmt *s, const char *types, va_list ap)
{
	for (int i = 1; *types; types++, i++) {
		switch (*types) {
		case 'i':
			db_bind_i64(s, i, va_arg(ap, int64_t));
			break;
		case 't':
			db_bind_text(s, i, va_arg(ap, struct str));
			break;
		case 'b':
			db_bind_blob(s, i, va_arg(ap, struct str));
			break;
		default:
			check(*types == 'n');
			db_bind_null(s, i);
		}
	}
}

int db_run(
	struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	struct db_stmt *s;
	va_list ap;
	int ret = db_stmt(db, sql, &s, e);

	if (ret < 0)
		return ret;
	va_start(ap, types);
	bind_all(s, types, ap);
	va_end(ap);
	ret = db_step(s, e);
	db_done(s);
	return min_of(ret, 0);
}

int db_number(struct db *db, int64_t *v_r, struct err *e, const char *sql,
	const char *types, ...)
{
	struct db_stmt *s;
	va_list ap;
	int ret = db_stmt(db, sql, &s, e);

	if (ret < 0)
		return ret;
	va_start(ap, types);
	bind_all(s, types, ap);
	va_end(ap);
	ret = db_step(s, e);
	if (ret > 0)
		*v_r = db_i64(s, 0);
	db_done(s);
	return ret;
}

/* Runs one cached statement that has neither parameters nor rows. */
static int run(struct db *db, const char *sql, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(db, sql, &s, e);

	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	db_done(s);
	return ret;
}

int db_begin(struct db *db, bool write, struct err *e)
{
	int ret;

	check(!db->tx);
	ret = run(db,
		write ? db->drv->sql_begin_write : db->drv->sql_begin_read, e);
	if (ret < 0)
		return ret;
	db->tx = true;
	return 0;
}

int db_commit(struct db *db, struct err *e)
{
	int ret;

	check(db->tx && !db->saved);
	ret = db->dead ? 0 : db->drv->settle(db, e);
	if (ret == 0)
		ret = run(db, "COMMIT", e);
	if (ret < 0) {
		db_rollback(db);
		return ret;
	}
	db->tx = false;
	return 0;
}

static bool stmt_stop(struct map_node *n, void *ctx)
{
	struct db_stmt *s = container_of(n, struct db_stmt, node);

	s->db->drv->reset(s);
	return true;
}

void db_rollback(struct db *db)
{
	if (!db->tx)
		return;
	db->dead = 0;
	db->saved = false;
	/* A read that still stands on a row would keep its snapshot. */
	map_walk(&db->stmts, stmt_stop, NULL);
	if (db->drv->alive(db))
		run(db, "ROLLBACK", NULL);
	db->tx = false;
}

int db_savepoint(struct db *db, struct err *e)
{
	int ret;

	check(db->tx && !db->saved);
	ret = run(db, "SAVEPOINT s", e);
	if (ret < 0)
		return ret;
	db->saved = true;
	return 0;
}

int db_release(struct db *db, struct err *e)
{
	check(db->saved);
	db->saved = false;
	return run(db, "RELEASE s", e);
}

void db_rollback_to(struct db *db)
{
	struct err e;

	if (!db->saved)
		return;
	db->saved = false;
	if (db->dead)
		return;
	if (run(db, "ROLLBACK TO s", &e) < 0 || run(db, "RELEASE s", &e) < 0)
		db->dead = db->dead ? db->dead : e.code;
}

bool db_in_tx(const struct db *db)
{
	return db->tx;
}

int db_version(struct db *db, int64_t *v_r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(db, db->drv->sql_version, &s, e);

	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	if (ret > 0)
		*v_r = db_i64(s, 0);
	db_done(s);
	if (ret == 0)
		return err_set(e, -EUCLEAN, "the file has no version");
	return ret < 0 ? ret : 0;
}

int db_set_version(struct db *db, int64_t v, struct err *e)
{
	char sql[64];
	int n = snprintf(
		sql, sizeof(sql), "%s%" PRId64, db->drv->sql_set_version, v);

	check(n > 0 && (size_t)n < sizeof(sql));
	return db_exec(db, sql, e);
}

int db_backup(struct db *db, const char *path, struct err *e)
{
	if (db->dead)
		return refuse_dead(db, e);
	return db->drv->backup(db, path, e);
}

int db_check(struct db *db, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(db, db->drv->sql_check, &s, e);

	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	if (ret > 0 && !str_eq(db_bytes(s, 0), STR("ok")))
		ret = err_set(e, -EUCLEAN, "the database is damaged: %.*s",
			(int)min_of(db_bytes(s, 0).n, (size_t)120),
			db_bytes(s, 0).p);
	db_done(s);
	return min_of(ret, 0);
}

int db_checkpoint(struct db *db, struct err *e)
{
	return db->drv->checkpoint(db, e);
}

void db_abandon(struct db *db)
{
	db->drv->abandon(db);
}

unsigned db_log_pages(const struct db *db)
{
	return db->drv->log_pages(db);
}

const char *db_driver_version(void)
{
	return db_sqlite.version();
}
