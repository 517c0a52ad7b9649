/*
 * Connections are counted by address from accept to end, whatever carries them,
 * and one over the cap ends after its answer. Over TCP: a socket pair has no
 * address.
 */
#include "proto/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"

#define GET_1 "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_2                                                \
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" \
	"\0\0\6\1\5\0\0\0\1\x82\x86\x84\x41\1a" /* GET http / on 1 */
#define PONG "\0\0\x8\6\1\0\0\0\0draining"
#define GOAWAY 7

struct client {
	int fd;
	struct buf got;
	bool eof;
};

static struct loop *loop;
static struct http_pool *pool;
static struct conf conf;
static int door;
static struct client a, b;
static unsigned answered, refused;

/* ---- who counts ------------------------------------------------------------ */

static struct {
	struct crowd c;
	struct buf who; /* the last */
	uint64_t in;
} crowd;

static bool enter(struct crowd *c, enum crowd_kind kind, struct str who,
	uint64_t max, uint32_t *place_r)
{
	assert_int_equal(kind, CROWD_ADDRESS);
	buf_reset(&crowd.who);
	buf_adds(&crowd.who, who);
	if (max && crowd.in >= max)
		return false;
	*place_r = (uint32_t)++crowd.in;
	return true;
}

static void leave(struct crowd *c, enum crowd_kind kind, uint32_t place)
{
	assert_int_equal(kind, CROWD_ADDRESS);
	assert_true(crowd.in--);
}

static const struct crowd_ops crowd_ops = {enter, leave};

/* ---- server and clients ---------------------------------------------------- */

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	s->share->crowded ? refused++ : answered++;
	stream_respond(
		s, s->share->crowded ? 429 : 200, NULL, NULL, 0, STR_NONE);
}

static int setup(void **state)
{
	struct http_server srv = {.on_request = on_request, .crowd = &crowd.c};
	struct sockaddr_in at = {.sin_family = AF_INET};

	conf_defaults(&conf);
	conf_swap(&conf, false);
	crowd.c.ops = &crowd_ops;
	answered = refused = 0;
	a.fd = b.fd = -1;
	loop = loop_new(NULL);
	pool = http_pool_new(loop, &srv);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(door, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(door, 8), 0);
	return 0;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	buf_fini(&c->got);
	*c = (struct client){.fd = -1};
}

static int teardown(void **state)
{
	hang_up(&a);
	hang_up(&b);
	close(door);
	http_pool_free(pool);
	loop_free(loop);
	buf_fini(&crowd.who);
	assert_int_equal(crowd.in, 0);
	return 0;
}

static void dial(struct client *c)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd;

	assert_int_equal(getsockname(door, (struct sockaddr *)&at, &len), 0);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&at, len), 0);
	fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	http_accept(pool, fd, NULL);
}

static void say(struct client *c, struct str s)
{
	assert_int_equal(send(c->fd, s.p, s.n, MSG_NOSIGNAL), s.n);
}

static void turn(struct client *c)
{
	ssize_t n;

	assert_int_equal(loop_turn(loop, 20, NULL), 0);
	if (c->fd < 0 || c->eof)
		return;
	n = recv(c->fd, buf_room(&c->got, 4096), 4096, MSG_DONTWAIT);
	if (n > 0)
		c->got.n += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		c->eof = true;
}

/* The runner ends a test that hangs. */
#define turn_until(c, cond) \
	do {                \
		turn(c);    \
	} while (!(cond))

static bool has(struct client *c, const char *text)
{
	return c->got.n && strstr(buf_z(&c->got), text);
}

/* Frames of that type. */
static unsigned frames(struct client *c, unsigned type)
{
	const unsigned char *p = (const unsigned char *)c->got.p;
	size_t at = 0, len;
	unsigned n = 0;

	while (c->got.n >= at + 9) {
		len = (size_t)p[at] << 16 | (size_t)p[at + 1] << 8 | p[at + 2];
		n += p[at + 3] == type && c->got.n >= at + 9 + len;
		at += 9 + len;
	}
	return n;
}

/* ---- counted --------------------------------------------------------------- */

static void one_that_says_nothing_is_counted_until_it_goes(void **state)
{
	dial(&a);
	assert_int_equal(crowd.in, 1);
	assert_true(str_eq(buf_str(&crowd.who), str_n("4\x7f\0\0\1", 5)));
	hang_up(&a);
	turn_until(&a, !http_count(pool));
	assert_int_equal(crowd.in, 0);
}

static void http_1_is_counted_from_accept_to_end(void **state)
{
	dial(&a);
	say(&a, STR(GET_1));
	turn_until(&a, has(&a, "HTTP/1.1 200"));
	assert_int_equal(crowd.in, 1);
	hang_up(&a);
	turn_until(&a, !http_count(pool));
	assert_int_equal(crowd.in, 0);
}

static void http_2_is_counted_from_accept_to_end(void **state)
{
	dial(&a);
	say(&a, STR(GET_2));
	turn_until(&a, answered);
	assert_int_equal(crowd.in, 1);
	hang_up(&a);
	turn_until(&a, !http_count(pool));
	assert_int_equal(crowd.in, 0);
}

static void without_a_cap_all_are_counted_and_served(void **state)
{
	dial(&a);
	dial(&b);
	assert_int_equal(crowd.in, 2);
	say(&b, STR(GET_1));
	turn_until(&b, answered);
	assert_int_equal(refused, 0);
}

static void who_has_no_address_is_not_counted(void **state)
{
	int fd[2];

	conf.max_connections_per_address = 1;
	crowd.in = 1;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0, fd),
		0);
	a.fd = fd[0];
	http_accept(pool, fd[1], NULL);
	say(&a, STR(GET_1));
	turn_until(&a, answered);
	assert_int_equal(refused, 0);
	crowd.in = 0;
}

/* ---- over the cap ---------------------------------------------------------- */

static void over_it_http_1_closes_after_the_answer(void **state)
{
	uint64_t before =
		metrics_get(metrics_here(), METRIC_REFUSED_PER_ADDRESS);

	conf.max_connections_per_address = 1;
	dial(&a);
	dial(&b);
	assert_int_equal(crowd.in, 1);
	assert_int_equal(
		metrics_get(metrics_here(), METRIC_REFUSED_PER_ADDRESS),
		before + 1);
	say(&b, STR(GET_1 GET_1));
	turn_until(&b, b.eof);
	assert_true(has(&b, "HTTP/1.1 429"));
	assert_true(has(&b, "Connection: close\r\n"));
	assert_int_equal(refused, 1);
	hang_up(&b);
	turn_until(&b, http_count(pool) == 1);
	assert_int_equal(crowd.in, 1); /* the first keeps its place */
}

static void over_it_http_2_goes_away_after_the_answer(void **state)
{
	conf.max_connections_per_address = 1;
	dial(&a);
	dial(&b);
	say(&b, STR(GET_2));
	turn_until(&b, frames(&b, GOAWAY));
	say(&b, STR(PONG));
	turn_until(&b, b.eof);
	assert_int_equal(refused, 1);
	assert_int_equal(frames(&b, GOAWAY), 2);
	hang_up(&b);
	turn_until(&b, http_count(pool) == 1);
	assert_int_equal(crowd.in, 1);
}

static void over_it_there_is_little_time(void **state)
{
	struct http_share all = {.id = 1}, over = {.id = 2, .crowded = true};

	assert_int_equal(http_timeout_ms(&all), 60000);
	assert_int_equal(http_timeout_ms(&over), 5000);
	conf.http_timeout = 2;
	assert_int_equal(http_timeout_ms(&over), 2000);
}

static void a_place_that_comes_free_is_given_again(void **state)
{
	conf.max_connections_per_address = 1;
	dial(&a);
	hang_up(&a);
	turn_until(&a, !http_count(pool));
	dial(&a);
	say(&a, STR(GET_1));
	turn_until(&a, answered);
	assert_int_equal(refused, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_that_says_nothing_is_counted_until_it_goes),
		T(http_1_is_counted_from_accept_to_end),
		T(http_2_is_counted_from_accept_to_end),
		T(without_a_cap_all_are_counted_and_served),
		T(who_has_no_address_is_not_counted),
		T(over_it_http_1_closes_after_the_answer),
		T(over_it_http_2_goes_away_after_the_answer),
		T(over_it_there_is_little_time),
		T(a_place_that_comes_free_is_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
