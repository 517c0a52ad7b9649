/* Opening: the lock, versions, the LRU, what a death leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "test/unit/core/store/fixture.h"

static uint64_t add(struct fx *fx, int i)
{
	uint64_t id;

	OK(dir_add(fx->s, arena_fmt(&fx->arena, "u%d@example.org", i), STR_NONE,
		&id, &fx->e));
	return id;
}

static unsigned open_now(struct fx *fx)
{
	unsigned n;

	pthread_mutex_lock(&fx->s->lock);
	n = fx->s->open;
	pthread_mutex_unlock(&fx->s->lock);
	return n;
}

static void a_second_process_is_refused(void **state)
{
	struct fx *fx = fx_bare(NULL);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;
		struct err e = {0};
		int ret = store_open(fx->dir, 4, NULL, &s, &e);

		_exit(ret == -EAGAIN && strstr(e.text, fx->dir) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fx_free(fx);
}

static void a_closed_store_can_be_opened_again(void **state)
{
	struct fx *fx = fx_new();
	uint64_t inbox, id;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	id = fx_add(fx, inbox, 5);
	fx_commit(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(fx_email(fx, id).received_ms, 5);
	assert_counts(fx, inbox, 1, 1, 1, 1);
	fx_free(fx);
}

static void files_and_folders_are_private(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
	} want[] = {
		{"", 0700},
		{"lock", 0600},
		{"directory.db", 0600},
		{"accounts", 0700},
		{"accounts/1", 0700},
		{"accounts/1/mail.db", 0600},
		{"accounts/1/blobs", 0700},
		{"accounts/1/blobs/new", 0700},
	};
	mode_t old = umask(0);
	struct fx *fx = fx_new();
	struct stat st;

	umask(old);
	for (size_t i = 0; i < countof(want); i++) {
		assert_int_equal(stat(fx_path(fx, want[i].path), &st), 0);
		assert_int_equal(st.st_mode & 0777, want[i].mode);
	}
	fx_free(fx);
}

static void set_version(struct fx *fx, const char *file, int64_t v)
{
	struct db *db = NULL;

	OK(db_open(fx_path(fx, file), 0, &db, &fx->e));
	OK(db_set_version(db, v, &fx->e));
	db_close(db);
}

static void a_newer_directory_is_refused_with_a_sentence(void **state)
{
	struct fx *fx = fx_new();
	struct store *s;

	fx_close(fx);
	set_version(fx, "directory.db", 3);
	assert_int_equal(store_open(fx->dir, 4, NULL, &s, &fx->e), -EPROTO);
	assert_non_null(strstr(fx->e.text,
		"data-dir was written by a newer jmapd (schema 3, this "
		"one knows 1)"));
	set_version(fx, "directory.db", 1);
	fx_open(fx, NULL);
	fx_free(fx);
}

static void a_newer_account_is_refused_and_others_work(void **state)
{
	struct fx *fx = fx_new();
	uint64_t other = add(fx, 1);
	struct account *a;

	account_put(steal(fx->a));
	store_close(steal(fx->s));
	set_version(fx, "accounts/1/mail.db", 99);
	fx_open(fx, NULL);
	assert_int_equal(account_get(fx->s, fx->id, &a, &fx->e), -EPROTO);
	assert_non_null(strstr(fx->e.text, "schema 99"));
	OK(account_get(fx->s, other, &fx->a, &fx->e));
	fx_free(fx);
}

static void an_account_that_is_not_there_is_not_opened(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct account *a;

	a = (struct account *)fx; /* must not be left there to be put */
	assert_int_equal(account_get(fx->s, 1, &a, &fx->e), -ENOENT);
	assert_null(a);
	assert_int_equal(account_get(fx->s, 1, &a, &fx->e), -ENOENT);
	assert_int_equal(open_now(fx), 0);
	fx_free(fx);
}

/* The fixture's bound is 8. */
static void handles_beyond_the_bound_are_closed_and_pinned_ones_stay(
	void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct account *a[12], *again;
	uint64_t id[12];

	for (int i = 0; i < 12; i++) {
		id[i] = add(fx, i);
		OK(account_get(fx->s, id[i], &a[i], &fx->e));
	}
	assert_int_equal(open_now(fx), 12);
	OK(account_get(fx->s, id[0], &again, &fx->e));
	assert_ptr_equal(again, a[0]);
	account_put(again);
	for (int i = 11; i >= 0; i--) {
		account_put(a[i]);
		assert_int_equal(open_now(fx), max_of(8, i));
	}
	/* The ones that were put last are still open. */
	OK(account_get(fx->s, id[0], &again, &fx->e));
	assert_ptr_equal(again, a[0]);
	account_put(again);
	OK(account_get(fx->s, id[11], &again, &fx->e));
	assert_int_equal(open_now(fx), 8);
	account_put(again);
	fx_free(fx);
}

static void an_account_removed_while_in_use_goes_with_its_last_user(
	void **state)
{
	struct fx *fx = fx_new();
	struct dir_account d;
	struct account *a;
	struct stat st;

	fx_begin(fx, TX_WRITE);
	fx_add(fx, fx_role(fx, "inbox"), 1);
	OK(dir_remove(fx->s, STR("alice@example.org"), &d, &fx->e));
	fx_commit(fx);
	assert_int_equal(account_get(fx->s, fx->id, &a, &fx->e), -ENOENT);
	assert_int_equal(stat(fx_path(fx, "accounts/1/mail.db"), &st), 0);
	account_put(steal(fx->a));
	assert_int_equal(stat(fx_path(fx, "accounts/1"), &st), -1);
	assert_int_equal(account_get(fx->s, fx->id, &a, &fx->e), -ENOENT);
	fx_free(fx);
}

static void a_folder_without_an_account_is_swept_away(void **state)
{
	struct fx *fx = fx_new();
	struct stat st;

	fx_close(fx);
	assert_int_equal(mkdir(fx_path(fx, "accounts/77"), 0700), 0);
	assert_int_equal(mkdir(fx_path(fx, "accounts/77/blobs"), 0700), 0);
	fx_open(fx, NULL);
	assert_int_equal(stat(fx_path(fx, "accounts/77"), &st), -1);
	assert_int_equal(stat(fx_path(fx, "accounts/1"), &st), 0);
	fx_free(fx);
}

static void a_folder_of_a_failed_attempt_is_in_nobodys_way(void **state)
{
	struct fx *fx = fx_bare(NULL);
	int fd;

	assert_int_equal(mkdir(fx_path(fx, "accounts/1"), 0700), 0);
	fd = open(fx_path(fx, "accounts/1/mail.db"), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(add(fx, 1), 1);
	OK(account_get(fx->s, 1, &fx->a, &fx->e));
	fx_free(fx);
}

/* ---- many threads --------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 150
#define ACCOUNTS 12

struct user {
	struct store *s;
	unsigned seed;
	int failed;
	unsigned written;
};

static int write_one(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	uint64_t inbox, id, thread;
	struct email_new n = {.raw = STR("\r\n"), .mailboxes_n = 1};
	int ret = tx_begin(a, TX_WRITE, &t, e);

	if (ret < 0)
		return ret;
	inbox = mailbox_with_role(t, STR("inbox"));
	n.mailboxes = &inbox;
	ret = email_add(t, &n, &id, &thread, e);
	return ret ? -1 : tx_commit(t, e);
}

static int read_one(struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	struct arena arena cleanup(arena_fini) = {0};
	struct email_query q = {.limit = 5};
	struct email_ids r;
	struct email m;
	int ret = tx_begin(a, TX_READ, &t, e);

	if (ret == 0)
		ret = email_query(t, &q, &arena, &r, e);
	for (size_t i = 0; ret == 0 && i < r.n; i++)
		ret = email_find(t, r.at[i], 7, &arena, &m, e) == 1 ? 0 : -1;
	return ret;
}

static void *use(void *ctx)
{
	struct user *u = ctx;
	struct err e;

	for (unsigned i = 0; i < ROUNDS && !u->failed; i++) {
		struct account *a;
		uint64_t id;

		u->seed = u->seed * 1103515245 + 12345;
		id = (u->seed >> 16) % ACCOUNTS + 1;
		if (account_get(u->s, id, &a, &e) < 0) {
			u->failed = 1;
			break;
		}
		if (u->seed >> 30) {
			u->failed = read_one(a, &e) != 0;
		} else {
			u->failed = write_one(a, &e) != 0;
			u->written++;
		}
		account_put(a);
	}
	return NULL;
}

/* 12 accounts through 8 handles: every get may open and close. */
static void many_threads_share_few_handles(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct user u[THREADS];
	pthread_t t[THREADS];
	unsigned written = 0, there = 0;

	for (int i = 0; i < ACCOUNTS; i++)
		add(fx, i);
	for (int i = 0; i < THREADS; i++) {
		u[i] = (struct user){.s = fx->s, .seed = (unsigned)i + 1};
		assert_int_equal(pthread_create(&t[i], NULL, use, &u[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(u[i].failed, 0);
		written += u[i].written;
	}
	assert_true(open_now(fx) <= 8);
	for (uint64_t id = 1; id <= ACCOUNTS; id++) {
		OK(account_get(fx->s, id, &fx->a, &fx->e));
		fx_begin(fx, TX_READ);
		there += (unsigned)fx->t->meta.emails;
		fx_end(fx);
		account_put(steal(fx->a));
	}
	assert_int_equal(there, written);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_process_is_refused),
		cmocka_unit_test(a_closed_store_can_be_opened_again),
		cmocka_unit_test(files_and_folders_are_private),
		cmocka_unit_test(a_newer_directory_is_refused_with_a_sentence),
		cmocka_unit_test(a_newer_account_is_refused_and_others_work),
		cmocka_unit_test(an_account_that_is_not_there_is_not_opened),
		cmocka_unit_test(
			handles_beyond_the_bound_are_closed_and_pinned_ones_stay),
		cmocka_unit_test(
			an_account_removed_while_in_use_goes_with_its_last_user),
		cmocka_unit_test(a_folder_without_an_account_is_swept_away),
		cmocka_unit_test(
			a_folder_of_a_failed_attempt_is_in_nobodys_way),
		cmocka_unit_test(many_threads_share_few_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
