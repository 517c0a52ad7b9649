/*
 * HTTP/1.1 over a socket pair: deadlines and draining.
 */
#include "proto/http/h1.h"

#include "test/unit/proto/http/h1_client.h"

static void drain_closes_the_idle(void **state)
{
	settle();
	h1_drain(pool);
	turn_until(got_eof);
	assert_int_equal(got.n, 0);
}

/* The client does not close its side: nobody waits for it. */
static void drain_does_not_wait_for_the_idle(void **state)
{
	settle();
	h1_drain(pool);
	turn_until(!h1_count(pool));
	assert_int_equal(got.n, 0);
}

static bool can_send(int fd)
{
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1;
}

/* Both clients keep their side open; the one with an answer may still read it. */
static void drain_ends_the_idle_before_one_that_was_just_answered(void **state)
{
	int answered = client;

	say(STR("GET /hi HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	turn_until(got_eof);
	assert_string_equal(heard(), OK_CLOSE(0));
	got_eof = false;
	connect_client();
	settle();
	h1_drain(pool);
	turn_until(h1_count(pool) == 1);
	assert_true(can_send(answered));
	assert_false(can_send(client));
	close(answered);
}

static void drain_lets_a_header_be_completed(void **state)
{
	say(STR("GET /hi HTTP/1.1\r\n"));
	settle();
	h1_drain(pool);
	settle();
	assert_false(got_eof);
	say(STR("Host: x\r\n\r\n"));
	turn_until(got_eof);
	assert_int_equal(app.requests, 1);
}

static void drain_does_not_wait_for_half_a_header(void **state)
{
	say(STR("GET / HT"));
	settle();
	h1_drain(pool);
	turn_until(!h1_count(pool));
	assert_int_equal(got.n, 0);
}

static void drain_lets_a_request_finish_with_close(void **state)
{
	app.answer_late = true;
	say(STR(HI));
	settle();
	h1_drain(pool);
	settle();
	assert_int_equal(app.drains, 1);
	assert_false(got_eof);
	answer_body(app.s);
	turn_until(got_eof);
	assert_string_equal(heard(), OK_CLOSE(0));
}

static void drain_is_told_to_tunnels(void **state)
{
	say(STR(UPGRADE));
	settle();
	h1_drain(pool);
	settle();
	assert_int_equal(app.drains, 1);
	assert_false(got_eof);
}

/* A timeout of 0 s is due at once: these tests wait for nothing. */
static void no_patience(void)
{
	conf.http_timeout = 0;
}

static void an_unfinished_header_is_408(void **state)
{
	settle();
	no_patience();
	say(STR("GET / HT"));
	expect_status("HTTP/1.1 408 Request Timeout\r\n", true);
}

static void an_unfinished_body_is_408(void **state)
{
	settle();
	no_patience();
	say(STR(POST_ "Content-Length: 5\r\n\r\nab"));
	expect_status("HTTP/1.1 408 Request Timeout\r\n", true);
	assert_int_equal(app.broken, 1);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
	settle();
	no_patience();
	say(STR(HI));
	turn_until(got_eof);
	assert_string_equal(heard(), OK_(0));
}

/* Its old one would let it live for a minute. */
static void a_new_timeout_governs_what_is_idle_already(void **state)
{
	say(STR(HI));
	settle();
	assert_string_equal(heard(), OK_(0));
	no_patience();
	settle();
	assert_false(got_eof);
	h1_reconfigure(pool);
	turn_until(got_eof);
	assert_int_equal(got.n, 0);
}

static void a_new_timeout_governs_a_body_under_way(void **state)
{
	say(STR(POST_ "Content-Length: 5\r\n\r\nab"));
	settle();
	no_patience();
	h1_reconfigure(pool);
	expect_status("HTTP/1.1 408 Request Timeout\r\n", true);
	assert_int_equal(app.broken, 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(drain_closes_the_idle),
		T(drain_does_not_wait_for_the_idle),
		T(drain_ends_the_idle_before_one_that_was_just_answered),
		T(drain_lets_a_header_be_completed),
		T(drain_does_not_wait_for_half_a_header),
		T(drain_lets_a_request_finish_with_close),
		T(drain_is_told_to_tunnels),
		T(an_unfinished_header_is_408),
		T(an_unfinished_body_is_408),
		T(an_idle_connection_is_closed_without_a_word),
		T(a_new_timeout_governs_what_is_idle_already),
		T(a_new_timeout_governs_a_body_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
