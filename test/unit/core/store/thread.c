/* Which thread an email joins, and what a thread does to the counts. */
#include "test/unit/core/store/fixture.h"

static struct fx *begun(void)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	return fx;
}

/* An email with up to three message ids, its own first. */
static uint64_t mail_at(struct fx *fx, const char *subject, const char *own,
	const char *ref1, const char *ref2, int64_t received)
{
	struct str ids[3];
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.received_ms = received,
		.base_subject = str_of(subject),
		.message_ids = ids,
	};

	ids[n.message_ids_n++] = str_of(own);
	if (ref1)
		ids[n.message_ids_n++] = str_of(ref1);
	if (ref2)
		ids[n.message_ids_n++] = str_of(ref2);
	return fx_add_new(fx, &n);
}

static uint64_t mail(
	struct fx *fx, const char *subject, const char *own, const char *ref)
{
	return mail_at(fx, subject, own, ref, NULL, 1);
}

static uint64_t thread_of(struct fx *fx, uint64_t id)
{
	return fx_email(fx, id).thread;
}

static void a_reply_joins_its_original(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "s", "<1>", NULL),
		 b = mail(fx, "s", "<2>", "<1>");
	uint64_t c = mail(fx, "s", "<3>", "<2>");

	assert_int_equal(thread_of(fx, a), thread_of(fx, b));
	assert_int_equal(thread_of(fx, a), thread_of(fx, c));
	fx_free(fx);
}

static void an_original_that_comes_late_joins_its_reply(void **state)
{
	struct fx *fx = begun();
	uint64_t reply = mail(fx, "s", "<2>", "<1>");
	uint64_t original = mail(fx, "s", "<1>", NULL);

	assert_int_equal(thread_of(fx, original), thread_of(fx, reply));
	fx_free(fx);
}

static void siblings_that_share_a_reference_are_one_thread(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "s", "<2>", "<1>"),
		 b = mail(fx, "s", "<3>", "<1>");

	assert_int_equal(thread_of(fx, a), thread_of(fx, b));
	fx_free(fx);
}

/* RFC 8621 3, condition 2. */
static void another_subject_starts_another_thread(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "s", "<1>", NULL),
		 b = mail(fx, "t", "<2>", "<1>");

	assert_int_not_equal(thread_of(fx, a), thread_of(fx, b));
	fx_free(fx);
}

static void without_a_common_id_they_stay_apart(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox");
	uint64_t a = mail(fx, "s", "<1>", NULL), b = mail(fx, "s", "<2>", NULL);
	uint64_t c = fx_add(fx, inbox, 1), d = fx_add(fx, inbox, 1);

	assert_int_not_equal(thread_of(fx, a), thread_of(fx, b));
	assert_int_not_equal(thread_of(fx, c), thread_of(fx, d));
	fx_free(fx);
}

static void ten_thousand_references_are_cut_to_what_matters(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), root, near, id;
	struct str *ids = arena_new(&fx->arena, 10000 * sizeof(*ids));
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.message_ids = ids,
		.message_ids_n = 10000,
		.base_subject = STR("s"),
	};
	int64_t rows;

	for (int i = 0; i < 10000; i++)
		ids[i] = arena_fmt(&fx->arena, "<%d>", i);
	id = fx_add_new(fx, &n);
	assert_int_equal(db_number(fx->t->db, &rows, &fx->e,
				 "SELECT count(*) FROM thread_key", ""),
		1);
	assert_int_equal(rows, 100);
	root = mail(fx, "s", "<1>", NULL);
	near = mail(fx, "s", "<9999>", NULL);
	assert_int_equal(thread_of(fx, root), thread_of(fx, id));
	assert_int_equal(thread_of(fx, near), thread_of(fx, id));
	fx_free(fx);
}

static void emails_of_a_thread_come_oldest_first(void **state)
{
	struct fx *fx = begun();
	uint64_t c = mail_at(fx, "s", "<3>", "<1>", NULL, 30);
	uint64_t a = mail_at(fx, "s", "<1>", NULL, NULL, 10);
	uint64_t b1 = mail_at(fx, "s", "<2>", "<1>", NULL, 20);
	uint64_t b2 = mail_at(fx, "s", "<4>", "<1>", NULL, 20);
	uint64_t want[] = {a, b1, b2, c};
	const uint64_t *ids;
	size_t n;

	OK(thread_emails(
		fx->t, thread_of(fx, a), &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 4);
	assert_memory_equal(ids, want, sizeof(want));
	OK(thread_emails(fx->t, 4711, &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 0);
	fx_free(fx);
}

static void a_thread_changes_with_its_emails_and_dies_with_the_last(
	void **state)
{
	struct fx *fx = begun();
	uint64_t since = fx_state(fx, TYPE_THREAD), a, b, thread;
	struct changes c;

	a = mail(fx, "s", "<1>", NULL);
	thread = thread_of(fx, a);
	c = fx_changes(fx, TYPE_THREAD, since, 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.at[0].id, thread);
	assert_int_equal(c.at[0].kind, CHANGE_CREATED);
	since = c.new_modseq;
	b = mail(fx, "s", "<2>", "<1>");
	c = fx_changes(fx, TYPE_THREAD, since, 0);
	assert_int_equal(c.at[0].kind, CHANGE_UPDATED);
	since = c.new_modseq;
	OK(email_destroy(fx->t, a, &fx->e));
	c = fx_changes(fx, TYPE_THREAD, since, 0);
	assert_int_equal(c.at[0].kind, CHANGE_UPDATED);
	since = c.new_modseq;
	OK(email_destroy(fx->t, b, &fx->e));
	c = fx_changes(fx, TYPE_THREAD, since, 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.at[0].kind, CHANGE_DESTROYED);
	fx_free(fx);
}

/* RFC 8621 2, the example at unreadThreads. */
static void an_unread_email_in_the_trash_is_unread_there_only(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), trash = fx_role(fx, "trash");
	uint64_t a = mail(fx, "s", "<1>", NULL),
		 b = mail(fx, "s", "<2>", "<1>");
	struct str seen = STR("$seen");

	OK(email_update(fx->t, a, NULL, 0, &trash, 1, &fx->e));
	OK(email_update(fx->t, b, &seen, 1, NULL, 0, &fx->e));
	assert_counts(fx, trash, 1, 1, 1, 1);
	assert_counts(fx, inbox, 1, 0, 1, 0);
	fx_free(fx);
}

static void an_unread_email_counts_in_every_mailbox_of_its_thread(void **state)
{
	struct fx *fx = begun();
	uint64_t sent = fx_role(fx, "sent"), inbox = fx_role(fx, "inbox");
	uint64_t a = mail(fx, "s", "<1>", NULL), since;
	struct str seen = STR("$seen");
	struct changes c;

	OK(email_update(fx->t, a, &seen, 1, &sent, 1, &fx->e));
	assert_counts(fx, sent, 1, 0, 1, 0);
	since = fx_state(fx, TYPE_MAILBOX);
	mail(fx, "s", "<2>", "<1>");
	assert_counts(fx, sent, 1, 0, 1, 1);
	assert_counts(fx, inbox, 1, 1, 1, 1);
	/* So Sent changed, though no email of it did. */
	c = fx_changes(fx, TYPE_MAILBOX, since, 0);
	assert_int_equal(c.n, 2);
	fx_free(fx);
}

static void an_email_in_the_trash_and_elsewhere_counts_in_both(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), trash = fx_role(fx, "trash");
	uint64_t both[] = {inbox, trash}, a = mail(fx, "s", "<1>", NULL);

	OK(email_update(fx->t, a, NULL, 0, both, 2, &fx->e));
	assert_counts(fx, inbox, 1, 1, 1, 1);
	assert_counts(fx, trash, 1, 1, 1, 1);
	fx_free(fx);
}

static void a_new_trash_brings_its_rule_along(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), trash = fx_role(fx, "trash");
	uint64_t a = mail(fx, "s", "<1>", NULL),
		 b = mail(fx, "s", "<2>", "<1>");
	struct str seen = STR("$seen");
	struct mailbox m;

	OK(email_update(fx->t, a, NULL, 0, &trash, 1, &fx->e));
	OK(email_update(fx->t, b, &seen, 1, NULL, 0, &fx->e));
	m = fx_mailbox(fx, trash);
	m.role = STR_NONE;
	OK(mailbox_update(fx->t, &m, &fx->e));
	assert_counts(fx, inbox, 1, 0, 1, 1);
	assert_counts(fx, trash, 1, 1, 1, 1);
	m.role = STR("trash");
	OK(mailbox_update(fx->t, &m, &fx->e));
	assert_counts(fx, inbox, 1, 0, 1, 0);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_joins_its_original),
		cmocka_unit_test(an_original_that_comes_late_joins_its_reply),
		cmocka_unit_test(
			siblings_that_share_a_reference_are_one_thread),
		cmocka_unit_test(another_subject_starts_another_thread),
		cmocka_unit_test(without_a_common_id_they_stay_apart),
		cmocka_unit_test(
			ten_thousand_references_are_cut_to_what_matters),
		cmocka_unit_test(emails_of_a_thread_come_oldest_first),
		cmocka_unit_test(
			a_thread_changes_with_its_emails_and_dies_with_the_last),
		cmocka_unit_test(
			an_unread_email_in_the_trash_is_unread_there_only),
		cmocka_unit_test(
			an_unread_email_counts_in_every_mailbox_of_its_thread),
		cmocka_unit_test(
			an_email_in_the_trash_and_elsewhere_counts_in_both),
		cmocka_unit_test(a_new_trash_brings_its_rule_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
