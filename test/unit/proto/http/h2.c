/*
 * HTTP/2 as a carrier of streams: requests, answers, windows, tunnels.
 */
#include "proto/http/h2.h"

#include "test/unit/proto/http/h2_client.h"

/* Requests. */

static void a_get_is_answered_and_the_connection_stays(void **state)
{
	for (int i = 0; i < 3; i++)
		answered(get("/hi"), 200, "");
	assert_int_equal(app.requests, 3);
	assert_int_equal(app.eofs, 3);
	assert_int_equal(app.clean, 3);
	assert_int_equal(app.broken, 0);
	assert_false(cl.eof);
}

static void a_body_comes_and_goes(void **state)
{
	answered(ask("POST", "/post", "hello", false), 200, "hello");
	assert_true(app.content_length == UINT64_MAX);
	assert_int_equal(app.share->id, 7);
}

static void streams_run_side_by_side(void **state)
{
	int32_t slow, fast;

	app.answer_late = true;
	slow = ask("POST", "/slow", "a", true);
	settle();
	fast = get("/length");
	answered(fast, 200, "abc0123456789abcdef");
	assert_false(cl.st[slow].status);
	app.answer_late = false;
	say(slow, "b", true);
	answered(slow, 200, "ab");
}

static void an_answer_comes_in_pieces(void **state)
{
	answered(get("/pieces"), 200, "abc0123456789abcdef");
}

static void head_and_204_have_no_body(void **state)
{
	answered(ask("HEAD", "/length", NULL, false), 200, "");
	answered(ask("HEAD", "/pieces", NULL, false), 200, "");
	answered(get("/none"), 204, "");
}

static void an_answer_cut_short_is_reset(void **state)
{
	int32_t id = get("/short");

	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].code, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(app.broken, 1);
}

static void a_reset_stream_ends_and_the_others_do_not(void **state)
{
	int32_t id = get("/reset");

	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].code, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(app.broken, 1);
	answered(get("/hi"), 200, "");
}

static void fields_are_clean_and_those_of_connections_left_out(void **state)
{
	int32_t id = get("/fields");

	answered(id, 200, "");
	assert_string_equal(cl.st[id].type, "text/x");
	assert_string_equal(cl.st[id].upgrade, "");
}

static void an_early_answer_stops_the_body(void **state)
{
	int32_t id = ask("POST", "/early", "begin", true);

	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].status, 413);
	assert_true(cl.st[id].ended);
	assert_int_equal(cl.st[id].code, NGHTTP2_NO_ERROR);
	assert_int_equal(app.clean, 1);
}

static void a_peers_reset_breaks_the_stream(void **state)
{
	int32_t id;

	app.answer_late = true;
	id = ask("POST", "/post", "a", true);
	settle();
	nghttp2_submit_rst_stream(cl.ng, 0, id, NGHTTP2_CANCEL);
	turn_until(app.broken);
	answered(get("/length"), 200, "abc0123456789abcdef");
}

static void a_client_that_goes_breaks_its_streams(void **state)
{
	app.answer_late = true;
	get("/a");
	get("/b");
	settle();
	assert_int_equal(app.requests, 2);
	close(cl.fd);
	cl.fd = -1;
	cl.eof = true;
	settle();
	assert_int_equal(app.broken, 2);
	assert_int_equal(h2_count(pool), 0);
	assert_int_equal(metrics_get(metrics_here(), METRIC_H2_CONNECTIONS), 0);
}

/* Windows. */

static void a_stream_that_takes_less_is_offered_the_rest(void **state)
{
	int32_t id;

	app.appetite = 3;
	id = ask("POST", "/post", "abcdefgh", false);
	settle();
	assert_string_equal(buf_z(&app.body), "abc");
	assert_int_equal(app.eofs, 0);
	stream_resume(app.s);
	settle();
	assert_string_equal(buf_z(&app.body), "abcdef");
	stream_resume(app.s);
	answered(id, 200, "abcdefgh");
}

static void the_window_opens_as_bytes_are_taken(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	size_t n = 1000000, held;
	int32_t id;

	memset(buf_room(&b, n + 1), 'x', n);
	b.n = n;
	app.appetite = 0;
	id = ask("POST", "/post", buf_z(&b), false);
	settle();
	held = n - cl.st[id].up.n;
	assert_in_range(held, 65535, 300000);
	settle();
	assert_int_equal(n - cl.st[id].up.n, held);
	assert_int_equal(
		nghttp2_session_get_stream_remote_window_size(cl.ng, id), 0);
	answered(get("/length"), 200, "abc0123456789abcdef");
	nghttp2_submit_rst_stream(cl.ng, 0, id, NGHTTP2_CANCEL);
	settle();
	/* What the dead one held of the connection's window is back. */
	app.appetite = SIZE_MAX;
	id = ask("POST", "/post", buf_z(&b), false);
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].body.n, n);
}

static void output_waits_for_the_peers_window(void **state)
{
	int32_t id;

	disconnect_client();
	settle();
	connect_client(true, 1000);
	settle();
	id = get("/large");
	settle();
	assert_int_equal(cl.st[id].body.n, 1000);
	assert_int_equal(stream_unsent(app.s), 299000);
	nghttp2_session_consume(cl.ng, id, 1000);
	settle();
	assert_int_equal(cl.st[id].body.n, 2000);
	assert_int_equal(app.rooms, 0);
}

static void room_is_told_when_output_has_left(void **state)
{
	answered(get("/pieces"), 200, "abc0123456789abcdef");
	assert_int_equal(app.rooms, 0); /* of what is over nobody hears */
	app.answer_late = true;
	get("/a");
	settle();
	stream_head(app.s, 200, NULL, 0, UINT64_MAX);
	stream_write(app.s, STR("a"));
	assert_int_equal(stream_unsent(app.s), 1);
	turn_until(app.rooms);
	assert_int_equal(stream_unsent(app.s), 0);
	stream_end(app.s);
	answered(cl.last, 200, "a");
}

/* Tunnels. */

static void a_tunnel_carries_bytes_both_ways(void **state)
{
	int32_t id = tunnel();

	say(id, "a", false);
	settle();
	say(id, "bc", false);
	settle();
	assert_string_equal(heard(id), "<a<bc");
}

static void a_tunnel_has_backpressure(void **state)
{
	int32_t id = tunnel();

	app.appetite = 2;
	say(id, "abcd", false);
	settle();
	assert_string_equal(heard(id), "<ab");
	app.appetite = SIZE_MAX;
	stream_resume(app.s);
	settle();
	assert_string_equal(heard(id), "<ab<cd");
}

static void the_end_of_a_tunnel_is_heard_and_answered(void **state)
{
	int32_t id = tunnel();

	say(id, "", true);
	turn_until(cl.st[id].closed);
	assert_string_equal(heard(id), "bye");
	assert_int_equal(cl.st[id].code, NGHTTP2_NO_ERROR);
	assert_int_equal(app.clean, 1);
}

static void a_tunnel_that_the_server_ends_waits_for_the_peer(void **state)
{
	int32_t id = tunnel();

	stream_write(app.s, STR("x"));
	stream_end(app.s);
	settle();
	assert_true(cl.st[id].ended);
	assert_false(cl.st[id].closed);
	assert_int_equal(app.clean, 1);
	say(id, "dropped", true);
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].code, NGHTTP2_NO_ERROR);
}

static void a_late_tunnel_gets_what_came_early(void **state)
{
	int32_t id;

	settle();
	app.answer_late = true;
	id = ask("CONNECT", "/late", "early", true);
	settle();
	assert_int_equal(app.body.n, 0);
	app.s->ops = &tunnel_ops;
	stream_tunnel(app.s, NULL, 0);
	settle();
	assert_string_equal(heard(id), "<early");
}

static void a_broken_tunnel_is_cancelled(void **state)
{
	int32_t id = tunnel();

	stream_reset(app.s);
	turn_until(cl.st[id].closed);
	assert_int_equal(cl.st[id].code, NGHTTP2_CANCEL);
	assert_int_equal(app.broken, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_get_is_answered_and_the_connection_stays),
		T(a_body_comes_and_goes),
		T(streams_run_side_by_side),
		T(an_answer_comes_in_pieces),
		T(head_and_204_have_no_body),
		T(an_answer_cut_short_is_reset),
		T(a_reset_stream_ends_and_the_others_do_not),
		T(fields_are_clean_and_those_of_connections_left_out),
		T(an_early_answer_stops_the_body),
		T(a_peers_reset_breaks_the_stream),
		T(a_client_that_goes_breaks_its_streams),
		T(a_stream_that_takes_less_is_offered_the_rest),
		T(the_window_opens_as_bytes_are_taken),
		T(output_waits_for_the_peers_window),
		T(room_is_told_when_output_has_left),
		T(a_tunnel_carries_bytes_both_ways),
		T(a_tunnel_has_backpressure),
		T(the_end_of_a_tunnel_is_heard_and_answered),
		T(a_tunnel_that_the_server_ends_waits_for_the_peer),
		T(a_late_tunnel_gets_what_came_early),
		T(a_broken_tunnel_is_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
