/* The database seam with its SQLite driver. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/db/db.h"

static char dir[32], path[64];
static struct err e;

#define OK(call)                                           \
	do {                                               \
		if ((call) != 0)                           \
			fail_msg("%s: %s", #call, e.text); \
	} while (0)

static int setup(void **state)
{
	strcpy(dir, "/tmp/jmapd-dbXXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/t.db", dir);
	return 0;
}

static int teardown(void **state)
{
	char cmd[80];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static struct db *open_new(void)
{
	struct db *db = NULL;

	OK(db_open(path, DB_CREATE, &db, &e));
	OK(db_exec(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)", &e));
	return db;
}

static int64_t number(struct db *db, const char *sql)
{
	int64_t v = -1;

	if (db_number(db, &v, &e, sql, "") != 1)
		fail_msg("%s: %s", sql, e.text);
	return v;
}

#define COUNT "SELECT count(*) FROM t"
#define ADD "INSERT INTO t (b) VALUES (?)"

static void a_missing_file_is_made_on_demand_only(void **state)
{
	struct db *db = NULL;

	assert_int_equal(db_open(path, 0, &db, &e), -ENOENT);
	assert_null(db);
	OK(db_open(path, DB_CREATE, &db, &e));
	db_close(db);
	OK(db_open(path, 0, &db, &e));
	db_close(db);
}

static void files_are_private(void **state)
{
	struct db *db = open_new();
	char wal[80];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_close(db);
}

static void the_file_is_set_up_for_durable_small_commits(void **state)
{
	struct db *db = open_new();
	struct db_stmt *s;

	assert_int_equal(number(db, "PRAGMA page_size"), 4096);
	assert_int_equal(number(db, "PRAGMA synchronous"), 2);
	assert_int_equal(number(db, "PRAGMA secure_delete"), 0);
	OK(db_stmt(db, "PRAGMA journal_mode", &s, &e));
	assert_int_equal(db_step(s, &e), 1);
	assert_true(str_eq(db_bytes(s, 0), STR("wal")));
	db_done(s);
	db_close(db);
}

static void a_version_is_kept(void **state)
{
	struct db *db = open_new();
	int64_t v;

	OK(db_version(db, &v, &e));
	assert_int_equal(v, 0);
	OK(db_set_version(db, 7, &e));
	db_close(db);
	OK(db_open(path, 0, &db, &e));
	OK(db_version(db, &v, &e));
	assert_int_equal(v, 7);
	db_close(db);
}

static void every_kind_of_value_comes_back(void **state)
{
	struct db *db = open_new();
	struct db_stmt *s;

	OK(db_exec(db, "CREATE TABLE k (i, n, t, e, b, z)", &e));
	OK(db_run(db, &e, "INSERT INTO k VALUES (?, ?, ?, ?, ?, ?)", "intbbt",
		INT64_MIN, STR("text"), STR_NONE, STR("\0b"), STR_NONE));
	OK(db_stmt(db, "SELECT * FROM k", &s, &e));
	assert_int_equal(db_step(s, &e), 1);
	assert_int_equal(db_i64(s, 0), INT64_MIN);
	assert_true(db_is_null(s, 1));
	assert_true(str_eq(db_bytes(s, 2), STR("text")));
	assert_false(db_is_null(s, 3));
	assert_int_equal(db_bytes(s, 3).n, 0);
	assert_true(str_eq(db_bytes(s, 4), STR("\0b")));
	assert_false(db_is_null(s, 5));
	assert_int_equal(db_step(s, &e), 0);
	db_done(s);
	db_close(db);
}

static void a_statement_is_prepared_once_and_comes_back_unbound(void **state)
{
	static const char sql[] = "SELECT ?";
	struct db *db = open_new();
	struct db_stmt *a, *b;

	OK(db_stmt(db, sql, &a, &e));
	db_bind_i64(a, 1, 5);
	assert_int_equal(db_step(a, &e), 1);
	assert_int_equal(db_i64(a, 0), 5);
	db_done(a);
	OK(db_stmt(db, sql, &b, &e));
	assert_ptr_equal(a, b);
	assert_int_equal(db_step(b, &e), 1);
	assert_true(db_is_null(b, 0));
	db_done(b);
	db_close(db);
}

static void errors_have_their_class(void **state)
{
	struct db *db = open_new(), *reader = NULL;
	struct db_stmt *s;

	assert_int_equal(db_stmt(db, "SELECT nonsense", &s, &e), -EINVAL);
	assert_true(strlen(e.text) > 0);
	OK(db_run(db, &e, "INSERT INTO t VALUES (?, 0)", "i", (int64_t)1));
	assert_int_equal(
		db_run(db, &e, "INSERT INTO t VALUES (?, 1)", "i", (int64_t)1),
		-EEXIST);
	assert_int_equal(
		db_run(db, &e, "DELETE FROM t", "i", (int64_t)1), -EINVAL);
	assert_int_equal(number(db, COUNT), 1);
	OK(db_open(path, DB_READONLY, &reader, &e));
	assert_int_equal(db_run(reader, &e, "DELETE FROM t", ""), -EROFS);
	db_close(reader);
	db_close(db);
}

static void what_is_no_database_is_corrupt(void **state)
{
	struct db *db = NULL;
	FILE *f = fopen(path, "w");

	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	assert_int_equal(db_open(path, 0, &db, &e), -EUCLEAN);
	assert_int_equal(db_open(path, DB_READONLY, &db, &e), -EUCLEAN);
}

static void a_read_transaction_is_one_snapshot(void **state)
{
	struct db *db = open_new(), *reader = NULL;

	OK(db_open(path, DB_READONLY, &reader, &e));
	OK(db_begin(reader, false, &e));
	assert_true(db_in_tx(reader));
	assert_int_equal(number(reader, COUNT), 0);
	OK(db_run(db, &e, ADD, "i", (int64_t)1));
	assert_int_equal(number(reader, COUNT), 0);
	OK(db_commit(reader, &e));
	assert_int_equal(number(reader, COUNT), 1);
	db_close(reader);
	db_close(db);
}

static void a_rollback_undoes_even_under_an_open_read(void **state)
{
	struct db *db = open_new();
	struct db_stmt *s;

	OK(db_run(db, &e, ADD, "i", (int64_t)1));
	OK(db_begin(db, true, &e));
	OK(db_run(db, &e, ADD, "i", (int64_t)2));
	OK(db_stmt(db, "SELECT a FROM t", &s, &e));
	assert_int_equal(db_step(s, &e), 1);
	db_rollback(db);
	db_done(s);
	assert_false(db_in_tx(db));
	assert_int_equal(number(db, COUNT), 1);
	db_close(db);
}

static void a_savepoint_is_undone_alone(void **state)
{
	struct db *db = open_new();

	OK(db_begin(db, true, &e));
	OK(db_run(db, &e, ADD, "i", (int64_t)1));
	OK(db_savepoint(db, &e));
	OK(db_run(db, &e, ADD, "i", (int64_t)2));
	db_rollback_to(db);
	OK(db_savepoint(db, &e));
	OK(db_run(db, &e, ADD, "i", (int64_t)3));
	OK(db_release(db, &e));
	OK(db_commit(db, &e));
	assert_int_equal(db_changes(db), 1);
	assert_int_equal(number(db, "SELECT sum(b) FROM t"), 4);
	db_close(db);
}

/* SQLite undoes the whole transaction when the disk is full. */
static void a_full_disk_kills_the_transaction_and_nothing_slips_by(void **state)
{
	struct db *db = open_new();
	static char big[200000];
	int ret;

	OK(db_exec(db, "PRAGMA max_page_count = 20", &e));
	OK(db_begin(db, true, &e));
	OK(db_savepoint(db, &e));
	ret = db_run(db, &e, ADD, "b", str_n(big, sizeof(big)));
	assert_int_equal(ret, -ENOSPC);
	db_rollback_to(db);
	ret = db_run(db, &e, ADD, "i", (int64_t)1);
	if (ret == 0)
		ret = db_commit(db, &e);
	else
		assert_int_equal(ret, -ENOSPC);
	db_rollback(db);
	assert_false(db_in_tx(db));
	assert_int_equal(number(db, COUNT), ret == 0 ? 1 : 0);
	OK(db_exec(db, "PRAGMA max_page_count = 2000", &e));
	OK(db_run(db, &e, ADD, "b", str_n(big, sizeof(big))));
	db_close(db);
}

static void a_checkpoint_empties_the_log_for_the_next_writer(void **state)
{
	struct db *db = open_new(), *other = NULL;
	unsigned pages;

	for (int i = 0; i < 20; i++)
		OK(db_run(db, &e, ADD, "i", (int64_t)i));
	pages = db_log_pages(db);
	assert_true(pages >= 20);
	OK(db_open(path, DB_READONLY, &other, &e));
	OK(db_checkpoint(other, &e));
	db_close(other);
	OK(db_run(db, &e, ADD, "i", (int64_t)0));
	assert_true(db_log_pages(db) < pages);
	db_close(db);
}

static off_t log_size(void)
{
	char log[80];
	struct stat st = {0};

	snprintf(log, sizeof(log), "%s-wal", path);
	return stat(log, &st) < 0 ? -1 : st.st_size;
}

/* The next one reads all of it again. */
static void an_abandoned_handle_leaves_its_log(void **state)
{
	struct db *db = open_new();

	OK(db_run(db, &e, ADD, "i", (int64_t)1));
	db_abandon(db);
	db_close(db);
	assert_true(log_size() > 0);
	OK(db_open(path, 0, &db, &e));
	assert_int_equal(number(db, COUNT), 1);
	db_close(db);
	assert_int_equal(log_size(), -1);
}

/* Others write on while it is copied. */
static void a_backup_is_the_snapshot_that_was_open(void **state)
{
	struct db *db = open_new(), *reader = NULL, *copy = NULL;
	char other[80];

	OK(db_run(db, &e, ADD, "i", (int64_t)1));
	OK(db_set_version(db, 7, &e));
	OK(db_open(path, DB_READONLY, &reader, &e));
	OK(db_begin(reader, false, &e));
	assert_int_equal(number(reader, COUNT), 1);
	OK(db_run(db, &e, ADD, "i", (int64_t)2));
	snprintf(other, sizeof(other), "%s/copy.db", dir);
	OK(db_backup(reader, other, &e));
	OK(db_run(db, &e, ADD, "i", (int64_t)3));
	db_close(reader);
	OK(db_open(other, 0, &copy, &e));
	assert_int_equal(number(copy, COUNT), 1);
	assert_int_equal(number(copy, "PRAGMA user_version"), 7);
	OK(db_check(copy, &e));
	OK(db_run(copy, &e, ADD, "i", (int64_t)4));
	assert_int_equal(number(db, COUNT), 3);
	db_close(copy);
	db_close(db);
}

static void a_backup_without_room_is_an_error(void **state)
{
	struct db *db = open_new();

	assert_int_equal(db_backup(db, "/nonexistent/copy.db", &e), -ENOENT);
	assert_int_equal(number(db, COUNT), 0);
	db_close(db);
}

/* Bytes in the middle of a page that holds rows. */
static void a_check_finds_what_is_damaged(void **state)
{
	struct db *db = open_new();
	static char big[30000];
	int fd;

	for (int i = 0; i < 20; i++)
		OK(db_run(db, &e, ADD, "b", str_n(big, sizeof(big))));
	OK(db_check(db, &e));
	db_close(db);
	fd = open(path, O_WRONLY);
	memset(big, 0x5a, 4096);
	assert_int_equal(pwrite(fd, big, 4096, 4096), 4096);
	close(fd);
	OK(db_open(path, 0, &db, &e));
	assert_int_equal(db_check(db, &e), -EUCLEAN);
	db_close(db);
}

static void the_version_has_the_drivers_name(void **state)
{
	assert_true(str_starts(str_of(db_driver_version()), STR("SQLite 3.")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_missing_file_is_made_on_demand_only),
		T(files_are_private),
		T(the_file_is_set_up_for_durable_small_commits),
		T(a_version_is_kept),
		T(every_kind_of_value_comes_back),
		T(a_statement_is_prepared_once_and_comes_back_unbound),
		T(errors_have_their_class),
		T(what_is_no_database_is_corrupt),
		T(a_read_transaction_is_one_snapshot),
		T(a_rollback_undoes_even_under_an_open_read),
		T(a_savepoint_is_undone_alone),
		T(a_full_disk_kills_the_transaction_and_nothing_slips_by),
		T(a_checkpoint_empties_the_log_for_the_next_writer),
		T(an_abandoned_handle_leaves_its_log),
		T(a_backup_is_the_snapshot_that_was_open),
		T(a_backup_without_room_is_an_error),
		T(a_check_finds_what_is_damaged),
		T(the_version_has_the_drivers_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
