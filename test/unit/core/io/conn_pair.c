/*
 * Two connections of one loop that speak to each other: every test runs over
 * plain sockets and over TLS.
 */
#include "core/io/conn.h"

#include "test/unit/core/io/cert.h"
#include "test/unit/core/io/side.h"

static struct pem pem;
static struct tls_ctx *server, *client;
static struct side a, b; /* server, client */
static bool tls;

static int make(void **state)
{
	struct err e;

	pem_make(&pem, "DNS:localhost", NULL);
	check(tls_server_new(buf_str(&pem.cert), buf_str(&pem.key), STR_NONE,
		      &server, &e) == 0);
	check(tls_client_new(buf_str(&pem.cert), false, &client, &e) == 0);
	return 0;
}

static int drop(void **state)
{
	tls_unref(server);
	tls_unref(client);
	pem_fini(&pem);
	return 0;
}

static void open_pair(void)
{
	int fd[2];

	a = b = (struct side){0};
	tcp_pair(fd);
	side_open(&a, fd[0], tls ? server : NULL, NULL);
	side_open(&b, fd[1], tls ? client : NULL, tls ? "localhost" : NULL);
}

static void drop_pair(void)
{
	side_drop(&a);
	side_drop(&b);
}

static int setup(void **state)
{
	tls = *state != NULL;
	loop = loop_new(NULL);
	open_pair();
	return 0;
}

static int teardown(void **state)
{
	drop_pair();
	loop_free(loop);
	return 0;
}

/* Both sides have said and heard something. */
static void greet(void)
{
	conn_write(a.c, STR("hello"));
	conn_write(b.c, STR("hello"));
	turn_until(a.in.n == 5 && b.in.n == 5);
	buf_fini(&a.in);
	buf_fini(&b.in);
}

static void what_is_queued_before_the_handshake_arrives(void **state)
{
	greet();
	assert_int_equal(conn_is_tls(a.c), tls);
	assert_int_equal(conn_alpn(a.c).n, 0);
	assert_string_equal(conn_tls_text(a.c), "");
}

static void big_transfers_cross_each_other(void **state)
{
	enum { SIZE = 8 << 20 };
	struct buf out = {0}, to_a = {0}, to_b = {0};

	pattern(&to_a, SIZE, 1);
	pattern(&to_b, SIZE, 2);
	buf_adds(&out, buf_str(&to_b));
	conn_write_buf(a.c, &out);
	buf_adds(&out, buf_str(&to_a));
	conn_write_buf(b.c, &out);
	turn_until(a.in.n == SIZE && b.in.n == SIZE && !conn_unsent(a.c) &&
		   !conn_unsent(b.c));
	assert_memory_equal(a.in.p, to_a.p, SIZE);
	assert_memory_equal(b.in.p, to_b.p, SIZE);
	assert_int_equal(a.calls[SIDE_ROOM], 1);
	assert_int_equal(b.calls[SIDE_ROOM], 1);
	buf_fini(&to_a);
	buf_fini(&to_b);
}

/* Takes at most 3,001 bytes at a time, pausing in between. */
static size_t sip(struct side *s, enum side_call call, char *p, size_t n)
{
	n = min_of(n, (size_t)3001);
	buf_add(&s->in, p, n);
	if (call == SIDE_DATA)
		conn_pause(s->c, true);
	return n;
}

static void a_reader_that_pauses_misses_nothing(void **state)
{
	enum { SIZE = 1 << 20 };
	struct buf out = {0}, want = {0};

	pattern(&want, SIZE, 3);
	pattern(&out, SIZE, 3);
	b.then = sip;
	conn_write_buf(a.c, &out);
	while (b.in.n < SIZE) {
		turn(0);
		conn_pause(b.c, false);
	}
	assert_int_equal(b.in.n, SIZE);
	assert_memory_equal(b.in.p, want.p, SIZE);
	buf_fini(&want);
}

static void backpressure_reaches_the_writer(void **state)
{
	struct buf out = {0};

	greet();
	conn_pause(b.c, true);
	pattern(&out, 32 << 20, 3);
	conn_write_buf(a.c, &out);
	for (int i = 0; i < 200; i++)
		turn(0);
	assert_true(conn_unsent(a.c) > 16 << 20);
	if (tls) /* it waits as plain text */
		assert_in_range(tls_io_out(a.c->tls)->n, 0, 100 * 1024);
	assert_int_equal(b.in.n, 0);
	conn_pause(b.c, false);
	turn_until(b.in.n == 32 << 20);
}

static void an_idle_pair_keeps_no_buffer(void **state)
{
	greet();
	turn(0);
	assert_null(a.c->out.p);
	assert_null(a.c->left.p);
	assert_null(a.c->deadline);
	if (tls)
		assert_null(tls_io_out(a.c->tls)->p);
}

static void half_a_close_lets_the_answer_through(void **state)
{
	greet();
	a.half = true;
	conn_write(b.c, STR("request"));
	conn_close(b.c, 60000);
	turn_until(a.calls[SIDE_EOF]);
	assert_int_equal(a.in.n, 7);
	conn_write(a.c, STR("answer"));
	conn_close(a.c, 60000);
	turn_until(side_is_closed(&a) && side_is_closed(&b));
	assert_int_equal(a.why, CONN_END_US);
	assert_int_equal(b.why, CONN_END_US);
}

static void a_close_delivers_everything_first(void **state)
{
	enum { SIZE = 5 << 20 };
	struct buf out = {0};

	pattern(&out, SIZE, 3);
	greet();
	conn_write_buf(a.c, &out);
	conn_close(a.c, 60000);
	turn_until(side_is_closed(&a) && side_is_closed(&b));
	assert_int_equal(b.in.n, SIZE);
	assert_int_equal(b.calls[SIDE_EOF], 1);
}

static void an_abort_is_an_end_for_the_peer(void **state)
{
	greet();
	conn_abort(a.c);
	turn_until(side_is_closed(&a) && side_is_closed(&b));
	assert_int_equal(a.why, CONN_END_US);
}

static void the_same_bytes_one_at_a_time(void **state)
{
	struct buf want = {0};

	pattern(&want, 500, 9);
	greet();
	for (size_t i = 0; i < want.n; i++) {
		conn_write(a.c, str_n(want.p + i, 1));
		turn_until(b.in.n == i + 1);
	}
	assert_memory_equal(b.in.p, want.p, want.n);
	buf_fini(&want);
}

/*
 * What a callback does to its own connection. Most of the proof is that the
 * address sanitizer stays silent and that on_closed comes once.
 */
static void act_abort(struct conn *c)
{
	conn_abort(c);
}

static void act_close(struct conn *c)
{
	conn_write(c, STR("bye"));
	conn_close(c, 50);
}

static void act_close_at_once(struct conn *c)
{
	conn_close(c, 0);
}

static void act_pause_and_abort(struct conn *c)
{
	conn_pause(c, true);
	conn_write(c, STR("never"));
	conn_abort(c);
	conn_pause(c, false);
	conn_set(c, &side_ops, conn_up(c));
}

static void act_close_then_abort(struct conn *c)
{
	conn_close(c, 60000);
	conn_abort(c);
}

static void (*const acts[])(struct conn *c) = {
	act_abort,
	act_close,
	act_close_at_once,
	act_pause_and_abort,
	act_close_then_abort,
};

static void (*act)(struct conn *c);
static enum side_call act_in;
static size_t act_takes;

static size_t act_when(struct side *s, enum side_call call, char *p, size_t n)
{
	if (call == act_in) {
		act(s->c);
		buf_add(&s->in, p, n); /* they live until the return */
	}
	return act_takes;
}

/* Both ends talk, a leaves bytes over; it acts in one kind of callback. */
static void play(
	enum side_call call, void (*what)(struct conn *c), size_t takes)
{
	open_pair();
	act = what;
	act_in = call;
	act_takes = takes;
	a.half = true;
	a.then = act_when;
	conn_write(a.c, STR("hello"));
	conn_write(b.c, STR("hello"));
	turn_until(a.calls[SIDE_DATA] || side_is_closed(&a));
	if (!side_is_closed(&b)) {
		conn_write(b.c, STR("more"));
		conn_close(b.c, 60000);
	}
	turn_until(a.calls[SIDE_EOF] || side_is_closed(&a));
	if (!side_is_closed(&a))
		conn_close(a.c, 60000);
	turn_until(side_is_closed(&a) && side_is_closed(&b));
	assert_int_equal(a.calls[SIDE_CLOSED], 1);
	assert_true(a.calls[call] > 0);
	drop_pair();
}

static void every_end_from_every_callback(void **state)
{
	drop_pair();
	for (size_t i = 0; i < countof(acts); i++)
		for (int call = 0; call < SIDE_CALLS; call++)
			for (size_t takes = 0; takes < 2; takes++)
				play((enum side_call)call, acts[i], takes);
}

static void both_ends_abort_in_one_turn(void **state)
{
	greet();
	conn_write(a.c, STR("x"));
	conn_abort(a.c);
	conn_abort(b.c);
	turn_until(side_is_closed(&a) && side_is_closed(&b));
}

static void a_loop_freed_with_an_end_untold_tells_it(void **state)
{
	conn_abort(a.c);
	conn_abort(b.c);
	loop_free(loop);
	assert_true(side_is_closed(&a) && side_is_closed(&b));
	a.c = b.c = NULL;
	loop = loop_new(NULL);
}

#define BOTH(f)                                     \
	{"plain_" #f, f, setup, teardown, NULL},    \
	{                                           \
		"tls_" #f, f, setup, teardown, &pem \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_queued_before_the_handshake_arrives),
		BOTH(big_transfers_cross_each_other),
		BOTH(a_reader_that_pauses_misses_nothing),
		BOTH(backpressure_reaches_the_writer),
		BOTH(an_idle_pair_keeps_no_buffer),
		BOTH(half_a_close_lets_the_answer_through),
		BOTH(a_close_delivers_everything_first),
		BOTH(an_abort_is_an_end_for_the_peer),
		BOTH(the_same_bytes_one_at_a_time),
		BOTH(every_end_from_every_callback),
		BOTH(both_ends_abort_in_one_turn),
		BOTH(a_loop_freed_with_an_end_untold_tells_it),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
