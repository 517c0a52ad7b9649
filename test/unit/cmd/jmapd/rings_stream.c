/*
 * Answers that stream: head, bytes within the window, and an end that shows when
 * they are not whole.
 */
#include "test/unit/cmd/jmapd/rings.h"

struct reader {
	struct call call;
	struct world *t;
	struct call_found found;
	unsigned heads, head_status, answers, status;
	bool cancels_head, cancels_data;
	struct buf got;
};

static void on_stream_head(
	struct call *c, unsigned status, const struct call_found *f)
{
	struct reader *a = container_of(c, struct reader, call);
	assert_int_equal(a->answers, 0);
	a->heads++;
	a->head_status = status;
	a->found = *f;
	if (a->cancels_head)
		call_cancel(a->t->b, c);
}

static void on_stream_data(struct call *c, struct str bytes)
{
	struct reader *a = container_of(c, struct reader, call);
	assert_int_equal(a->heads, 1);
	buf_adds(&a->got, bytes);
	if (a->cancels_data)
		call_cancel(a->t->b, c);
}

static void on_stream_answer(struct call *c, unsigned status, struct str body)
{
	struct reader *a = container_of(c, struct reader, call);
	a->answers++;
	a->status = status;
	if (a->heads)
		assert_int_equal(body.n, 0);
}

static struct reader reader_of(struct world *t)
{
	return (struct reader){
		.t = t,
		.call = {.on_answer = on_stream_answer,
			.on_head = on_stream_head,
			.on_data = on_stream_data},
	};
}

/* Asks; the number of its call. */
static uint64_t begin(struct world *t, struct reader *a)
{
	struct call_open o = {.kind = CALL_DOWNLOAD, .head = STR("head")};
	struct buf none = {0};
	call_submit(t->b, &a->call, &o, &none);
	turns(t);
	return take_call(t, 0, 0);
}

static void say_head(
	struct world *t, uint64_t id, unsigned status, uint64_t length)
{
	struct msg_reply m = {.call = id, .len = length, .status = status};
	struct call_found f = {.first = 3, .length = length, .total = 99};
	assert_true(tell(t, MSG_REPLY, &m, sizeof(m), str_n(&f, sizeof(f))));
}

static void say_data(struct world *t, uint64_t id, size_t n)
{
	static char bytes[MSG_CHUNK];
	struct msg_chunk m = {.call = id};
	memset(bytes, 'x', sizeof(bytes));
	assert_true(tell(t, MSG_REPLY_BODY, &m, sizeof(m), str_n(bytes, n)));
}

static void say_end(struct world *t, uint64_t id)
{
	struct msg_chunk m = {.call = id};
	assert_true(tell(t, MSG_REPLY_END, &m, sizeof(m), STR_NONE));
	turns(t);
}

static void test_an_answer_streams(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	say_head(t, id, 206, 30);
	turns(t);
	assert_int_equal(a.heads, 1);
	assert_int_equal(a.head_status, 206);
	assert_int_equal(a.found.first, 3);
	assert_int_equal(a.found.length, 30);
	assert_int_equal(a.found.total, 99);
	say_data(t, id, 10);
	say_data(t, id, 20);
	turns(t);
	assert_int_equal(a.got.n, 30);
	assert_int_equal(a.answers, 0);
	say_end(t, id);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.status, 206);
	assert_int_equal(rings_load(t->rings), 0);
	buf_fini(&a.got);
}

static void test_what_is_not_taken_is_not_credited(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	union any_head h;
	uint64_t id = begin(t, &a);
	say_head(t, id, 200, MSG_WINDOW);
	for (size_t n = 0; n < MSG_WINDOW; n += MSG_CHUNK)
		say_data(t, id, MSG_CHUNK);
	turns(t);
	assert_int_equal(a.got.n, MSG_WINDOW);
	expect_nothing(t);
	t->b->ops->took(t->b, &a.call, MSG_WINDOW / 4 - 1);
	turns(t);
	expect_nothing(t); /* not for every few bytes */
	t->b->ops->took(t->b, &a.call, MSG_WINDOW / 2);
	turns(t);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_REPLY_CREDIT);
	assert_int_equal(h.credit.call, id);
	assert_int_equal(h.credit.bytes, MSG_WINDOW / 4 - 1 + MSG_WINDOW / 2);
	expect_nothing(t);
	say_end(t, id);
	assert_int_equal(a.status, 200);
	buf_fini(&a.got);
}

static void test_a_stream_that_ends_early_is_503(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	say_head(t, id, 200, 30);
	say_data(t, id, 29);
	say_end(t, id);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.status, 503);
	buf_fini(&a.got);
}

static void test_a_refusal_is_an_answer_without_head(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	reply(t, id, 404, STR_NONE);
	turns(t);
	assert_int_equal(a.heads, 0);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.status, 404);
}

static void test_a_head_without_bytes_is_whole(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	say_head(t, id, 416, 0);
	say_end(t, id);
	assert_int_equal(a.head_status, 416);
	assert_int_equal(a.status, 416);
}

static void test_a_stream_that_began_is_not_asked_again(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	say_head(t, id, 200, 30);
	say_data(t, id, 10);
	turns(t);
	store_dies(t);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.status, 503);
	new_store(t);
	take_subscribe(t);
	expect_nothing(t);
	buf_fini(&a.got);
}

static void test_one_that_did_not_begin_is_asked_again(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t);
	uint64_t id = begin(t, &a);
	store_dies(t);
	assert_int_equal(a.answers, 0);
	new_store(t);
	take_subscribe(t);
	assert_int_equal(take_call(t, 0, CALL_F_RETRY), id);
	say_head(t, id, 200, 5);
	say_data(t, id, 5);
	say_end(t, id);
	assert_int_equal(a.heads, 1);
	assert_int_equal(a.status, 200);
	buf_fini(&a.got);
}

static void test_it_may_be_cancelled_from_within(void **state)
{
	struct world *t = *state;
	struct reader a = reader_of(t), b = reader_of(t);
	union any_head h;
	a.cancels_head = b.cancels_data = true;
	uint64_t first = begin(t, &a), second = begin(t, &b);
	say_head(t, first, 200, 30);
	say_head(t, second, 200, 30);
	say_data(t, first, 30);
	say_data(t, second, 10);
	say_data(t, second, 20);
	say_end(t, first);
	say_end(t, second);
	assert_int_equal(a.got.n, 0);
	assert_int_equal(b.got.n, 10);
	assert_int_equal(a.answers + b.answers, 0);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL_CANCEL);
	assert_int_equal(h.chunk.call, first);
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_CALL_CANCEL);
	assert_int_equal(h.chunk.call, second);
	assert_int_equal(rings_load(t->rings), 0);
	buf_fini(&b.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_an_answer_streams),
		T(test_what_is_not_taken_is_not_credited),
		T(test_a_stream_that_ends_early_is_503),
		T(test_a_refusal_is_an_answer_without_head),
		T(test_a_head_without_bytes_is_whole),
		T(test_a_stream_that_began_is_not_asked_again),
		T(test_one_that_did_not_begin_is_asked_again),
		T(test_it_may_be_cancelled_from_within),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
