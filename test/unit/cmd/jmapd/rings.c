/*
 * Calls, their windows, a full ring, notices: the worker's end of the rings while
 * one store lives.
 */
#include "test/unit/cmd/jmapd/rings.h"

/* ---- calls ----------------------------------------------------------------- */

static void test_a_call_is_sent_whole_and_answered_once(void **state)
{
	struct world *t = *state;
	ask(t, 0, CALL_F_WRITES, 100);
	assert_int_equal(t->a[0].answers, 0); /* never from inside submit */
	turns(t);
	uint64_t id = take_call(t, 100, CALL_F_WRITES);
	expect_nothing(t);
	assert_int_equal(rings_load(t->rings), 1);
	reply(t, id, 200, STR("fine"));
	turns(t);
	expect_answer(t, 0, 200, STR("fine"));
	assert_int_equal(rings_load(t->rings), 0);
	reply(t, id, 200, STR("again")); /* nobody knows that number now */
	turns(t);
	expect_answer(t, 0, 200, STR("fine"));
}

static void test_numbers_are_never_used_again(void **state)
{
	struct world *t = *state;
	uint64_t last = 0;
	for (int i = 0; i < 5; i++) {
		t->a[0].answers = 0;
		ask(t, 0, 0, 0);
		turns(t);
		uint64_t id = take_call(t, 0, 0);
		assert_true(id > last);
		last = id;
		reply(t, id, 200, STR_NONE);
		turns(t);
		assert_int_equal(t->a[0].answers, 1);
	}
}

static void test_answers_come_in_any_order(void **state)
{
	struct world *t = *state;
	ask(t, 0, 0, 1);
	ask(t, 1, 0, 2);
	turns(t);
	uint64_t first = take_call(t, 1, 0), second = take_call(t, 2, 0);
	reply(t, second, 200, STR("second"));
	turns(t);
	expect_answer(t, 1, 200, STR("second"));
	assert_int_equal(t->a[0].answers, 0);
	reply(t, first, 404, STR("first"));
	turns(t);
	expect_answer(t, 0, 404, STR("first"));
}

/* The store answered before it had the whole body (413). */
static void test_an_answer_may_come_before_the_body_is_sent(void **state)
{
	struct world *t = *state;
	union any_head h;
	ask(t, 0, 0, BIG);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	reply(t, h.call.call, 413, STR_NONE);
	turns(t);
	expect_answer(t, 0, 413, STR_NONE);
	ask(t, 1, 0, 3);
	turns(t);
	while (next(t, &h, sizeof(h), NULL) == MSG_CALL_BODY)
		;
	assert_int_equal(h.call.body_len, 3);
}

/* ---- windows --------------------------------------------------------------- */

static void test_a_body_stays_within_its_window(void **state)
{
	struct world *t = *state;
	union any_head h;
	bool ended;
	ask(t, 0, 0, BIG);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	uint64_t id = h.call.call;
	assert_int_equal(take_body(t, id, &ended), MSG_WINDOW);
	turns(t);
	assert_int_equal(take_body(t, id, &ended), 0);
	give_credit(t, id, 1000);
	turns(t);
	assert_int_equal(take_body(t, id, &ended), 1000);
	assert_false(ended);
	give_credit(t, id, BIG);
	turns(t);
	assert_int_equal(take_body(t, id, &ended), BIG - MSG_WINDOW - 1000);
	assert_true(ended);
}

static void test_a_large_body_does_not_hold_up_a_small_call(void **state)
{
	struct world *t = *state;
	union any_head h;
	bool ended;
	ask(t, 0, 0, BIG);
	ask(t, 1, 0, 5);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	uint64_t id = h.call.call;
	for (size_t n = 0; n < MSG_WINDOW; n += MSG_CHUNK)
		assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL_BODY);
	take_call(t, 5, 0);
	give_credit(t, id, BIG);
	turns(t);
	take_body(t, id, &ended);
}

static void test_a_stream_takes_a_window_and_offers_room(void **state)
{
	struct world *t = *state;
	static char bytes[BIG];
	union any_head h;
	bool ended;
	stream(t, 0);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL);
	assert_true(h.call.body_len == UINT64_MAX);
	uint64_t id = h.call.call;
	size_t sent = 0, got = 0;
	while (sent < BIG) {
		size_t n = t->b->ops->write(
			t->b, &t->a[0].call, bytes, BIG - sent);
		sent += n;
		turns(t);
		/* One window on its way, one more held here at most. */
		size_t now = take_body(t, id, &ended);
		got += now;
		assert_true(sent - got <= MSG_WINDOW);
		assert_false(ended);
		if (sent < BIG) {
			unsigned rooms = t->a[0].rooms;
			give_credit(t, id, now);
			turns(t);
			got += take_body(t, id, &ended);
			if (n == 0)
				assert_true(t->a[0].rooms > rooms || now);
		}
	}
	assert_true(t->a[0].rooms > 0);
	give_credit(t, id, BIG);
	t->b->ops->end(t->b, &t->a[0].call);
	turns(t);
	got += take_body(t, id, &ended);
	assert_true(ended);
	assert_int_equal(got, BIG);
	reply(t, id, 200, STR_NONE);
	turns(t);
	expect_answer(t, 0, 200, STR_NONE);
}

static void test_a_large_answer_is_credited_as_it_comes(void **state)
{
	struct world *t = *state;
	static char bytes[MSG_CHUNK];
	union any_head h;
	size_t credited = 0;
	ask(t, 0, 0, 1);
	turns(t);
	uint64_t id = take_call(t, 1, 0);
	struct msg_reply open = {.call = id, .len = BIG, .status = 200};
	struct msg_chunk chunk = {.call = id};
	assert_true(tell(t, MSG_REPLY, &open, sizeof(open), STR_NONE));
	for (size_t n = 0; n < BIG; n += MSG_CHUNK) {
		assert_true(n - credited <= MSG_WINDOW);
		assert_true(tell(t, MSG_REPLY_BODY, &chunk, sizeof(chunk),
			str_n(bytes, MSG_CHUNK)));
		turns(t);
		while (next(t, &h, sizeof(h), NULL)) {
			assert_int_equal(h.credit.call, id);
			credited += h.credit.bytes;
		}
	}
	assert_int_equal(t->a[0].answers, 0);
	assert_true(tell(t, MSG_REPLY_END, &chunk, sizeof(chunk), STR_NONE));
	turns(t);
	assert_int_equal(t->a[0].answers, 1);
	assert_int_equal(t->a[0].got.n, BIG);
}

/* ---- a full call ring ------------------------------------------------------ */

/* Bodies of streams fill it: eight windows are twice the ring. */
static void fill(struct world *t, unsigned n)
{
	static char bytes[MSG_WINDOW];
	for (unsigned i = 0; i < n; i++) {
		stream(t, i);
		assert_int_equal(t->b->ops->write(t->b, &t->a[i].call, bytes,
					 MSG_WINDOW),
			MSG_WINDOW);
	}
	turns(t);
}

static void test_a_full_ring_delays_and_loses_nothing(void **state)
{
	struct world *t = *state;
	union any_head h;
	size_t got = 0;
	unsigned calls = 0, type, order[CALLS] = {0};
	fill(t, CALLS);
	for (unsigned round = 0; round < 40; round++) {
		struct buf rest cleanup(buf_fini) = {0};
		while ((type = next(t, &h, sizeof(h), &rest))) {
			if (type == MSG_CALL)
				order[calls++] = (unsigned)h.call.call;
			else
				got += rest.n;
			buf_reset(&rest);
		}
		turns(t);
	}
	assert_int_equal(calls, CALLS);
	for (unsigned i = 1; i < CALLS; i++)
		assert_true(order[i] > order[i - 1]);
	assert_int_equal(got, CALLS * (size_t)MSG_WINDOW);
}

static void test_small_records_wait_in_order_when_full(void **state)
{
	struct world *t = *state;
	union any_head h;
	struct login who = {.account = 9};
	unsigned type, at = 0;
	fill(t, 6);
	t->b->ops->watch(t->b, &who);
	t->b->ops->seen(t->b, 4711);
	t->b->ops->unwatch(t->b, 9);
	turns(t);
	for (unsigned round = 0; round < 40; round++) {
		while ((type = next(t, &h, sizeof(h), NULL))) {
			if (type == MSG_SUBSCRIBE)
				assert_int_equal(at++, 0);
			if (type == MSG_CALL_SEEN) {
				assert_int_equal(h.chunk.call, 4711);
				assert_int_equal(at++, 1);
			}
			if (type == MSG_UNSUBSCRIBE)
				assert_int_equal(at++, 2);
		}
		turns(t);
	}
	assert_int_equal(at, 3);
}

/* ---- cancel ---------------------------------------------------------------- */

static void test_a_cancelled_call_is_never_answered(void **state)
{
	struct world *t = *state;
	union any_head h;
	ask(t, 0, 0, 1);
	turns(t);
	uint64_t id = take_call(t, 1, 0);
	call_cancel(t->b, &t->a[0].call);
	assert_int_equal(t->a[0].call.id, 0);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL_CANCEL);
	assert_int_equal(h.chunk.call, id);
	reply(t, id, 200, STR_NONE);
	turns(t);
	assert_int_equal(t->a[0].answers, 0);
}

static void test_a_call_that_was_not_sent_is_cancelled_silently(void **state)
{
	struct world *t = *state;
	ask(t, 0, 0, 1);
	turns(t);
	call_cancel(t->b, &t->a[0].call);
	new_store(t);
	take_subscribe(t);
	expect_nothing(t);
}

static void test_an_answer_may_cancel_another_call(void **state)
{
	struct world *t = *state;
	t->a[0].cancels = &t->a[1];
	ask(t, 0, 0, 1);
	ask(t, 1, 0, 1);
	turns(t);
	uint64_t first = take_call(t, 1, 0), second = take_call(t, 1, 0);
	reply(t, first, 200, STR_NONE); /* both are there in one turn */
	reply(t, second, 200, STR_NONE);
	turns(t);
	assert_int_equal(t->a[0].answers, 1);
	assert_int_equal(t->a[1].answers, 0);
}

/* ---- notices and directives ------------------------------------------------ */

static void test_answers_come_before_notices(void **state)
{
	struct world *t = *state;
	ask(t, 0, CALL_F_WRITES, 1);
	turns(t);
	uint64_t id = take_call(t, 1, CALL_F_WRITES);
	notify(t, 6); /* written first, as after a commit */
	reply(t, id, 200, STR_NONE);
	turns(t);
	assert_true(str_eq(buf_str(&t->heard), STR("an")));
}

static void test_a_full_change_ring_is_read_and_the_store_rung(void **state)
{
	struct world *t = *state;
	struct notice n = {.account = 7, .types = 1, .kind = NOTICE_CHANGE};
	int ret;
	while ((ret = notice_put(&t->store.notices, &n)) == 1)
		n.modseq++;
	assert_int_equal(ret, 0);
	assert_int_equal(n.modseq, LINK_NOTICES);
	doorbell_arm(&t->store.store_bell);
	doorbell_ring(&t->store.worker_bell);
	turns(t);
	assert_int_equal(t->heard.n, LINK_NOTICES);
	assert_int_equal(t->notice.modseq, LINK_NOTICES - 1);
	char rung[2];
	assert_int_equal(read(t->store.store_bell.fd, rung, sizeof(rung)), 1);
	notify(t, 9999);
	turns(t);
	assert_int_equal(t->notice.modseq, 9999);
}

static void test_a_revocation_is_passed_on(void **state)
{
	struct world *t = *state;
	struct msg_revoke m = {.account = 77, .version = 3};
	assert_true(tell(t, MSG_REVOKE, &m, sizeof(m), STR_NONE));
	turns(t);
	assert_int_equal(t->revoked, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_call_is_sent_whole_and_answered_once),
		T(test_numbers_are_never_used_again),
		T(test_answers_come_in_any_order),
		T(test_an_answer_may_come_before_the_body_is_sent),
		T(test_a_body_stays_within_its_window),
		T(test_a_large_body_does_not_hold_up_a_small_call),
		T(test_a_stream_takes_a_window_and_offers_room),
		T(test_a_large_answer_is_credited_as_it_comes),
		T(test_a_full_ring_delays_and_loses_nothing),
		T(test_small_records_wait_in_order_when_full),
		T(test_a_cancelled_call_is_never_answered),
		BARE(test_a_call_that_was_not_sent_is_cancelled_silently),
		T(test_an_answer_may_cancel_another_call),
		T(test_answers_come_before_notices),
		T(test_a_full_change_ring_is_read_and_the_store_rung),
		T(test_a_revocation_is_passed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
