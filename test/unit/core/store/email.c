/* Emails: what comes back, what is refused, what a change touches. */
#include <errno.h>

#include "test/unit/core/store/fixture.h"

static struct fx *begun(void)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	return fx;
}

static void assert_keywords(struct fx *fx, uint64_t id, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	struct email m = fx_email(fx, id);

	for (size_t i = 0; i < m.keywords_n; i++) {
		buf_adds(&b, m.keywords[i]);
		buf_addc(&b, ' ');
	}
	assert_string_equal(buf_z(&b), want);
}

static void what_was_added_is_what_is_found(void **state)
{
	struct fx *fx = begun();
	struct str keywords[] = {
		STR("$flagged"), STR("zulu"), STR("$seen"), STR("alpha")};
	uint64_t boxes[] = {fx_role(fx, "archive"), fx_role(fx, "inbox")};
	struct email_new n = {
		.raw = STR("Subject: \xff\r\n\r\n\0body"),
		.received_ms = 1234567890123,
		.keywords = keywords,
		.keywords_n = countof(keywords),
		.mailboxes = boxes,
		.mailboxes_n = countof(boxes),
		.card = STR("any\0bytes"),
		.sent_ms = INT64_MIN,
	};
	struct buf raw cleanup(buf_fini) = {0};
	uint8_t sha[SHA256_LEN];
	struct email m;
	uint64_t id;

	id = fx_add_new(fx, &n);
	fx_commit(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_READ);
	m = fx_email(fx, id);
	sha256(n.raw, sha);
	assert_int_equal(m.id, id);
	assert_int_not_equal(m.thread, 0);
	assert_int_equal(m.size, n.raw.n);
	assert_int_equal(m.received_ms, 1234567890123);
	assert_memory_equal(m.blob.sha, sha, sizeof(sha));
	assert_true(str_eq(m.card, n.card));
	assert_int_equal(m.mailboxes_n, 2);
	assert_true(m.mailboxes[0] != m.mailboxes[1]);
	assert_keywords(fx, id, "$seen $flagged alpha zulu ");
	assert_int_equal(blob_read(fx->t, &m.blob, &raw, &fx->e), 1);
	assert_true(str_eq(buf_str(&raw), n.raw));
	fx_free(fx);
}

static void what_is_not_wanted_is_left_out(void **state)
{
	struct fx *fx = begun();
	struct str seen = STR("$seen");
	uint64_t inbox = fx_role(fx, "inbox"), id;
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.keywords = &seen,
		.keywords_n = 1,
		.card = STR("card"),
	};
	struct email m;

	id = fx_add_new(fx, &n);
	assert_int_equal(email_find(fx->t, id, 0, &fx->arena, &m, &fx->e), 1);
	assert_int_equal(m.card.n, 0);
	assert_int_equal(m.keywords_n, 0);
	assert_int_equal(
		email_find(fx->t, id + 1, 0, &fx->arena, &m, &fx->e), 0);
	fx_free(fx);
}

static void a_mailbox_that_is_not_there_is_refused(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), id, thread;
	uint64_t bad[] = {inbox, 4711};
	struct email_new n = {
		.raw = STR("x"), .mailboxes = bad, .mailboxes_n = 2};

	assert_int_equal(email_add(fx->t, &n, &id, &thread, &fx->e),
		EMAIL_MAILBOX_NOT_FOUND);
	n.mailboxes_n = 0;
	assert_int_equal(email_add(fx->t, &n, &id, &thread, &fx->e),
		EMAIL_MAILBOX_NOT_FOUND);
	id = fx_add(fx, inbox, 1);
	assert_int_equal(email_update(fx->t, id, NULL, 0, bad, 2, &fx->e),
		EMAIL_MAILBOX_NOT_FOUND);
	assert_int_equal(email_update(fx->t, id, NULL, 0, bad, 0, &fx->e),
		EMAIL_MAILBOX_NOT_FOUND);
	assert_counts(fx, inbox, 1, 1, 1, 1);
	fx_free(fx);
}

static void an_email_that_is_not_there_is_refused(void **state)
{
	struct fx *fx = begun();

	assert_int_equal(email_update(fx->t, 7, NULL, 0, NULL, 0, &fx->e),
		EMAIL_NOT_FOUND);
	assert_int_equal(email_destroy(fx->t, 7, &fx->e), EMAIL_NOT_FOUND);
	fx_free(fx);
}

static void a_keyword_with_a_space_is_refused(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), id = fx_add(fx, inbox, 1);
	struct str bad[] = {STR("a b"), STR("")};

	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(
			email_update(fx->t, id, &bad[i], 1, NULL, 0, &fx->e),
			-EINVAL);
	fx_free(fx);
}

static void keywords_and_mailboxes_change_apart(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), sent = fx_role(fx, "sent");
	uint64_t id = fx_add(fx, inbox, 1);
	struct str keywords[] = {STR("blue"), STR("$seen"), STR("blue")};

	OK(email_update(fx->t, id, keywords, 3, NULL, 0, &fx->e));
	assert_keywords(fx, id, "$seen blue ");
	assert_counts(fx, inbox, 1, 0, 1, 0);
	OK(email_update(fx->t, id, NULL, 0, &sent, 1, &fx->e));
	assert_keywords(fx, id, "$seen blue ");
	assert_counts(fx, inbox, 0, 0, 0, 0);
	assert_counts(fx, sent, 1, 0, 1, 0);
	OK(email_update(fx->t, id, keywords, 0, NULL, 0, &fx->e));
	assert_keywords(fx, id, "");
	assert_counts(fx, sent, 1, 1, 1, 1);
	fx_free(fx);
}

static void the_same_again_is_no_change(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), sent = fx_role(fx, "sent");
	uint64_t both[] = {sent, inbox, sent}, back[] = {inbox, sent};
	struct str ab[] = {STR("a"), STR("b")}, ba[] = {STR("b"), STR("a")};
	uint64_t id = fx_add(fx, inbox, 1), before;

	OK(email_update(fx->t, id, ab, 2, both, 3, &fx->e));
	before = fx_state(fx, TYPE_EMAIL);
	OK(email_update(fx->t, id, ba, 2, back, 2, &fx->e));
	assert_int_equal(fx_state(fx, TYPE_EMAIL), before);
	assert_int_equal(fx_email(fx, id).mailboxes_n, 2);
	fx_free(fx);
}

/* RFC 8621 3: a Thread object is its emailIds. */
static void flags_do_not_change_the_thread(void **state)
{
	struct fx *fx = begun();
	struct str seen = STR("$seen");
	uint64_t id = fx_add(fx, fx_role(fx, "inbox"), 1), before;

	fx_state(fx, TYPE_EMAIL);
	fx_commit(fx);
	fx_begin(fx, TX_WRITE);
	before = fx_state(fx, TYPE_THREAD);
	OK(email_update(fx->t, id, &seen, 1, NULL, 0, &fx->e));
	assert_int_equal(fx_state(fx, TYPE_THREAD), before);
	assert_true(fx_state(fx, TYPE_EMAIL) > before);
	fx_free(fx);
}

static void drafts_are_not_unread(void **state)
{
	struct fx *fx = begun();
	struct str draft = STR("$draft");
	uint64_t drafts = fx_role(fx, "drafts");
	struct email_new n = {
		.mailboxes = &drafts,
		.mailboxes_n = 1,
		.keywords = &draft,
		.keywords_n = 1,
	};

	fx_add_new(fx, &n);
	assert_counts(fx, drafts, 1, 0, 1, 0);
	fx_free(fx);
}

static void a_destroyed_email_leaves_nothing(void **state)
{
	static const char *const tables[] = {"SELECT count(*) FROM email",
		"SELECT count(*) FROM body",
		"SELECT count(*) FROM mailbox_email",
		"SELECT count(*) FROM thread_mailbox",
		"SELECT count(*) FROM thread_key", "SELECT count(*) FROM blob"};
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), id, thread;
	struct str ids[] = {STR("<a@b>"), STR("<c@d>")};
	struct email_new n = {
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.message_ids = ids,
		.message_ids_n = 2,
	};
	struct buf raw cleanup(buf_fini) = {0};
	struct email m;
	int64_t rows;

	id = fx_add_new(fx, &n);
	m = fx_email(fx, id);
	thread = m.thread;
	OK(email_destroy(fx->t, id, &fx->e));
	for (size_t i = 0; i < countof(tables); i++) {
		assert_int_equal(
			db_number(fx->t->db, &rows, &fx->e, tables[i], ""), 1);
		assert_int_equal(rows, 0);
	}
	assert_int_equal(blob_read(fx->t, &m.blob, &raw, &fx->e), 0);
	assert_int_equal(email_destroy(fx->t, id, &fx->e), EMAIL_NOT_FOUND);
	fx_commit(fx);
	fx_begin(fx, TX_WRITE);
	id = fx_add_new(fx, &n);
	assert_true(id > m.id);
	assert_true(fx_email(fx, id).thread > thread);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_is_what_is_found),
		cmocka_unit_test(what_is_not_wanted_is_left_out),
		cmocka_unit_test(a_mailbox_that_is_not_there_is_refused),
		cmocka_unit_test(an_email_that_is_not_there_is_refused),
		cmocka_unit_test(a_keyword_with_a_space_is_refused),
		cmocka_unit_test(keywords_and_mailboxes_change_apart),
		cmocka_unit_test(the_same_again_is_no_change),
		cmocka_unit_test(flags_do_not_change_the_thread),
		cmocka_unit_test(drafts_are_not_unread),
		cmocka_unit_test(a_destroyed_email_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
