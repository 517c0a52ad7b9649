/* Uploads: as rows and as files, their hour, their quota, deaths. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "test/unit/core/store/fixture.h"

#define QUOTA (1u << 20)

static struct str text(struct fx *fx, size_t n, char c)
{
	char *p = arena_new(&fx->arena, n + 1);

	memset(p, c, n);
	return str_n(p, n);
}

static struct blob_id id_of_raw(struct str raw)
{
	struct blob_id b;

	sha256(raw, b.sha);
	return b;
}

static const char *file_of(struct fx *fx, const char *folder, struct str raw)
{
	struct buf hex cleanup(buf_fini) = {0};
	struct blob_id b = id_of_raw(raw);

	hex_add(&hex, str_n(b.sha, sizeof(b.sha)));
	return arena_fmt(
		&fx->arena, "%s/accounts/1/%s/%s", fx->dir, folder, buf_z(&hex))
		.p;
}

static bool is_file(struct fx *fx, const char *folder, struct str raw)
{
	return access(file_of(fx, folder, raw), F_OK) == 0;
}

static unsigned files_in(struct fx *fx, const char *folder)
{
	DIR *d = opendir(fx_path(fx, folder));
	struct dirent *f;
	unsigned n = 0;

	assert_non_null(d);
	while ((f = readdir(d)))
		n += f->d_name[0] != '.' && strcmp(f->d_name, "new") != 0;
	closedir(d);
	return n;
}

static int add_within(struct fx *fx, struct str raw, uint64_t quota)
{
	struct blob_id b, want = id_of_raw(raw);
	int ret;

	fx_begin(fx, TX_WRITE);
	ret = upload_add(fx->t, raw, quota, &b, &fx->e);
	if (ret < 0)
		fail_msg("%s", fx->e.text);
	assert_memory_equal(&b, &want, sizeof(b));
	fx_commit(fx);
	return ret;
}

static void add(struct fx *fx, struct str raw)
{
	assert_int_equal(add_within(fx, raw, QUOTA), 0);
}

/* In pieces, through a file. */
static int keep_within(struct fx *fx, struct str raw, uint64_t quota)
{
	struct spool *p cleanup(spool_free) = NULL;
	struct blob_id want = id_of_raw(raw);
	int ret;

	OK(spool_new(fx->s, &p, &fx->e));
	for (size_t at = 0; at < raw.n; at += 30000)
		OK(spool_add(p,
			str_n(raw.p + at, min_of(raw.n - at, (size_t)30000)),
			&fx->e));
	OK(spool_end(p, &fx->e));
	assert_memory_equal(spool_id(p), &want, sizeof(want));
	fx_begin(fx, TX_WRITE);
	ret = upload_keep(fx->t, p, quota, &fx->e);
	if (ret < 0)
		fail_msg("%s", fx->e.text);
	fx_commit(fx);
	return ret;
}

static void keep(struct fx *fx, struct str raw)
{
	assert_int_equal(keep_within(fx, raw, QUOTA), 0);
}

static uint64_t add_email(struct fx *fx, struct str raw)
{
	struct email_new n = {.raw = raw, .mailboxes_n = 1};
	uint64_t inbox, id;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	n.mailboxes = &inbox;
	id = fx_add_new(fx, &n);
	fx_commit(fx);
	return id;
}

static void destroy_email(struct fx *fx, uint64_t id)
{
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
}

/* 1 when it is there, byte for byte. */
static int there(struct fx *fx, struct str raw)
{
	struct buf b cleanup(buf_fini) = {0};
	struct blob_id id = id_of_raw(raw);
	uint64_t size;
	int ret;

	fx_begin(fx, TX_READ);
	ret = blob_read(fx->t, &id, &b, &fx->e);
	if (ret > 0)
		assert_true(str_eq(buf_str(&b), raw));
	assert_int_equal(blob_size(fx->t, &id, &size, &fx->e), ret);
	if (ret > 0)
		assert_int_equal(size, raw.n);
	fx_end(fx);
	return ret;
}

/* So much later. */
static void expire_in(struct fx *fx, int64_t ms)
{
	fx_begin(fx, TX_WRITE);
	OK(upload_expire(fx->t, clock_real_ms() + ms, &fx->e));
	fx_commit(fx);
}

/* All uploads came so much earlier than they did. */
static void age(struct fx *fx, int64_t ms)
{
	fx_begin(fx, TX_WRITE);
	OK(db_run(fx->t->db, &fx->e, "UPDATE upload SET time = time - ?", "i",
		ms));
	fx_commit(fx);
}

static void up_to_64_kb_it_is_a_row_above_a_file(void **state)
{
	struct fx *fx = fx_new();
	struct str small = text(fx, UPLOAD_ROW_MAX, 's');
	struct str large = text(fx, UPLOAD_ROW_MAX + 1, 'l');

	add(fx, STR(""));
	add(fx, small);
	add(fx, large);
	assert_int_equal(there(fx, STR("")), 1);
	assert_int_equal(there(fx, small), 1);
	assert_int_equal(there(fx, large), 1);
	assert_false(is_file(fx, "blobs", small));
	assert_true(is_file(fx, "blobs", large));
	assert_false(is_file(fx, "blobs/new", large));
	fx_reopen(fx);
	assert_int_equal(there(fx, STR("")), 1);
	assert_int_equal(there(fx, small), 1);
	assert_int_equal(there(fx, large), 1);
	fx_free(fx);
}

static void a_spool_becomes_the_file(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');

	keep(fx, large);
	assert_true(is_file(fx, "blobs", large));
	assert_int_equal(files_in(fx, "uploads"), 0);
	assert_int_equal(there(fx, large), 1);
	keep(fx, large); /* again: the file that is there stays */
	assert_int_equal(files_in(fx, "uploads"), 0);
	assert_int_equal(there(fx, large), 1);
	fx_free(fx);
}

static void a_spool_that_is_given_up_leaves_nothing(void **state)
{
	struct fx *fx = fx_new();
	struct spool *p;

	OK(spool_new(fx->s, &p, &fx->e));
	OK(spool_add(p, STR("half of it"), &fx->e));
	assert_int_equal(files_in(fx, "uploads"), 1);
	spool_free(p);
	assert_int_equal(files_in(fx, "uploads"), 0);
	fx_free(fx);
}

static void what_is_undone_is_no_upload(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	struct spool *p;
	struct blob_id b;

	OK(spool_new(fx->s, &p, &fx->e));
	OK(spool_add(p, large, &fx->e));
	OK(spool_end(p, &fx->e));
	fx_begin(fx, TX_WRITE);
	OK(upload_keep(fx->t, p, QUOTA, &fx->e));
	OK(upload_add(fx->t, STR("small"), QUOTA, &b, &fx->e));
	fx_end(fx);
	spool_free(p);
	assert_int_equal(there(fx, large), 0);
	assert_int_equal(there(fx, STR("small")), 0);
	assert_int_equal(files_in(fx, "uploads"), 0);
	assert_int_equal(files_in(fx, "accounts/1/blobs"), 0);
	assert_int_equal(files_in(fx, "accounts/1/blobs/new"), 0);
	fx_free(fx);
}

static void an_upload_goes_after_an_hour(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');

	keep(fx, large);
	add(fx, STR("small"));
	expire_in(fx, UPLOAD_KEEP_MS - 60000);
	assert_int_equal(there(fx, large), 1);
	assert_int_equal(there(fx, STR("small")), 1);
	expire_in(fx, UPLOAD_KEEP_MS);
	assert_int_equal(there(fx, large), 0);
	assert_int_equal(there(fx, STR("small")), 0);
	assert_false(is_file(fx, "blobs", large));
	fx_free(fx);
}

static void uploaded_again_it_stays_another_hour(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');

	keep(fx, large);
	add(fx, STR("one"));
	add(fx, STR("two"));
	age(fx, UPLOAD_KEEP_MS - 60000);
	keep(fx, large);
	add(fx, STR("one"));
	expire_in(fx, 120000);
	assert_int_equal(there(fx, large), 1);
	assert_int_equal(there(fx, STR("one")), 1);
	assert_int_equal(there(fx, STR("two")), 0);
	fx_free(fx);
}

static void the_housekeeper_and_an_opening_expire_what_is_old(void **state)
{
	struct fx *fx = fx_new();

	add(fx, STR("one"));
	assert_in_range(
		upload_due_in(fx->a), UPLOAD_KEEP_MS - 60000, UPLOAD_KEEP_MS);
	age(fx, UPLOAD_KEEP_MS);
	upload_chore(fx->a); /* it is not the time that it waits for */
	assert_int_equal(there(fx, STR("one")), 1);
	atomic_store(&fx->a->upload_due_ms, clock_real_ms());
	upload_chore(fx->a);
	assert_int_equal(there(fx, STR("one")), 0);
	assert_true(upload_due_in(fx->a) == UINT64_MAX);
	add(fx, STR("two"));
	fx_reopen(fx);
	assert_int_equal(there(fx, STR("two")), 1);
	assert_in_range(
		upload_due_in(fx->a), UPLOAD_KEEP_MS - 60000, UPLOAD_KEEP_MS);
	age(fx, UPLOAD_KEEP_MS);
	fx_reopen(fx);
	assert_int_equal(there(fx, STR("two")), 0);
	fx_free(fx);
}

static void an_email_that_has_the_bytes_keeps_them(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	uint64_t one, two;

	keep(fx, large);
	add(fx, STR("small"));
	one = add_email(fx, large);
	two = add_email(fx, STR("small"));
	expire_in(fx, UPLOAD_KEEP_MS);
	assert_int_equal(there(fx, large), 1);
	assert_int_equal(there(fx, STR("small")), 1);
	destroy_email(fx, one);
	destroy_email(fx, two);
	assert_int_equal(there(fx, large), 0);
	assert_int_equal(there(fx, STR("small")), 0);
	assert_false(is_file(fx, "blobs", large));
	fx_free(fx);
}

static void an_upload_outlives_an_email_with_the_same_bytes(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	uint64_t one = add_email(fx, large);

	keep(fx, large);
	destroy_email(fx, one);
	assert_int_equal(there(fx, large), 1);
	fx_reopen(fx);
	assert_int_equal(there(fx, large), 1);
	fx_free(fx);
}

/* RFC 8620 6. */
static void over_the_quota_the_oldest_go_first(void **state)
{
	struct fx *fx = fx_new();
	struct str a = text(fx, 100000, 'a'), b = text(fx, 100000, 'b');
	struct str c = text(fx, 100000, 'c'), d = text(fx, 150000, 'd');

	keep(fx, a);
	age(fx, 3000);
	keep(fx, b);
	age(fx, 2000);
	keep(fx, c);
	age(fx, 1000);
	keep(fx, a); /* the newest now */
	assert_int_equal(keep_within(fx, d, 350000), 0);
	assert_int_equal(there(fx, a), 1);
	assert_int_equal(there(fx, b), 0);
	assert_int_equal(there(fx, c), 1);
	assert_int_equal(there(fx, d), 1);
	assert_false(is_file(fx, "blobs", b));
	fx_free(fx);
}

static void what_is_larger_than_the_quota_pushes_nothing_out(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');

	add(fx, STR("small"));
	assert_int_equal(keep_within(fx, large, 99999), UPLOAD_NO_ROOM);
	assert_int_equal(add_within(fx, large, 99999), UPLOAD_NO_ROOM);
	assert_int_equal(there(fx, large), 0);
	assert_int_equal(there(fx, STR("small")), 1);
	assert_int_equal(files_in(fx, "uploads"), 0);
	assert_int_equal(keep_within(fx, large, 100000), 0);
	assert_int_equal(there(fx, large), 1);
	assert_int_equal(there(fx, STR("small")), 0);
	fx_free(fx);
}

static void small_ones_count_a_page_each(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(add_within(fx, STR("1"), 2 * UPLOAD_LEAST), 0);
	assert_int_equal(add_within(fx, STR("2"), 2 * UPLOAD_LEAST), 0);
	assert_int_equal(there(fx, STR("1")), 1);
	assert_int_equal(add_within(fx, STR("3"), 2 * UPLOAD_LEAST), 0);
	assert_int_equal(there(fx, STR("1")), 0);
	assert_int_equal(there(fx, STR("2")), 1);
	fx_free(fx);
}

/* The process dies in the middle, without a chance to tidy up. */
static void die_with(struct fx *fx, void (*act)(struct fx *fx))
{
	int status;
	pid_t pid;

	fx_close(fx);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fx_open(fx, NULL);
		OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
		act(fx);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct str dying;

static void spool_and_die(struct fx *fx)
{
	struct spool *p;

	OK(spool_new(fx->s, &p, &fx->e));
	OK(spool_add(p, dying, &fx->e));
}

static void move_and_die(struct fx *fx)
{
	struct spool *p;

	OK(spool_new(fx->s, &p, &fx->e));
	OK(spool_add(p, dying, &fx->e));
	OK(spool_end(p, &fx->e));
	fx_begin(fx, TX_WRITE);
	OK(upload_keep(fx->t, p, QUOTA, &fx->e));
}

static void keep_and_die(struct fx *fx)
{
	keep(fx, dying);
}

static void what_a_dead_store_left_of_an_upload_goes_at_the_next_start(
	void **state)
{
	struct fx *fx = fx_new();

	dying = text(fx, 100000, 'd');
	die_with(fx, spool_and_die);
	assert_int_equal(files_in(fx, "uploads"), 1);
	fx_open(fx, NULL);
	assert_int_equal(files_in(fx, "uploads"), 0);
	die_with(fx, move_and_die);
	assert_int_equal(files_in(fx, "accounts/1/blobs/new"), 1);
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_int_equal(files_in(fx, "accounts/1/blobs/new"), 0);
	assert_int_equal(files_in(fx, "accounts/1/blobs"), 0);
	fx_free(fx);
}

static void a_kept_upload_survives_a_death(void **state)
{
	struct fx *fx = fx_new();

	dying = text(fx, 100000, 'd');
	die_with(fx, keep_and_die);
	/* As after a death between the commit and the move. */
	assert_int_equal(rename(file_of(fx, "blobs", dying),
				 file_of(fx, "blobs/new", dying)),
		0);
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_int_equal(there(fx, dying), 1);
	assert_true(is_file(fx, "blobs", dying));
	fx_free(fx);
}

static void limit(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_full_disk_refuses_and_leaves_nothing(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	struct spool *p;

	limit(50000);
	OK(spool_new(fx->s, &p, &fx->e));
	assert_int_equal(spool_add(p, large, &fx->e), -ENOSPC);
	spool_free(p);
	limit(RLIM_INFINITY);
	assert_int_equal(files_in(fx, "uploads"), 0);
	keep(fx, large);
	assert_int_equal(there(fx, large), 1);
	fx_free(fx);
}

static void pieces_make_the_whole(void **state)
{
	struct fx *fx = fx_new();
	size_t sizes[] = {0, 1, 5000, UPLOAD_ROW_MAX, 200001};

	for (size_t i = 0; i < countof(sizes); i++) {
		struct str raw = text(fx, sizes[i], 'x');
		struct buf b cleanup(buf_fini) = {0};
		struct blob_id id = id_of_raw(raw);

		for (size_t k = 0; k < raw.n; k++)
			((char *)(uintptr_t)raw.p)[k] = (char)(k * 7 + k / 256);
		id = id_of_raw(raw);
		add(fx, raw);
		fx_begin(fx, TX_READ);
		for (uint64_t at = 0; at < raw.n; at += 777)
			assert_int_equal(
				blob_piece(fx->t, &id, at, 777, &b, &fx->e), 1);
		assert_true(str_eq(buf_str(&b), raw));
		buf_reset(&b);
		assert_int_equal(
			blob_piece(fx->t, &id, raw.n, 10, &b, &fx->e), 1);
		assert_int_equal(
			blob_piece(fx->t, &id, UINT64_MAX, 10, &b, &fx->e), 1);
		assert_int_equal(b.n, 0);
		fx_end(fx);
	}
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_to_64_kb_it_is_a_row_above_a_file),
		cmocka_unit_test(a_spool_becomes_the_file),
		cmocka_unit_test(a_spool_that_is_given_up_leaves_nothing),
		cmocka_unit_test(what_is_undone_is_no_upload),
		cmocka_unit_test(an_upload_goes_after_an_hour),
		cmocka_unit_test(uploaded_again_it_stays_another_hour),
		cmocka_unit_test(
			the_housekeeper_and_an_opening_expire_what_is_old),
		cmocka_unit_test(an_email_that_has_the_bytes_keeps_them),
		cmocka_unit_test(
			an_upload_outlives_an_email_with_the_same_bytes),
		cmocka_unit_test(over_the_quota_the_oldest_go_first),
		cmocka_unit_test(
			what_is_larger_than_the_quota_pushes_nothing_out),
		cmocka_unit_test(small_ones_count_a_page_each),
		cmocka_unit_test(
			what_a_dead_store_left_of_an_upload_goes_at_the_next_start),
		cmocka_unit_test(a_kept_upload_survives_a_death),
		cmocka_unit_test(a_full_disk_refuses_and_leaves_nothing),
		cmocka_unit_test(pieces_make_the_whole),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
