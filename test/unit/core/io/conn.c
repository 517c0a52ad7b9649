/*
 * One connection against a bare socket: what is read, written, kept, and how it
 * ends.
 */
#include "core/io/conn.h"

#include "test/unit/core/io/side.h"

static struct side s;
static int peer; /* the other end; -1 when closed */

static void open_on(void (*pair)(int fd[2]))
{
	int fd[2];

	pair(fd);
	peer = fd[1];
	side_open(&s, fd[0], NULL, NULL);
}

static int setup(void **state)
{
	loop = loop_new(NULL);
	s = (struct side){0};
	open_on(local_pair);
	return 0;
}

static int teardown(void **state)
{
	side_drop(&s);
	if (peer >= 0)
		close(peer);
	loop_free(loop);
	return 0;
}

static void use_tcp(void)
{
	side_drop(&s);
	close(peer);
	s = (struct side){0};
	open_on(tcp_pair);
}

static void say(const char *z)
{
	assert_int_equal(write(peer, z, strlen(z)), strlen(z));
}

static void hears(const char *z)
{
	char got[256];
	ssize_t n = recv(peer, got, sizeof(got), MSG_DONTWAIT);

	assert_int_equal(n, strlen(z));
	assert_memory_equal(got, z, strlen(z));
}

static void got(const char *z)
{
	assert_int_equal(s.in.n, strlen(z));
	assert_memory_equal(s.in.p, z, strlen(z));
}

static void close_peer(void)
{
	close(peer);
	peer = -1;
}

static void reset_peer(void)
{
	struct linger now = {.l_onoff = 1};

	assert_int_equal(
		setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close_peer();
}

static void on_stop(struct timer *t)
{
}

/* Turns made in 50 ms when nothing happens: a few; when it spins: thousands. */
static unsigned turns_in_50_ms(void)
{
	struct timer t;
	unsigned n = 0;

	timer_init(&t, on_stop);
	timer_set(loop, &t, loop_now_ms(loop) + 50);
	for (; timer_is_set(&t); n++)
		turn(-1);
	return n;
}

static void bytes_go_both_ways(void **state)
{
	say("hello");
	turn_until(s.in.n);
	got("hello");
	conn_write(s.c, STR("wel"));
	conn_write2(s.c, STR("co"), STR("me"));
	assert_int_equal(conn_unsent(s.c), 7);
	turn(0);
	hears("welcome");
	assert_int_equal(conn_unsent(s.c), 0);
	assert_int_equal(s.calls[SIDE_ROOM], 1);
}

static void the_writes_of_a_turn_are_one_write(void **state)
{
	struct buf b = {0};
	int fd[2];

	/* Each write to such a socket is a packet of its own. */
	side_drop(&s);
	close(peer);
	s = (struct side){0};
	assert_int_equal(sock_pair(fd, NULL), 0);
	peer = fd[1];
	side_open(&s, fd[0], NULL, NULL);
	conn_write(s.c, STR("one "));
	buf_addz(&b, "two ");
	conn_write_buf(s.c, &b);
	conn_write2(s.c, STR("three"), STR_NONE);
	conn_write(s.c, STR_NONE);
	turn(0);
	hears("one two three");
	assert_int_equal(recv(peer, &fd, 1, MSG_DONTWAIT), -1);
}

static void a_buffer_is_taken_over_without_a_copy(void **state)
{
	struct buf b = {0};
	char *p;

	pattern(&b, 100000, 1);
	p = b.p;
	conn_write_buf(s.c, &b);
	assert_null(b.p);
	assert_ptr_equal(s.c->out.p, p);
}

static void an_idle_connection_keeps_no_buffer(void **state)
{
	say("hello");
	turn_until(s.in.n);
	conn_write(s.c, STR("welcome"));
	turn(0);
	assert_null(s.c->out.p);
	assert_null(s.c->left.p);
	assert_null(s.c->deadline);
	assert_in_range(sizeof(struct conn), 1, 200);
}

/* Takes whole lines only. */
static size_t lines(struct side *me, enum side_call call, char *p, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n')
			used = i + 1;
	if (call == SIDE_DATA)
		buf_add(&me->in, p, used);
	return used;
}

static void what_is_left_is_offered_again_in_front(void **state)
{
	s.then = lines;
	say("one\ntw");
	turn_until(s.in.n);
	got("one\n");
	say("o");
	turn_until(s.calls[SIDE_DATA] == 2);
	got("one\n");
	say("\nthree\n");
	turn_until(s.calls[SIDE_DATA] == 3);
	got("one\ntwo\nthree\n");
	assert_null(s.c->left.p);
}

static void the_same_byte_by_byte(void **state)
{
	const char *z = "one\ntwo\nthree\n";

	s.then = lines;
	for (size_t i = 0; z[i]; i++) {
		char c[2] = {z[i], '\0'};

		say(c);
		turn_until(s.calls[SIDE_DATA] == i + 1);
	}
	got(z);
}

static struct side upper;

/* Takes one byte, then puts upper on top. */
static size_t hand_over(struct side *me, enum side_call call, char *p, size_t n)
{
	if (call == SIDE_DATA)
		conn_set(me->c, &side_ops, &upper);
	return 1;
}

static void a_new_layer_gets_what_the_old_one_left(void **state)
{
	upper = (struct side){.c = s.c};
	s.then = hand_over;
	say("Xhello");
	turn_until(upper.in.n);
	assert_int_equal(s.calls[SIDE_DATA], 1);
	assert_int_equal(upper.calls[SIDE_DATA], 1);
	assert_memory_equal(upper.in.p, "hello", 5);
	assert_int_equal(upper.in.n, 5);
	s.c = NULL;
	side_drop(&upper);
}

static size_t take_none(struct side *me, enum side_call call, char *p, size_t n)
{
	return 0;
}

static void a_layer_set_later_gets_it_too(void **state)
{
	upper = (struct side){.c = s.c};
	s.then = take_none;
	say("hello");
	turn_until(s.calls[SIDE_DATA]);
	conn_set(s.c, &side_ops, &upper);
	assert_int_equal(upper.in.n, 0); /* not from inside conn_set */
	turn_until(upper.in.n == 5);
	s.c = NULL;
	side_drop(&upper);
}

static size_t sent;

/* The peer has always sent more before we look again. */
static size_t feed_more(struct side *me, enum side_call call, char *p, size_t n)
{
	static char block[64 * 1024];
	ssize_t k;

	me->in.n += n;
	while (sent < 4 << 20 &&
		(k = send(peer, block, sizeof(block), MSG_DONTWAIT)) > 0)
		sent += (size_t)k;
	return n;
}

static void a_turn_reads_a_bounded_amount(void **state)
{
	size_t before = 0;

	sent = 1;
	s.then = feed_more;
	say("x");
	while (s.in.n < 4 << 20) {
		turn(100);
		assert_in_range(s.in.n - before, 1, 256 * 1024);
		before = s.in.n;
	}
	turn(0);
	assert_int_equal(s.in.n, sent);
	s.in.n = 0; /* was only counted */
}

static void paused_it_is_told_nothing(void **state)
{
	conn_pause(s.c, true);
	say("hello");
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_int_equal(s.calls[SIDE_DATA], 0);
	conn_pause(s.c, false);
	turn_until(s.in.n);
	got("hello");
}

static size_t pause_once(
	struct side *me, enum side_call call, char *p, size_t n)
{
	conn_pause(me->c, true);
	me->then = NULL;
	return 1;
}

static void resumed_it_gets_what_it_left_without_new_bytes(void **state)
{
	s.then = pause_once;
	say("Xhello");
	turn_until(s.calls[SIDE_DATA]);
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_int_equal(s.in.n, 0);
	conn_pause(s.c, false);
	assert_int_equal(s.in.n, 0); /* not from inside */
	turn_until(s.in.n);
	got("hello");
}

static void a_reset_is_noticed_while_paused(void **state)
{
	use_tcp();
	conn_pause(s.c, true);
	reset_peer();
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_PEER);
}

static void a_peer_gone_while_paused_neither_spins_nor_loses(void **state)
{
	conn_pause(s.c, true);
	say("last words");
	close_peer();
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_false(side_is_closed(&s));
	conn_pause(s.c, false);
	turn_until(side_is_closed(&s));
	got("last words");
	assert_int_equal(s.calls[SIDE_EOF], 1);
}

static void after_half_a_close_the_answer_is_sent(void **state)
{
	s.half = true;
	say("request");
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	turn_until(s.calls[SIDE_EOF]);
	got("request");
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_int_equal(s.calls[SIDE_EOF], 1);
	conn_write(s.c, STR("answer"));
	conn_close(s.c, 60000);
	turn_until(side_is_closed(&s)); /* nothing to linger for */
	hears("answer");
	assert_int_equal(s.why, CONN_END_US);
}

static void a_local_peer_gone_after_its_eof_does_not_spin(void **state)
{
	s.half = true;
	close_peer();
	turn_until(s.calls[SIDE_EOF]);
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_false(side_is_closed(&s));
	conn_write(s.c, STR("answer"));
	assert_false(side_is_closed(&s)); /* not from inside */
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_PEER);
}

static void without_on_eof_the_queue_is_sent_and_it_ends(void **state)
{
	struct conn_ops ops = side_ops;

	ops.on_eof = NULL;
	conn_set(s.c, &ops, &s);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	conn_write(s.c, STR("last"));
	turn_until(side_is_closed(&s));
	hears("last");
	assert_int_equal(s.why, CONN_END_PEER);
}

static void a_close_waits_for_the_peer(void **state)
{
	char c;

	conn_write(s.c, STR("last"));
	conn_close(s.c, 60000);
	assert_true(conn_closing(s.c));
	conn_write(s.c, STR("never"));
	assert_int_equal(conn_unsent(s.c), 4);
	turn(0);
	hears("last");
	assert_int_equal(read(peer, &c, 1), 0); /* end of stream */
	say("too late");
	turn(100);
	assert_false(side_is_closed(&s));
	close_peer();
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
	assert_int_equal(s.calls[SIDE_DATA], 0);
	assert_int_equal(s.calls[SIDE_ROOM], 0);
}

static void a_close_waits_no_longer_than_it_says(void **state)
{
	conn_close(s.c, 20);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void a_close_without_patience_still_sends(void **state)
{
	conn_write(s.c, STR("last"));
	conn_close(s.c, 0);
	turn_until(side_is_closed(&s));
	hears("last");
}

static void a_close_does_not_wait_for_ever_on_a_deaf_peer(void **state)
{
	struct buf b = {0};

	pattern(&b, 4 << 20, 1);
	conn_write_buf(s.c, &b);
	turn(0);
	assert_true(conn_unsent(s.c) > 0);
	conn_close(s.c, 20);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void last_bytes_reach_a_tcp_peer_that_still_sends(void **state)
{
	static char block[65536];
	char c[5] = {0};

	use_tcp();
	conn_write(s.c, STR("last"));
	conn_close(s.c, 60000);
	turn(0);
	for (int i = 0; i < 8; i++)
		assert_true(send(peer, block, sizeof(block), MSG_DONTWAIT) > 0);
	for (int i = 0; i < 8; i++)
		turn(0);
	/* A reset would throw these bytes away. */
	assert_int_equal(read(peer, c, 4), 4);
	assert_string_equal(c, "last");
	assert_int_equal(read(peer, c, 4), 0);
	close_peer();
	turn_until(side_is_closed(&s));
}

static void a_close_while_paused_ends_too(void **state)
{
	conn_pause(s.c, true);
	conn_close(s.c, 60000);
	turn(0);
	close_peer();
	turn_until(side_is_closed(&s));
}

static void an_abort_is_told_later_and_once(void **state)
{
	conn_write(s.c, STR("never"));
	conn_abort(s.c);
	conn_abort(s.c);
	conn_close(s.c, 1000);
	conn_write(s.c, STR("never"));
	conn_pause(s.c, true);
	conn_pause(s.c, false);
	assert_true(conn_closing(s.c));
	assert_false(side_is_closed(&s));
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
	assert_int_equal(recv(peer, &s, 1, MSG_DONTWAIT), 0);
	turn(0);
	assert_int_equal(s.calls[SIDE_CLOSED], 1);
}

static void an_abort_ends_a_linger(void **state)
{
	conn_close(s.c, 60000);
	turn(0);
	conn_abort(s.c);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void writing_to_a_peer_that_is_gone_tells_from_the_loop(void **state)
{
	conn_pause(s.c, true);
	close_peer();
	conn_write(s.c, STR("hello"));
	assert_false(side_is_closed(&s));
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_PEER);
}

static void a_slow_reader_gets_everything_and_room_is_told_once(void **state)
{
	struct buf b = {0}, want = {0}, all = {0};

	pattern(&b, 3 << 20, 7);
	pattern(&want, 3 << 20, 7);
	conn_write_buf(s.c, &b);
	while (all.n < want.n) {
		ssize_t n;

		turn(0);
		assert_int_equal(
			s.calls[SIDE_ROOM], conn_unsent(s.c) == 0 ? 1 : 0);
		n = recv(peer, buf_room(&all, 10000), 10000, MSG_DONTWAIT);
		if (n > 0)
			all.n += (size_t)n;
	}
	assert_memory_equal(all.p, want.p, want.n);
	turn(0);
	assert_int_equal(s.calls[SIDE_ROOM], 1);
	assert_null(s.c->out.p);
	buf_fini(&want);
	buf_fini(&all);
}

static void a_blocked_writer_does_not_spin(void **state)
{
	struct buf b = {0};

	pattern(&b, 4 << 20, 1);
	conn_write_buf(s.c, &b);
	turn(0);
	assert_in_range(turns_in_50_ms(), 1, 20);
	assert_true(conn_unsent(s.c) > 0);
}

static void progress_is_dated(void **state)
{
	uint64_t start = conn_last_in_ms(s.c);

	assert_int_equal(conn_last_out_ms(s.c), start);
	turns_in_50_ms();
	conn_write(s.c, STR("x"));
	turn(0);
	assert_true(conn_last_out_ms(s.c) >= start + 50);
	assert_int_equal(conn_last_in_ms(s.c), start);
	say("x");
	turn_until(s.in.n);
	assert_true(conn_last_in_ms(s.c) >= start + 50);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bytes_go_both_ways),
		T(the_writes_of_a_turn_are_one_write),
		T(a_buffer_is_taken_over_without_a_copy),
		T(an_idle_connection_keeps_no_buffer),
		T(what_is_left_is_offered_again_in_front),
		T(the_same_byte_by_byte),
		T(a_new_layer_gets_what_the_old_one_left),
		T(a_layer_set_later_gets_it_too),
		T(a_turn_reads_a_bounded_amount),
		T(paused_it_is_told_nothing),
		T(resumed_it_gets_what_it_left_without_new_bytes),
		T(a_reset_is_noticed_while_paused),
		T(a_peer_gone_while_paused_neither_spins_nor_loses),
		T(after_half_a_close_the_answer_is_sent),
		T(a_local_peer_gone_after_its_eof_does_not_spin),
		T(without_on_eof_the_queue_is_sent_and_it_ends),
		T(a_close_waits_for_the_peer),
		T(a_close_waits_no_longer_than_it_says),
		T(a_close_without_patience_still_sends),
		T(a_close_does_not_wait_for_ever_on_a_deaf_peer),
		T(last_bytes_reach_a_tcp_peer_that_still_sends),
		T(a_close_while_paused_ends_too),
		T(an_abort_is_told_later_and_once),
		T(an_abort_ends_a_linger),
		T(writing_to_a_peer_that_is_gone_tells_from_the_loop),
		T(a_slow_reader_gets_everything_and_room_is_told_once),
		T(a_blocked_writer_does_not_spin),
		T(progress_is_dated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
