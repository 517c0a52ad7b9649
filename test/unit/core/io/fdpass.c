/*
 * Packets with descriptors: what arrives, and that nothing leaks or is lost.
 */
#include "core/io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static int s[2];
static struct buf in;
static int got[SOCK_FDS];
static size_t n_got;

static int setup(void **state)
{
	return sock_pair(s, NULL);
}

static int teardown(void **state)
{
	close(s[0]);
	close(s[1]);
	buf_fini(&in);
	return 0;
}

static int send_n(const char *z, const int *fds, size_t n, struct err *e)
{
	return sock_send_fds(s[0], str_of(z), fds, n, e);
}

static int recv_max(size_t max, struct err *e)
{
	return sock_recv_fds(s[1], &in, max, got, &n_got, e);
}

/* The lowest number that is free: grows when descriptors leak. */
static int next_fd(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void a_packet_without_descriptors(void **state)
{
	assert_int_equal(recv_max(100, NULL), 0); /* none there */
	assert_int_equal(send_n("hello", NULL, 0, NULL), 1);
	assert_int_equal(send_n("you", NULL, 0, NULL), 1);
	assert_int_equal(recv_max(100, NULL), 1);
	assert_true(str_eq(buf_str(&in), STR("hello")));
	assert_int_equal(n_got, 0);
	assert_int_equal(recv_max(100, NULL), 1); /* appended */
	assert_true(str_eq(buf_str(&in), STR("helloyou")));
	assert_int_equal(recv_max(100, NULL), 0);
}

static void a_descriptor_arrives_and_is_the_same_file(void **state)
{
	int p[2];
	char c = 0;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(send_n("x", p, 2, NULL), 1);
	close(p[0]);
	close(p[1]);
	assert_int_equal(recv_max(1, NULL), 1);
	assert_int_equal(n_got, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got[1], "q", 1), 1);
	assert_int_equal(read(got[0], &c, 1), 1);
	assert_int_equal(c, 'q');
	close(got[0]);
	close(got[1]);
}

static void as_many_as_the_contract_says(void **state)
{
	int fds[SOCK_FDS + 1], before = next_fd();
	struct err e;

	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = 0;
	assert_int_equal(send_n("x", fds, SOCK_FDS, NULL), 1);
	assert_int_equal(recv_max(1, NULL), 1);
	assert_int_equal(n_got, SOCK_FDS);
	for (size_t i = 0; i < n_got; i++)
		close(got[i]);
	assert_int_equal(next_fd(), before);
	assert_int_equal(send_n("x", fds, SOCK_FDS + 1, &e), -EINVAL);
	assert_string_equal(e.text, "129 descriptors in a packet, at most 128");
}

static void a_packet_too_long_is_refused_and_leaks_nothing(void **state)
{
	int fd = 0, before = next_fd();

	assert_int_equal(send_n("12345", &fd, 1, NULL), 1);
	assert_int_equal(send_n("ok", NULL, 0, NULL), 1);
	assert_int_equal(recv_max(4, NULL), -EMSGSIZE);
	assert_int_equal(in.n, 0);
	assert_int_equal(n_got, 0);
	assert_int_equal(next_fd(), before);
	assert_int_equal(recv_max(4, NULL), 1); /* the next is whole */
	assert_true(str_eq(buf_str(&in), STR("ok")));
}

static void a_hostile_sender_of_more_than_we_take_leaks_nothing(void **state)
{
	enum { MANY = SOCK_FDS + 20 };
	char control[CMSG_SPACE(MANY * sizeof(int))] = {0};
	char x = 'x';
	struct iovec iov = {&x, 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int before = next_fd();

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(MANY * sizeof(int)); /* all of them 0 */
	assert_int_equal(sendmsg(s[0], &m, 0), 1);
	assert_int_equal(recv_max(1, NULL), -EMFILE);
	assert_int_equal(next_fd(), before);
}

static void short_of_descriptors_is_an_error_and_leaks_nothing(void **state)
{
	struct rlimit old, low;
	int fds[4] = {0, 0, 0, 0}, before = next_fd(), ret;

	assert_int_equal(send_n("x", fds, 4, NULL), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)before + 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	ret = recv_max(1, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, -EMFILE);
	assert_int_equal(next_fd(), before);
}

static void a_peer_that_is_gone(void **state)
{
	struct err e;

	assert_int_equal(send_n("last", NULL, 0, NULL), 1);
	close(s[0]);
	s[0] = -1;
	assert_int_equal(recv_max(100, NULL), 1); /* what it said counts */
	assert_int_equal(recv_max(100, &e), -EPIPE);
	assert_string_equal(e.text, "packet: the peer is gone");
	s[0] = s[1];
	assert_int_equal(send_n("x", NULL, 0, &e), -EPIPE);
	s[0] = -1;
}

static void a_peer_that_does_not_read_blocks_the_sender(void **state)
{
	size_t sent = 0, taken = 0;
	int ret;

	while ((ret = send_n("0123456789", NULL, 0, NULL)) == 1)
		sent++;
	assert_int_equal(ret, 0);
	assert_true(sent > 0);
	while (recv_max(10, NULL) == 1)
		taken++;
	assert_int_equal(taken, sent);
	assert_int_equal(in.n, 10 * sent);
	assert_int_equal(send_n("x", NULL, 0, NULL), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_packet_without_descriptors),
		T(a_descriptor_arrives_and_is_the_same_file),
		T(as_many_as_the_contract_says),
		T(a_packet_too_long_is_refused_and_leaks_nothing),
		T(a_hostile_sender_of_more_than_we_take_leaks_nothing),
		T(short_of_descriptors_is_an_error_and_leaks_nothing),
		T(a_peer_that_is_gone),
		T(a_peer_that_does_not_read_blocks_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
