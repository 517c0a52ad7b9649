/* The text index: what is found in which field, and that it keeps up. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "core/store/text.h"
#include "test/unit/core/store/fixture.h"

/* Adds a message to the Inbox of the running write transaction. */
static uint64_t add_raw(struct fx *fx, struct str raw)
{
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.raw = raw,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.received_ms = 1000,
	};

	return fx_add_new(fx, &n);
}

static uint64_t add(struct fx *fx, const char *raw)
{
	return add_raw(fx, str_of(raw));
}

static uint64_t add_now(struct fx *fx, const char *raw)
{
	uint64_t id;

	fx_begin(fx, TX_WRITE);
	id = add(fx, raw);
	fx_commit(fx);
	return id;
}

static void destroy_now(struct fx *fx, uint64_t id)
{
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
}

static void catch_up(struct fx *fx)
{
	OK(text_catch_up(fx->a, &fx->e));
}

/* Hits on a snapshot of its own: "3 5". */
static const char *hits(struct fx *fx, unsigned fields, const char *query)
{
	struct buf b cleanup(buf_fini) = {0};
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, fields, str_of(query), &fx->arena, &ids, &n, &fx->e));
	fx_end(fx);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%d", i ? " " : "", (int)ids[i]);
	return arena_str(&fx->arena, buf_str(&b)).p;
}

#define assert_hits(fx, fields, query, want) \
	assert_string_equal(hits(fx, fields, query), want)

static int behind(struct fx *fx)
{
	int ret;

	fx_begin(fx, TX_READ);
	ret = text_behind(fx->t, &fx->e);
	fx_end(fx);
	return ret;
}

static int64_t number(struct fx *fx, const char *sql)
{
	int64_t v = -1;

	fx_begin(fx, TX_READ);
	assert_true(db_number(fx->t->db, &v, &fx->e, sql, "") >= 0);
	fx_end(fx);
	return v;
}

/* SQL beside the store, in a transaction of its own. */
static void run_sql(struct fx *fx, const char *sql)
{
	fx_begin(fx, TX_WRITE);
	OK(db_exec(fx->t->db, sql, &fx->e));
	fx_commit(fx);
}

/* FTS5 itself compares its terms with its structure. */
static void assert_sound(struct fx *fx)
{
	run_sql(fx, "INSERT INTO words (words) VALUES ('integrity-check')");
}

static const char mail_1[] =
	"From: =?utf-8?q?J=C3=BCrgen?= Fromm <juergen@sender.example>\r\n"
	"To: Tom <tom@rcpt.example>\r\nCc: Cecil <cecil@copy.example>\r\n"
	"Bcc: bert@blind.example\r\nSubject: The quick Subject\r\n"
	"\r\nThe brown fox jumps over the lazy dog.\r\n";
static const char mail_2[] = "From: dog@sender.example\r\n"
			     "Subject: fox quick\r\n\r\nnothing else\r\n";

static struct fx *with_two(void)
{
	struct fx *fx = fx_new();

	assert_int_equal(add_now(fx, mail_1), 1);
	assert_int_equal(add_now(fx, mail_2), 2);
	catch_up(fx);
	return fx;
}

/* ---- searching ------------------------------------------------------------ */

static void each_field_is_searched_by_itself(void **state)
{
	static const struct {
		unsigned field;
		const char *word;
	} own[] = {{TEXT_FROM, "fromm"}, {TEXT_TO, "tom"}, {TEXT_CC, "cecil"},
		{TEXT_BCC, "bert"}, {TEXT_SUBJECT, "subject"},
		{TEXT_BODY, "jumps"}};
	struct fx *fx = with_two();

	for (size_t i = 0; i < countof(own); i++) {
		assert_hits(fx, TEXT_ALL, own[i].word, "1");
		assert_hits(fx, TEXT_ALL & ~own[i].field, own[i].word, "");
		for (size_t k = 0; k < countof(own); k++)
			assert_hits(fx, own[k].field, own[i].word,
				i == k ? "1" : "");
	}
	assert_hits(fx, TEXT_SUBJECT | TEXT_BODY, "fox", "1 2");
	assert_hits(fx, TEXT_SUBJECT, "fox", "2");
	fx_free(fx);
}

static void all_words_must_be_there(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "fox dog", "1 2");
	assert_hits(fx, TEXT_ALL, "dog lazy fox", "1");
	assert_hits(fx, TEXT_ALL, "fox missing", "");
	/* Each in any of the fields. */
	assert_hits(fx, TEXT_ALL, "tom lazy", "1");
	assert_hits(fx, TEXT_TO | TEXT_CC, "tom lazy", "");
	fx_free(fx);
}

static void a_phrase_stands_as_it_is(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "\"brown fox\"", "1");
	assert_hits(fx, TEXT_ALL, "'fox brown'", "");
	assert_hits(fx, TEXT_ALL, "'brown jumps'", "");
	assert_hits(fx, TEXT_ALL, "\"fox, QUICK\"", "2");
	assert_hits(fx, TEXT_ALL, "\"quick subject\" dog", "1");
	/* Not from one field into the next. */
	assert_hits(fx, TEXT_ALL, "'subject the'", "");
	fx_free(fx);
}

static void a_word_is_a_whole_word(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "jump", "");
	assert_hits(fx, TEXT_ALL, "jum*", "1");
	assert_hits(fx, TEXT_ALL, "qui* sub*", "1");
	assert_hits(fx, TEXT_ALL, "j*", "");
	fx_free(fx);
}

static void addresses_and_their_pieces_are_found(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_FROM, "juergen@sender.example", "1");
	assert_hits(fx, TEXT_FROM, "Juergen", "1");
	assert_hits(fx, TEXT_FROM, "sender.example", "1 2");
	assert_hits(fx, TEXT_FROM, "example", "1 2");
	assert_hits(fx, TEXT_FROM, "example.sender", "");
	assert_hits(fx, TEXT_FROM, "<dog@sender.example>", "2");
	fx_free(fx);
}

static void case_and_accents_make_no_difference(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "jurgen", "1");
	assert_hits(fx, TEXT_ALL, "JÜRGEN", "1");
	assert_hits(fx, TEXT_ALL, "ju\xcc\x88rgen", "1");
	assert_hits(fx, TEXT_ALL, "SUBJECT", "1");
	fx_free(fx);
}

static void chinese_and_japanese_are_found_inside_a_sentence(void **state)
{
	struct fx *fx = fx_new();

	add_now(fx, "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "\r\n私は東京都に住んでいます。\r\n");
	add_now(fx, "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "\r\n京都と東の国\r\n");
	catch_up(fx);
	assert_hits(fx, TEXT_BODY, "東京", "1");
	assert_hits(fx, TEXT_BODY, "東京都", "1");
	assert_hits(fx, TEXT_BODY, "京都", "1 2");
	assert_hits(fx, TEXT_BODY, "東", "1 2");
	assert_hits(fx, TEXT_BODY, "国", "2");
	assert_hits(fx, TEXT_BODY, "東都", "");
	assert_hits(fx, TEXT_BODY, "住んで 東京", "1");
	fx_free(fx);
}

static void a_query_without_a_word_matches_nothing(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "", "");
	assert_hits(fx, TEXT_ALL, " \" ... \" *", "");
	assert_hits(fx, TEXT_BODY, "\"", "");
	fx_free(fx);
}

static void syntax_of_the_index_is_plain_text(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "fox OR nothing", "");
	assert_hits(fx, TEXT_ALL, "fox NOT dog", "");
	assert_hits(fx, TEXT_ALL, "subject:fox", "");
	assert_hits(fx, TEXT_ALL, "fox\") OR (\"dog", "");
	assert_hits(fx, TEXT_ALL, "{sender}", "1 2");
	assert_hits(fx, TEXT_ALL, "^fox", "1 2");
	assert_hits(fx, TEXT_ALL, "NEAR(fox", "");
	fx_free(fx);
}

static void a_message_that_is_a_file_is_searched(void **state)
{
	struct fx *fx = fx_new();
	struct buf raw cleanup(buf_fini) = {0};

	buf_addz(&raw, "Subject: large\r\n\r\n");
	while (raw.n < 3 * BODY_ROW_MAX)
		buf_addz(&raw, "filling words\r\n");
	buf_addz(&raw, "needle\r\n");
	fx_begin(fx, TX_WRITE);
	add_raw(fx, buf_str(&raw));
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_BODY, "needle", "1");
	destroy_now(fx, 1);
	assert_hits(fx, TEXT_ALL, "large", "");
	assert_sound(fx);
	fx_free(fx);
}

/* ---- keeping up ----------------------------------------------------------- */

static void a_delivery_does_not_write_the_index(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(behind(fx), 0);
	pthread_mutex_lock(&fx->a->indexing); /* no housekeeper now */
	add_now(fx, mail_1);
	assert_int_equal(behind(fx), 1);
	assert_hits(fx, TEXT_ALL, "fox", "");
	assert_int_equal(number(fx, "SELECT upto FROM words_done"), 0);
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1");
	assert_int_equal(number(fx, "SELECT upto FROM words_done"), 1);
	fx_free(fx);
}

/* More than one batch, by number and by bytes. */
static void many_emails_are_indexed_in_batches(void **state)
{
	struct fx *fx = fx_new();
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_WRITE);
	for (int i = 1; i <= 700; i++) {
		char raw[64];

		snprintf(raw, sizeof(raw), "Subject: x\r\n\r\nall n%d\r\n", i);
		assert_int_equal(add(fx, raw), i);
	}
	fx_commit(fx);
	catch_up(fx);
	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, TEXT_ALL, STR("all"), &fx->arena, &ids, &n, &fx->e));
	fx_end(fx);
	assert_int_equal(n, 700);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ids[i], i + 1);
	assert_hits(fx, TEXT_BODY, "n1", "1");
	assert_hits(fx, TEXT_BODY, "n256", "256");
	assert_hits(fx, TEXT_BODY, "n257", "257");
	assert_hits(fx, TEXT_BODY, "n700", "700");
	assert_sound(fx);
	fx_free(fx);
}

static void large_emails_are_indexed_in_batches(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 1; i <= 20; i++) {
		struct buf raw cleanup(buf_fini) = {0};

		buf_fmt(&raw, "Subject: s%d\r\n\r\n", i);
		while (raw.n < BODY_ROW_MAX - 10)
			buf_addz(&raw, "lorem ");
		add_raw(fx, buf_str(&raw));
	}
	fx_commit(fx);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "s1", "1");
	assert_hits(fx, TEXT_ALL, "lorem s20", "20");
	fx_free(fx);
}

static void emails_that_have_gone_are_no_gap(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 5; i++)
		add(fx, mail_1);
	OK(email_destroy(fx->t, 2, &fx->e));
	OK(email_destroy(fx->t, 5, &fx->e));
	fx_commit(fx);
	assert_int_equal(behind(fx), 1);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1 3 4");
	assert_int_equal(add_now(fx, mail_1), 6);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1 3 4 6");
	fx_free(fx);
}

static void a_destroyed_email_is_not_found(void **state)
{
	struct fx *fx = with_two();

	destroy_now(fx, 1);
	assert_hits(fx, TEXT_ALL, "fox", "2");
	assert_hits(fx, TEXT_ALL, "lazy", "");
	destroy_now(fx, 2);
	assert_hits(fx, TEXT_ALL, "fox", "");
	assert_sound(fx);
	/* Once segments are merged, nothing of it is left in the index. */
	run_sql(fx, "INSERT INTO words (words) VALUES ('optimize')");
	assert_int_equal(number(fx, "SELECT count(*) FROM words_idx"), 0);
	fx_free(fx);
}

/* Blocks of the index that have these bytes. */
#define WITH_NEEDLE                       \
	"SELECT count(*) FROM words_data" \
	" WHERE instr(block, CAST('qxneedle' AS BLOB)) > 0"

static void merge_all(struct fx *fx)
{
	int ret;

	while ((ret = text_merge(fx->a, &fx->e)) > 0)
		;
	assert_int_equal(ret, 0);
}

static void words_of_what_is_destroyed_leave_the_file(void **state)
{
	struct fx *fx = with_two();
	uint64_t id = add_now(fx, "Subject: x\r\n\r\nzqxneedle fox\r\n");

	catch_up(fx);
	assert_int_equal(number(fx, WITH_NEEDLE), 1);
	destroy_now(fx, id);
	assert_true(number(fx, WITH_NEEDLE) >= 1);
	merge_all(fx);
	assert_int_equal(number(fx, WITH_NEEDLE), 0);
	assert_int_equal(
		number(fx, "SELECT dead + merging FROM words_done"), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1 2");
	assert_sound(fx);
	fx_free(fx);
}

/* Enough for many pieces, with changes between them. */
static void a_merge_goes_on_beside_everything_else(void **state)
{
	struct fx *fx = fx_new();
	uint32_t seed = 1;
	int pieces = 0, ret;

	pthread_mutex_lock(&fx->a->indexing); /* no housekeeper now */
	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 60; i++) {
		struct buf raw cleanup(buf_fini) = {0};

		buf_addz(&raw, "Subject: x\r\n\r\nall ");
		for (int k = 0; k < 4000; k++) {
			seed = seed * 1664525 + 1013904223;
			buf_fmt(&raw, "w%u ", seed >> 8);
		}
		add_raw(fx, buf_str(&raw));
	}
	fx_commit(fx);
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	pthread_mutex_lock(&fx->a->indexing);
	for (uint64_t id = 1; id <= 4; id++)
		destroy_now(fx, id);
	while ((ret = text_merge(fx->a, &fx->e)) > 0) {
		destroy_now(fx, (uint64_t)++pieces + 4);
		add_now(fx, mail_1);
		check(pieces < 50);
	}
	assert_int_equal(ret, 0);
	assert_true(pieces > 3);
	pthread_mutex_unlock(&fx->a->indexing);
	merge_all(fx);
	catch_up(fx);
	assert_int_equal(number(fx, "SELECT count(*) FROM words"
				    " WHERE words MATCH 'all'"),
		60 - 4 - pieces);
	assert_sound(fx);
	fx_free(fx);
}

static void few_that_are_destroyed_are_not_worth_a_merge(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 100; i++)
		add(fx, mail_1);
	fx_commit(fx);
	catch_up(fx);
	for (uint64_t id = 1; id <= 5; id++)
		destroy_now(fx, id);
	merge_all(fx);
	assert_int_equal(number(fx, "SELECT dead FROM words_done"), 5);
	destroy_now(fx, 6);
	merge_all(fx);
	assert_int_equal(number(fx, "SELECT dead FROM words_done"), 0);
	fx_free(fx);
}

static void a_destroy_that_is_undone_leaves_the_index(void **state)
{
	struct fx *fx = with_two();

	fx_begin(fx, TX_WRITE);
	OK(tx_savepoint(fx->t, &fx->e));
	OK(email_destroy(fx->t, 1, &fx->e));
	tx_rollback_to(fx->t);
	fx_commit(fx);
	assert_hits(fx, TEXT_ALL, "lazy", "1");
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, 1, &fx->e));
	fx_end(fx);
	assert_hits(fx, TEXT_ALL, "lazy", "1");
	assert_sound(fx);
	fx_free(fx);
}

static void an_older_snapshot_still_finds_what_it_has(void **state)
{
	struct fx *fx = with_two();
	const uint64_t *ids;
	struct tx *t;
	size_t n;

	OK(tx_begin(fx->a, TX_READ, &t, &fx->e));
	destroy_now(fx, 1);
	OK(text_search(t, TEXT_ALL, STR("lazy"), &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 1);
	tx_end(t);
	fx_free(fx);
}

/* As threads do that merge: the old id is forgotten, its rows get a new one. */
static void an_email_that_changes_its_id_is_found_by_the_new_one(void **state)
{
	struct fx *fx = with_two();

	fx_begin(fx, TX_WRITE);
	OK(text_forget(fx->t, 1, &fx->e));
	OK(db_exec(fx->t->db,
		"UPDATE email SET id = 3 WHERE id = 1;"
		"UPDATE body SET id = 3 WHERE id = 1;"
		"UPDATE blob SET email = 3 WHERE email = 1",
		&fx->e));
	fx->t->meta.next_email = 4;
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "2 3");
	fx_free(fx);
}

static void what_is_not_indexed_yet_can_be_forgotten(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	OK(text_forget(fx->t, add(fx, mail_1), &fx->e));
	OK(text_forget(fx->t, 4711, &fx->e));
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1");
	fx_free(fx);
}

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
		cmocka_unit_test(each_field_is_searched_by_itself),
		cmocka_unit_test(all_words_must_be_there),
		cmocka_unit_test(a_phrase_stands_as_it_is),
		cmocka_unit_test(a_word_is_a_whole_word),
		cmocka_unit_test(addresses_and_their_pieces_are_found),
		cmocka_unit_test(case_and_accents_make_no_difference),
		cmocka_unit_test(
			chinese_and_japanese_are_found_inside_a_sentence),
		cmocka_unit_test(a_query_without_a_word_matches_nothing),
		cmocka_unit_test(syntax_of_the_index_is_plain_text),
		cmocka_unit_test(a_message_that_is_a_file_is_searched),
		cmocka_unit_test(a_delivery_does_not_write_the_index),
		cmocka_unit_test(many_emails_are_indexed_in_batches),
		cmocka_unit_test(large_emails_are_indexed_in_batches),
		cmocka_unit_test(emails_that_have_gone_are_no_gap),
		cmocka_unit_test(a_destroyed_email_is_not_found),
		cmocka_unit_test(words_of_what_is_destroyed_leave_the_file),
		cmocka_unit_test(a_merge_goes_on_beside_everything_else),
		cmocka_unit_test(few_that_are_destroyed_are_not_worth_a_merge),
		cmocka_unit_test(a_destroy_that_is_undone_leaves_the_index),
		cmocka_unit_test(an_older_snapshot_still_finds_what_it_has),
		cmocka_unit_test(
			an_email_that_changes_its_id_is_found_by_the_new_one),
		cmocka_unit_test(what_is_not_indexed_yet_can_be_forgotten),
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
