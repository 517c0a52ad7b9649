/* The text index: what is found, in which field, and in which batch. */
#include "test/unit/core/store/text.h"

/* ---- searching ------------------------------------------------------------ */

static void each_field_is_searched_by_itself(void **state)
{
	static const struct {
		unsigned field;
		const char *word;
	} own[] = {{TEXT_FROM, "fromm"}, {TEXT_TO, "tom"}, {TEXT_CC, "cecil"},
		{TEXT_BCC, "bert"}, {TEXT_SUBJECT, "subject"},
		{TEXT_BODY, "jumps"}};
	struct fx *fx = with_two();

	for (size_t i = 0; i < countof(own); i++) {
		assert_hits(fx, TEXT_ALL, own[i].word, "1");
		assert_hits(fx, TEXT_ALL & ~own[i].field, own[i].word, "");
		for (size_t k = 0; k < countof(own); k++)
			assert_hits(fx, own[k].field, own[i].word,
				i == k ? "1" : "");
	}
	assert_hits(fx, TEXT_SUBJECT | TEXT_BODY, "fox", "1 2");
	assert_hits(fx, TEXT_SUBJECT, "fox", "2");
	fx_free(fx);
}

static void all_words_must_be_there(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "fox dog", "1 2");
	assert_hits(fx, TEXT_ALL, "dog lazy fox", "1");
	assert_hits(fx, TEXT_ALL, "fox missing", "");
	/* Each in any of the fields. */
	assert_hits(fx, TEXT_ALL, "tom lazy", "1");
	assert_hits(fx, TEXT_TO | TEXT_CC, "tom lazy", "");
	fx_free(fx);
}

static void a_phrase_stands_as_it_is(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "\"brown fox\"", "1");
	assert_hits(fx, TEXT_ALL, "'fox brown'", "");
	assert_hits(fx, TEXT_ALL, "'brown jumps'", "");
	assert_hits(fx, TEXT_ALL, "\"fox, QUICK\"", "2");
	assert_hits(fx, TEXT_ALL, "\"quick subject\" dog", "1");
	/* Not from one field into the next. */
	assert_hits(fx, TEXT_ALL, "'subject the'", "");
	fx_free(fx);
}

static void a_word_is_a_whole_word(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "jump", "");
	assert_hits(fx, TEXT_ALL, "jum*", "1");
	assert_hits(fx, TEXT_ALL, "qui* sub*", "1");
	assert_hits(fx, TEXT_ALL, "j*", "");
	fx_free(fx);
}

static void addresses_and_their_pieces_are_found(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_FROM, "juergen@sender.example", "1");
	assert_hits(fx, TEXT_FROM, "Juergen", "1");
	assert_hits(fx, TEXT_FROM, "sender.example", "1 2");
	assert_hits(fx, TEXT_FROM, "example", "1 2");
	assert_hits(fx, TEXT_FROM, "example.sender", "");
	assert_hits(fx, TEXT_FROM, "<dog@sender.example>", "2");
	fx_free(fx);
}

static void case_and_accents_make_no_difference(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "jurgen", "1");
	assert_hits(fx, TEXT_ALL, "JÜRGEN", "1");
	assert_hits(fx, TEXT_ALL, "ju\xcc\x88rgen", "1");
	assert_hits(fx, TEXT_ALL, "SUBJECT", "1");
	fx_free(fx);
}

static void chinese_and_japanese_are_found_inside_a_sentence(void **state)
{
	struct fx *fx = fx_new();

	add_now(fx, "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "\r\n私は東京都に住んでいます。\r\n");
	add_now(fx, "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
		    "\r\n京都と東の国\r\n");
	catch_up(fx);
	assert_hits(fx, TEXT_BODY, "東京", "1");
	assert_hits(fx, TEXT_BODY, "東京都", "1");
	assert_hits(fx, TEXT_BODY, "京都", "1 2");
	assert_hits(fx, TEXT_BODY, "東", "1 2");
	assert_hits(fx, TEXT_BODY, "国", "2");
	assert_hits(fx, TEXT_BODY, "東都", "");
	assert_hits(fx, TEXT_BODY, "住んで 東京", "1");
	fx_free(fx);
}

static void a_query_without_a_word_matches_nothing(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "", "");
	assert_hits(fx, TEXT_ALL, " \" ... \" *", "");
	assert_hits(fx, TEXT_BODY, "\"", "");
	fx_free(fx);
}

static void syntax_of_the_index_is_plain_text(void **state)
{
	struct fx *fx = with_two();

	assert_hits(fx, TEXT_ALL, "fox OR nothing", "");
	assert_hits(fx, TEXT_ALL, "fox NOT dog", "");
	assert_hits(fx, TEXT_ALL, "subject:fox", "");
	assert_hits(fx, TEXT_ALL, "fox\") OR (\"dog", "");
	assert_hits(fx, TEXT_ALL, "{sender}", "1 2");
	assert_hits(fx, TEXT_ALL, "^fox", "1 2");
	assert_hits(fx, TEXT_ALL, "NEAR(fox", "");
	fx_free(fx);
}

static void a_message_that_is_a_file_is_searched(void **state)
{
	struct fx *fx = fx_new();
	struct buf raw cleanup(buf_fini) = {0};

	buf_addz(&raw, "Subject: large\r\n\r\n");
	while (raw.n < 3 * BODY_ROW_MAX)
		buf_addz(&raw, "filling words\r\n");
	buf_addz(&raw, "needle\r\n");
	fx_begin(fx, TX_WRITE);
	add_raw(fx, buf_str(&raw));
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_BODY, "needle", "1");
	destroy_now(fx, 1);
	assert_hits(fx, TEXT_ALL, "large", "");
	assert_sound(fx);
	fx_free(fx);
}

/* ---- keeping up ----------------------------------------------------------- */

static void a_delivery_does_not_write_the_index(void **state)
{
	struct fx *fx = fx_new();

	assert_int_equal(behind(fx), 0);
	pthread_mutex_lock(&fx->a->indexing); /* no housekeeper now */
	add_now(fx, mail_1);
	assert_int_equal(behind(fx), 1);
	assert_hits(fx, TEXT_ALL, "fox", "");
	assert_int_equal(number(fx, "SELECT upto FROM words_done"), 0);
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1");
	assert_int_equal(number(fx, "SELECT upto FROM words_done"), 1);
	fx_free(fx);
}

/* More than one batch, by number and by bytes. */
static void many_emails_are_indexed_in_batches(void **state)
{
	struct fx *fx = fx_new();
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_WRITE);
	for (int i = 1; i <= 700; i++) {
		char raw[64];

		snprintf(raw, sizeof(raw), "Subject: x\r\n\r\nall n%d\r\n", i);
		assert_int_equal(add(fx, raw), i);
	}
	fx_commit(fx);
	catch_up(fx);
	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, TEXT_ALL, STR("all"), &fx->arena, &ids, &n, &fx->e));
	fx_end(fx);
	assert_int_equal(n, 700);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ids[i], i + 1);
	assert_hits(fx, TEXT_BODY, "n1", "1");
	assert_hits(fx, TEXT_BODY, "n256", "256");
	assert_hits(fx, TEXT_BODY, "n257", "257");
	assert_hits(fx, TEXT_BODY, "n700", "700");
	assert_sound(fx);
	fx_free(fx);
}

static void large_emails_are_indexed_in_batches(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 1; i <= 20; i++) {
		struct buf raw cleanup(buf_fini) = {0};

		buf_fmt(&raw, "Subject: s%d\r\n\r\n", i);
		while (raw.n < BODY_ROW_MAX - 10)
			buf_addz(&raw, "lorem ");
		add_raw(fx, buf_str(&raw));
	}
	fx_commit(fx);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "s1", "1");
	assert_hits(fx, TEXT_ALL, "lorem s20", "20");
	fx_free(fx);
}

static void emails_that_have_gone_are_no_gap(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 5; i++)
		add(fx, mail_1);
	OK(email_destroy(fx->t, 2, &fx->e));
	OK(email_destroy(fx->t, 5, &fx->e));
	fx_commit(fx);
	assert_int_equal(behind(fx), 1);
	catch_up(fx);
	assert_int_equal(behind(fx), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1 3 4");
	assert_int_equal(add_now(fx, mail_1), 6);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1 3 4 6");
	fx_free(fx);
}

static void a_destroyed_email_is_not_found(void **state)
{
	struct fx *fx = with_two();

	destroy_now(fx, 1);
	assert_hits(fx, TEXT_ALL, "fox", "2");
	assert_hits(fx, TEXT_ALL, "lazy", "");
	destroy_now(fx, 2);
	assert_hits(fx, TEXT_ALL, "fox", "");
	assert_sound(fx);
	/* Once segments are merged, nothing of it is left in the index. */
	run_sql(fx, "INSERT INTO words (words) VALUES ('optimize')");
	assert_int_equal(number(fx, "SELECT count(*) FROM words_idx"), 0);
	fx_free(fx);
}

/* Blocks of the index that have these bytes. */
#define WITH_NEEDLE                       \
	"SELECT count(*) FROM words_data" \
	" WHERE instr(block, CAST('qxneedle' AS BLOB)) > 0"

static void merge_all(struct fx *fx)
{
	int ret;

	while ((ret = text_merge(fx->a, &fx->e)) > 0)
		;
	assert_int_equal(ret, 0);
}

static void words_of_what_is_destroyed_leave_the_file(void **state)
{
	struct fx *fx = with_two();
	uint64_t id = add_now(fx, "Subject: x\r\n\r\nzqxneedle fox\r\n");

	catch_up(fx);
	assert_int_equal(number(fx, WITH_NEEDLE), 1);
	destroy_now(fx, id);
	assert_true(number(fx, WITH_NEEDLE) >= 1);
	merge_all(fx);
	assert_int_equal(number(fx, WITH_NEEDLE), 0);
	assert_int_equal(
		number(fx, "SELECT dead + merging FROM words_done"), 0);
	assert_hits(fx, TEXT_ALL, "fox", "1 2");
	assert_sound(fx);
	fx_free(fx);
}

/* Enough for many pieces, with changes between them. */
static void a_merge_goes_on_beside_everything_else(void **state)
{
	struct fx *fx = fx_new();
	uint32_t seed = 1;
	int pieces = 0, ret;

	pthread_mutex_lock(&fx->a->indexing); /* no housekeeper now */
	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 60; i++) {
		struct buf raw cleanup(buf_fini) = {0};

		buf_addz(&raw, "Subject: x\r\n\r\nall ");
		for (int k = 0; k < 4000; k++) {
			seed = seed * 1664525 + 1013904223;
			buf_fmt(&raw, "w%u ", seed >> 8);
		}
		add_raw(fx, buf_str(&raw));
	}
	fx_commit(fx);
	pthread_mutex_unlock(&fx->a->indexing);
	catch_up(fx);
	pthread_mutex_lock(&fx->a->indexing);
	for (uint64_t id = 1; id <= 4; id++)
		destroy_now(fx, id);
	while ((ret = text_merge(fx->a, &fx->e)) > 0) {
		destroy_now(fx, (uint64_t)++pieces + 4);
		add_now(fx, mail_1);
		check(pieces < 50);
	}
	assert_int_equal(ret, 0);
	assert_true(pieces > 3);
	pthread_mutex_unlock(&fx->a->indexing);
	merge_all(fx);
	catch_up(fx);
	assert_int_equal(number(fx, "SELECT count(*) FROM words"
				    " WHERE words MATCH 'all'"),
		60 - 4 - pieces);
	assert_sound(fx);
	fx_free(fx);
}

static void few_that_are_destroyed_are_not_worth_a_merge(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	for (int i = 0; i < 100; i++)
		add(fx, mail_1);
	fx_commit(fx);
	catch_up(fx);
	for (uint64_t id = 1; id <= 5; id++)
		destroy_now(fx, id);
	merge_all(fx);
	assert_int_equal(number(fx, "SELECT dead FROM words_done"), 5);
	destroy_now(fx, 6);
	merge_all(fx);
	assert_int_equal(number(fx, "SELECT dead FROM words_done"), 0);
	fx_free(fx);
}

static void a_destroy_that_is_undone_leaves_the_index(void **state)
{
	struct fx *fx = with_two();

	fx_begin(fx, TX_WRITE);
	OK(tx_savepoint(fx->t, &fx->e));
	OK(email_destroy(fx->t, 1, &fx->e));
	tx_rollback_to(fx->t);
	fx_commit(fx);
	assert_hits(fx, TEXT_ALL, "lazy", "1");
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, 1, &fx->e));
	fx_end(fx);
	assert_hits(fx, TEXT_ALL, "lazy", "1");
	assert_sound(fx);
	fx_free(fx);
}

static void an_older_snapshot_still_finds_what_it_has(void **state)
{
	struct fx *fx = with_two();
	const uint64_t *ids;
	struct tx *t;
	size_t n;

	OK(tx_begin(fx->a, TX_READ, &t, &fx->e));
	destroy_now(fx, 1);
	OK(text_search(t, TEXT_ALL, STR("lazy"), &fx->arena, &ids, &n, &fx->e));
	assert_int_equal(n, 1);
	tx_end(t);
	fx_free(fx);
}

/* As threads do that merge: the old id is forgotten, its rows get a new one. */
static void an_email_that_changes_its_id_is_found_by_the_new_one(void **state)
{
	struct fx *fx = with_two();

	fx_begin(fx, TX_WRITE);
	OK(text_forget(fx->t, 1, &fx->e));
	OK(db_exec(fx->t->db,
		"UPDATE email SET id = 3 WHERE id = 1;"
		"UPDATE body SET id = 3 WHERE id = 1;"
		"UPDATE blob SET email = 3 WHERE email = 1",
		&fx->e));
	fx->t->meta.next_email = 4;
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "2 3");
	fx_free(fx);
}

static void what_is_not_indexed_yet_can_be_forgotten(void **state)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	OK(text_forget(fx->t, add(fx, mail_1), &fx->e));
	OK(text_forget(fx->t, 4711, &fx->e));
	fx_commit(fx);
	catch_up(fx);
	assert_hits(fx, TEXT_ALL, "fox", "1");
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_searched_by_itself),
		cmocka_unit_test(all_words_must_be_there),
		cmocka_unit_test(a_phrase_stands_as_it_is),
		cmocka_unit_test(a_word_is_a_whole_word),
		cmocka_unit_test(addresses_and_their_pieces_are_found),
		cmocka_unit_test(case_and_accents_make_no_difference),
		cmocka_unit_test(
			chinese_and_japanese_are_found_inside_a_sentence),
		cmocka_unit_test(a_query_without_a_word_matches_nothing),
		cmocka_unit_test(syntax_of_the_index_is_plain_text),
		cmocka_unit_test(a_message_that_is_a_file_is_searched),
		cmocka_unit_test(a_delivery_does_not_write_the_index),
		cmocka_unit_test(many_emails_are_indexed_in_batches),
		cmocka_unit_test(large_emails_are_indexed_in_batches),
		cmocka_unit_test(emails_that_have_gone_are_no_gap),
		cmocka_unit_test(a_destroyed_email_is_not_found),
		cmocka_unit_test(words_of_what_is_destroyed_leave_the_file),
		cmocka_unit_test(a_merge_goes_on_beside_everything_else),
		cmocka_unit_test(few_that_are_destroyed_are_not_worth_a_merge),
		cmocka_unit_test(a_destroy_that_is_undone_leaves_the_index),
		cmocka_unit_test(an_older_snapshot_still_finds_what_it_has),
		cmocka_unit_test(
			an_email_that_changes_its_id_is_found_by_the_new_one),
		cmocka_unit_test(what_is_not_indexed_yet_can_be_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
