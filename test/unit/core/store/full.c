/*
 * A full disk: nothing is half there, and it goes on when there is space. Files
 * that may not grow (RLIMIT_FSIZE) stand for it everywhere; where mounting is
 * allowed, a small tmpfs is the real thing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "test/unit/core/store/fixture.h"

#define LIMIT (1u << 20)

static void limit(rlim_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static char body[200000];

/* 0, or why not. */
static int add(struct fx *fx, size_t n)
{
	struct tx *t cleanup(tx_end) = NULL;
	uint64_t inbox, id, thread;
	struct email_new m = {.raw = {body, n}, .mailboxes_n = 1};
	int ret = tx_begin(fx->a, TX_WRITE, &t, &fx->e);

	if (ret < 0)
		return ret;
	body[0]++; /* each is another message */
	inbox = 1;
	m.mailboxes = &inbox;
	ret = email_add(t, &m, &id, &thread, &fx->e);
	return ret < 0 ? ret : tx_commit(t, &fx->e);
}

/* Adds until the disk is full; what was acknowledged. */
static uint64_t fill(struct fx *fx, size_t n)
{
	uint64_t done = 0;
	int ret;

	while ((ret = add(fx, n)) == 0)
		check(++done < 1000);
	if (ret != -ENOSPC)
		fail_msg("%d %s", ret, fx->e.text);
	return done;
}

static void assert_emails(struct fx *fx, uint64_t n)
{
	fx_begin(fx, TX_READ);
	assert_counts(fx, 1, n, n, n, n);
	assert_int_equal(fx->t->meta.emails, n);
	fx_end(fx);
}

static void rows_and_counts_survive_a_full_disk(void **state)
{
	struct fx *fx = fx_new();
	uint64_t n;

	limit(LIMIT);
	n = fill(fx, 60000);
	assert_true(n > 3);
	assert_emails(fx, n);
	assert_int_equal(add(fx, 60000), -ENOSPC);
	assert_emails(fx, n);
	limit(RLIM_INFINITY);
	assert_int_equal(add(fx, 60000), 0);
	assert_emails(fx, n + 1);
	fx_reopen(fx);
	assert_emails(fx, n + 1);
	fx_free(fx);
}

static void a_large_message_that_does_not_fit_leaves_no_file(void **state)
{
	struct fx *fx = fx_new();
	const char *new = fx_path(fx, "accounts/1/blobs/new");

	limit(100000);
	assert_int_equal(add(fx, 150000), -ENOSPC);
	limit(RLIM_INFINITY);
	assert_int_equal(rmdir(new), 0); /* it is empty */
	assert_int_equal(mkdir(new, 0700), 0);
	assert_emails(fx, 0);
	assert_int_equal(add(fx, 150000), 0);
	assert_emails(fx, 1);
	fx_free(fx);
}

/* One of a batch is undone; the others must be whole or all away. */
static void a_batch_on_a_full_disk_is_all_or_nothing(void **state)
{
	struct fx *fx = fx_new();
	uint64_t inbox = 1, id, thread, n = 0;
	struct email_new m = {.mailboxes = &inbox, .mailboxes_n = 1};
	int ret;

	limit(LIMIT);
	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 64; i++) {
		if (tx_savepoint(fx->t, &fx->e) < 0)
			break;
		m.raw = str_n(body, 60000);
		body[0]++;
		ret = email_add(fx->t, &m, &id, &thread, &fx->e);
		if (ret == 0)
			ret = tx_release(fx->t, &fx->e);
		else
			tx_rollback_to(fx->t);
		n += ret == 0;
	}
	ret = tx_commit(fx->t, &fx->e);
	fx_end(fx);
	if (ret != 0)
		assert_int_equal(ret, -ENOSPC);
	assert_emails(fx, ret == 0 ? n : 0);
	limit(RLIM_INFINITY);
	assert_int_equal(add(fx, 1000), 0);
	assert_emails(fx, ret == 0 ? n + 1 : 1);
	fx_free(fx);
}

static void an_account_that_does_not_fit_is_not_there(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct dir_account a;
	uint64_t id;

	limit(20000);
	assert_int_equal(
		dir_add(fx->s, STR("alice@example.org"), STR_NONE, &id, &fx->e),
		-ENOSPC);
	limit(RLIM_INFINITY);
	assert_int_equal(
		dir_by_name(fx->s, STR("alice@example.org"), &a, NULL, &fx->e),
		0);
	OK(dir_add(fx->s, STR("alice@example.org"), STR_NONE, &id, &fx->e));
	OK(account_get(fx->s, id, &fx->a, &fx->e));
	fx_free(fx);
}

/* A file system of 4 MB with a ballast to throw off. */
static bool mount_small(const char *dir)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", dir, "tmpfs", 0, "size=4m") == 0;
}

static void a_real_file_system_fills_up_and_recovers(void **state)
{
	struct fx *fx = mem_new(sizeof(*fx));
	uint64_t n;
	int fd;

	log_init("test", LOG_ERROR);
	strcpy(fx->dir, "/tmp/jmapd-storeXXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	if (!mount_small(fx->dir)) {
		rmdir(fx->dir);
		free(fx);
		skip();
	}
	fx_open(fx, NULL);
	OK(dir_add(fx->s, STR("alice@example.org"), STR_NONE, &fx->id, &fx->e));
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	fd = open(fx_path(fx, "ballast"), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 1 << 20), 0);
	close(fd);
	n = fill(fx, 60000);
	assert_true(n > 3);
	while (add(fx, 2000) == 0)
		n++;
	assert_emails(fx, n);
	assert_int_equal(unlink(fx_path(fx, "ballast")), 0);
	assert_int_equal(add(fx, 60000), 0);
	assert_int_equal(add(fx, 150000), 0);
	assert_emails(fx, n + 2);
	fx_reopen(fx);
	assert_emails(fx, n + 2);
	fx_close(fx);
	arena_fini(&fx->arena);
	assert_int_equal(umount2(fx->dir, MNT_DETACH), 0);
	assert_int_equal(rmdir(fx->dir), 0);
	free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_and_counts_survive_a_full_disk),
		cmocka_unit_test(
			a_large_message_that_does_not_fit_leaves_no_file),
		cmocka_unit_test(a_batch_on_a_full_disk_is_all_or_nothing),
		cmocka_unit_test(an_account_that_does_not_fit_is_not_there),
		cmocka_unit_test(a_real_file_system_fills_up_and_recovers),
	};

	signal(SIGXFSZ, SIG_IGN);
	memset(body, 'x', sizeof(body));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
