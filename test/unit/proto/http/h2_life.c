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
	assert_int_equal(cl.goaway_last, id);
}

static void drain_closes_the_idle(void **state)
{
	answered(get("/hi"), 200, "");
	h2_drain(pool);
	turn_until(cl.eof);
	assert_int_equal(cl.goaways, 2);
	assert_int_equal(cl.goaway_last, cl.last);
}

/* The client has heard the notice, and its answer to the PING has not left. */
static void heard_of_drain(void)
{
	settle();
	h2_drain(pool);
	for (int i = 0; i < 12; i++)
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
	listen_to();
	assert_int_equal(cl.goaways, 1);
	assert_int_equal(cl.goaway_last, INT32_MAX);
	assert_int_equal(cl.pings, 1);
}

static void what_crosses_the_first_goaway_is_served(void **state)
{
	int32_t id;

	settle();
	app.answer_late = true;
	id = get("/crosses");
	h2_drain(pool);
	turn_until(cl.goaways == 2);
	assert_int_equal(cl.goaway_last, id);
	assert_int_equal(app.drains, 1); /* told once, at the last one */
	answer_body(app.s);
	turn_until(cl.eof);
	assert_int_equal(cl.st[id].status, 200);
}

static void the_last_goaway_waits_for_the_answer_to_its_ping(void **state)
{
	heard_of_drain();
	for (int i = 0; i < 12; i++)
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
	listen_to();
	assert_int_equal(cl.goaways, 1);
	turn_until(cl.eof);
	assert_int_equal(cl.goaways, 2);
	assert_int_equal(cl.goaway_last, 0);
}

static void another_ping_is_no_answer(void **state)
{
	static const uint8_t raw[] = {0, 0, 8, NGHTTP2_PING, NGHTTP2_FLAG_ACK,
		0, 0, 0, 0, 'D', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};

	heard_of_drain();
	assert_int_equal(send(cl.fd, raw, sizeof(raw), 0), sizeof(raw));
	for (int i = 0; i < 12; i++)
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
	listen_to();
	assert_int_equal(cl.goaways, 1);
}

static void the_last_goaway_comes_without_an_answer(void **state)
{
	heard_of_drain();
	while (cl.goaways < 2) {
		assert_int_equal(loop_turn(loop, 20, NULL), 0);
		listen_to();
	}
	assert_int_equal(cl.goaway_last, 0);
	while (!cl.eof) {
		assert_int_equal(loop_turn(loop, 20, NULL), 0);
		listen_to();
	}
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
		T(what_crosses_the_first_goaway_is_served),
		T(the_last_goaway_waits_for_the_answer_to_its_ping),
		T(another_ping_is_no_answer),
		T(the_last_goaway_comes_without_an_answer),
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
