/*
 * One WebSocket on a fake stream: messages, control frames, limits, every way to
 * close, time.
 */
#include "proto/ws/ws.h"

#include "test/unit/proto/ws/fake.h"

static struct conf conf;
static struct ws *w;
static struct ws_set set;
static uint64_t limit;
static struct buf said;	  /* by on_... */
static struct buf client; /* frames to give */
static struct buf sent;
static struct buf last_message;
static void (*then)(void); /* within on_message */

static uint64_t max_message(void)
{
	return limit;
}

static void on_message(struct ws *ws, bool text, char *p, size_t n)
{
	buf_reset(&last_message);
	buf_add(&last_message, p, n);
	buf_fmt(&said, "%s(%zu)%.*s ", text ? "text" : "binary", n,
		(int)min_of(n, (size_t)16), p);
	memset(p, 'x', n); /* it may be changed */
	if (then)
		then();
}

static void on_too_big(struct ws *ws, bool text, struct str start)
{
	buf_fmt(&said, "big(%zu)%.*s ", start.n,
		(int)min_of(start.n, (size_t)16), start.p);
	ws_send(ws, true, STR("limit"));
}

static void on_room(struct ws *ws)
{
	buf_addz(&said, "room ");
}

static void on_drain(struct ws *ws)
{
	ws_close(ws, WS_GOING_AWAY, "");
}

static void on_closed(struct ws *ws, unsigned code)
{
	buf_fmt(&said, "closed(%u) ", code);
}

static const struct ws_ops ops = {
	.on_message = on_message,
	.on_too_big = on_too_big,
	.on_room = on_room,
	.on_drain = on_drain,
	.on_closed = on_closed,
};

static void open_ws(void)
{
	struct ws_want want = {.max_message = max_message, .set = &set};
	struct ws_handshake h = {.accept = "key"};

	fake_open();
	ws_set_init(&set);
	w = ws_accept(&fake.s, &h, &want, &ops, &said);
}

static void close_ws(void)
{
	fake_close();
	ws_set_fini(&set);
	buf_reset(&said);
	buf_reset(&sent);
}

static int setup(void **state)
{
	conf_defaults(&conf);
	conf_swap(&conf, false);
	limit = 1000000;
	then = NULL;
	open_ws();
	return 0;
}

static int teardown(void **state)
{
	close_ws();
	buf_fini(&said);
	buf_fini(&client);
	buf_fini(&sent);
	buf_fini(&last_message);
	return 0;
}

static const char *heard(void)
{
	buf_reset(&sent);
	read_frames(buf_str(&fake.out), &sent);
	buf_reset(&fake.out);
	return buf_z(&sent);
}

static void frame(unsigned first, const char *z)
{
	add_frame(&client, first, str_of(z));
}

static void give(size_t piece)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_move(&b, &client);
	fake_give(buf_str(&b), piece);
}

/*
 * The frames gathered so far are given whole and cut in many ways, each time to a
 * fresh WebSocket: same words, same answers.
 */
static void expect(const char *says, const char *answers)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 5, 8, 13};
	struct buf b cleanup(buf_fini) = {0};

	buf_move(&b, &client);
	for (size_t i = 0; i < countof(pieces); i++) {
		close_ws();
		open_ws();
		fake_give(buf_str(&b), pieces[i]);
		assert_string_equal(buf_z(&said), says);
		assert_string_equal(heard(), answers);
	}
}

static void answers_the_handshake(void **state)
{
	assert_true(fake.tunnel);
	assert_string_equal(
		buf_z(&fake.head), "101 Sec-WebSocket-Accept: key;");
	assert_true(ws_is_open(w));
	assert_ptr_equal(ws_up(w), &said);
	assert_ptr_equal(ws_stream(w), &fake.s);
	assert_int_equal(set.n, 1);
}

static void messages_go_up(void **state)
{
	frame(0x81, "hello");
	frame(0x82, "\xff\xfe");
	frame(0x81, "");
	expect("text(5)hello binary(2)\xff\xfe text(0) ", "");
}

static void fragments_become_one_message(void **state)
{
	frame(0x01, "hel");
	frame(0x00, "");
	frame(0x80, "lo");
	frame(0x02, "");
	frame(0x80, "x");
	frame(0x01, "");
	frame(0x80, "");
	expect("text(5)hello binary(1)x text(0) ", "");
}

static void control_frames_come_between_fragments(void **state)
{
	frame(0x01, "hel");
	frame(0x89, "a");
	frame(0x8a, "unasked");
	frame(0x00, "l");
	frame(0x89, "");
	frame(0x80, "o");
	expect("text(5)hello ", "pong(1)a pong(0)");
}

static void a_close_comes_between_fragments(void **state)
{
	frame(0x01, "hel");
	frame(0x88, "\x03\xe9");
	expect("", "close(1001)");
	assert_true(fake.ended);
}

static void utf8_may_be_split_across_fragments(void **state)
{
	frame(0x01, "\xe2\x82");
	frame(0x89, "p");
	frame(0x00, "\xac\xf0");
	frame(0x80, "\x9f\x98\x80");
	expect("text(7)\xe2\x82\xac\xf0\x9f\x98\x80 ", "pong(1)p");
}

static void utf8_that_never_ends_is_1007(void **state)
{
	frame(0x81, "a\xe2\x82");
	expect("", "close(1007)");
	frame(0x01, "\xe2");
	frame(0x80, "\x82");
	expect("", "close(1007)");
}

static void wrong_utf8_is_1007_as_soon_as_it_is_seen(void **state)
{
	frame(0x01, "\xed\xa0"); /* a surrogate; the message has no end */
	expect("", "close(1007)");
	frame(0x81, "\xc0\x80");
	expect("", "close(1007)");
	frame(0x81, "abc\xff");
	expect("", "close(1007)");
}

static void wrong_utf8_is_seen_inside_an_unfinished_frame(void **state)
{
	add_frame(&client, 0x81, STR("ab\xff......................"));
	client.n -= 20;
	expect("", "close(1007)");
}

static void binary_need_not_be_utf8(void **state)
{
	frame(0x02, "\xff");
	frame(0x80, "\xc0");
	expect("binary(2)\xff\xc0 ", "");
}

static void wrong_order_is_1002(void **state)
{
	frame(0x80, "x"); /* nothing to continue */
	expect("", "close(1002)");
	frame(0x00, "x");
	expect("", "close(1002)");
	frame(0x01, "x");
	frame(0x81, "y"); /* one is under way */
	expect("", "close(1002)");
	frame(0x01, "x");
	frame(0x02, "y");
	expect("", "close(1002)");
	frame(0x01, "x");
	frame(0x80, "y");
	frame(0x80, "z");
	expect("text(2)xy ", "close(1002)");
}

static void malformed_frames_are_1002(void **state)
{
	static const struct str wrong[] = {
		STR("\xc1\x80mask"),
		STR("\x83\x80mask"),
		STR("\x81\x01x"),
		STR("\x09\x80mask"),
		STR("\x89\xfe\x00\x7emask"),
		STR("\x81\xfe\x00\x01maskx"),
		STR("\x81\xff\x80\0\0\0\0\0\0\0mask"),
	};

	for (size_t i = 0; i < countof(wrong); i++) {
		frame(0x81, "ok");
		buf_adds(&client, wrong[i]);
		expect("text(2)ok ", "close(1002)");
		assert_true(fake.ended);
	}
}

static void a_close_is_answered_with_its_code(void **state)
{
	frame(0x88, "");
	frame(0x81, "never read");
	expect("", "close(0)");
	frame(0x88, "\x03\xe8 bye");
	expect("", "close(1000)");
	frame(0x88, "\x0b\xb8");
	expect("", "close(3000)");
	assert_true(fake.ended);
	fake_done(true);
	assert_string_equal(buf_z(&said), "closed(3000) ");
}

static void a_wrong_close_is_answered_with_its_fault(void **state)
{
	frame(0x88, "\x03");
	expect("", "close(1002)");
	frame(0x88, "\x03\xed"); /* 1005 */
	expect("", "close(1002)");
	frame(0x88, "\x03\xe8\xff");
	expect("", "close(1007)");
	fake_done(true);
	assert_string_equal(buf_z(&said), "closed(1007) ");
}

static void big(size_t n, size_t piece)
{
	struct buf b cleanup(buf_fini) = {0};
	char *p = buf_room(&b, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 26);
	b.n = n;
	add_frame(&client, 0x81, buf_str(&b));
	give(piece);
	if (n <= limit)
		assert_true(str_eq(buf_str(&last_message), buf_str(&b)));
}

static void every_form_of_length_works(void **state)
{
	static const size_t sizes[] = {
		1, 125, 126, 127, 65535, 65536, 65537, 300000};

	for (size_t i = 0; i < countof(sizes); i++) {
		big(sizes[i], SIZE_MAX);
		big(sizes[i], 1000);
		big(sizes[i], 1 + sizes[i] / 2);
	}
	assert_true(ws_is_open(w));
}

static void a_message_of_the_limit_passes(void **state)
{
	limit = 1000;
	big(1000, SIZE_MAX);
	big(1000, 1);
	assert_true(ws_is_open(w));
}

static void one_byte_more_is_1009_after_its_start(void **state)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 7};

	limit = 1000;
	for (size_t i = 0; i < countof(pieces); i++) {
		close_ws();
		open_ws();
		big(1001, pieces[i]);
		assert_string_equal(buf_z(&said), "big(1000)abcdefghijklmnop ");
		assert_string_equal(heard(), "text(5)limit close(1009)");
		assert_true(fake.ended);
		fake_done(true);
		assert_non_null(strstr(buf_z(&said), "closed(1009)"));
	}
}

static void fragments_over_the_limit_are_1009(void **state)
{
	limit = 6;
	frame(0x01, "abcd");
	frame(0x00, "ef");
	frame(0x80, "g");
	expect("big(6)abcdef ", "text(5)limit close(1009)");
	frame(0x01, "abcd");
	frame(0x80, "efg");
	expect("big(6)abcdef ", "text(5)limit close(1009)");
}

static void fragments_of_the_limit_pass(void **state)
{
	limit = 6;
	frame(0x01, "abcd");
	frame(0x00, "ef");
	frame(0x80, "");
	expect("text(6)abcdef ", "");
}

static void an_announced_length_takes_no_memory(void **state)
{
	limit = (uint64_t)1 << 40;
	/* 2^39 bytes: the sanitizers and the kernel would object. */
	buf_adds(&client, STR("\x82\xff\0\0\0\x80\0\0\0\0maskabc"));
	give(SIZE_MAX);
	assert_string_equal(buf_z(&said), "");
	assert_true(ws_is_open(w));
}

static void the_start_of_an_endless_message_is_bounded(void **state)
{
	limit = 200000;
	buf_adds(&client, STR("\x81\xff\0\0\0\x80\0\0\0\0\0\0\0\0"));
	memset(buf_room(&client, 300000), 'y', 300000);
	client.n += 300000;
	give(30000);
	assert_string_equal(buf_z(&said), "big(65536)yyyyyyyyyyyyyyyy ");
	assert_string_equal(heard(), "text(5)limit close(1009)");
}

static void too_many_fragments_are_1009(void **state)
{
	frame(0x01, "x");
	for (int i = 1; i < 1024; i++)
		frame(0x00, "");
	give(SIZE_MAX);
	assert_true(ws_is_open(w));
	frame(0x80, "");
	give(SIZE_MAX);
	assert_string_equal(heard(), "close(1009)");
}

static void sends_text_and_binary(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	ws_send(w, true, STR("hi"));
	ws_send(w, false, STR("there"));
	ws_send2(w, STR("ab"), STR("cd"));
	assert_string_equal(heard(), "text(2)hi binary(5)there text(4)abcd");
	memset(buf_room(&b, 70000), 'z', 70000);
	b.n = 70000;
	ws_send(w, true, buf_str(&b));
	assert_string_equal(heard(), "text(70000)zzzzzzzzzzzzzzzz");
}

static void a_close_of_ours_waits_for_the_peers(void **state)
{
	ws_close(w, WS_NORMAL, "done");
	assert_false(ws_is_open(w));
	ws_send(w, true, STR("too late"));
	ws_close(w, WS_INTERNAL, "again");
	frame(0x01, "dropped");
	frame(0x89, "not answered");
	frame(0x80, "\xff");
	frame(0x82, "dropped");
	give(4);
	assert_string_equal(heard(), "close(1000)");
	assert_false(fake.ended);
	frame(0x88, "\x03\xe8");
	give(1);
	assert_true(fake.ended);
	fake_done(true);
	assert_string_equal(buf_z(&said), "closed(1000) ");
	assert_int_equal(set.n, 0);
}

static void a_close_inside_a_fragmented_message_keeps_the_framing(void **state)
{
	frame(0x01, "abc");
	give(SIZE_MAX);
	ws_close(w, WS_GOING_AWAY, NULL);
	frame(0x00, "def");
	frame(0x80, "ghi");
	frame(0x88, "\x03\xe9");
	give(2);
	assert_true(fake.ended);
	assert_string_equal(heard(), "close(1001)");
}

static void close_now(void)
{
	ws_close(w, WS_UNSUPPORTED_DATA, "text only");
}

static void a_close_from_within_a_message_stops_the_rest(void **state)
{
	then = close_now;
	frame(0x82, "a");
	frame(0x81, "b");
	expect("binary(1)a ", "close(1003)");
}

static void reset_now(void)
{
	stream_reset(ws_stream(w));
	fake_done(false);
}

static void a_reset_from_within_a_message_is_survived(void **state)
{
	then = reset_now;
	frame(0x01, "a");
	frame(0x80, "a");
	frame(0x81, "b");
	expect("text(2)aa closed(1006) ", "");
}

static void an_end_without_close_is_1006(void **state)
{
	frame(0x01, "abc");
	give(SIZE_MAX);
	fake.s.ops->on_eof(&fake.s);
	assert_true(fake.ended);
	assert_string_equal(heard(), "");
	fake_done(true);
	assert_string_equal(buf_z(&said), "closed(1006) ");
}

static void a_drain_closes_1001(void **state)
{
	fake.s.ops->on_drain(&fake.s);
	assert_string_equal(heard(), "close(1001)");
}

static void pause_now(void)
{
	ws_pause(w, true);
}

static void a_pause_leaves_the_rest_with_the_carrier(void **state)
{
	then = pause_now;
	frame(0x81, "a");
	frame(0x81, "b");
	frame(0x89, "p");
	give(SIZE_MAX);
	assert_string_equal(buf_z(&said), "text(1)a ");
	assert_true(fake.left.n > 0);
	then = NULL;
	ws_pause(w, false);
	assert_true(fake.resumed);
	fake_offer(STR_NONE);
	assert_string_equal(buf_z(&said), "text(1)a text(1)b ");
	assert_string_equal(heard(), "pong(1)p");
	assert_int_equal(fake.left.n, 0);
}

static void a_close_goes_on_reading_despite_a_pause(void **state)
{
	ws_pause(w, true);
	frame(0x88, "\x03\xe8");
	give(SIZE_MAX);
	assert_true(fake.left.n > 0);
	ws_close(w, WS_GOING_AWAY, "");
	assert_true(fake.resumed);
	fake_offer(STR_NONE);
	assert_true(fake.ended);
}

static void a_client_that_does_not_read_is_not_read(void **state)
{
	fake.unsent = (1 << 20) + 1;
	frame(0x81, "a");
	give(SIZE_MAX);
	assert_string_equal(buf_z(&said), "");
	fake.unsent = 0;
	fake.s.ops->on_room(&fake.s);
	assert_true(fake.resumed);
	fake_offer(STR_NONE);
	assert_string_equal(buf_z(&said), "room text(1)a ");
}

static void of_waiting_pings_the_newest_is_answered(void **state)
{
	fake.unsent = 70000;
	frame(0x89, "old");
	frame(0x89, "older");
	frame(0x89, "new");
	give(SIZE_MAX);
	assert_string_equal(heard(), "");
	fake.unsent = 0;
	fake.s.ops->on_room(&fake.s);
	assert_string_equal(heard(), "pong(3)new");
}

/* Time: 0 s is due at once, so that these tests wait for nothing. */

static void turns(void)
{
	for (int i = 0; i < 20 && !fake.ended && !fake.reset; i++)
		assert_int_equal(loop_turn(fake.loop, 5, NULL), 0);
}

static void a_heartbeat_is_a_ping(void **state)
{
	conf.ws_heartbeat_interval = 0;
	ws_reconfigure(&set);
	while (!fake.out.n)
		assert_int_equal(loop_turn(fake.loop, 100, NULL), 0);
	assert_int_equal(strncmp(heard(), "ping(0)", 7), 0);
	assert_true(ws_is_open(w));
}

static void silence_is_closed_and_dropped(void **state)
{
	conf.ws_heartbeat_interval = 0;
	conf.ws_client_timeout = 0;
	ws_reconfigure(&set);
	turns();
	assert_string_equal(heard(), "close(1001)");
	assert_true(fake.ended);
	fake_done(true);
	assert_string_equal(buf_z(&said), "closed(1001) ");
}

static void inbound_bytes_are_life(void **state)
{
	conf.ws_heartbeat_interval = 0;
	conf.ws_client_timeout = 0;
	fake.last_in_ms = UINT64_MAX / 2;
	ws_reconfigure(&set);
	turns();
	assert_true(ws_is_open(w));
}

static void moving_output_is_life(void **state)
{
	conf.ws_heartbeat_interval = 0;
	conf.ws_client_timeout = 0;
	fake.unsent = 100;
	fake.last_out_ms = UINT64_MAX / 2;
	ws_reconfigure(&set);
	turns();
	assert_true(ws_is_open(w));
}

static void output_that_does_not_move_drops(void **state)
{
	conf.ws_client_timeout = 0;
	fake.unsent = 100;
	fake.last_in_ms = UINT64_MAX / 2; /* it sends, but does not read */
	ws_reconfigure(&set);
	turns();
	assert_true(fake.reset);
}

static void turn_until(uint64_t ms)
{
	while (loop_now_ms(fake.loop) < ms && !fake.reset)
		assert_int_equal(loop_turn(fake.loop, 100, NULL), 0);
}

static void an_answer_to_a_close_is_awaited_two_seconds(void **state)
{
	uint64_t begun = loop_now_ms(fake.loop);

	conf.ws_client_timeout = 86400;
	fake.unsent = 100; /* ours has not left */
	ws_close(w, WS_GOING_AWAY, "");
	turn_until(begun + 2050);
	assert_false(fake.reset);
	fake.unsent = 0;
	fake.last_out_ms = loop_now_ms(fake.loop);
	turn_until(UINT64_MAX);
	assert_true(loop_now_ms(fake.loop) >= fake.last_out_ms + 2000);
}

static void our_own_pause_is_no_silence(void **state)
{
	ws_pause(w, true);
	conf.ws_heartbeat_interval = 0;
	conf.ws_client_timeout = 0;
	ws_reconfigure(&set);
	turns();
	assert_true(ws_is_open(w));
}

static void a_shorter_timeout_gives_time_for_a_pong(void **state)
{
	uint64_t until = loop_now_ms(fake.loop) + 1100;

	while (loop_now_ms(fake.loop) <
		until) /* longer than the next timeout */
		assert_int_equal(loop_turn(fake.loop, 100, NULL), 0);
	conf.ws_heartbeat_interval = 0;
	conf.ws_client_timeout = 1;
	ws_reconfigure(&set);
	while (!fake.out.n)
		assert_int_equal(loop_turn(fake.loop, 100, NULL), 0);
	assert_string_equal(heard(), "ping(0)");
	assert_true(ws_is_open(w));
}

static void a_message_must_be_whole_in_time(void **state)
{
	frame(0x01, "abc");
	give(SIZE_MAX);
	conf.ws_message_timeout = 0;
	ws_reconfigure(&set);
	turns();
	assert_int_equal(strncmp(heard(), "close(1008)", 11), 0);
}

/* No heartbeat comes by to look at it. */
static void a_message_is_late_by_its_own_clock(void **state)
{
	conf.ws_message_timeout = 0;
	frame(0x01, "abc");
	give(SIZE_MAX);
	turns();
	assert_int_equal(strncmp(heard(), "close(1008)", 11), 0);
}

static void half_a_frame_header_is_late_too(void **state)
{
	conf.ws_message_timeout = 0;
	fake_give(STR("\x81"), 1);
	turns();
	assert_int_equal(strncmp(heard(), "close(1008)", 11), 0);
}

static void fragments_and_pings_give_a_message_no_more_time(void **state)
{
	conf.ws_message_timeout = 1;
	frame(0x01, "a");
	give(SIZE_MAX);
	while (ws_is_open(w)) {
		frame(0x00, "b");
		frame(0x89, "");
		give(SIZE_MAX);
		assert_int_equal(loop_turn(fake.loop, 100, NULL), 0);
	}
	assert_string_equal(buf_z(&said), "");
	assert_non_null(strstr(heard(), "close(1008)"));
}

static void a_whole_message_is_never_late(void **state)
{
	conf.ws_message_timeout = 0;
	frame(0x81, "abc");
	frame(0x01, "a");
	frame(0x80, "b");
	give(SIZE_MAX);
	turns();
	assert_true(ws_is_open(w));
	assert_string_equal(buf_z(&said), "text(3)abc text(2)ab ");
}

static void what_we_do_not_read_is_not_late(void **state)
{
	frame(0x01, "abc");
	give(SIZE_MAX);
	ws_pause(w, true);
	conf.ws_message_timeout = 0;
	ws_reconfigure(&set);
	turns();
	assert_true(ws_is_open(w));
}

static void a_close_that_is_not_answered_is_cut(void **state)
{
	conf.ws_client_timeout = 0;
	ws_close(w, WS_NORMAL, "");
	turns();
	assert_true(fake.reset);
	fake_done(false);
	assert_string_equal(buf_z(&said), "closed(1000) ");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answers_the_handshake),
		T(messages_go_up),
		T(fragments_become_one_message),
		T(control_frames_come_between_fragments),
		T(a_close_comes_between_fragments),
		T(utf8_may_be_split_across_fragments),
		T(utf8_that_never_ends_is_1007),
		T(wrong_utf8_is_1007_as_soon_as_it_is_seen),
		T(wrong_utf8_is_seen_inside_an_unfinished_frame),
		T(binary_need_not_be_utf8),
		T(wrong_order_is_1002),
		T(malformed_frames_are_1002),
		T(a_close_is_answered_with_its_code),
		T(a_wrong_close_is_answered_with_its_fault),
		T(every_form_of_length_works),
		T(a_message_of_the_limit_passes),
		T(one_byte_more_is_1009_after_its_start),
		T(fragments_over_the_limit_are_1009),
		T(fragments_of_the_limit_pass),
		T(an_announced_length_takes_no_memory),
		T(the_start_of_an_endless_message_is_bounded),
		T(too_many_fragments_are_1009),
		T(sends_text_and_binary),
		T(a_close_of_ours_waits_for_the_peers),
		T(a_close_inside_a_fragmented_message_keeps_the_framing),
		T(a_close_from_within_a_message_stops_the_rest),
		T(a_reset_from_within_a_message_is_survived),
		T(an_end_without_close_is_1006),
		T(a_drain_closes_1001),
		T(a_pause_leaves_the_rest_with_the_carrier),
		T(a_close_goes_on_reading_despite_a_pause),
		T(a_client_that_does_not_read_is_not_read),
		T(of_waiting_pings_the_newest_is_answered),
		T(a_heartbeat_is_a_ping),
		T(silence_is_closed_and_dropped),
		T(inbound_bytes_are_life),
		T(moving_output_is_life),
		T(output_that_does_not_move_drops),
		T(our_own_pause_is_no_silence),
		T(a_shorter_timeout_gives_time_for_a_pong),
		T(a_message_must_be_whole_in_time),
		T(a_message_is_late_by_its_own_clock),
		T(half_a_frame_header_is_late_too),
		T(fragments_and_pings_give_a_message_no_more_time),
		T(a_whole_message_is_never_late),
		T(what_we_do_not_read_is_not_late),
		T(a_close_that_is_not_answered_is_cut),
		T(an_answer_to_a_close_is_awaited_two_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
