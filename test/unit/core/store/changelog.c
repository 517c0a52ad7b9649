/* /changes: folding, stopping, and what cannot be answered any more. */
#include "core/base/clock.h"
#include "test/unit/core/store/fixture.h"

static int refused(struct fx *fx, enum type type, uint64_t since)
{
	struct changes c;
	int ret = tx_changes(fx->t, type, since, 0, &fx->arena, &c, &fx->e);

	assert_true(ret >= 0);
	return ret;
}

static uint64_t add(struct fx *fx)
{
	uint64_t id;

	fx_begin(fx, TX_WRITE);
	id = fx_add(fx, fx_role(fx, "inbox"), 1);
	fx_commit(fx);
	return id;
}

static void set_seen(struct fx *fx, uint64_t id)
{
	struct str seen = STR("$seen");

	fx_begin(fx, TX_WRITE);
	OK(email_update(fx->t, id, &seen, 1, NULL, 0, &fx->e));
	fx_commit(fx);
}

static void destroy(struct fx *fx, uint64_t id)
{
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
}

static uint64_t state_of(struct fx *fx, enum type type)
{
	uint64_t v;

	fx_begin(fx, TX_READ);
	v = fx_state(fx, type);
	fx_end(fx);
	return v;
}

static void changes_of_one_email_become_one(void **state)
{
	struct fx *fx = fx_new();
	uint64_t since = state_of(fx, TYPE_EMAIL), a = add(fx), b = add(fx);
	uint64_t after_b;
	struct changes c;

	set_seen(fx, a);
	after_b = state_of(fx, TYPE_EMAIL);
	set_seen(fx, b);
	destroy(fx, a);
	fx_begin(fx, TX_READ);
	c = fx_changes(fx, TYPE_EMAIL, since, 0);
	assert_int_equal(c.n, 1); /* a came and went */
	assert_int_equal(c.at[0].id, b);
	assert_int_equal(c.at[0].kind, CHANGE_CREATED);
	assert_false(c.has_more);
	c = fx_changes(fx, TYPE_EMAIL, after_b, 0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.at[0].id, b);
	assert_int_equal(c.at[0].kind, CHANGE_UPDATED);
	assert_int_equal(c.at[1].id, a);
	assert_int_equal(c.at[1].kind, CHANGE_DESTROYED);
	fx_free(fx);
}

static void it_stops_after_any_object_even_inside_a_commit(void **state)
{
	struct fx *fx = fx_new();
	uint64_t since = state_of(fx, TYPE_EMAIL), end, inbox, first;
	struct changes c;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	first = fx_add(fx, inbox, 1);
	fx_add(fx, inbox, 2);
	fx_add(fx, inbox, 3);
	fx_commit(fx);
	end = state_of(fx, TYPE_EMAIL);
	fx_begin(fx, TX_READ);
	for (uint64_t i = 0; i < 3; i++) {
		c = fx_changes(fx, TYPE_EMAIL, since, 1);
		assert_int_equal(c.n, 1);
		assert_int_equal(c.at[0].id, first + i);
		assert_int_equal(c.has_more, i < 2);
		assert_true(c.new_modseq > since);
		since = c.new_modseq;
	}
	assert_int_equal(since, end);
	fx_free(fx);
}

static void the_same_state_has_no_changes(void **state)
{
	struct fx *fx = fx_new();
	struct changes c;

	fx_begin(fx, TX_READ);
	c = fx_changes(fx, TYPE_EMAIL, 1, 5);
	assert_int_equal(c.n, 0);
	assert_int_equal(c.new_modseq, 1);
	assert_false(c.has_more);
	fx_free(fx);
}

static void states_that_never_were_are_refused(void **state)
{
	struct fx *fx = fx_new();
	uint64_t now;

	add(fx);
	now = state_of(fx, TYPE_EMAIL);
	fx_begin(fx, TX_READ);
	assert_int_equal(refused(fx, TYPE_EMAIL, 0), 1);
	assert_int_equal(refused(fx, TYPE_EMAIL, now + 1), 1);
	assert_int_equal(refused(fx, TYPE_EMAIL, UINT64_MAX), 1);
	assert_int_equal(refused(fx, TYPE_EMAIL, 1), 0);
	fx_free(fx);
}

static void only_counts_or_more_is_told_apart(void **state)
{
	struct fx *fx = fx_new();
	uint64_t since = state_of(fx, TYPE_MAILBOX), inbox;
	struct mailbox m;
	struct changes c;

	add(fx);
	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	c = fx_changes(fx, TYPE_MAILBOX, since, 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.at[0].id, inbox);
	assert_int_equal(c.at[0].kind, CHANGE_UPDATED);
	assert_true(c.at[0].counts_only);
	m = fx_mailbox(fx, inbox);
	m.sort_order = 99;
	OK(mailbox_update(fx->t, &m, &fx->e));
	fx_commit(fx);
	add(fx);
	fx_begin(fx, TX_READ);
	c = fx_changes(fx, TYPE_MAILBOX, since, 0);
	assert_int_equal(c.n, 1);
	assert_false(c.at[0].counts_only);
	fx_free(fx);
}

/* Both in one commit: the rename must not hide behind the counts. */
static void counts_and_a_rename_in_one_commit_are_more_than_counts(void **state)
{
	struct fx *fx = fx_new();
	uint64_t since = state_of(fx, TYPE_MAILBOX), inbox;
	struct changes c;
	struct mailbox m;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	fx_add(fx, inbox, 1);
	m = fx_mailbox(fx, inbox);
	m.name = STR("Eingang");
	OK(mailbox_update(fx->t, &m, &fx->e));
	fx_add(fx, inbox, 2);
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	c = fx_changes(fx, TYPE_MAILBOX, since, 0);
	assert_int_equal(c.n, 1);
	assert_false(c.at[0].counts_only);
	fx_free(fx);
}

static void age(struct fx *fx, uint64_t up_to)
{
	struct db *db = NULL;
	int64_t old_s = clock_real_ms() / 1000 - 31 * 86400;

	OK(db_open(fx_path(fx, "accounts/1/mail.db"), 0, &db, &fx->e));
	OK(db_run(db, &fx->e,
		"UPDATE change_log SET time = ? WHERE modseq <= ?", "ii", old_s,
		(int64_t)up_to));
	db_close(db);
}

static void after_30_days_old_states_are_refused(void **state)
{
	struct fx *fx = fx_new();
	uint64_t old, inbox_made = state_of(fx, TYPE_MAILBOX), young;

	add(fx);
	old = state_of(fx, TYPE_EMAIL);
	add(fx);
	young = state_of(fx, TYPE_EMAIL);
	add(fx);
	fx_close(fx);
	age(fx, young);
	fx_reopen(fx); /* the first commit prunes */
	add(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(refused(fx, TYPE_EMAIL, 1), 1);
	assert_int_equal(refused(fx, TYPE_EMAIL, old), 1);
	assert_int_equal(refused(fx, TYPE_MAILBOX, inbox_made), 1);
	assert_int_equal(fx_changes(fx, TYPE_EMAIL, young, 0).n, 2);
	fx_free(fx);
}

/* What has not changed since is answered however long ago that was. */
static void an_old_state_that_still_stands_is_answered(void **state)
{
	struct fx *fx = fx_new();
	uint64_t mailbox = state_of(fx, TYPE_MAILBOX);
	struct mailbox m;
	uint64_t now;

	fx_begin(fx, TX_WRITE);
	m = fx_mailbox(fx, fx_role(fx, "sent"));
	m.sort_order++;
	OK(mailbox_update(fx->t, &m, &fx->e));
	fx_commit(fx);
	now = state_of(fx, TYPE_MAILBOX);
	fx_close(fx);
	age(fx, now);
	fx_reopen(fx);
	fx_begin(fx, TX_WRITE);
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(refused(fx, TYPE_MAILBOX, mailbox), 1);
	assert_int_equal(fx_changes(fx, TYPE_MAILBOX, now, 0).n, 0);
	fx_free(fx);
}

static void a_delivery_moves_the_state_of_emaildelivery(void **state)
{
	struct fx *fx = fx_new();
	struct email_new n = {.mailboxes_n = 1, .delivery = true};
	uint64_t inbox;

	add(fx);
	assert_int_equal(state_of(fx, TYPE_EMAIL_DELIVERY), 1);
	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	n.mailboxes = &inbox;
	fx_add_new(fx, &n);
	fx_commit(fx);
	assert_int_equal(
		state_of(fx, TYPE_EMAIL_DELIVERY), state_of(fx, TYPE_EMAIL));
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_of_one_email_become_one),
		cmocka_unit_test(
			it_stops_after_any_object_even_inside_a_commit),
		cmocka_unit_test(the_same_state_has_no_changes),
		cmocka_unit_test(states_that_never_were_are_refused),
		cmocka_unit_test(only_counts_or_more_is_told_apart),
		cmocka_unit_test(
			counts_and_a_rename_in_one_commit_are_more_than_counts),
		cmocka_unit_test(after_30_days_old_states_are_refused),
		cmocka_unit_test(an_old_state_that_still_stands_is_answered),
		cmocka_unit_test(a_delivery_moves_the_state_of_emaildelivery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
