/* Messages as rows and as files, and the files after deaths. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test/unit/core/store/fixture.h"

static struct str text(struct fx *fx, size_t n, char c)
{
	char *p = arena_new(&fx->arena, n + 1);

	memset(p, c, n);
	return str_n(p, n);
}

static uint64_t add(struct fx *fx, struct str raw)
{
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.raw = raw,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
	};

	return fx_add_new(fx, &n);
}

static uint64_t added(struct fx *fx, struct str raw)
{
	uint64_t id;

	fx_begin(fx, TX_WRITE);
	id = add(fx, raw);
	fx_commit(fx);
	return id;
}

static const char *file_of(struct fx *fx, const char *folder, struct str raw)
{
	struct buf hex cleanup(buf_fini) = {0};
	uint8_t sha[SHA256_LEN];

	sha256(raw, sha);
	hex_add(&hex, str_n(sha, sizeof(sha)));
	return arena_fmt(
		&fx->arena, "%s/accounts/1/%s/%s", fx->dir, folder, buf_z(&hex))
		.p;
}

static bool is_file(struct fx *fx, const char *folder, struct str raw)
{
	return access(file_of(fx, folder, raw), F_OK) == 0;
}

static int read_raw(struct fx *fx, struct str raw)
{
	struct buf b cleanup(buf_fini) = {0};
	struct blob_id id;
	int ret;

	sha256(raw, id.sha);
	buf_addz(&b, "before");
	ret = blob_read(fx->t, &id, &b, &fx->e);
	if (ret > 0) {
		buf_drop(&b, 6);
		assert_true(str_eq(buf_str(&b), raw));
	}
	return ret;
}

static void up_to_64_kb_it_is_a_row_above_a_private_file(void **state)
{
	struct fx *fx = fx_new();
	struct str small = text(fx, BODY_ROW_MAX, 's');
	struct str large = text(fx, BODY_ROW_MAX + 1, 'l');
	struct stat st;

	added(fx, small);
	added(fx, large);
	assert_false(is_file(fx, "blobs", small));
	assert_int_equal(stat(file_of(fx, "blobs", large), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(is_file(fx, "blobs/new", large));
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, small), 1);
	assert_int_equal(read_raw(fx, large), 1);
	assert_int_equal(read_raw(fx, STR("never seen")), 0);
	fx_free(fx);
}

static void an_empty_message_is_a_message(void **state)
{
	struct fx *fx = fx_new();
	uint64_t inbox, id, thread;
	struct email_new n = {.mailboxes_n = 1};

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	n.mailboxes = &inbox;
	OK(email_add(fx->t, &n, &id, &thread, &fx->e));
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, STR("")), 1);
	fx_free(fx);
}

static void the_last_email_takes_a_shared_file_along(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	uint64_t a = added(fx, large), b = added(fx, large);

	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, a, &fx->e));
	fx_commit(fx);
	fx_begin(fx, TX_WRITE);
	assert_int_equal(read_raw(fx, large), 1);
	OK(email_destroy(fx->t, b, &fx->e));
	fx_commit(fx);
	assert_false(is_file(fx, "blobs", large));
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, large), 0);
	fx_end(fx);
	added(fx, large); /* and it may come back */
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, large), 1);
	fx_free(fx);
}

static void destroyed_and_added_in_one_commit_it_stays(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	uint64_t a = added(fx, large);

	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, a, &fx->e));
	add(fx, large);
	fx_commit(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, large), 1);
	fx_free(fx);
}

static void a_small_message_two_emails_share_outlives_one(void **state)
{
	struct fx *fx = fx_new();
	uint64_t a = added(fx, STR("same")), b = added(fx, STR("same"));

	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, a, &fx->e));
	assert_int_equal(read_raw(fx, STR("same")), 1);
	OK(email_destroy(fx->t, b, &fx->e));
	assert_int_equal(read_raw(fx, STR("same")), 0);
	fx_free(fx);
}

static void what_is_undone_leaves_no_file(void **state)
{
	struct fx *fx = fx_new();
	struct str one = text(fx, 100000, '1'), two = text(fx, 100000, '2');

	fx_begin(fx, TX_WRITE);
	add(fx, one);
	assert_true(is_file(fx, "blobs/new", one));
	OK(tx_savepoint(fx->t, &fx->e));
	add(fx, two);
	add(fx, one); /* shares the file of the first */
	tx_rollback_to(fx->t);
	assert_false(is_file(fx, "blobs/new", two));
	assert_true(is_file(fx, "blobs/new", one));
	fx_end(fx);
	assert_false(is_file(fx, "blobs/new", one));
	assert_false(is_file(fx, "blobs", one));
	fx_free(fx);
}

static void a_destroy_that_is_undone_keeps_the_file(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'x');
	uint64_t a = added(fx, large);

	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, a, &fx->e));
	fx_end(fx);
	fx_begin(fx, TX_WRITE);
	OK(tx_savepoint(fx->t, &fx->e));
	OK(email_destroy(fx->t, a, &fx->e));
	tx_rollback_to(fx->t);
	fx_commit(fx);
	assert_true(is_file(fx, "blobs", large));
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

static void add_and_die(struct fx *fx)
{
	fx_begin(fx, TX_WRITE);
	add(fx, text(fx, 100000, 'd'));
}

static void a_file_whose_commit_never_came_is_deleted_at_the_next_open(
	void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'd');

	die_with(fx, add_and_die);
	assert_true(is_file(fx, "blobs/new", large));
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_false(is_file(fx, "blobs/new", large));
	assert_false(is_file(fx, "blobs", large));
	fx_free(fx);
}

/* As after a death between the commit and the move. */
static void a_committed_file_that_was_not_moved_is_moved_at_the_next_open(
	void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'd');

	added(fx, large);
	assert_int_equal(rename(file_of(fx, "blobs", large),
				 file_of(fx, "blobs/new", large)),
		0);
	fx_begin(fx, TX_READ); /* it is read from there, too */
	assert_int_equal(read_raw(fx, large), 1);
	fx_end(fx);
	fx_reopen(fx);
	assert_true(is_file(fx, "blobs", large));
	assert_false(is_file(fx, "blobs/new", large));
	fx_free(fx);
}

/* As after a death between the commit and the deletion. */
static void a_file_of_a_destroyed_email_is_deleted_at_the_next_open(
	void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'd');
	uint64_t id = added(fx, large);
	int fd;

	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
	fd = open(file_of(fx, "blobs", large), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	fx_reopen(fx);
	assert_false(is_file(fx, "blobs", large));
	fx_free(fx);
}

static void a_file_that_was_lost_reads_as_not_there(void **state)
{
	struct fx *fx = fx_new();
	struct str large = text(fx, 100000, 'd');

	added(fx, large);
	assert_int_equal(unlink(file_of(fx, "blobs", large)), 0);
	fx_begin(fx, TX_READ);
	assert_int_equal(read_raw(fx, large), 0);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_to_64_kb_it_is_a_row_above_a_private_file),
		cmocka_unit_test(an_empty_message_is_a_message),
		cmocka_unit_test(the_last_email_takes_a_shared_file_along),
		cmocka_unit_test(destroyed_and_added_in_one_commit_it_stays),
		cmocka_unit_test(a_small_message_two_emails_share_outlives_one),
		cmocka_unit_test(what_is_undone_leaves_no_file),
		cmocka_unit_test(a_destroy_that_is_undone_keeps_the_file),
		cmocka_unit_test(
			a_file_whose_commit_never_came_is_deleted_at_the_next_open),
		cmocka_unit_test(
			a_committed_file_that_was_not_moved_is_moved_at_the_next_open),
		cmocka_unit_test(
			a_file_of_a_destroyed_email_is_deleted_at_the_next_open),
		cmocka_unit_test(a_file_that_was_lost_reads_as_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
