/*
 * Listening sockets and the text of their peers.
 */
#include "core/io/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static struct sockaddr_in v4(void)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_v4(struct sockaddr_in *a, struct err *e)
{
	socklen_t len = sizeof(*a);
	int fd = -1, ret;

	ret = sock_listen(
		(struct sockaddr *)a, sizeof(*a), "127.0.0.1:0", 0, &fd, e);
	if (ret < 0)
		return ret;
	assert_int_equal(getsockname(fd, (struct sockaddr *)a, &len), 0);
	return fd;
}

static int option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void ip_sockets_share_their_port(void **state)
{
	struct sockaddr_in a = v4();
	int one = listen_v4(&a, NULL), two = listen_v4(&a, NULL);

	assert_true(one >= 0 && two >= 0);
	assert_int_equal(option(one, SOL_SOCKET, SO_REUSEPORT), 1);
	assert_int_equal(option(one, SOL_SOCKET, SO_ACCEPTCONN), 1);
	assert_true(fcntl(one, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(one, F_GETFD) & FD_CLOEXEC);
	close(one);
	close(two);
}

static void a_foreign_address_is_named_in_the_error(void **state)
{
	struct sockaddr_in a = v4();
	struct err e;
	int fd = -1;

	a.sin_addr.s_addr = inet_addr("192.0.2.1"); /* not ours: RFC 5737 */
	assert_int_equal(sock_listen((struct sockaddr *)&a, sizeof(a),
				 "192.0.2.1:0", 0, &fd, &e),
		-EADDRNOTAVAIL);
	assert_int_equal(fd, -1);
	assert_string_equal(
		e.text, "bind 192.0.2.1:0: Cannot assign requested address");
}

static void text_of(struct sockaddr *a, socklen_t len, int server,
	char z[SOCK_TEXT_MAX], char own[SOCK_TEXT_MAX], int family)
{
	int client = socket(family, SOCK_STREAM, 0), fd;
	char peer[SOCK_TEXT_MAX];

	assert_int_equal(connect(client, a, len), 0);
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	sock_peer_text(fd, z);
	sock_peer_text(client, peer);
	strcpy(own, peer);
	close(fd);
	close(client);
}

static void text_of_an_ipv4_peer(void **state)
{
	struct sockaddr_in a = v4();
	int fd = listen_v4(&a, NULL);
	char z[SOCK_TEXT_MAX], own[SOCK_TEXT_MAX], want[SOCK_TEXT_MAX];

	text_of((struct sockaddr *)&a, sizeof(a), fd, z, own, AF_INET);
	snprintf(want, sizeof(want), "127.0.0.1:%d", ntohs(a.sin_port));
	assert_string_equal(own, want);
	assert_int_equal(strncmp(z, "127.0.0.1:", 10), 0);
	close(fd);
}

static void the_ipv6_wildcard_takes_ipv4_too(void **state)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	struct sockaddr_in four = v4();
	socklen_t len = sizeof(a);
	int fd = -1, ret;
	char z[SOCK_TEXT_MAX], own[SOCK_TEXT_MAX], want[SOCK_TEXT_MAX];

	ret = sock_listen(
		(struct sockaddr *)&a, sizeof(a), "[::]:0", 0, &fd, NULL);
	if (ret == -EAFNOSUPPORT || ret == -EADDRNOTAVAIL)
		skip(); /* a kernel without IPv6 */
	assert_int_equal(ret, 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	four.sin_port = a.sin6_port;
	text_of((struct sockaddr *)&four, sizeof(four), fd, z, own, AF_INET);
	/* Mapped addresses show as what they are. */
	assert_int_equal(strncmp(z, "127.0.0.1:", 10), 0);
	a.sin6_addr = in6addr_loopback;
	text_of((struct sockaddr *)&a, sizeof(a), fd, z, own, AF_INET6);
	snprintf(want, sizeof(want), "[::1]:%d", ntohs(a.sin6_port));
	assert_string_equal(own, want);
	assert_int_equal(strncmp(z, "[::1]:", 6), 0);
	close(fd);
}

static char dir[64];

static struct sockaddr_un un(const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
	return a;
}

static int listen_un(struct sockaddr_un *a, unsigned mode, struct err *e)
{
	int fd = -1;
	int ret = sock_listen(
		(struct sockaddr *)a, sizeof(*a), "unix:s", mode, &fd, e);

	return ret < 0 ? ret : fd;
}

static void a_unix_socket_has_its_mode_whatever_the_umask(void **state)
{
	struct sockaddr_un a = un("mode");
	mode_t old = umask(077);
	int fd = listen_un(&a, 0666, NULL);
	struct stat st;
	char z[SOCK_TEXT_MAX], own[SOCK_TEXT_MAX];

	umask(old);
	assert_true(fd >= 0);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	text_of((struct sockaddr *)&a, sizeof(a), fd, z, own, AF_UNIX);
	assert_string_equal(z, "unix");
	close(fd);
	unlink(a.sun_path);
}

static void a_stale_unix_socket_is_replaced(void **state)
{
	struct sockaddr_un a = un("stale");
	int fd = listen_un(&a, 0600, NULL);

	assert_true(fd >= 0);
	close(fd); /* the name stays */
	fd = listen_un(&a, 0600, NULL);
	assert_true(fd >= 0);
	close(fd);
	unlink(a.sun_path);
}

static void a_unix_socket_in_use_is_not_replaced(void **state)
{
	struct sockaddr_un a = un("used");
	int fd = listen_un(&a, 0600, NULL);
	struct err e;

	assert_true(fd >= 0);
	assert_int_equal(listen_un(&a, 0600, &e), -EADDRINUSE);
	assert_string_equal(e.text, "bind unix:s: Address already in use");
	close(fd);
	unlink(a.sun_path);
}

static void a_file_is_never_replaced(void **state)
{
	struct sockaddr_un a = un("file");
	FILE *f = fopen(a.sun_path, "w");
	struct stat st;

	assert_non_null(f);
	fputs("precious", f);
	fclose(f);
	assert_int_equal(listen_un(&a, 0600, NULL), -EADDRINUSE);
	assert_int_equal(stat(a.sun_path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(a.sun_path);
}

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/jmapd-sock-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_sockets_share_their_port),
		cmocka_unit_test(a_foreign_address_is_named_in_the_error),
		cmocka_unit_test(text_of_an_ipv4_peer),
		cmocka_unit_test(the_ipv6_wildcard_takes_ipv4_too),
		cmocka_unit_test(a_unix_socket_has_its_mode_whatever_the_umask),
		cmocka_unit_test(a_stale_unix_socket_is_replaced),
		cmocka_unit_test(a_unix_socket_in_use_is_not_replaced),
		cmocka_unit_test(a_file_is_never_replaced),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
