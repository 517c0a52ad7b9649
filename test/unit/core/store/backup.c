/* Accounts copied, replaced by a copy, and what a death in between leaves. */
#include "core/store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "test/unit/core/store/fixture.h"

#define LARGE (BODY_ROW_MAX + 1000)

/* Files of a backup, in memory. */
struct copied {
	struct {
		char name[BACKUP_NAME_MAX];
		struct buf bytes;
	} file[16];
	size_t n;
	struct buf sums;
};

static void copied_fini(struct copied *c)
{
	for (size_t i = 0; i < c->n; i++)
		buf_fini(&c->file[i].bytes);
	buf_fini(&c->sums);
}

static void add_sum(struct copied *c, size_t i)
{
	uint8_t sha[SHA256_LEN];

	sha256(buf_str(&c->file[i].bytes), sha);
	hex_add(&c->sums, str_n(sha, sizeof(sha)));
	buf_fmt(&c->sums, "  %s\n", c->file[i].name);
}

static void take_files(struct fx *fx, struct backup *b, struct copied *c)
{
	uint64_t size;
	int fd, ret;

	while ((ret = backup_next(b, c->file[c->n].name, &fd, &size, &fx->e)) >
		0) {
		struct buf *to = &c->file[c->n].bytes;

		assert_true(c->n < countof(c->file));
		assert_int_equal(
			read(fd, buf_room(to, size + 1), size + 1), size);
		to->n = size;
		close(fd);
		add_sum(c, c->n++);
	}
	assert_int_equal(ret, 0);
}

static void copy_all(struct fx *fx, struct copied *c)
{
	struct backup *b = NULL;

	OK(backup_begin(fx->a, &b, &fx->e));
	OK(backup_copy(b, &fx->e));
	take_files(fx, b, c);
	backup_free(b);
}

static int give(struct fx *fx, struct restore *r, const char *name,
	struct str bytes, size_t piece)
{
	int ret = restore_file(r, str_of(name), bytes.n, &fx->e);

	while (bytes.n && ret == 0) {
		size_t n = min_of(bytes.n, piece);

		ret = restore_bytes(r, str_n(bytes.p, n), &fx->e);
		bytes = str_skip(bytes, n);
	}
	return ret;
}

static int give_all(
	struct fx *fx, struct restore *r, const struct copied *c, size_t piece)
{
	int ret = 0;

	for (size_t i = 0; i < c->n && ret == 0; i++)
		ret = give(fx, r, c->file[i].name, buf_str(&c->file[i].bytes),
			piece);
	if (ret == 0)
		ret = give(fx, r, BACKUP_SUMS, buf_str(&c->sums), piece);
	return ret;
}

/* All of it up to its check. */
static int try_check(struct fx *fx, const struct copied *c)
{
	struct restore *r cleanup(restore_free) = NULL;
	int ret;

	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	ret = give_all(fx, r, c, 4096);
	return ret < 0 ? ret : restore_check(r, &fx->e);
}

static void put_back(struct fx *fx, const struct copied *c)
{
	struct restore *r = NULL;

	if (fx->a)
		account_put(steal(fx->a));
	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(give_all(fx, r, c, 65536));
	OK(restore_check(r, &fx->e));
	OK(restore_swap(r, &fx->e));
	restore_free(r);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
}

static struct str large(struct fx *fx, char fill)
{
	char *p = arena_new(&fx->arena, LARGE);

	memset(p, fill, LARGE);
	memcpy(p, "A: b\r\n\r\n", 8);
	return str_n(p, LARGE);
}

static uint64_t add_raw(struct fx *fx, struct str raw, int64_t received)
{
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.raw = raw,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.received_ms = received,
	};

	return fx_add_new(fx, &n);
}

/* A small one and a large one; returns the latter's id. */
static uint64_t two_emails(struct fx *fx)
{
	uint64_t id;

	fx_begin(fx, TX_WRITE);
	add_raw(fx, STR("Subject: small\r\n\r\nx\r\n"), 1000);
	id = add_raw(fx, large(fx, 'l'), 2000);
	fx_commit(fx);
	return id;
}

static size_t entries(struct fx *fx, const char *rest)
{
	DIR *d = opendir(fx_path(fx, rest));
	struct dirent *f;
	size_t n = 0;

	assert_non_null(d);
	while ((f = readdir(d)))
		n += f->d_name[0] != '.';
	closedir(d);
	return n;
}

static uint64_t emails(struct fx *fx)
{
	uint64_t n;

	fx_begin(fx, TX_READ);
	n = email_count(fx->t);
	fx_end(fx);
	return n;
}

/* ---- walking -------------------------------------------------------------- */

static void emails_are_walked_in_the_order_of_their_ids(void **state)
{
	struct fx *fx = fx_new();
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 5; i++)
		add_raw(fx, STR("a: b\r\n\r\n"), 1000 - i);
	OK(email_destroy(fx->t, 3, &fx->e));
	OK(email_after(fx->t, 0, 3, &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 3);
	assert_int_equal(ids[2], 4);
	OK(email_after(fx->t, 4, 3, &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], 5);
	OK(email_after(fx->t, 5, 3, &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 0);
	fx_free(fx);
}

static void bytes_are_found_in_that_mailbox_only(void **state)
{
	struct fx *fx = fx_new();
	struct str raw = STR("Subject: x\r\n\r\n1\r\n");
	uint64_t inbox, archive, id, in_archive;
	struct blob_id b;

	sha256(raw, b.sha);
	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	archive = fx_role(fx, "archive");
	id = add_raw(fx, raw, 1000);
	assert_int_equal(
		blob_email_in(fx->t, &b, archive, &in_archive, &fx->e), 0);
	in_archive = fx_add_new(fx,
		&(struct email_new){
			.raw = raw, .mailboxes = &archive, .mailboxes_n = 1});
	assert_int_equal(blob_email_in(fx->t, &b, inbox, &inbox, &fx->e), 1);
	assert_int_equal(inbox, id);
	assert_int_equal(
		blob_email_in(fx->t, &b, archive, &archive, &fx->e), 1);
	assert_int_equal(archive, in_archive);
	fx_free(fx);
}

/* ---- copies --------------------------------------------------------------- */

static void a_backup_has_the_database_and_every_large_message(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};

	two_emails(fx);
	copy_all(fx, &c);
	assert_int_equal(c.n, 2);
	assert_string_equal(c.file[0].name, "mail.db");
	assert_true(str_starts(str_of(c.file[1].name), STR("blobs/")));
	assert_int_equal(c.file[1].bytes.n, LARGE);
	assert_int_equal(entries(fx, "accounts"), 1);
	copied_fini(&c);
	fx_free(fx);
}

static void what_is_destroyed_meanwhile_is_in_the_backup(void **state)
{
	struct fx *fx = fx_new();
	uint64_t id = two_emails(fx);
	struct backup *b = NULL;
	struct copied c = {0};

	OK(backup_begin(fx->a, &b, &fx->e));
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
	OK(backup_copy(b, &fx->e));
	take_files(fx, b, &c);
	backup_free(b);
	assert_int_equal(c.n, 2);
	put_back(fx, &c);
	assert_int_equal(emails(fx), 2);
	copied_fini(&c);
	fx_free(fx);
}

static void a_backup_that_is_given_up_leaves_nothing(void **state)
{
	struct fx *fx = fx_new();
	struct backup *b = NULL;

	two_emails(fx);
	OK(backup_begin(fx->a, &b, &fx->e));
	backup_free(b);
	assert_int_equal(entries(fx, "accounts"), 1);
	fx_free(fx);
}

/* ---- restored ------------------------------------------------------------- */

static void a_restored_account_has_the_mail_of_the_backup(void **state)
{
	struct fx *fx = fx_new();
	uint64_t id = two_emails(fx);
	struct buf raw cleanup(buf_fini) = {0};
	struct copied c = {0};
	struct email m;

	copy_all(fx, &c);
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
	put_back(fx, &c);
	fx_begin(fx, TX_READ);
	m = fx_email(fx, id);
	assert_int_equal(m.received_ms, 2000);
	assert_int_equal(blob_read(fx->t, &m.blob, &raw, &fx->e), 1);
	assert_true(str_eq(buf_str(&raw), large(fx, 'l')));
	assert_int_equal(email_count(fx->t), 2);
	fx_end(fx);
	assert_int_equal(entries(fx, "accounts"), 1);
	copied_fini(&c);
	fx_free(fx);
}

static void a_restored_account_has_a_new_generation(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};
	uint32_t before;

	two_emails(fx);
	copy_all(fx, &c);
	fx_begin(fx, TX_READ);
	before = tx_generation(fx->t);
	fx_end(fx);
	put_back(fx, &c);
	fx_begin(fx, TX_READ);
	assert_int_not_equal(tx_generation(fx->t), before);
	assert_int_not_equal(tx_generation(fx->t), 0);
	copied_fini(&c);
	fx_free(fx);
}

/* RFC 8620 1.2 of a server that does not use ids again. */
static void new_ids_are_above_those_that_were_given_out_before(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};
	uint64_t last, after;

	two_emails(fx);
	copy_all(fx, &c);
	fx_begin(fx, TX_WRITE);
	last = add_raw(fx, STR("later: x\r\n\r\n"), 3000);
	fx_commit(fx);
	put_back(fx, &c);
	fx_begin(fx, TX_WRITE);
	after = add_raw(fx, STR("anew: x\r\n\r\n"), 3000);
	assert_true(after > last);
	fx_commit(fx);
	copied_fini(&c);
	fx_free(fx);
}

static void pieces_of_a_byte_make_the_same_account(void **state)
{
	struct fx *fx = fx_new();
	struct restore *r = NULL;
	struct copied c = {0};

	fx_begin(fx, TX_WRITE);
	add_raw(fx, STR("Subject: small\r\n\r\nx\r\n"), 1000);
	fx_commit(fx);
	copy_all(fx, &c);
	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(give_all(fx, r, &c, 1));
	OK(restore_check(r, &fx->e));
	restore_free(r);
	copied_fini(&c);
	fx_free(fx);
}

/* mail.db as the first version made it, with one mailbox and one email. */
static void make_version_1(struct fx *fx, const char *path)
{
	static const struct {
		int version;
		const char *sql;
	} step[] = {
#define MAIL(version, sql) {version, sql},
#define DIRECTORY(version, sql)
#include "core/store/schema.def"
#undef MAIL
#undef DIRECTORY
	};
	struct db *db = NULL;

	OK(db_open(path, DB_CREATE, &db, &fx->e));
	for (size_t i = 0; i < countof(step); i++)
		if (step[i].version == 1)
			OK(db_exec(db, step[i].sql, &fx->e));
	OK(db_exec(db,
		"INSERT INTO meta VALUES (1, 77, 5, 1, 1, 2, 2, 2, x'');"
		"INSERT INTO mailbox VALUES"
		" (1, 0, 10, 1, 1, 1, 1, 1, 'Old', 'inbox');"
		"INSERT INTO email VALUES (1, 1, 1000, 1000, 8, 0, 0,"
		" x'0100000000000000', '', zeroblob(32), x'');"
		"INSERT INTO body VALUES (1, x'', '', '', '', 'A: b\r\n\r\n')",
		&fx->e));
	OK(db_set_version(db, 1, &fx->e));
	db_close(db);
}

static void read_file_of(struct fx *fx, const char *path, struct copied *c)
{
	struct buf *to = &c->file[0].bytes;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	to->n = (size_t)read(fd, buf_room(to, 1 << 20), 1 << 20);
	close(fd);
	strcpy(c->file[0].name, "mail.db");
	c->n = 1;
	add_sum(c, 0);
}

static void a_version_1_backup_is_brought_up_to_date(void **state)
{
	struct fx *fx = fx_new();
	const char *path = fx_path(fx, "old.db");
	struct copied c = {0};

	make_version_1(fx, path);
	read_file_of(fx, path, &c);
	put_back(fx, &c);
	fx_begin(fx, TX_WRITE);
	assert_true(str_eq(fx_mailbox(fx, 1).name, STR("Old")));
	assert_int_equal(fx_email(fx, 1).received_ms, 1000);
	add_raw(fx, STR("new: x\r\n\r\n"), 3000);
	fx_commit(fx);
	copied_fini(&c);
	fx_free(fx);
}

/* ---- refused -------------------------------------------------------------- */

static void assert_refused(struct fx *fx, const struct copied *c)
{
	assert_int_equal(try_check(fx, c), -EUCLEAN);
	assert_int_equal(emails(fx), 2);
	assert_int_equal(entries(fx, "accounts"), 1);
}

static void a_changed_byte_is_refused(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};

	two_emails(fx);
	copy_all(fx, &c);
	for (size_t i = 0; i < c.n; i++) {
		char *p = &c.file[i].bytes.p[c.file[i].bytes.n / 2];

		*p ^= 1;
		assert_refused(fx, &c);
		*p ^= 1;
	}
	c.sums.p[10] ^= 1;
	assert_refused(fx, &c);
	c.sums.p[10] ^= 1;
	assert_int_equal(try_check(fx, &c), 0);
	copied_fini(&c);
	fx_free(fx);
}

static void a_missing_file_is_refused(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};
	struct restore *r = NULL;

	two_emails(fx);
	copy_all(fx, &c);
	/* No message, with sums that say so. */
	buf_reset(&c.sums);
	c.n = 1;
	add_sum(&c, 0);
	assert_refused(fx, &c);
	assert_non_null(strstr(fx->e.text, "a message is missing"));
	c.n = 2;
	/* No sums. */
	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(give(fx, r, "mail.db", buf_str(&c.file[0].bytes), 4096));
	assert_int_equal(restore_check(r, &fx->e), -EUCLEAN);
	restore_free(r);
	copied_fini(&c);
	fx_free(fx);
}

static void a_file_that_is_cut_is_refused(void **state)
{
	struct fx *fx = fx_new();
	struct restore *r = NULL;

	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(restore_file(r, STR("mail.db"), 10, &fx->e));
	OK(restore_bytes(r, STR("abc"), &fx->e));
	assert_int_equal(
		restore_file(r, STR(BACKUP_SUMS), 1, &fx->e), -EUCLEAN);
	assert_int_equal(restore_check(r, &fx->e), -EUCLEAN);
	assert_int_equal(restore_bytes(r, STR("12345678"), &fx->e), -EUCLEAN);
	restore_free(r);
	fx_free(fx);
}

static void a_name_of_no_backup_is_refused(void **state)
{
	static const char *const names[] = {"", "mail.db-wal", "../mail.db",
		"blobs/", "blobs/new", "blobs/../../x", "/etc/passwd",
		"blobs/00"};
	struct fx *fx = fx_new();
	struct restore *r = NULL;

	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	for (size_t i = 0; i < countof(names); i++)
		assert_int_equal(
			restore_file(r, str_of(names[i]), 1, &fx->e), -EUCLEAN);
	restore_free(r);
	fx_free(fx);
}

static void a_file_that_comes_twice_is_refused(void **state)
{
	struct fx *fx = fx_new();
	struct restore *r = NULL;

	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(give(fx, r, "mail.db", STR("x"), 1));
	assert_int_equal(give(fx, r, "mail.db", STR("x"), 1), -EUCLEAN);
	restore_free(r);
	fx_free(fx);
}

/* What the file of a database is, with sums that fit. */
static int check_db(struct fx *fx, const char *sql)
{
	const char *path = fx_path(fx, "other.db");
	struct copied c = {0};
	struct db *db = NULL;
	int fd, ret;

	unlink(path);
	if (sql) {
		OK(db_open(path, DB_CREATE, &db, &fx->e));
		OK(db_exec(db, sql, &fx->e));
		db_close(db);
	} else {
		fd = open(path, O_RDWR | O_CREAT, 0600);
		assert_int_equal(write(fd, "no database", 11), 11);
		close(fd);
	}
	read_file_of(fx, path, &c);
	ret = try_check(fx, &c);
	copied_fini(&c);
	return ret;
}

static void what_is_no_mail_is_refused(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(check_db(fx, NULL), -EUCLEAN);
	assert_int_equal(check_db(fx, "CREATE TABLE t (a)"), -EUCLEAN);
	assert_int_equal(check_db(fx, "PRAGMA user_version = 9999"), -EPROTO);
	assert_non_null(strstr(fx->e.text, "newer jmapd"));
	fx_free(fx);
}

/* ---- while others have it ------------------------------------------------- */

static void *reader(void *arg)
{
	struct fx *fx = arg;
	struct account *a = NULL;
	struct tx *t = NULL;
	struct err e = {0};

	for (int i = 0; i < 300; i++) {
		check(account_get(fx->s, fx->id, &a, &e) == 0);
		check(tx_begin(a, TX_READ, &t, &e) == 0);
		check(email_count(t) == 2);
		tx_end(steal(t));
		account_put(steal(a));
	}
	return NULL;
}

static void readers_see_the_old_account_or_the_new_one(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};
	pthread_t t[3];

	two_emails(fx);
	copy_all(fx, &c);
	account_put(steal(fx->a));
	for (size_t i = 0; i < countof(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, fx), 0);
	for (int i = 0; i < 8; i++) {
		put_back(fx, &c);
		account_put(steal(fx->a));
	}
	for (size_t i = 0; i < countof(t); i++)
		pthread_join(t[i], NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	copied_fini(&c);
	fx_free(fx);
}

static void an_account_that_was_removed_is_not_restored(void **state)
{
	struct fx *fx = fx_new();
	struct dir_account d;
	struct copied c = {0};
	struct restore *r = NULL;

	two_emails(fx);
	copy_all(fx, &c);
	account_put(steal(fx->a));
	OK(restore_new(fx->s, fx->id, &r, &fx->e));
	OK(give_all(fx, r, &c, 65536));
	OK(restore_check(r, &fx->e));
	OK(dir_remove(fx->s, STR("alice@example.org"), &d, &fx->e));
	assert_int_equal(restore_swap(r, &fx->e), -ENOENT);
	restore_free(r);
	assert_int_equal(entries(fx, "accounts"), 0);
	copied_fini(&c);
	fx_free(fx);
}

/* The account that is there cannot be opened: that is why it is restored. */
static void a_damaged_account_is_restored(void **state)
{
	struct fx *fx = fx_new();
	struct copied c = {0};

	two_emails(fx);
	copy_all(fx, &c);
	fx_close(fx);
	assert_int_equal(truncate(fx_path(fx, "accounts/1/mail.db"), 100), 0);
	fx_open(fx, NULL);
	assert_int_not_equal(account_get(fx->s, fx->id, &fx->a, &fx->e), 0);
	put_back(fx, &c);
	assert_int_equal(emails(fx), 2);
	copied_fini(&c);
	fx_free(fx);
}

/* ---- what a death leaves -------------------------------------------------- */

static void move(struct fx *fx, const char *from, const char *to)
{
	assert_int_equal(rename(fx_path(fx, from), fx_path(fx, to)), 0);
}

/* Between the two renames. */
static void a_swap_that_was_interrupted_is_finished(void **state)
{
	struct fx *fx = fx_new();

	two_emails(fx);
	fx_close(fx);
	move(fx, "accounts/1", "accounts/1.new");
	assert_int_equal(mkdir(fx_path(fx, "accounts/1.old"), 0700), 0);
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_int_equal(emails(fx), 2);
	assert_int_equal(entries(fx, "accounts"), 1);
	fx_free(fx);
}

/* Before the first, and after the second. */
static void what_a_restore_left_is_swept_away(void **state)
{
	static const char *const left[] = {"accounts/1.new", "accounts/1.old",
		"accounts/1.in-Abc123", "accounts/1.out-Abc123"};
	struct fx *fx = fx_new();

	two_emails(fx);
	fx_close(fx);
	for (size_t i = 0; i < countof(left); i++)
		assert_int_equal(mkdir(fx_path(fx, left[i]), 0700), 0);
	fx_open(fx, NULL);
	assert_int_equal(entries(fx, "accounts"), 1);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_int_equal(emails(fx), 2);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(emails_are_walked_in_the_order_of_their_ids),
		cmocka_unit_test(bytes_are_found_in_that_mailbox_only),
		cmocka_unit_test(
			a_backup_has_the_database_and_every_large_message),
		cmocka_unit_test(what_is_destroyed_meanwhile_is_in_the_backup),
		cmocka_unit_test(a_backup_that_is_given_up_leaves_nothing),
		cmocka_unit_test(a_restored_account_has_the_mail_of_the_backup),
		cmocka_unit_test(a_restored_account_has_a_new_generation),
		cmocka_unit_test(
			new_ids_are_above_those_that_were_given_out_before),
		cmocka_unit_test(pieces_of_a_byte_make_the_same_account),
		cmocka_unit_test(a_version_1_backup_is_brought_up_to_date),
		cmocka_unit_test(a_changed_byte_is_refused),
		cmocka_unit_test(a_missing_file_is_refused),
		cmocka_unit_test(a_file_that_is_cut_is_refused),
		cmocka_unit_test(a_name_of_no_backup_is_refused),
		cmocka_unit_test(a_file_that_comes_twice_is_refused),
		cmocka_unit_test(what_is_no_mail_is_refused),
		cmocka_unit_test(readers_see_the_old_account_or_the_new_one),
		cmocka_unit_test(an_account_that_was_removed_is_not_restored),
		cmocka_unit_test(a_damaged_account_is_restored),
		cmocka_unit_test(a_swap_that_was_interrupted_is_finished),
		cmocka_unit_test(what_a_restore_left_is_swept_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
