/*
 * Failed logins: what is counted, for whom it is too much, what is forgiven and
 * what is forgotten. Time is the test's own.
 */
#include "cmd/jmapd/store/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/conf.h"

#define PER_ADDRESS 20
#define PER_ACCOUNT 10
#define WINDOW 300 /* seconds */

struct world {
	struct failures *f;
	uint64_t now_ms;
	struct conf conf;
	unsigned secrets; /* each guess is another */
};

static int setup(void **state)
{
	struct world *w = mem_new(sizeof(*w));

	conf_defaults(&w->conf);
	conf_swap(&w->conf, false);
	assert_int_equal(w->conf.login_failures_per_address, PER_ADDRESS);
	assert_int_equal(w->conf.login_failures_per_account, PER_ACCOUNT);
	assert_int_equal(w->conf.login_failure_window, WINDOW);
	w->f = failures_new();
	w->now_ms = 1000000;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	static struct conf defaults;
	struct world *w = *state;

	conf_defaults(&defaults);
	conf_swap(&defaults, false);
	failures_free(w->f);
	free(w);
	return 0;
}

/* ::ffff:10.x.x.x by a number. */
static void address(uint8_t a[16], uint32_t n)
{
	memset(a, 0, 10);
	a[10] = a[11] = 0xff;
	a[12] = 10;
	a[13] = (uint8_t)(n >> 16);
	a[14] = (uint8_t)(n >> 8);
	a[15] = (uint8_t)n;
}

static struct login_try try_with(
	struct world *w, uint32_t from, const char *user, const char *secret)
{
	uint8_t a[16];
	struct login_try t;

	address(a, from);
	t = login_try_of(a, str_of(user), str_of(secret));
	t.changes = failures_changes(w->f);
	return t;
}

static struct login_try another(
	struct world *w, uint32_t from, const char *user)
{
	char secret[32];

	snprintf(secret, sizeof(secret), "guess %u", w->secrets++);
	return try_with(w, from, user, secret);
}

static unsigned fail_once(struct world *w, uint32_t from, const char *user)
{
	struct login_try t = another(w, from, user);

	return failures_count(w->f, &t, w->now_ms);
}

static void fail_often(
	struct world *w, uint32_t from, const char *user, unsigned n)
{
	while (n--)
		fail_once(w, from, user);
}

/* One guess at each of so many accounts that nobody else guesses at. */
static void spray(struct world *w, uint32_t from, unsigned n)
{
	char user[32];

	while (n--) {
		snprintf(user, sizeof(user), "of %u %u", from, n);
		fail_once(w, from, user);
	}
}

static uint32_t wait_s(struct world *w, uint32_t from, const char *user)
{
	struct login_try t = another(w, from, user);

	return failures_wait(w->f, &t, w->now_ms);
}

static void good(struct world *w, uint32_t from, const char *user)
{
	struct login_try t = try_with(w, from, user, "right");

	failures_good(w->f, &t);
}

static void an_address_may_fail_so_often(void **state)
{
	struct world *w = *state;

	spray(w, 1, PER_ADDRESS - 1);
	assert_int_equal(wait_s(w, 1, "x"), 0);
	assert_int_equal(fail_once(w, 1, "last"), FAILURES_ADDRESS);
	assert_true(wait_s(w, 1, "x") > 0);
	assert_int_equal(wait_s(w, 2, "x"), 0); /* nobody else's fault */
}

static void an_account_may_fail_so_often_there_or_not(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 1; i < PER_ACCOUNT; i++)
		assert_int_equal(fail_once(w, i, "alice"), 0);
	assert_int_equal(wait_s(w, 100, "alice"), 0);
	assert_int_equal(fail_once(w, 50, "alice"), FAILURES_ACCOUNT);
	assert_true(wait_s(w, 100, "alice") > 0);
	assert_true(wait_s(w, 100, "aLICE") > 0);
	assert_int_equal(wait_s(w, 100, "bob"), 0);
}

/* What Retry-After says is when one is let in, and not before. */
static void the_wait_is_right_to_the_second(void **state)
{
	struct world *w = *state;
	uint32_t wait;

	spray(w, 1, PER_ADDRESS);
	wait = wait_s(w, 1, "x");
	assert_int_equal(wait, WINDOW / PER_ADDRESS);
	w->now_ms += wait * 1000 - 1;
	assert_int_equal(wait_s(w, 1, "x"), 1);
	w->now_ms += 1;
	assert_int_equal(wait_s(w, 1, "x"), 0);
	fail_once(w, 1, "x"); /* there was room for one */
	assert_int_equal(wait_s(w, 1, "x"), WINDOW / PER_ADDRESS);
}

static void the_window_forgives_all(void **state)
{
	struct world *w = *state;

	spray(w, 1, 5 * PER_ADDRESS); /* those under way when it was full */
	assert_int_equal(wait_s(w, 1, "x"), WINDOW / PER_ADDRESS);
	w->now_ms += WINDOW * 1000;
	spray(w, 1, PER_ADDRESS - 1);
	assert_int_equal(wait_s(w, 1, "x"), 0);
	spray(w, 1, 1);
	assert_true(wait_s(w, 1, "x") > 0);
}

static void of_ipv6_a_64_is_one_address(void **state)
{
	struct world *w = *state;
	uint8_t a[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
	uint8_t same[16] = {0x20, 1, 0x0d, 0xb8, [8] = 7, [15] = 2};
	uint8_t other[16] = {0x20, 1, 0x0d, 0xb8, [7] = 1, [15] = 1};
	struct login_try t;

	for (unsigned i = 0; i < PER_ADDRESS; i++) {
		char user[16];

		snprintf(user, sizeof(user), "u%u", i);
		t = login_try_of(a, str_of(user), STR("s"));
		failures_count(w->f, &t, w->now_ms);
	}
	t = login_try_of(same, STR("x"), STR("s"));
	assert_true(failures_wait(w->f, &t, w->now_ms) > 0);
	t = login_try_of(other, STR("x"), STR("s"));
	assert_int_equal(failures_wait(w->f, &t, w->now_ms), 0);
}

static void who_has_no_address_has_no_limit_of_one(void **state)
{
	struct world *w = *state;
	const uint8_t none[16] = {0};

	for (unsigned i = 0; i < 2 * PER_ADDRESS; i++) {
		char user[16];
		struct login_try t;

		snprintf(user, sizeof(user), "u%u", i);
		t = login_try_of(none, str_of(user), STR("s"));
		assert_int_equal(failures_wait(w->f, &t, w->now_ms), 0);
		assert_int_equal(failures_count(w->f, &t, w->now_ms), 0);
	}
}

/* A token alone names no account. */
static void without_a_name_the_address_alone_counts(void **state)
{
	struct world *w = *state;

	fail_often(w, 1, "", PER_ADDRESS - 1);
	assert_int_equal(wait_s(w, 2, ""), 0);
	assert_int_equal(fail_once(w, 1, ""), FAILURES_ADDRESS);
	assert_true(wait_s(w, 1, "") > 0);
	assert_int_equal(wait_s(w, 2, ""), 0);
}

static void an_owner_is_not_locked_out_by_guesses_from_elsewhere(void **state)
{
	struct world *w = *state;

	good(w, 1, "Alice");
	fail_often(w, 66, "alice", PER_ACCOUNT);
	assert_true(wait_s(w, 66, "alice") > 0);
	assert_true(wait_s(w, 2, "alice") > 0);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
}

/* Behind one address (a proxy, an office) there are many. */
static void an_owner_is_not_locked_out_by_neighbours(void **state)
{
	struct world *w = *state;

	good(w, 1, "alice");
	spray(w, 1, 3 * PER_ADDRESS);
	assert_true(wait_s(w, 1, "bob") > 0);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
}

static void an_owners_address_may_not_guess_without_end(void **state)
{
	struct world *w = *state;

	good(w, 1, "alice");
	fail_often(w, 1, "alice", PER_ACCOUNT - 1);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
	fail_once(w, 1, "alice");
	assert_int_equal(wait_s(w, 1, "alice"), WINDOW / PER_ACCOUNT);
	/* nor does being let in once more pay it off */
	good(w, 1, "alice");
	assert_int_equal(wait_s(w, 1, "alice"), WINDOW / PER_ACCOUNT);
}

static void an_account_without_a_limit_leaves_that_of_addresses(void **state)
{
	struct world *w = *state;

	w->conf.login_failures_per_account = 0;
	good(w, 1, "alice");
	fail_often(w, 1, "alice", PER_ADDRESS - 1);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
	fail_once(w, 1, "alice");
	assert_true(wait_s(w, 1, "alice") > 0);
}

static void no_limit_is_none(void **state)
{
	struct world *w = *state;

	w->conf.login_failures_per_account = 0;
	w->conf.login_failures_per_address = 0;
	good(w, 1, "alice");
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(fail_once(w, 1, "alice"), 0);
		assert_int_equal(fail_once(w, 2, "bob"), 0);
	}
	assert_int_equal(wait_s(w, 1, "alice"), 0);
	assert_int_equal(wait_s(w, 2, "bob"), 0);
}

static void a_limit_of_one_is_one(void **state)
{
	struct world *w = *state;

	w->conf.login_failures_per_address = 1;
	assert_int_equal(wait_s(w, 1, "x"), 0);
	assert_int_equal(fail_once(w, 1, "x"), FAILURES_ADDRESS);
	assert_int_equal(wait_s(w, 1, "x"), WINDOW);
	w->now_ms += WINDOW * 1000;
	assert_int_equal(wait_s(w, 1, "x"), 0);
}

static void a_reload_governs_what_was_counted(void **state)
{
	struct world *w = *state;

	spray(w, 1, PER_ADDRESS);
	w->conf.login_failures_per_address = 0;
	assert_int_equal(wait_s(w, 1, "x"), 0);
	w->conf.login_failures_per_address = PER_ADDRESS;
	assert_true(wait_s(w, 1, "x") > 0);
	w->conf.login_failure_window = 20; /* shorter: nobody waits longer */
	assert_int_equal(wait_s(w, 1, "x"), 1);
}

static void the_same_wrong_credential_is_known_for_a_window(void **state)
{
	struct world *w = *state;
	struct login_try t = try_with(w, 1, "alice", "old");
	struct login_try cased = try_with(w, 1, "ALICE", "old");
	struct login_try other = try_with(w, 1, "alice", "other");
	struct login_try elsewhere = try_with(w, 2, "alice", "old");

	assert_false(failures_known(w->f, &t, w->now_ms));
	failures_count(w->f, &t, w->now_ms);
	assert_true(failures_known(w->f, &t, w->now_ms));
	assert_true(failures_known(w->f, &cased, w->now_ms));
	assert_false(failures_known(w->f, &other, w->now_ms));
	assert_false(failures_known(w->f, &elsewhere, w->now_ms));
	w->now_ms += WINDOW * 1000 - 1;
	assert_true(failures_known(w->f, &t, w->now_ms));
	w->now_ms += 1;
	assert_false(failures_known(w->f, &t, w->now_ms));
}

static void what_was_wrong_may_be_right_after_a_change(void **state)
{
	struct world *w = *state;
	struct login_try t = try_with(w, 1, "alice", "new");

	failures_count(w->f, &t, w->now_ms);
	failures_changed(w->f);
	assert_false(failures_known(w->f, &t, w->now_ms));
	/* It was looked at before the change, and told after it. */
	failures_count(w->f, &t, w->now_ms);
	assert_false(failures_known(w->f, &t, w->now_ms));
}

/* The oldest is forgotten, which forgives it: nobody else is held up. */
static void a_full_table_forgets_the_oldest(void **state)
{
	struct world *w = *state;

	w->conf.login_failures_per_address = 1;
	good(w, 1, "alice");
	for (uint32_t i = 1; i <= FAILURES_MAX; i++)
		fail_once(w, i, "");
	assert_true(wait_s(w, 2, "") > 0); /* seen again: not the oldest */
	assert_true(wait_s(w, 1, "") > 0);
	fail_once(w, FAILURES_MAX + 1, "");
	assert_int_equal(wait_s(w, 3, ""), 0);
	assert_true(wait_s(w, 2, "") > 0);
	assert_true(wait_s(w, 1, "") > 0);
	assert_true(wait_s(w, FAILURES_MAX, "") > 0);
	assert_int_equal(wait_s(w, FAILURES_MAX + 2, ""), 0);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
}

static void a_flood_of_names_does_not_forget_who_was_let_in(void **state)
{
	struct world *w = *state;
	char user[32];

	good(w, 1, "alice");
	for (unsigned i = 0; i <= FAILURES_MAX; i++) {
		snprintf(user, sizeof(user), "nobody %u", i);
		fail_once(w, 66, user);
	}
	fail_often(w, 67, "alice", PER_ACCOUNT);
	assert_true(wait_s(w, 68, "alice") > 0);
	assert_int_equal(wait_s(w, 1, "alice"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(an_address_may_fail_so_often),
		T(an_account_may_fail_so_often_there_or_not),
		T(the_wait_is_right_to_the_second),
		T(the_window_forgives_all),
		T(of_ipv6_a_64_is_one_address),
		T(who_has_no_address_has_no_limit_of_one),
		T(without_a_name_the_address_alone_counts),
		T(an_owner_is_not_locked_out_by_guesses_from_elsewhere),
		T(an_owner_is_not_locked_out_by_neighbours),
		T(an_owners_address_may_not_guess_without_end),
		T(an_account_without_a_limit_leaves_that_of_addresses),
		T(no_limit_is_none),
		T(a_limit_of_one_is_one),
		T(a_reload_governs_what_was_counted),
		T(the_same_wrong_credential_is_known_for_a_window),
		T(what_was_wrong_may_be_right_after_a_change),
		T(a_full_table_forgets_the_oldest),
		T(a_flood_of_names_does_not_forget_who_was_let_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
