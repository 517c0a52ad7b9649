/*
 * HTTP/1.1 over a socket pair: answers byte for byte (but for their Date),
 * keep-alive, pipelining, bodies, refusals, tunnels.
 */
#include "proto/http/h1.h"

#include "test/unit/proto/http/h1_client.h"

static void a_get_is_answered_and_the_connection_stays(void **state)
{
	for (int i = 0; i < 3; i++) {
		say(STR(HI));
		turn_until(got.n);
		assert_string_equal(heard(), OK_(0));
	}
	assert_int_equal(app.requests, 3);
	assert_int_equal(app.eofs, 3);
	settle();
	assert_int_equal(app.clean, 3);
	assert_int_equal(app.broken, 0);
	assert_false(got_eof);
}

static void a_request_comes_byte_by_byte(void **state)
{
	struct str s = STR(POST_ "Content-Length: 3\r\n\r\nabc" POST_
				 "Transfer-Encoding: chunked\r\n\r\n"
				 "1\r\nx\r\n2;e\r\nyz\r\n0\r\nA: b\r\n\r\n" HI);

	for (size_t i = 0; i < s.n; i++) {
		say(str_n(s.p + i, 1));
		settle();
	}
	assert_string_equal(heard(), OK_(3) "abc" OK_(3) "xyz" OK_(0));
	assert_int_equal(app.clean, 3);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	app.answer_late = true;
	say(STR(POST_ "Content-Length: 1\r\n\r\nA" HI POST_
		      "Transfer-Encoding: chunked\r\n\r\n1\r\nB\r\n0\r\n\r\n"));
	settle();
	assert_int_equal(app.requests, 1); /* one at a time */
	assert_int_equal(got.n, 0);
	app.answer_late = false;
	answer_body(app.s);
	settle();
	assert_string_equal(heard(), OK_(1) "A" OK_(0) OK_(1) "B");
	assert_int_equal(app.requests, 3);
}

static void an_answer_of_unknown_length_is_chunked(void **state)
{
	say(STR("GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n" HI));
	settle();
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n" OK_(0));
}

static void http_1_0_gets_no_chunks_and_a_close(void **state)
{
	say(STR("GET /pieces HTTP/1.0\r\n\r\n"));
	turn_until(got_eof);
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
		"abc0123456789abcdef");
}

static void http_1_0_stays_only_when_asked(void **state)
{
	say(STR("GET /length HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
		"GET /length HTTP/1.0\r\n\r\n"));
	turn_until(got_eof);
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n"
		"Connection: keep-alive\r\n\r\nabc0123456789abcdef"
		"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n"
		"Connection: close\r\n\r\nabc0123456789abcdef");
}

static void head_has_the_fields_and_no_body(void **state)
{
	say(STR("HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n"
		"HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n" HI));
	settle();
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n"
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" OK_(0));
}

static void no_content_has_no_length(void **state)
{
	say(STR("GET /none HTTP/1.1\r\nHost: a\r\n\r\n" HI));
	settle();
	assert_string_equal(heard(), "HTTP/1.1 204 No Content\r\n\r\n" OK_(0));
}

static void connection_close_is_obeyed(void **state)
{
	say(STR("GET /hi HTTP/1.1\r\nHost: a\r\nConnection: x, "
		"CLOSE\r\n\r\n" HI));
	turn_until(got_eof);
	assert_string_equal(heard(), OK_CLOSE(0));
	assert_int_equal(app.requests, 1);
}

static void a_field_cannot_split_an_answer(void **state)
{
	say(STR("GET /split HTTP/1.1\r\nHost: a\r\n\r\n"));
	settle();
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b\r\n"
		"Content-Length: 0\r\n\r\n");
}

static void continue_is_sent_when_expected(void **state)
{
	say(STR(POST_ "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\n"));
	settle();
	assert_string_equal(heard(), "HTTP/1.1 100 Continue\r\n\r\n");
	say(STR("ab"));
	settle();
	assert_string_equal(heard(), OK_(2) "ab");
}

static void an_early_answer_takes_the_place_of_continue(void **state)
{
	say(STR("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
		"Expect: 100-continue\r\n\r\n"));
	expect_status("HTTP/1.1 413 Content Too Large\r\n", true);
}

static void continue_is_not_for_http_1_0(void **state)
{
	say(STR("POST /post HTTP/1.0\r\nContent-Length: 2\r\n"
		"Expect: 100-continue\r\n\r\n"));
	settle();
	assert_int_equal(got.n, 0);
	say(STR("ab"));
	turn_until(got_eof);
	assert_string_equal(heard(), OK_CLOSE(2) "ab");
}

static void other_expectations_are_417(void **state)
{
	say(STR(POST_ "Content-Length: 2\r\nExpect: tea\r\n\r\n"));
	expect_status("HTTP/1.1 417 Expectation Failed\r\n", true);
	assert_int_equal(app.requests, 0);
}

static void an_answer_before_the_body_closes_and_is_not_lost(void **state)
{
	struct buf body cleanup(buf_fini) = {0};

	memset(buf_room(&body, 1 << 20), 'x', 1 << 20);
	body.n = 1 << 20;
	say(STR("POST /early HTTP/1.1\r\nHost: a\r\n"
		"Content-Length: 9000000\r\n\r\n"));
	say(buf_str(&body)); /* goes on, as clients do */
	expect_status("HTTP/1.1 413 Content Too Large\r\n", true);
}

static void a_stream_that_takes_less_is_offered_the_rest(void **state)
{
	app.appetite = 3;
	say(STR(POST_ "Transfer-Encoding: chunked\r\n\r\n"
		      "8\r\nabcdefgh\r\n1\r\ni\r\n0\r\n\r\n" HI));
	settle();
	assert_string_equal(buf_z(&app.body), "abc");
	stream_resume(app.s);
	settle();
	assert_string_equal(buf_z(&app.body), "abcdef");
	app.appetite = 0;
	stream_resume(app.s);
	settle();
	assert_string_equal(buf_z(&app.body), "abcdef");
	app.appetite = SIZE_MAX;
	stream_resume(app.s);
	settle();
	assert_string_equal(heard(), OK_(9) "abcdefghi" OK_(0));
}

static void the_stream_learns_of_the_request(void **state)
{
	say(STR("PUT http://B:8/a%20b?c HTTP/1.1\r\nHost: a\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
	settle();
	assert_string_equal(app.path, "/a b");
	assert_string_equal(app.authority, "B:8");
	assert_string_equal(app.protocol, "");
	assert_true(app.content_length == UINT64_MAX);
}

static void refuses(const char *bytes, const char *status)
{
	uint64_t before = metrics_get(metrics_here(), METRIC_PROTOCOL_ERRORS);

	say(str_of(bytes));
	expect_status(status, true);
	assert_int_equal(app.requests, 0);
	assert_int_equal(before + 1,
		metrics_get(metrics_here(), METRIC_PROTOCOL_ERRORS));
}

static void a_malformed_head_is_400_and_the_end(void **state)
{
	refuses("GET / HTTP/1.1\r\nHost : a\r\n\r\n" HI,
		"HTTP/1.1 400 Bad Request\r\n");
}

static void an_unknown_coding_is_501(void **state)
{
	refuses("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 501 Not Implemented\r\n");
}

static void another_version_is_505(void **state)
{
	refuses("GET / HTTP/3.0\r\n\r\n",
		"HTTP/1.1 505 HTTP Version Not Supported\r\n");
}

static void a_long_line_is_414(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, "GET /");
	memset(buf_room(&b, 9000), 'x', 9000);
	b.n += 9000;
	refuses(buf_z(&b), "HTTP/1.1 414 URI Too Long\r\n");
}

static void a_large_header_is_431(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	memset(buf_room(&b, 33000), 'x', 33000);
	b.n += 33000;
	refuses(buf_z(&b), "HTTP/1.1 431 Request Header Fields Too Large\r\n");
}

static void a_refusal_says_why(void **state)
{
	const char *z;

	say(STR("GET / HTTP/1.1\r\n\r\n"));
	turn_until(got_eof);
	z = heard();
	assert_non_null(
		strstr(z, "Content-Type: application/problem+json\r\n"));
	assert_non_null(strstr(z,
		"\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Bad Request\","
		"\"status\":400,\"detail\":\"no Host\"}"));
}

static void a_malformed_chunk_is_400_and_breaks_the_stream(void **state)
{
	say(STR(POST_ "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n"));
	expect_status("HTTP/1.1 400 Bad Request\r\n", true);
	assert_int_equal(app.broken, 1);
	assert_int_equal(app.clean, 0);
}

static void a_body_cut_by_the_peer_breaks_the_stream(void **state)
{
	say(STR(POST_ "Content-Length: 5\r\n\r\nab"));
	settle();
	shutdown(client, SHUT_WR);
	turn_until(got_eof);
	assert_int_equal(app.broken, 1);
	assert_int_equal(got.n, 0);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
	app.answer_late = true;
	say(STR(HI));
	shutdown(client, SHUT_WR);
	settle();
	answer_body(app.s);
	turn_until(got_eof);
	assert_string_equal(heard(), OK_(0));
	assert_int_equal(app.clean, 1);
}

static void an_answer_cut_short_breaks_the_connection(void **state)
{
	say(STR("GET /short HTTP/1.1\r\nHost: a\r\n\r\n"));
	turn_until(got_eof);
	assert_int_equal(app.broken, 1);
}

static void a_reset_stream_ends_without_an_answer(void **state)
{
	say(STR("GET /reset HTTP/1.1\r\nHost: a\r\n\r\n" HI));
	turn_until(got_eof);
	assert_int_equal(got.n, 0);
	assert_int_equal(app.broken, 1);
	assert_int_equal(app.requests, 1);
}

static void a_client_that_goes_breaks_the_stream(void **state)
{
	app.answer_late = true;
	say(STR(HI));
	settle();
	assert_non_null(app.s);
	close(client);
	client = -1;
	got_eof = true;
	settle();
	answer_body(app.s);
	turn_until(app.broken);
	assert_int_equal(app.clean, 0);
}

#define SWITCHED                                                     \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\n\r\n"

static void a_tunnel_carries_bytes_both_ways(void **state)
{
	say(STR(UPGRADE "early"));
	settle();
	say(STR("more"));
	settle();
	assert_string_equal(heard(), SWITCHED "<early<more");
	assert_string_equal(app.protocol, "websocket");
}

static void a_tunnel_has_backpressure(void **state)
{
	app.appetite = 2;
	say(STR(UPGRADE "abcd"));
	settle();
	assert_string_equal(heard(), SWITCHED "<ab");
	say(STR("ef"));
	settle();
	assert_int_equal(got.n, 0);
	app.appetite = SIZE_MAX;
	stream_resume(app.s);
	settle();
	assert_string_equal(heard(), "<cdef");
}

static void a_tunnel_hears_the_half_close_and_ends_cleanly(void **state)
{
	say(STR(UPGRADE));
	settle();
	shutdown(client, SHUT_WR);
	turn_until(got_eof);
	assert_string_equal(heard(), SWITCHED "bye");
	assert_int_equal(app.eofs, 1);
	turn_until(app.clean);
}

static void a_late_tunnel_gets_what_came_early(void **state)
{
	app.answer_late = true;
	say(STR("GET /late HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\n\r\nearly"));
	settle();
	app.s->ops = &tunnel_ops;
	stream_tunnel(app.s, NULL, 0);
	settle();
	assert_string_equal(heard(), SWITCHED "<early");
}

static void connections_are_counted(void **state)
{
	assert_int_equal(h1_count(pool), 1);
	close(client);
	client = -1;
	got_eof = true;
	turn_until(!h1_count(pool));
	assert_int_equal(metrics_get(metrics_here(), METRIC_CONNECTIONS), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_get_is_answered_and_the_connection_stays),
		T(a_request_comes_byte_by_byte),
		T(pipelined_requests_are_answered_in_order),
		T(an_answer_of_unknown_length_is_chunked),
		T(http_1_0_gets_no_chunks_and_a_close),
		T(http_1_0_stays_only_when_asked),
		T(head_has_the_fields_and_no_body),
		T(no_content_has_no_length),
		T(connection_close_is_obeyed),
		T(a_field_cannot_split_an_answer),
		T(continue_is_sent_when_expected),
		T(an_early_answer_takes_the_place_of_continue),
		T(continue_is_not_for_http_1_0),
		T(other_expectations_are_417),
		T(an_answer_before_the_body_closes_and_is_not_lost),
		T(a_stream_that_takes_less_is_offered_the_rest),
		T(the_stream_learns_of_the_request),
		T(a_malformed_head_is_400_and_the_end),
		T(an_unknown_coding_is_501),
		T(another_version_is_505),
		T(a_long_line_is_414),
		T(a_large_header_is_431),
		T(a_refusal_says_why),
		T(a_malformed_chunk_is_400_and_breaks_the_stream),
		T(a_body_cut_by_the_peer_breaks_the_stream),
		T(a_half_closed_client_gets_its_answer),
		T(an_answer_cut_short_breaks_the_connection),
		T(a_reset_stream_ends_without_an_answer),
		T(a_client_that_goes_breaks_the_stream),
		T(a_tunnel_carries_bytes_both_ways),
		T(a_tunnel_has_backpressure),
		T(a_tunnel_hears_the_half_close_and_ends_cleanly),
		T(a_late_tunnel_gets_what_came_early),
		T(connections_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
