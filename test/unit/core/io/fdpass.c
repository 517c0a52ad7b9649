/*
 * Packets with descriptors: what arrives, and that nothing leaks or is lost.
 */
#include "core/io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

static void drop_all(void)
{
	for (size_t i = 0; i < n_got; i++)
		sock_drop(got[i]);
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
	assert_string_equal(e.text, "254 descriptors in a packet, at most 253");
}

static void a_packet_too_long_is_refused(void **state)
{
	int fd = 0, before = next_fd();

	assert_int_equal(send_n("12345", &fd, 1, NULL), 1);
	assert_int_equal(send_n("ok", NULL, 0, NULL), 1);
	assert_int_equal(recv_max(4, NULL), -EMSGSIZE);
	assert_int_equal(in.n, 0);
	assert_int_equal(n_got, 1);
	drop_all();
	assert_int_equal(next_fd(), before);
	assert_int_equal(recv_max(4, NULL), 1); /* the next is whole */
	assert_true(str_eq(buf_str(&in), STR("ok")));
}

/* SCM_MAX_FD: what we would not take would be closed by the kernel, in our name. */
static void the_kernel_passes_no_more_than_we_take(void **state)
{
	enum { MANY = SOCK_FDS + 1 };
	char control[CMSG_SPACE(MANY * sizeof(int))] = {0};
	char x = 'x';
	struct iovec iov = {&x, 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(MANY * sizeof(int)); /* all of them 0 */
	assert_int_equal(sendmsg(s[0], &m, 0), -1);
	assert_int_equal(errno, EINVAL);
}

/* A connection with bytes that nobody reads, and an hour to wait for that. */
static int lingering(int *peer_r)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger hour = {.l_onoff = 1, .l_linger = 3600};
	static const char bytes[65536];
	socklen_t len = sizeof(a);
	int door = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(door, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, len), 0);
	*peer_r = accept(door, NULL, NULL);
	assert_true(*peer_r >= 0);
	close(door);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)), 0);
	return fd;
}

static void a_lingering_socket_is_dropped_at_once(void **state)
{
	int before = next_fd(), peer, fd = lingering(&peer);

	assert_int_equal(send_n("x", &fd, 1, NULL), 1);
	close(fd);
	assert_int_equal(recv_max(1, NULL), 1);
	alarm(20); /* it would be an hour */
	sock_drop(got[0]);
	alarm(0);
	close(peer);
	assert_int_equal(next_fd(), before);
}

static void short_of_descriptors_is_an_error(void **state)
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
	drop_all();
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
		T(a_packet_too_long_is_refused),
		T(the_kernel_passes_no_more_than_we_take),
		T(a_lingering_socket_is_dropped_at_once),
		T(short_of_descriptors_is_an_error),
		T(a_peer_that_is_gone),
		T(a_peer_that_does_not_read_blocks_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
