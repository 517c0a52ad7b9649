/*
 * Lives of the store as a worker's rings see them: what is asked again, what is
 * given up, and when.
 */
#include "test/unit/cmd/jmapd/rings.h"

/* ---- lives of the store ---------------------------------------------------- */

static void test_a_call_waits_for_the_first_store(void **state)
{
	struct world *t = *state;
	assert_false(t->b->ops->ready(t->b));
	ask(t, 0, CALL_F_WRITES, 9);
	turns(t);
	new_store(t);
	assert_true(t->b->ops->ready(t->b));
	assert_int_equal(t->stores, 1);
	take_subscribe(t); /* before any call */
	take_call(t, 9, CALL_F_WRITES);
}

static void test_what_did_not_begin_to_write_is_asked_again(void **state)
{
	struct world *t = *state;
	ask(t, 0, 0, 300);
	ask(t, 1, CALL_F_WRITES, 5);
	turns(t);
	uint64_t id = take_call(t, 300, 0);
	take_call(t, 5, CALL_F_WRITES);
	/* Half of an answer from the one that dies is forgotten. */
	struct msg_reply open = {.call = id, .len = 8, .status = 200};
	struct msg_chunk chunk = {.call = id};
	assert_true(tell(t, MSG_REPLY, &open, sizeof(open), STR_NONE));
	assert_true(
		tell(t, MSG_REPLY_BODY, &chunk, sizeof(chunk), STR("half")));
	turns(t);
	store_dies(t);
	assert_false(t->b->ops->ready(t->b));
	assert_int_equal(t->a[0].answers + t->a[1].answers, 0);
	new_store(t);
	take_subscribe(t);
	assert_int_equal(take_call(t, 300, CALL_F_RETRY), id);
	take_call(t, 5, CALL_F_WRITES | CALL_F_RETRY);
	reply(t, id, 200, STR("whole"));
	turns(t);
	expect_answer(t, 0, 200, STR("whole"));
}

/* A large body that was half sent is sent from its start, in a fresh window. */
static void test_a_half_sent_body_is_sent_again_whole(void **state)
{
	struct world *t = *state;
	union any_head h;
	bool ended;
	ask(t, 0, 0, BIG);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	store_dies(t);
	new_store(t);
	take_subscribe(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	uint64_t id = h.call.call;
	assert_int_equal(take_body(t, id, &ended), MSG_WINDOW);
	give_credit(t, id, BIG);
	turns(t);
	assert_int_equal(take_body(t, id, &ended), BIG - MSG_WINDOW);
	assert_true(ended);
}

static void test_what_had_begun_to_write_is_503(void **state)
{
	struct world *t = *state;
	ask(t, 0, CALL_F_WRITES, 1);
	turns(t);
	say_writing(t, take_call(t, 1, CALL_F_WRITES));
	turns(t);
	store_dies(t);
	expect_answer(t, 0, 503, STR_NONE);
	new_store(t);
	take_subscribe(t);
	expect_nothing(t);
}

static void test_a_streamed_call_is_503(void **state)
{
	struct world *t = *state;
	stream(t, 0);
	turns(t);
	store_dies(t);
	expect_answer(t, 0, 503, STR_NONE);
}

/* It was opened while no store was there: nothing of it is lost. */
static void test_a_stream_that_was_not_opened_lives_on(void **state)
{
	struct world *t = *state;
	union any_head h;
	bool ended;
	store_dies(t);
	stream(t, 0);
	assert_int_equal(t->b->ops->write(t->b, &t->a[0].call, "abc", 3), 3);
	t->b->ops->end(t->b, &t->a[0].call);
	turns(t);
	new_store(t);
	take_subscribe(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	assert_int_equal(take_body(t, h.call.call, &ended), 3);
	assert_true(ended);
}

/* What stood in the rings when it died was said by it. */
static void test_last_words_of_a_dead_store_count(void **state)
{
	struct world *t = *state;
	ask(t, 0, CALL_F_WRITES, 1);
	ask(t, 1, CALL_F_WRITES, 1);
	turns(t);
	uint64_t first = take_call(t, 1, CALL_F_WRITES);
	uint64_t second = take_call(t, 1, CALL_F_WRITES);
	say_writing(t, first);
	reply(t, first, 200, STR("done"));
	say_writing(t, second);
	notify(t, 5);
	link_close(&t->store); /* before the worker had a turn */
	t->linked = false;
	rings_unlink(t->rings);
	expect_answer(t, 0, 200, STR("done"));
	expect_answer(t, 1, 503, STR_NONE);
	assert_int_equal(t->notice.modseq, 5);
	/* Whoever made the change has it when told of it. */
	assert_true(str_eq(buf_str(&t->heard), STR("ana")));
}

/* A connection's read never overtakes its own earlier write, even when that was
 * asked of a store that died and the read while none was there. */
static void test_what_is_asked_again_keeps_its_place(void **state)
{
	struct world *t = *state;
	ask(t, 0, CALL_F_WRITES, 1);
	turns(t);
	take_call(t, 1, CALL_F_WRITES);
	store_dies(t);
	ask(t, 1, 0, 2);
	turns(t);
	new_store(t);
	take_subscribe(t);
	take_call(t, 1, CALL_F_WRITES | CALL_F_RETRY);
	take_call(t, 2, 0);
}

static void test_nothing_is_said_to_a_store_of_what_the_last_knew(void **state)
{
	struct world *t = *state;
	ask(t, 0, 0, 1);
	turns(t);
	take_call(t, 1, 0);
	store_dies(t);
	call_cancel(t->b, &t->a[0].call);
	t->b->ops->seen(t->b, 1);
	t->b->ops->unwatch(t->b, 8);
	new_store(t);
	take_subscribe(t);
	expect_nothing(t);
}

static void test_every_store_is_subscribed_to(void **state)
{
	struct world *t = *state;
	for (unsigned i = 0; i < 20; i++) {
		store_dies(t);
		new_store(t);
		take_subscribe(t);
		expect_nothing(t);
	}
	assert_int_equal(t->stores, 21);
}

/* Giving up walks a list that the answers change: one of each pair is answered. */
static void test_answers_of_a_death_may_cancel_others(void **state)
{
	struct world *t = *state;
	for (unsigned i = 0; i < 4; i++) {
		ask(t, i, CALL_F_WRITES, 1);
		t->a[i].cancels = &t->a[i ^ 1];
	}
	turns(t);
	for (unsigned i = 0; i < 4; i++)
		say_writing(t, take_call(t, 1, CALL_F_WRITES));
	turns(t);
	store_dies(t);
	assert_int_equal(t->a[0].answers + t->a[1].answers, 1);
	assert_int_equal(t->a[2].answers + t->a[3].answers, 1);
}

static void test_an_answer_of_a_death_may_ask_anew(void **state)
{
	struct world *t = *state;
	t->a[0].asks = &t->a[1];
	ask(t, 0, CALL_F_WRITES, 1);
	turns(t);
	say_writing(t, take_call(t, 1, CALL_F_WRITES));
	store_dies(t);
	expect_answer(t, 0, 503, STR_NONE);
	assert_int_equal(t->a[1].answers, 0);
	new_store(t);
	take_subscribe(t);
	reply(t, take_call(t, 3, 0), 200, STR_NONE);
	turns(t);
	expect_answer(t, 1, 200, STR_NONE);
}

/* ---- patience -------------------------------------------------------------- */

static void test_without_a_store_calls_end_503_when_patience_does(void **state)
{
	struct world *t = *state;
	store_dies(t);
	t->a[0].cancels = &t->a[1];
	ask(t, 0, 0, 1);
	ask(t, 1, 0, 1);
	ask(t, 2, CALL_F_WRITES, 1);
	skipped_s += RINGS_PATIENCE_MS / 1000 - 5;
	turns(t);
	assert_int_equal(t->a[0].answers, 0);
	skipped_s += 10;
	turns(t);
	expect_answer(t, 0, 503, STR_NONE);
	assert_int_equal(t->a[1].answers, 0); /* cancelled */
	expect_answer(t, 2, 503, STR_NONE);
	ask(t, 3, 0, 1); /* the next ones are given their time too */
	turns(t);
	assert_int_equal(t->a[3].answers, 0);
	skipped_s += RINGS_PATIENCE_MS / 1000 + 1;
	turns(t);
	expect_answer(t, 3, 503, STR_NONE);
}

static void test_with_a_store_patience_does_not_end(void **state)
{
	struct world *t = *state;
	ask(t, 0, 0, 1);
	turns(t);
	skipped_s += 10 * RINGS_PATIENCE_MS / 1000;
	turns(t);
	assert_int_equal(t->a[0].answers, 0);
	reply(t, take_call(t, 1, 0), 200, STR_NONE);
	turns(t);
	expect_answer(t, 0, 200, STR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(test_a_call_waits_for_the_first_store),
		T(test_what_did_not_begin_to_write_is_asked_again),
		T(test_a_half_sent_body_is_sent_again_whole),
		T(test_what_had_begun_to_write_is_503),
		T(test_a_streamed_call_is_503),
		T(test_a_stream_that_was_not_opened_lives_on),
		T(test_last_words_of_a_dead_store_count),
		T(test_what_is_asked_again_keeps_its_place),
		T(test_nothing_is_said_to_a_store_of_what_the_last_knew),
		T(test_every_store_is_subscribed_to),
		T(test_answers_of_a_death_may_cancel_others),
		T(test_an_answer_of_a_death_may_ask_anew),
		T(test_without_a_store_calls_end_503_when_patience_does),
		T(test_with_a_store_patience_does_not_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
