/* The text index: accidents, other versions, and the housekeeper. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "test/unit/core/store/text.h"

/* ---- accidents ------------------------------------------------------------ */

static void the_index_goes_on_where_it_ended(void **state)
{
	struct fx *fx = with_two();

	pthread_mutex_lock(&fx->a->indexing);
	add_now(fx, mail_1);
	pthread_mutex_unlock(&fx->a->indexing);
	fx_reopen(fx);
	assert_int_equal(fx->a->indexed, 2);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1 2 3");
	assert_int_equal(fx->a->indexed, 3);
	assert_sound(fx);
	fx_free(fx);
}

/* A batch and its number are one transaction: a trigger ends it in between. */
static void a_batch_that_fails_leaves_nothing(void **state)
{
	struct fx *fx = fx_new();

	pthread_mutex_lock(&fx->a->indexing);
	add_now(fx, mail_1);
	run_sql(fx, "CREATE TRIGGER stop BEFORE UPDATE ON words_done"
		    " BEGIN SELECT RAISE(ABORT, 'stopped'); END");
	pthread_mutex_unlock(&fx->a->indexing);
	assert_true(text_catch_up(fx->a, &fx->e) < 0);
	assert_hits(fx, TEXT_ALL, "fox", "");
	assert_int_equal(behind(fx), 1);
	/* The account lives on. */
	add_now(fx, mail_2);
	run_sql(fx, "DROP TRIGGER stop");
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1 2");
	assert_sound(fx);
	fx_free(fx);
}

/* No file may grow beyond that: a full disk. */
static void limit(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_batch_on_a_full_disk_is_done_later(void **state)
{
	struct fx *fx = fx_new();

	pthread_mutex_lock(&fx->a->indexing);
	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 100; i++) {
		char raw[99];

		snprintf(raw, sizeof(raw),
			"Subject: n%d\r\n\r\nall x%d y%d\r\n", i, i, i * i);
		add(fx, raw);
	}
	fx_commit(fx);
	pthread_mutex_unlock(&fx->a->indexing);
	limit(4096);
	assert_int_equal(text_catch_up(fx->a, &fx->e), -ENOSPC);
	assert_hits(fx, TEXT_ALL, "all", "");
	limit(RLIM_INFINITY);
	add_now(fx, mail_1);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "all n7", "8");
	assert_hits(fx, TEXT_ALL, "fox", "101");
	assert_sound(fx);
	fx_free(fx);
}

static void an_index_of_another_version_is_made_anew(void **state)
{
	struct fx *fx = with_two();

	pthread_mutex_lock(&fx->a->indexing);
	run_sql(fx,
		"INSERT INTO words (words) VALUES ('delete-all');"
		"INSERT INTO words (rowid, body) VALUES (1, 'other'), (9, 'x');"
		"UPDATE words_done SET version = 'of old', upto = 9");
	assert_int_equal(behind(fx), 1);
	destroy_now(fx, 2); /* its words are not these ones */
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "other", "");
	assert_hits(fx, TEXT_ALL, "x", "");
	assert_hits(fx, TEXT_ALL, "fox", "1");
	assert_int_equal(behind(fx), 0);
	assert_sound(fx);
	fx_free(fx);
}

static void an_index_that_does_not_fit_keeps_nobody_from_destroying(
	void **state)
{
	struct fx *fx = with_two();

	run_sql(fx, "INSERT INTO words (words) VALUES ('delete-all')");
	pthread_mutex_lock(&fx->a->indexing);
	destroy_now(fx, 1);
	assert_int_equal(behind(fx), 1);
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "2");
	fx_free(fx);
}

static const char *const schema_1[] = {
#define MAIL(version, sql) version == 1 ? sql : NULL,
#define DIRECTORY(version, sql)
#include "core/store/schema.def"
#undef MAIL
#undef DIRECTORY
};

/* "INSERT INTO main.t (a, b) SELECT a, b FROM old.t" for each table. */
static void copy_tables(struct fx *fx, struct db *db)
{
	struct buf sql cleanup(buf_fini) = {0};
	struct db_stmt *s;

	OK(db_stmt(db,
		"SELECT m.name, (SELECT group_concat(name)"
		" FROM pragma_table_info(m.name)) FROM main.sqlite_master m"
		" WHERE m.type = 'table'",
		&s, &fx->e));
	while (db_step(s, &fx->e) > 0) {
		struct str name = db_bytes(s, 0), columns = db_bytes(s, 1);

		buf_fmt(&sql,
			"INSERT INTO main.%.*s (%.*s) SELECT %.*s"
			" FROM old.%.*s;",
			STR_ARG(name), STR_ARG(columns), STR_ARG(columns),
			STR_ARG(name));
	}
	db_done(s);
	OK(db_exec(db, buf_z(&sql), &fx->e));
}

/* The account's database as the first version would have left it. */
static void back_to_schema_1(struct fx *fx)
{
	const char *path = arena_fmt(&fx->arena, "%s/mail.db", fx->a->dir).p;
	const char *old = arena_fmt(&fx->arena, "%s/old.db", fx->a->dir).p;
	struct db *db cleanup(db_close) = NULL;

	fx_close(fx);
	assert_int_equal(rename(path, old), 0);
	OK(db_open(path, DB_CREATE, &db, &fx->e));
	for (size_t i = 0; i < countof(schema_1); i++)
		if (schema_1[i])
			OK(db_exec(db, schema_1[i], &fx->e));
	OK(db_set_version(db, 1, &fx->e));
	OK(db_exec(db, arena_fmt(&fx->arena, "ATTACH '%s' AS old", old).p,
		&fx->e));
	copy_tables(fx, db);
	OK(db_exec(db, "DETACH old", &fx->e));
}

static void an_account_of_schema_1_is_indexed(void **state)
{
	struct fx *fx = with_two();

	back_to_schema_1(fx);
	fx_reopen(fx);
	assert_int_equal(behind(fx), 1);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1 2");
	fx_free(fx);
}

/* ---- the housekeeper ------------------------------------------------------ */

/* Waits until it has done it; a broken one is ended by the test's own limit. */
static void wait_indexed(struct fx *fx, uint64_t upto)
{
	while (atomic_load(&fx->a->indexed) < upto)
		usleep(1000);
}

static void a_whole_batch_does_not_wait_for_a_search(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 600; i++)
		add(fx, mail_2);
	fx_commit(fx);
	wait_indexed(fx, 600);
	assert_int_equal(behind(fx), 0);
	fx_free(fx);
}

static void what_waits_is_indexed_after_opening(void **state)
{
	struct fx *fx = fx_new();
	const char *path = arena_fmt(&fx->arena, "%s/mail.db", fx->a->dir).p;
	struct db *db cleanup(db_close) = NULL;

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 300; i++)
		add(fx, mail_2);
	fx_commit(fx);
	fx_close(fx);
	OK(db_open(path, 0, &db, &fx->e));
	OK(db_exec(db, "UPDATE words_done SET version = 'of old'", &fx->e));
	db_close(steal(db));
	fx_reopen(fx);
	wait_indexed(fx, 300);
	assert_int_equal(behind(fx), 0);
	fx_free(fx);
}

struct race {
	struct fx *fx;
	atomic_bool stop;
};

static void *searcher(void *ctx)
{
	struct race *r = ctx;
	struct err e;

	while (!atomic_load(&r->stop)) {
		struct arena a cleanup(arena_fini) = {0};
		const uint64_t *ids;
		struct tx *t;
		size_t n;

		assert_int_equal(text_catch_up(r->fx->a, &e), 0);
		assert_int_equal(tx_begin(r->fx->a, TX_READ, &t, &e), 0);
		assert_int_equal(text_search(t, TEXT_ALL, STR("quick"), &a,
					 &ids, &n, &e),
			0);
		for (size_t i = 0; i < n; i++) {
			struct email m;

			/* All that is found is there. */
			assert_int_equal(
				email_find(t, ids[i], 0, &a, &m, &e), 1);
		}
		tx_end(t);
	}
	return NULL;
}

static void housekeeper_searches_and_changes_get_along(void **state)
{
	struct fx *fx = fx_new();
	struct race r = {.fx = fx};
	pthread_t thread[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, searcher, &r);
	for (int round = 0; round < 20; round++) {
		uint64_t first = 0;

		fx_begin(fx, TX_WRITE);
		for (int i = 0; i < 30; i++) {
			uint64_t id = add(fx, i % 2 ? mail_1 : mail_2);

			first = first ? first : id;
		}
		fx_commit(fx);
		account_chore(fx->a, 0);
		for (int i = 0; i < 10; i++)
			destroy_now(fx, first + (uint64_t)i * 2);
	}
	atomic_store(&r.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	catch_up(fx);
	assert_int_equal(number(fx, "SELECT count(*) FROM words"
				    " WHERE words MATCH 'quick'"),
		400);
	assert_sound(fx);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_index_goes_on_where_it_ended),
		cmocka_unit_test(a_batch_that_fails_leaves_nothing),
		cmocka_unit_test(a_batch_on_a_full_disk_is_done_later),
		cmocka_unit_test(an_index_of_another_version_is_made_anew),
		cmocka_unit_test(
			an_index_that_does_not_fit_keeps_nobody_from_destroying),
		cmocka_unit_test(an_account_of_schema_1_is_indexed),
		cmocka_unit_test(a_whole_batch_does_not_wait_for_a_search),
		cmocka_unit_test(what_waits_is_indexed_after_opening),
		cmocka_unit_test(housekeeper_searches_and_changes_get_along),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
