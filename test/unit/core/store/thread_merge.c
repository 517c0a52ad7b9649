/* Threads that a new email ties together become one: who moves, and what moves with
 * an email that gets a new id. */
#include "core/store/text.h"
#include "test/unit/core/store/fixture.h"

static struct fx *begun(void)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	return fx;
}

/* An email of subject "s" with one or two message ids, its own first. */
static uint64_t mail_raw(
	struct fx *fx, struct str raw, const char *own, const char *ref)
{
	struct str ids[2] = {str_of(own), str_of(ref ? ref : own)};
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.raw = raw,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.received_ms = 1000,
		.base_subject = STR("s"),
		.message_ids = ids,
		.message_ids_n = 2,
		.card = STR("a card"),
	};

	return fx_add_new(fx, &n);
}

static uint64_t mail(struct fx *fx, const char *own, const char *ref)
{
	return mail_raw(fx, STR_NONE, own, ref);
}

static uint64_t thread_of(struct fx *fx, uint64_t id)
{
	return fx_email(fx, id).thread;
}

static bool is_there(struct fx *fx, uint64_t id)
{
	struct email m;
	int ret = email_find(fx->t, id, 7, &fx->arena, &m, &fx->e);

	assert_true(ret >= 0);
	return ret > 0;
}

static void threads_that_an_email_ties_together_become_one(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "<1>", NULL), b = mail(fx, "<2>", NULL);
	uint64_t c = mail(fx, "<1>", "<2>"), moved = email_now(fx->t, b);
	uint64_t want[] = {a, moved, c};
	const uint64_t *ids;
	size_t n;

	assert_int_equal(email_now(fx->t, a), a);
	assert_true(moved > b && moved < c);
	assert_false(is_there(fx, b));
	OK(thread_emails(
		fx->t, thread_of(fx, a), &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 3);
	assert_memory_equal(ids, want, sizeof(want));
	assert_counts(fx, fx_role(fx, "inbox"), 3, 3, 1, 1);
	fx_free(fx);
}

static void a_merge_is_told_as_gone_and_come(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "<1>", NULL), b = mail(fx, "<2>", NULL);
	uint64_t kept = thread_of(fx, a), gone = thread_of(fx, b);
	uint64_t emails = fx_state(fx, TYPE_EMAIL);
	uint64_t threads = fx_state(fx, TYPE_THREAD);
	uint64_t c = mail(fx, "<1>", "<2>");
	struct changes log = fx_changes(fx, TYPE_EMAIL, emails, 0);

	assert_int_equal(log.n, 3);
	assert_int_equal(log.at[0].id, b);
	assert_int_equal(log.at[0].kind, CHANGE_DESTROYED);
	assert_int_equal(log.at[1].id, email_now(fx->t, b));
	assert_int_equal(log.at[1].kind, CHANGE_CREATED);
	assert_int_equal(log.at[2].id, c);
	assert_int_equal(log.at[2].kind, CHANGE_CREATED);
	log = fx_changes(fx, TYPE_THREAD, threads, 0);
	assert_int_equal(log.n, 2);
	assert_int_equal(log.at[0].id, gone);
	assert_int_equal(log.at[0].kind, CHANGE_DESTROYED);
	assert_int_equal(log.at[1].id, kept);
	assert_int_equal(log.at[1].kind, CHANGE_UPDATED);
	fx_free(fx);
}

static void the_larger_thread_stays_of_equals_the_older(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "<1>", NULL);
	uint64_t b = mail(fx, "<2>", NULL), c = mail(fx, "<3>", "<2>");
	uint64_t large = thread_of(fx, b), d = mail(fx, "<1>", "<2>");

	assert_int_equal(thread_of(fx, d), large);
	assert_true(is_there(fx, b) && is_there(fx, c));
	assert_false(is_there(fx, a));
	a = mail(fx, "<4>", NULL);
	b = mail(fx, "<5>", NULL);
	large = thread_of(fx, a);
	assert_int_equal(thread_of(fx, mail(fx, "<4>", "<5>")), large);
	fx_free(fx);
}

/* Also those that were moved are found by the next reply. */
static void a_merged_thread_goes_on(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "<1>", NULL), b = mail(fx, "<2>", "<x>");
	uint64_t d;

	mail(fx, "<1>", "<2>");
	d = mail(fx, "<4>", "<x>");
	assert_int_equal(thread_of(fx, d), thread_of(fx, a));
	assert_int_equal(email_destroy(fx->t, b, &fx->e), EMAIL_NOT_FOUND);
	OK(email_destroy(fx->t, email_now(fx->t, b), &fx->e));
	assert_counts(fx, fx_role(fx, "inbox"), 3, 3, 1, 1);
	fx_free(fx);
}

static void keywords_mailboxes_and_card_move_along(void **state)
{
	struct fx *fx = begun();
	struct str keywords[] = {STR("$seen"), STR("blue")};
	uint64_t boxes[] = {fx_role(fx, "archive"), fx_role(fx, "trash")};
	uint64_t b;
	struct email m;

	mail(fx, "<1>", NULL);
	b = mail(fx, "<2>", NULL);
	OK(email_update(fx->t, b, keywords, 2, boxes, 2, &fx->e));
	mail(fx, "<1>", "<2>");
	m = fx_email(fx, email_now(fx->t, b));
	assert_int_equal(m.received_ms, 1000);
	assert_true(str_eq(m.card, STR("a card")));
	assert_int_equal(m.keywords_n, 2);
	assert_true(str_eq(m.keywords[0], STR("$seen")));
	assert_true(str_eq(m.keywords[1], STR("blue")));
	assert_int_equal(m.mailboxes_n, 2);
	assert_memory_equal(m.mailboxes, boxes, sizeof(boxes));
	assert_counts(fx, fx_role(fx, "inbox"), 2, 2, 1, 1);
	assert_counts(fx, boxes[0], 1, 0, 1, 1);
	assert_counts(fx, boxes[1], 1, 0, 1, 0);
	fx_free(fx);
}

static void assert_blob(struct fx *fx, struct str raw, uint64_t email)
{
	struct buf b cleanup(buf_fini) = {0};
	struct blob_id id;
	uint64_t owner;

	sha256(raw, id.sha);
	assert_int_equal(blob_email(fx->t, &id, &owner, &fx->e), 1);
	assert_int_equal(owner, email);
	assert_int_equal(blob_read(fx->t, &id, &b, &fx->e), 1);
	assert_true(str_eq(buf_str(&b), raw));
}

/* Both kinds: a row and a file. */
static void the_message_is_the_same_under_the_new_id(void **state)
{
	struct fx *fx = begun();
	struct str small = STR("Subject: s\r\n\r\nsmall\r\n"), large;
	char *p = mem_new(BODY_ROW_MAX + 10);
	uint64_t a, b;

	memset(p, 'x', BODY_ROW_MAX + 10);
	large = str_n(p, BODY_ROW_MAX + 10);
	a = mail_raw(fx, small, "<2>", NULL);
	b = mail_raw(fx, large, "<3>", NULL);
	mail(fx, "<0>", NULL);
	mail(fx, "<1>", "<0>");
	fx_commit(fx);
	fx_begin(fx, TX_WRITE);
	mail(fx, "<0>", "<2>");
	mail(fx, "<0>", "<3>");
	a = email_now(fx->t, a);
	b = email_now(fx->t, b);
	fx_commit(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_READ);
	assert_blob(fx, small, a);
	assert_blob(fx, large, b);
	free(p);
	fx_free(fx);
}

static void assert_found(struct fx *fx, const char *word, uint64_t id)
{
	const uint64_t *ids;
	size_t n;

	OK(text_catch_up(fx->a, &fx->e));
	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, TEXT_ALL, str_of(word), &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], id);
	fx_end(fx);
}

static void the_text_index_finds_the_new_id_only(void **state)
{
	struct fx *fx = begun();
	uint64_t b;

	mail(fx, "<1>", NULL);
	b = mail_raw(fx, STR("Subject: s\r\n\r\nzebra\r\n"), "<2>", NULL);
	fx_commit(fx);
	assert_found(fx, "zebra", b);
	fx_begin(fx, TX_WRITE);
	mail(fx, "<1>", "<2>");
	b = email_now(fx->t, b);
	fx_commit(fx);
	assert_found(fx, "zebra", b);
	fx_free(fx);
}

static void a_merge_that_is_undone_did_not_happen(void **state)
{
	struct fx *fx = begun();
	uint64_t a = mail(fx, "<1>", NULL), b = mail(fx, "<2>", NULL);

	OK(tx_savepoint(fx->t, &fx->e));
	mail(fx, "<1>", "<2>");
	assert_int_not_equal(email_now(fx->t, b), b);
	tx_rollback_to(fx->t);
	assert_int_equal(email_now(fx->t, b), b);
	assert_int_not_equal(thread_of(fx, a), thread_of(fx, b));
	assert_counts(fx, fx_role(fx, "inbox"), 2, 2, 2, 2);
	fx_free(fx);
}

static void hundred_threads_become_one(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox");
	struct str ids[100];
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.base_subject = STR("s"),
		.message_ids = ids,
		.message_ids_n = 100,
	};

	for (size_t i = 0; i < 100; i++) {
		ids[i] = arena_fmt(&fx->arena, "<%zu>", i);
		mail(fx, ids[i].p, NULL);
	}
	fx_add_new(fx, &n);
	assert_counts(fx, inbox, 101, 101, 1, 1);
	fx_free(fx);
}

/* n emails of one thread. */
static void crowd(struct fx *fx, const char *ref, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mail(fx, arena_fmt(&fx->arena, "<%s %zu>", ref, i).p, ref);
}

static uint64_t threads_in(struct fx *fx, const char *role)
{
	return fx_mailbox(fx, fx_role(fx, role)).total_threads;
}

static void what_is_too_much_to_move_stays_apart(void **state)
{
	struct fx *fx = begun();

	crowd(fx, "<1>", 1001);
	crowd(fx, "<2>", 1001);
	crowd(fx, "<3>", 1000);
	mail(fx, "<1>", "<2>");
	assert_int_equal(threads_in(fx, "inbox"), 3);
	mail(fx, "<1>", "<3>");
	assert_int_equal(threads_in(fx, "inbox"), 2);
	fx_free(fx);
}

static void one_email_moves_no_more_than_a_thousand(void **state)
{
	struct fx *fx = begun();
	struct str ids[3] = {STR("<1>"), STR("<2>"), STR("<3>")};
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.base_subject = STR("s"),
		.message_ids = ids,
		.message_ids_n = 3,
	};

	crowd(fx, "<1>", 700);
	crowd(fx, "<2>", 701);
	crowd(fx, "<3>", 600);
	fx_add_new(fx, &n);
	assert_int_equal(threads_in(fx, "inbox"), 2);
	/* The next one finds what is left. */
	mail(fx, "<4>", "<3>");
	mail(fx, "<2>", "<3>");
	assert_int_equal(threads_in(fx, "inbox"), 1);
	fx_free(fx);
}

static void large_messages_stay_apart(void **state)
{
	struct fx *fx = begun();
	uint64_t b;

	crowd(fx, "<1>", 2);
	b = mail(fx, "<2>", NULL);
	OK(db_run(fx->t->db, &fx->e,
		"UPDATE email SET size = 134217729 WHERE id = ?", "i",
		(int64_t)b));
	mail(fx, "<1>", "<2>");
	assert_true(is_there(fx, b));
	assert_int_equal(threads_in(fx, "inbox"), 2);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			threads_that_an_email_ties_together_become_one),
		cmocka_unit_test(a_merge_is_told_as_gone_and_come),
		cmocka_unit_test(the_larger_thread_stays_of_equals_the_older),
		cmocka_unit_test(a_merged_thread_goes_on),
		cmocka_unit_test(keywords_mailboxes_and_card_move_along),
		cmocka_unit_test(the_message_is_the_same_under_the_new_id),
		cmocka_unit_test(the_text_index_finds_the_new_id_only),
		cmocka_unit_test(a_merge_that_is_undone_did_not_happen),
		cmocka_unit_test(hundred_threads_become_one),
		cmocka_unit_test(what_is_too_much_to_move_stays_apart),
		cmocka_unit_test(one_email_moves_no_more_than_a_thousand),
		cmocka_unit_test(large_messages_stay_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
