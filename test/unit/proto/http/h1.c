/*
 * HTTP/1.1 over a socket pair: answers byte for byte (but for their Date),
 * keep-alive, pipelining, bodies, refusals, tunnels, deadlines, draining.
 */
#include "proto/http/h1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"
#include "core/io/sock.h"

static struct loop *loop;
static struct h1_pool *pool;
static int client; /* -1: closed */
static struct buf got;
static bool got_eof;
static struct conf conf;

/* What the server of streams saw and does. */
static struct {
	struct stream *s;
	struct buf body;
	unsigned requests, eofs, rooms, clean, broken, drains;
	size_t appetite; /* on_data takes at most that much a call */
	bool tls, answer_late;
	uint64_t content_length;
	char path[64], authority[64], protocol[16];
} app;

static size_t app_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	buf_add(&app.body, p, k);
	return k;
}

static void answer_body(struct stream *s)
{
	stream_respond(s, 200, "text/plain", NULL, 0, buf_str(&app.body));
	buf_reset(&app.body);
}

static void app_eof(struct stream *s)
{
	app.eofs++;
	if (!app.answer_late)
		answer_body(s);
}

static void app_room(struct stream *s)
{
	app.rooms++;
}

static void app_done(struct stream *s, bool clean)
{
	clean ? app.clean++ : app.broken++;
	app.s = NULL;
}

static void app_drain(struct stream *s)
{
	app.drains++;
}

static const struct stream_ops app_ops = {
	.on_data = app_data,
	.on_eof = app_eof,
	.on_room = app_room,
	.on_done = app_done,
	.on_drain = app_drain,
};

static size_t tunnel_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	stream_write2(s, STR("<"), str_n(p, k));
	return k;
}

static void tunnel_eof(struct stream *s)
{
	app.eofs++;
	stream_write(s, STR("bye"));
	stream_end(s);
}

static const struct stream_ops tunnel_ops = {
	.on_data = tunnel_data,
	.on_eof = tunnel_eof,
	.on_done = app_done,
	.on_drain = app_drain,
};

static void in_chunks(struct stream *s, uint64_t length)
{
	stream_head(s, 200, NULL, 0, length);
	stream_write2(s, STR("ab"), STR("c"));
	stream_write(s, STR_NONE);
	stream_write(s, STR("0123456789abcdef"));
	stream_end(s);
}

static void copy_z(char *z, size_t size, struct str s)
{
	snprintf(z, size, "%.*s", STR_ARG(s));
}

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	static const struct http_header split[] = {
		{{"X", 1}, {"a\r\nSet-Cookie: b", 16}}};

	app.requests++;
	app.s = s;
	app.content_length = r->content_length;
	copy_z(app.path, sizeof(app.path), r->path);
	copy_z(app.authority, sizeof(app.authority), r->authority);
	copy_z(app.protocol, sizeof(app.protocol), r->protocol);
	if (str_eq(r->path, STR("/chunks"))) {
		in_chunks(s, UINT64_MAX);
	} else if (str_eq(r->path, STR("/length"))) {
		in_chunks(s, 19);
	} else if (str_eq(r->path, STR("/short"))) {
		s->ops = &app_ops;
		in_chunks(s, 20);
	} else if (str_eq(r->path, STR("/none"))) {
		stream_respond(s, 204, NULL, NULL, 0, STR_NONE);
	} else if (str_eq(r->path, STR("/early"))) {
		stream_problem(s, 413, "too much");
	} else if (str_eq(r->path, STR("/split"))) {
		stream_respond(s, 200, NULL, split, 1, STR_NONE);
	} else if (str_eq(r->path, STR("/reset"))) {
		s->ops = &app_ops;
		stream_reset(s);
	} else if (str_eq(r->path, STR("/tunnel"))) {
		s->ops = &tunnel_ops;
		stream_tunnel(s, NULL, 0);
	} else {
		s->ops = &app_ops;
	}
}

static void connect_client(void)
{
	int fd[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	client = fd[0];
	h1_take(pool, conn_new(loop, fd[1], NULL, NULL, 0, NULL, NULL), 1);
}

static int setup(void **state)
{
	struct http_server srv = {.on_request = on_request};

	conf_defaults(&conf);
	conf_swap(&conf, false);
	memset(&app, 0, sizeof(app));
	app.appetite = SIZE_MAX;
	loop = loop_new(NULL);
	pool = h1_pool_new(loop, &srv);
	got_eof = false;
	connect_client();
	return 0;
}

static int teardown(void **state)
{
	if (client >= 0)
		close(client);
	h1_pool_free(pool);
	loop_free(loop);
	buf_fini(&got);
	buf_fini(&app.body);
	return 0;
}

static void hear(void)
{
	ssize_t n;

	while (!got_eof) {
		n = recv(client, buf_room(&got, 65536), 65536, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			got_eof = true;
		else
			got.n += (size_t)n;
	}
}

static void turn(void)
{
	assert_int_equal(loop_turn(loop, 100, NULL), 0);
	hear();
}

/* The runner ends a test that hangs. */
#define turn_until(cond) \
	do {             \
		turn();  \
	} while (!(cond))

/* Turns until there is nothing more to do right now. */
static void settle(void)
{
	for (int i = 0; i < 8; i++) {
		assert_int_equal(loop_turn(loop, 0, NULL), 0);
		hear();
	}
}

static void say(struct str s)
{
	while (s.n) {
		ssize_t n = send(client, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		else
			s = str_skip(s, (size_t)n);
		if (s.n)
			turn();
	}
}

/* What came, without the Date fields, each of which is checked for its form. */
static const char *heard(void)
{
	static struct buf plain;
	struct str rest = buf_str(&got), line;

	buf_reset(&plain);
	while (rest.n) {
		size_t n = str_find(rest, '\n');
		line = str_n(rest.p, min_of(n + 1, rest.n));
		rest = str_skip(rest, line.n);
		if (!str_starts(line, STR("Date: "))) {
			buf_adds(&plain, line);
			continue;
		}
		assert_int_equal(line.n, strlen("Date: ") + 29 + 2);
		assert_true(str_ends(line, STR(" GMT\r\n")));
	}
	buf_reset(&got);
	return buf_z(&plain);
}

#define HI "GET /hi HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST_ "POST /post HTTP/1.1\r\nHost: a\r\n"
#define OK_(n)                                                               \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #n \
	"\r\n\r\n"
#define OK_CLOSE(n)                                       \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" \
	"Content-Length: " #n "\r\nConnection: close\r\n\r\n"

static void expect_status(const char *status, bool end)
{
	const char *z;

	turn_until(got_eof || (!end && got.n));
	z = heard();
	if (strncmp(z, status, strlen(status)))
		fail_msg("not %s: %s", status, z);
	assert_int_equal(got_eof, end);
	if (end)
		assert_non_null(strstr(z, "\r\nConnection: close\r\n"));
}

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
	say(STR("GET /chunks HTTP/1.1\r\nHost: a\r\n\r\n" HI));
	settle();
	assert_string_equal(heard(),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n" OK_(0));
}

static void http_1_0_gets_no_chunks_and_a_close(void **state)
{
	say(STR("GET /chunks HTTP/1.0\r\n\r\n"));
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
		"HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n" HI));
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

#define UPGRADE                                                     \
	"GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\n\r\n"
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

static void connections_are_counted(void **state)
{
	assert_int_equal(h1_count(pool), 1);
	close(client);
	client = -1;
	got_eof = true;
	turn_until(!h1_count(pool));
	assert_int_equal(metrics_get(metrics_here(), METRIC_CONNECTIONS), 0);
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
		T(drain_closes_the_idle),
		T(drain_does_not_wait_for_the_idle),
		T(drain_lets_a_header_be_completed),
		T(drain_does_not_wait_for_half_a_header),
		T(drain_lets_a_request_finish_with_close),
		T(drain_is_told_to_tunnels),
		T(connections_are_counted),
		T(an_unfinished_header_is_408),
		T(an_unfinished_body_is_408),
		T(an_idle_connection_is_closed_without_a_word),
		T(a_new_timeout_governs_what_is_idle_already),
		T(a_new_timeout_governs_a_body_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
