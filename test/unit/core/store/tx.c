/* Transactions: snapshots, what the sink hears, savepoints. */
#include <errno.h>

#include "test/unit/core/store/fixture.h"

struct heard {
	struct change at[16];
	size_t n;
};

static void hear(void *ctx, const struct change *c)
{
	struct heard *h = ctx;

	assert_true(h->n < countof(h->at));
	h->at[h->n++] = *c;
}

static void the_sink_hears_one_change_a_commit_in_order(void **state)
{
	struct heard h = {.n = 0};
	struct change_sink sink = {hear, &h};
	struct fx *fx = fx_sink(&sink);
	uint32_t types = TYPE_BIT(TYPE_MAILBOX) | TYPE_BIT(TYPE_THREAD) |
			 TYPE_BIT(TYPE_EMAIL);
	uint64_t inbox, modseq;

	assert_int_equal(h.n, 0); /* making an account is nobody's news */
	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	fx_add(fx, inbox, 1);
	fx_add(fx, inbox, 2);
	assert_int_equal(h.n, 0);
	fx_commit(fx);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.at[0].account, fx->id);
	assert_int_equal(h.at[0].types, types);
	assert_true(h.at[0].committed_ns > 0);
	fx_begin(fx, TX_READ);
	assert_int_equal(h.at[0].generation, tx_generation(fx->t));
	modseq = fx_state(fx, TYPE_EMAIL);
	assert_int_equal(h.at[0].modseq, modseq);
	assert_int_equal(fx_state(fx, TYPE_MAILBOX), modseq);
	assert_int_equal(fx_state(fx, TYPE_THREAD), modseq);
	fx_end(fx);
	fx_begin(fx, TX_WRITE);
	fx_add(fx, inbox, 3);
	fx_commit(fx);
	assert_int_equal(h.n, 2);
	assert_true(h.at[1].modseq > modseq);
	fx_free(fx);
}

static void a_commit_without_a_change_tells_nothing(void **state)
{
	struct heard h = {.n = 0};
	struct change_sink sink = {hear, &h};
	struct fx *fx = fx_sink(&sink);
	uint64_t id, before;

	fx_begin(fx, TX_WRITE);
	before = fx_state(fx, TYPE_EMAIL);
	fx_commit(fx);
	fx_begin(fx, TX_WRITE);
	id = fx_add(fx, fx_role(fx, "inbox"), 1);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
	/* Its mailbox's counts came and went: told, as "may have changed". */
	assert_true(h.n <= 1);
	fx_begin(fx, TX_READ);
	assert_int_equal(fx_state(fx, TYPE_EMAIL), before);
	assert_int_equal(fx_state(fx, TYPE_THREAD), before);
	fx_free(fx);
}

static void what_was_not_committed_did_not_happen(void **state)
{
	struct heard h = {.n = 0};
	struct change_sink sink = {hear, &h};
	struct fx *fx = fx_sink(&sink);
	uint64_t inbox, id;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	id = fx_add(fx, inbox, 1);
	assert_true(fx_state(fx, TYPE_EMAIL) > 1);
	fx_end(fx);
	assert_int_equal(h.n, 0);
	fx_begin(fx, TX_WRITE);
	assert_counts(fx, inbox, 0, 0, 0, 0);
	assert_int_equal(fx_state(fx, TYPE_EMAIL), 1);
	assert_int_equal(fx_add(fx, inbox, 1), id);
	fx_commit(fx);
	fx_free(fx);
}

static void a_reader_keeps_its_snapshot_beside_a_writer(void **state)
{
	struct fx *fx = fx_new();
	struct email_query q = {.limit = 10};
	struct email_ids r;
	struct tx *reader;
	uint64_t id;

	fx_begin(fx, TX_READ);
	reader = steal(fx->t);
	assert_false(tx_writes(reader));
	fx_begin(fx, TX_WRITE);
	assert_true(tx_writes(fx->t));
	id = fx_add(fx, fx_role(fx, "inbox"), 1);
	fx_commit(fx);
	OK(email_query(reader, &q, &fx->arena, &r, &fx->e));
	assert_int_equal(r.total, 0);
	OK(tx_commit(reader, &fx->e));
	tx_end(reader);
	fx_begin(fx, TX_READ);
	fx_email(fx, id);
	fx_free(fx);
}

static void two_readers_and_a_writer_work_at_once(void **state)
{
	struct fx *fx = fx_new();
	struct tx *a, *b;

	fx_begin(fx, TX_READ);
	a = steal(fx->t);
	fx_begin(fx, TX_WRITE);
	fx_add(fx, fx_role(fx, "inbox"), 1);
	OK(tx_begin(fx->a, TX_READ, &b, &fx->e));
	fx_commit(fx);
	fx->t = b;
	assert_int_equal(fx_state(fx, TYPE_EMAIL), 1);
	fx->t = a;
	assert_int_equal(fx_state(fx, TYPE_EMAIL), 1);
	tx_end(b);
	fx_end(fx);
	fx_begin(fx, TX_READ);
	assert_true(fx_state(fx, TYPE_EMAIL) > 1);
	fx_free(fx);
}

/* A group of deliveries: one of them fails. */
static void a_savepoint_undoes_one_of_several(void **state)
{
	struct heard h = {.n = 0};
	struct change_sink sink = {hear, &h};
	struct fx *fx = fx_sink(&sink);
	uint64_t inbox, first, third, since;
	struct changes c;
	struct email m;

	fx_begin(fx, TX_WRITE);
	since = fx_state(fx, TYPE_EMAIL);
	inbox = fx_role(fx, "inbox");
	OK(tx_savepoint(fx->t, &fx->e));
	first = fx_add(fx, inbox, 1);
	OK(tx_release(fx->t, &fx->e));
	OK(tx_savepoint(fx->t, &fx->e));
	fx_add(fx, inbox, 2);
	fx_state(fx, TYPE_EMAIL); /* its log rows are undone too */
	tx_rollback_to(fx->t);
	OK(tx_savepoint(fx->t, &fx->e));
	third = fx_add(fx, inbox, 3);
	OK(tx_release(fx->t, &fx->e));
	fx_commit(fx);
	assert_int_equal(h.n, 1);
	fx_begin(fx, TX_READ);
	assert_counts(fx, inbox, 2, 2, 2, 2);
	c = fx_changes(fx, TYPE_EMAIL, since, 0);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.at[0].id, first);
	assert_int_equal(c.at[1].id, third);
	assert_int_equal(c.new_modseq, h.at[0].modseq);
	assert_int_equal(
		email_find(fx->t, third + 1, 0, &fx->arena, &m, &fx->e), 0);
	fx_free(fx);
}

static void a_group_of_deliveries_is_one_row_for_its_mailbox(void **state)
{
	struct fx *fx = fx_new();
	int64_t rows;

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 20; i++) {
		OK(tx_savepoint(fx->t, &fx->e));
		fx_add(fx, fx_role(fx, "inbox"), i);
		OK(tx_release(fx->t, &fx->e));
	}
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(db_number(fx->t->db, &rows, &fx->e,
				 "SELECT count(*) FROM change_log"
				 " WHERE type = 0 AND kind = 1",
				 ""),
		1);
	assert_int_equal(rows, 1);
	fx_free(fx);
}

/* A request's newState, told within the transaction, is what it commits as. */
static void a_state_told_inside_is_the_state_after_the_commit(void **state)
{
	struct fx *fx = fx_new();
	uint64_t told;

	fx_begin(fx, TX_WRITE);
	fx_add(fx, fx_role(fx, "inbox"), 1);
	told = fx_state(fx, TYPE_EMAIL);
	assert_int_equal(fx_changes(fx, TYPE_EMAIL, told, 0).n, 0);
	OK(tx_commit(fx->t, &fx->e));
	assert_int_equal(fx_state(fx, TYPE_EMAIL), told);
	assert_int_equal(fx_state(fx, TYPE_MAILBOX), told);
	fx_end(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(fx_state(fx, TYPE_EMAIL), told);
	fx_free(fx);
}

static void generations_differ_and_stay(void **state)
{
	struct fx *fx = fx_new();
	uint32_t first, second;
	uint64_t id;

	fx_begin(fx, TX_READ);
	first = tx_generation(fx->t);
	assert_int_not_equal(first, 0);
	fx_end(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_READ);
	assert_int_equal(tx_generation(fx->t), first);
	fx_end(fx);
	account_put(steal(fx->a));
	OK(dir_add(fx->s, STR("bob@example.org"), STR_NONE, &id, &fx->e));
	OK(account_get(fx->s, id, &fx->a, &fx->e));
	fx_begin(fx, TX_READ);
	second = tx_generation(fx->t);
	assert_int_not_equal(second, first);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sink_hears_one_change_a_commit_in_order),
		cmocka_unit_test(a_commit_without_a_change_tells_nothing),
		cmocka_unit_test(what_was_not_committed_did_not_happen),
		cmocka_unit_test(a_reader_keeps_its_snapshot_beside_a_writer),
		cmocka_unit_test(two_readers_and_a_writer_work_at_once),
		cmocka_unit_test(a_savepoint_undoes_one_of_several),
		cmocka_unit_test(
			a_group_of_deliveries_is_one_row_for_its_mailbox),
		cmocka_unit_test(
			a_state_told_inside_is_the_state_after_the_commit),
		cmocka_unit_test(generations_differ_and_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
