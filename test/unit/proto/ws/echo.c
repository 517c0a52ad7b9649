/*
 * The echo endpoint over real connections: handshake, echoes of every size, a
 * client that reads late, the close handshake.
 */
#include "proto/ws/echo.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proto/http/h1.h"
#include "proto/ws/frame.h"
#include "test/unit/proto/ws/client.h"

static struct conf conf;
static struct loop *loop;
static struct h1_pool *pool;
static struct ws_set set;
static int client;
static struct buf got;
static bool got_eof;

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	ws_echo_serve(s, r, &set);
}

static int setup(void **state)
{
	struct http_server srv = {.on_request = on_request};
	int fd[2];

	conf_defaults(&conf);
	conf.ws_echo = true;
	conf_swap(&conf, false);
	loop = loop_new(NULL);
	ws_set_init(&set);
	pool = h1_pool_new(loop, &srv);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	client = fd[0];
	got_eof = false;
	h1_take(pool, conn_new(loop, fd[1], NULL, NULL, 0, NULL, NULL),
		&(struct http_share){.id = 1});
	return 0;
}

static int teardown(void **state)
{
	close(client);
	h1_pool_free(pool);
	loop_free(loop);
	ws_set_fini(&set);
	buf_fini(&got);
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

#define HANDSHAKE                                                         \
	"GET /jmap/ws-echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"            \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void shake(void)
{
	const char *end;

	say(STR(HANDSHAKE));
	do {
		turn();
		end = strstr(buf_z(&got), "\r\n\r\n");
	} while (!end);
	assert_non_null(strstr(buf_z(&got),
		"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_null(strstr(buf_z(&got), "Sec-WebSocket-Protocol"));
	buf_reset(&got);
}

static void echoes(size_t n)
{
	struct buf msg cleanup(buf_fini) = {0}, f cleanup(buf_fini) = {0};
	char head[WS_HEAD_OUT_MAX];
	size_t head_n = ws_head_write(head, WS_OP_BINARY, n);
	char *p = buf_room(&msg, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 31 + i / 251);
	msg.n = n;
	add_frame(&f, 0x82, buf_str(&msg));
	say(buf_str(&f));
	while (got.n < head_n + n)
		turn();
	assert_int_equal(got.n, head_n + n);
	assert_memory_equal(got.p, head, head_n);
	if (n)
		assert_memory_equal(got.p + head_n, msg.p, n);
	buf_reset(&got);
}

static void messages_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 65537};

	shake();
	for (size_t i = 0; i < countof(sizes); i++)
		echoes(sizes[i]);
	echoes(conf.max_size_request);
}

static void one_byte_over_the_limit_is_1009_and_not_lost(void **state)
{
	struct buf f cleanup(buf_fini) = {0}, msg cleanup(buf_fini) = {0};
	struct buf text cleanup(buf_fini) = {0};
	size_t n = conf.max_size_request + 1;

	shake();
	memset(buf_room(&msg, n), 'x', n);
	msg.n = n;
	add_frame(&f, 0x81, buf_str(&msg));
	say(buf_str(&f)); /* the server takes all of it off our hands */
	while (!got_eof)
		turn();
	read_frames(buf_str(&got), &text);
	assert_string_equal(buf_z(&text), "close(1009)");
}

/* Ten megabytes of echoes, read only after all was said that could be said. */
static void a_late_reader_gets_everything(void **state)
{
	struct buf f cleanup(buf_fini) = {0}, msg cleanup(buf_fini) = {0};
	size_t want = 0, total = 10;
	struct str rest;

	shake();
	memset(buf_room(&msg, 1 << 20), 'x', 1 << 20);
	msg.n = 1 << 20;
	for (size_t i = 0; i < total; i++) {
		add_frame(&f, 0x81, buf_str(&msg));
		want += msg.n + 10;
	}
	rest = buf_str(&f);
	for (int idle = 0; rest.n && idle < 10;) {
		ssize_t n = send(client, rest.p, rest.n, MSG_NOSIGNAL);
		idle = n < 0 ? idle + 1 : 0;
		if (n > 0)
			rest = str_skip(rest, (size_t)n);
		assert_int_equal(loop_turn(loop, 1, NULL), 0);
	}
	assert_true(rest.n > 0); /* it stopped reading: bounded memory */
	say(rest);
	while (got.n < want)
		turn();
	assert_int_equal(got.n, want);
}

static void the_close_handshake_ends_the_connection(void **state)
{
	struct buf f cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};

	shake();
	add_frame(&f, 0x89, STR("p"));
	add_frame(&f, 0x88, STR("\x03\xe8"));
	say(buf_str(&f));
	while (!got_eof)
		turn();
	read_frames(buf_str(&got), &text);
	assert_string_equal(buf_z(&text), "pong(1)p close(1000)");
	close(client);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	while (h1_count(pool))
		assert_int_equal(loop_turn(loop, 100, NULL), 0);
}

static void a_drain_says_going_away(void **state)
{
	struct buf f cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};

	shake();
	h1_drain(pool);
	while (got.n < 4)
		turn();
	add_frame(&f, 0x88, STR("\x03\xe9"));
	say(buf_str(&f));
	while (!got_eof)
		turn();
	read_frames(buf_str(&got), &text);
	assert_string_equal(buf_z(&text), "close(1001)");
}

static void refused(const char *request, const char *answer)
{
	say(str_of(request));
	while (!got.n)
		turn();
	if (strncmp(buf_z(&got), answer, strlen(answer)))
		fail_msg("%s", buf_z(&got));
	buf_reset(&got);
}

static void what_is_no_handshake_is_refused(void **state)
{
	refused("GET /jmap/ws-echo HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/1.1 426 ");
	refused("GET /jmap/ws-echo HTTP/1.1\r\nHost: a\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n",
		"HTTP/1.1 400 ");
	conf.ws_echo = false;
	refused(HANDSHAKE, "HTTP/1.1 404 ");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_of_every_size_come_back),
		T(one_byte_over_the_limit_is_1009_and_not_lost),
		T(a_late_reader_gets_everything),
		T(the_close_handshake_ends_the_connection),
		T(a_drain_says_going_away),
		T(what_is_no_handshake_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
