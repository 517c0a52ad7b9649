/*
 * The dialogue of LMTP over a socket pair, with a fake backend behind it.
 */
#include "proto/lmtp/lmtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"

#define ROOM 65536 /* bytes that the fake takes before it wants a rest */

/* Answers when the test says so; keeps what it was told. */
struct world {
	struct backend backend;
	struct loop *loop;
	struct lmtp_pool *pool;
	int fd; /* the client's end */
	struct call *call;
	enum call_kind kind;
	struct buf head, body, said;
	size_t room;
	bool ended, cancelled;
	uint64_t ids, seen;
};

static struct world *of(struct backend *b)
{
	return container_of(b, struct world, backend);
}

static void take(struct world *w, struct call *c, const struct call_open *o)
{
	c->id = ++w->ids;
	w->call = c;
	w->kind = o->kind;
	w->ended = w->cancelled = false;
	buf_reset(&w->head);
	buf_reset(&w->body);
	buf_adds(&w->head, o->head);
}

static void fake_submit(struct backend *b, struct call *c,
	const struct call_open *o, struct buf *body)
{
	take(of(b), c, o);
}

static void fake_open(
	struct backend *b, struct call *c, const struct call_open *o)
{
	take(of(b), c, o);
}

static size_t fake_write(
	struct backend *b, struct call *c, const char *p, size_t n)
{
	struct world *w = of(b);
	n = min_of(n, w->room);
	w->room -= n;
	buf_add(&w->body, p, n);
	return n;
}

static void fake_end(struct backend *b, struct call *c)
{
	of(b)->ended = true;
}

static void fake_cancel(struct backend *b, struct call *c)
{
	c->id = 0;
	of(b)->cancelled = true;
}

static void fake_seen(struct backend *b, uint64_t id)
{
	of(b)->seen = id;
}

static const struct backend_ops fake_ops = {
	.submit = fake_submit,
	.open = fake_open,
	.write = fake_write,
	.end = fake_end,
	.cancel = fake_cancel,
	.seen = fake_seen,
};

static void turns(struct world *w)
{
	char in[4096];
	ssize_t n;
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_turn(w->loop, 0, NULL), 0);
	while ((n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT)) > 0)
		buf_add(&w->said, in, (size_t)n);
}

static void answer(struct world *w, unsigned status, struct str body)
{
	struct call *c = w->call;
	c->id = 0;
	c->on_answer(c, status, body);
	turns(w);
}

static void say(struct world *w, const char *text)
{
	buf_reset(&w->said);
	assert_int_equal(send(w->fd, text, strlen(text), 0), strlen(text));
	turns(w);
}

static void assert_said(struct world *w, const char *want)
{
	assert_string_equal(buf_z(&w->said), want);
}

static void assert_begins(struct world *w, const char *want)
{
	if (!str_starts(buf_str(&w->said), str_of(want)))
		fail_msg("%s does not begin with %s", buf_z(&w->said), want);
}

static int setup(void **state)
{
	struct world *w = mem_new(sizeof(*w));
	int fd[2];
	w->backend.ops = &fake_ops;
	w->room = ROOM;
	w->loop = loop_new(NULL);
	w->pool = lmtp_pool_new(w->loop, &w->backend);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	w->fd = fd[0];
	lmtp_accept(w->pool, fd[1]);
	turns(w);
	assert_begins(w, "220 ");
	say(w, "LHLO client.example\r\n");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	close(w->fd);
	lmtp_pool_free(w->pool);
	loop_free(w->loop);
	buf_fini(&w->head);
	buf_fini(&w->body);
	buf_fini(&w->said);
	free(w);
	return 0;
}

/* MAIL and one RCPT that the backend knows. */
static void envelope(struct world *w)
{
	say(w, "MAIL FROM:<bob@b.example>\r\nRCPT TO:<alice@a.example>\r\n");
	assert_int_equal(w->kind, CALL_RCPT);
	assert_true(str_eq(buf_str(&w->head), STR("alice@a.example")));
	answer(w, 250, STR_NONE);
	assert_said(w, "250 2.1.0 Sender is good\r\n"
		       "250 2.1.5 Recipient is good\r\n");
}

static void test_lhlo_names_what_is_offered(void **state)
{
	struct world *w = *state;
	buf_addc(&w->said, '\0');
	assert_non_null(strstr(w->said.p, "250-PIPELINING\r\n"));
	assert_non_null(strstr(w->said.p, "250-8BITMIME\r\n"));
	assert_non_null(strstr(w->said.p, "250-SMTPUTF8\r\n"));
	assert_non_null(strstr(w->said.p, "250-ENHANCEDSTATUSCODES\r\n"));
	assert_non_null(strstr(w->said.p, "250 SIZE 50000000\r\n"));
}

static void test_helo_of_smtp_is_refused(void **state)
{
	say(*state, "EHLO x\r\nHELO x\r\n");
	assert_said(*state, "500 5.5.1 This is LMTP: say LHLO\r\n"
			    "500 5.5.1 This is LMTP: say LHLO\r\n");
}

static void test_commands_out_of_order(void **state)
{
	struct world *w = *state;
	say(w, "RCPT TO:<a@b>\r\nDATA\r\n");
	assert_said(w, "503 5.5.1 Say MAIL first\r\n"
		       "503 5.5.1 Say MAIL and RCPT first\r\n");
	say(w, "MAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\n");
	assert_said(w, "250 2.1.0 Sender is good\r\n"
		       "503 5.5.1 One MAIL at a time\r\n"
		       "503 5.5.1 No recipient was good\r\n");
}

static void test_pipelined_replies_keep_their_order(void **state)
{
	struct world *w = *state;
	say(w, "MAIL FROM:<>\r\nRCPT TO:<a@a>\r\nRCPT TO:<b@b>\r\nNOOP\r\n");
	answer(w, 550, STR_NONE);
	answer(w, 250, STR_NONE);
	assert_said(w, "250 2.1.0 Sender is good\r\n"
		       "550 5.1.1 No such user here\r\n"
		       "250 2.1.5 Recipient is good\r\n250 2.0.0 Here\r\n");
}

static void test_message_with_a_reply_for_each_recipient(void **state)
{
	struct world *w = *state;
	uint16_t status[] = {250, 452};
	envelope(w);
	say(w, "RCPT TO:<carol@a.example>\r\n");
	answer(w, 250, STR_NONE);
	say(w, "DATA\r\n");
	assert_begins(w, "354 ");
	assert_int_equal(w->kind, CALL_DELIVER);
	say(w, "Subject: x\r\n\r\n..dot\r\n.\r\n");
	assert_true(w->ended);
	assert_true(
		str_eq(buf_str(&w->body), STR("Subject: x\r\n\r\n.dot\r\n")));
	assert_true(str_starts(
		buf_str(&w->head), STR("Received: from client.example (")));
	assert_true(str_ends(buf_str(&w->head),
		STR("\0bob@b.example\0alice@a.example\0carol@a.example")));
	assert_said(w, "");
	answer(w, 200, str_n(status, sizeof(status)));
	assert_said(w, "250 2.0.0 Stored\r\n"
		       "452 4.3.1 No space, try again later\r\n");
	/* The replies have left: the store may forget the delivery. */
	assert_int_equal(w->seen, w->ids);
}

static void test_unknown_end_is_a_451_and_not_seen(void **state)
{
	struct world *w = *state;
	envelope(w);
	say(w, "DATA\r\n");
	say(w, "x\r\n.\r\n");
	answer(w, 503, STR_NONE);
	assert_said(w, "451 4.3.0 Not stored, try again later\r\n");
	assert_int_equal(w->seen, 0);
	say(w, "NOOP\r\n");
	assert_said(w, "250 2.0.0 Here\r\n");
}

static void test_early_answer_swallows_the_rest(void **state)
{
	struct world *w = *state;
	envelope(w);
	say(w, "DATA\r\n");
	say(w, "first\r\n");
	answer(w, 507, STR_NONE);
	say(w, "second\r\n.\r\nNOOP\r\n");
	assert_said(w, "452 4.3.1 No space, try again later\r\n"
		       "250 2.0.0 Here\r\n");
}

static void test_backpressure_loses_no_byte(void **state)
{
	struct world *w = *state;
	struct buf text cleanup(buf_fini) = {0};
	envelope(w);
	say(w, "DATA\r\n");
	w->room = 10;
	while (text.n < 20000)
		buf_addz(&text, "a line of the message\r\n");
	assert_int_equal(send(w->fd, text.p, text.n, 0), text.n);
	assert_int_equal(send(w->fd, ".\r\n", 3, 0), 3);
	turns(w);
	assert_int_equal(w->body.n, 10);
	assert_false(w->ended);
	while (!w->ended) {
		w->room = 1000;
		w->call->on_room(w->call);
		turns(w);
	}
	assert_true(str_eq(buf_str(&w->body), buf_str(&text)));
}

static void test_too_big_is_said_before_and_after(void **state)
{
	static struct conf c;
	struct world *w = *state;
	conf_defaults(&c);
	c.max_size_message = 1024;
	conf_swap(&c, false);
	say(w, "MAIL FROM:<> SIZE=1025\r\n");
	assert_said(w, "552 5.3.4 Message is too big\r\n");
	envelope(w);
	say(w, "DATA\r\n");
	for (int i = 0; i < 64; i++)
		say(w, "a line of some twenty\r\n");
	assert_true(w->cancelled);
	say(w, ".\r\n");
	assert_said(w, "552 5.3.4 Message is too big\r\n");
	conf_defaults(&c);
}

static void test_a_client_that_leaves_cancels(void **state)
{
	struct world *w = *state;
	envelope(w);
	say(w, "DATA\r\n");
	shutdown(w->fd, SHUT_RDWR);
	turns(w);
	assert_true(w->cancelled);
	assert_int_equal(lmtp_count(w->pool), 0);
}

static void test_drain_waits_for_the_message(void **state)
{
	struct world *w = *state;
	uint16_t status = 250;
	envelope(w);
	say(w, "DATA\r\n");
	lmtp_drain(w->pool);
	say(w, "x\r\n.\r\n");
	answer(w, 200, str_n(&status, sizeof(status)));
	assert_said(w, "250 2.0.0 Stored\r\n421 4.3.2 The server stops\r\n");
}

static void test_line_that_never_ends(void **state)
{
	struct world *w = *state;
	char line[3000];
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	say(w, line);
	assert_said(w, "500 5.5.2 The line is too long\r\n");
}

static void test_bare_line_ends_are_no_line_ends(void **state)
{
	say(*state, "NOOP\nNOOP\r\n");
	assert_said(*state, "500 5.5.2 Control characters in a command\r\n");
}

static void test_a_name_adds_no_line_to_the_header(void **state)
{
	struct world *w = *state;
	say(w, "LHLO a\nX-Evil:1\r\n");
	assert_said(w, "500 5.5.2 Control characters in a command\r\n");
	envelope(w);
	say(w, "DATA\r\n");
	assert_true(str_starts(
		buf_str(&w->head), STR("Received: from client.example (")));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_lhlo_names_what_is_offered),
		T(test_helo_of_smtp_is_refused),
		T(test_commands_out_of_order),
		T(test_pipelined_replies_keep_their_order),
		T(test_message_with_a_reply_for_each_recipient),
		T(test_unknown_end_is_a_451_and_not_seen),
		T(test_early_answer_swallows_the_rest),
		T(test_backpressure_loses_no_byte),
		T(test_too_big_is_said_before_and_after),
		T(test_a_client_that_leaves_cancels),
		T(test_drain_waits_for_the_message),
		T(test_line_that_never_ends),
		T(test_bare_line_ends_are_no_line_ends),
		T(test_a_name_adds_no_line_to_the_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
