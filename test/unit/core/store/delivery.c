/* Deliveries whose answer may be lost, and the housekeeper that forgets them. */
#include <sys/wait.h>

#include "core/base/clock.h"
#include "test/unit/core/store/fixture.h"

static const uint8_t one[SHA256_LEN] = {1}, two[SHA256_LEN] = {2};

static int begin_only(struct fx *fx, const uint8_t *digest)
{
	int ret = delivery_begin(fx->t, digest, &fx->e);

	if (ret < 0)
		fail_msg("%s", fx->e.text);
	return ret;
}

static int delivered(struct fx *fx, const uint8_t *digest)
{
	int ret;

	fx_begin(fx, TX_WRITE);
	ret = begin_only(fx, digest);
	fx_commit(fx);
	return ret;
}

static void a_delivery_nobody_was_told_of_is_not_stored_twice(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, one), 1);
	assert_int_equal(delivered(fx, two), 0);
	fx_reopen(fx);
	assert_int_equal(delivered(fx, one), 1);
	fx_free(fx);
}

static void one_that_was_seen_may_come_again(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(delivered(fx, one), 0);
	delivery_seen(fx->a, one);
	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, one), 1);
	fx_free(fx);
}

static void it_is_noted_within_its_own_transaction(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	assert_int_equal(begin_only(fx, one), 0);
	assert_int_equal(begin_only(fx, one), 1); /* twice in one batch */
	OK(tx_savepoint(fx->t, &fx->e));
	assert_int_equal(begin_only(fx, two), 0);
	tx_rollback_to(fx->t);
	assert_int_equal(begin_only(fx, two), 0);
	fx_end(fx);
	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, two), 0);
	fx_free(fx);
}

static void a_seen_one_survives_a_commit_that_fails(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(delivered(fx, one), 0);
	delivery_seen(fx->a, one);
	fx_begin(fx, TX_WRITE);
	fx_end(fx);
	assert_int_equal(delivered(fx, one), 0);
	fx_free(fx);
}

static void seen_ones_are_forgotten_when_the_account_is_closed(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, two), 0);
	delivery_seen(fx->a, one);
	fx_reopen(fx);
	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, two), 1);
	fx_free(fx);
}

static void a_dead_store_leaves_what_it_did_not_answer(void **state)
{
	struct fx *fx = fx_new();
	int status;
	pid_t pid;

	fx_close(fx);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fx_open(fx, NULL);
		OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
		delivered(fx, one);
		delivery_seen(fx->a, one);
		delivered(fx, two);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, two), 1);
	fx_free(fx);
}

static void after_an_hour_it_is_another_message(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	begin_only(fx, one);
	begin_only(fx, two);
	OK(db_run(fx->t->db, &fx->e,
		"UPDATE delivery SET time = ? WHERE digest = ?", "ib",
		clock_real_ms() - DELIVERY_TWICE_MS, str_n(one, sizeof(one))));
	fx_commit(fx);
	assert_int_equal(delivered(fx, one), 0);
	assert_int_equal(delivered(fx, two), 1);
	fx_free(fx);
}

/* Waits for what the housekeeper does; its own time limit ends a test that
 * waits in vain. */
static void seen_ones_are_forgotten_without_another_commit(void **state)
{
	struct fx *fx = fx_new();
	int64_t rows = 1;

	assert_int_equal(delivered(fx, one), 0);
	delivery_seen(fx->a, one);
	account_chore(fx->a, 0);
	while (rows) {
		fx_begin(fx, TX_READ);
		assert_int_equal(db_number(fx->t->db, &rows, &fx->e,
					 "SELECT count(*) FROM delivery", ""),
			1);
		fx_end(fx);
		usleep(1000);
	}
	fx_free(fx);
}

static void a_long_log_is_copied_back_in_the_background(void **state)
{
	struct fx *fx = fx_new();
	uint64_t inbox;
	char raw[60000];
	struct email_new n = {.mailboxes = &inbox,
		.mailboxes_n = 1,
		.raw = {raw, sizeof(raw)}};

	memset(raw, 'x', sizeof(raw));
	for (unsigned pages = 0; pages < LOG_PAGES_WANTED;) {
		fx_begin(fx, TX_WRITE);
		inbox = fx_role(fx, "inbox");
		fx_add_new(fx, &n);
		OK(tx_commit(fx->t, &fx->e));
		pages = db_log_pages(fx->t->db);
		fx_end(fx);
	}
	/* The log begins anew once all of it is copied. */
	for (bool anew = false; !anew; usleep(1000)) {
		fx_begin(fx, TX_WRITE);
		fx_add(fx, inbox, 1);
		OK(tx_commit(fx->t, &fx->e));
		anew = db_log_pages(fx->t->db) < LOG_PAGES_WANTED;
		fx_end(fx);
	}
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_delivery_nobody_was_told_of_is_not_stored_twice),
		cmocka_unit_test(one_that_was_seen_may_come_again),
		cmocka_unit_test(it_is_noted_within_its_own_transaction),
		cmocka_unit_test(a_seen_one_survives_a_commit_that_fails),
		cmocka_unit_test(
			seen_ones_are_forgotten_when_the_account_is_closed),
		cmocka_unit_test(a_dead_store_leaves_what_it_did_not_answer),
		cmocka_unit_test(after_an_hour_it_is_another_message),
		cmocka_unit_test(
			seen_ones_are_forgotten_without_another_commit),
		cmocka_unit_test(a_long_log_is_copied_back_in_the_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
