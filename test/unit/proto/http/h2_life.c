/*
 * The life of an HTTP/2 connection: draining, deadlines, budgets.
 */
#include "proto/http/h2.h"

#include "test/unit/proto/http/h2_client.h"

/* Draining. */

static void drain_lets_streams_finish_and_closes(void **state)
{
	int32_t id;

	app.answer_late = true;
	id = get("/a");
	settle();
	h2_drain(pool);
	settle();
	assert_int_equal(app.drains, 1);
	assert_true(cl.goaway);
	assert_int_equal(cl.goaway_code, NGHTTP2_NO_ERROR);
	assert_false(cl.eof);
	answer_body(app.s);
	turn_until(cl.eof);
	assert_int_equal(cl.st[id].status, 200);
}

static void drain_closes_the_idle(void **state)
{
	answered(get("/hi"), 200, "");
	h2_drain(pool);
	turn_until(cl.eof);
	assert_true(cl.goaway);
}

/* Deadlines. A timeout of 0 s is due at once: these tests wait for nothing. */

static void no_patience(void)
{
	conf.http_timeout = 0;
}

static void an_unfinished_body_is_408(void **state)
{
	int32_t id;

	settle();
	id = ask("POST", "/post", "a", true);
	settle();
	no_patience();
	get("/hi"); /* deadlines are looked at anew */
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].status, 408);
	assert_int_equal(app.broken, 1);
}

static void output_that_does_not_move_is_cancelled(void **state)
{
	int32_t id;

	disconnect_client();
	settle();
	connect_client(true, 1000);
	settle();
	id = get("/large");
	settle();
	no_patience();
	get("/hi");
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].code, NGHTTP2_CANCEL);
	assert_int_equal(app.broken, 1);
}

static void an_idle_connection_is_told_and_closed(void **state)
{
	answered(get("/hi"), 200, "");
	no_patience();
	answered(get("/hi"), 200, "");
	turn_until(cl.eof);
	assert_true(cl.goaway);
	assert_int_equal(cl.goaway_code, NGHTTP2_NO_ERROR);
}

static void a_tunnel_is_never_idle(void **state)
{
	int32_t id = tunnel();

	no_patience();
	answered(get("/hi"), 200, "");
	settle();
	assert_false(cl.goaway);
	say(id, "a", false);
	settle();
	assert_string_equal(heard(id), "<a");
}

/* Budgets. */

static void is_calmed(void)
{
	turn_until(cl.eof);
	assert_true(cl.goaway);
	assert_int_equal(cl.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void many_resets_are_enough(void **state)
{
	uint64_t before = metrics_get(metrics_here(), METRIC_H2_CALMED);

	app.answer_late = true;
	for (int i = 0; i < 300 && !cl.goaway; i++) {
		int32_t id = get("/a");
		talk();
		nghttp2_submit_rst_stream(cl.ng, 0, id, NGHTTP2_CANCEL);
		talk();
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
	}
	is_calmed();
	assert_int_equal(app.clean, 0);
	assert_int_equal(app.broken, app.requests);
	assert_int_equal(
		metrics_get(metrics_here(), METRIC_H2_CALMED), before + 1);
}

static void many_pings_are_enough(void **state)
{
	for (int i = 0; i < 500; i++)
		nghttp2_submit_ping(cl.ng, 0, NULL);
	is_calmed();
}

static void answers_earn_window_updates(void **state)
{
	disconnect_client();
	settle();
	connect_client(true, 1000);
	for (int i = 0; i < 450; i++) { /* 2000 updates, 450 answers */
		int32_t id = get("/length");
		talk();
		for (int k = 0; k < 4; k++)
			nghttp2_submit_window_update(cl.ng, 0, 0, 1);
		turn_until(cl.st[id].ended || cl.goaway);
		assert_false(cl.goaway);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(drain_lets_streams_finish_and_closes),
		T(drain_closes_the_idle),
		T(an_unfinished_body_is_408),
		T(output_that_does_not_move_is_cancelled),
		T(an_idle_connection_is_told_and_closed),
		T(a_tunnel_is_never_idle),
		T(many_resets_are_enough),
		T(many_pings_are_enough),
		T(answers_earn_window_updates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
