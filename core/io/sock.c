#include "core/io/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool set_flag(int fd, int level, int option, int on)
{
	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static int bind_ip(int fd, const struct sockaddr *addr, socklen_t len,
	const char *text, struct err *e)
{
	if (!set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
		!set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
		(addr->sa_family == AF_INET6 &&
			!set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)))
		return err_sys(e, "setsockopt %s", text);
	if (bind(fd, addr, len) < 0)
		return err_sys(e, "bind %s", text);
	return 0;
}

/*
 * Nobody accepts there any more: its owner is gone, the name has stayed. A file
 * of another kind refuses connections too, but is not ours to replace.
 */
static bool is_stale(const struct sockaddr_un *addr, socklen_t len)
{
	int fd cleanup(fd_close) =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	return fd >= 0 && lstat(addr->sun_path, &st) == 0 &&
	       S_ISSOCK(st.st_mode) &&
	       connect(fd, (const struct sockaddr *)addr, len) < 0 &&
	       errno == ECONNREFUSED;
}

static int bind_unix(int fd, const struct sockaddr *addr, socklen_t len,
	const char *text, unsigned mode, struct err *e)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)addr;
	const char *path = un->sun_path;
	bool named = path[0] != '\0';
	int ret;

	/* Before the bind, so that the name never stands with more rights. */
	if (fchmod(fd, mode) < 0)
		return err_sys(e, "fchmod %s", text);
	ret = bind(fd, addr, len);
	if (ret < 0 && errno == EADDRINUSE) {
		if (!named || !is_stale(un, len))
			return err_set(e, -EADDRINUSE,
				"bind %s: Address already in use", text);
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(e, "unlink %s", text);
		ret = bind(fd, addr, len);
	}
	if (ret < 0)
		return err_sys(e, "bind %s", text);
	/* The umask took part in the bind. */
	if (named && chmod(path, mode) < 0)
		return err_sys(e, "chmod %s", text);
	return 0;
}

int sock_listen(const struct sockaddr *addr, socklen_t len, const char *text,
	unsigned mode, int *fd_r, struct err *e)
{
	int fd cleanup(fd_close) = socket(
		addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return err_sys(e, "socket %s", text);
	if (addr->sa_family == AF_UNIX)
		ret = bind_unix(fd, addr, len, text, mode, e);
	else
		ret = bind_ip(fd, addr, len, text, e);
	if (ret < 0)
		return ret;
	if (listen(fd, SOMAXCONN) < 0)
		return err_sys(e, "listen %s", text);
	*fd_r = fd;
	fd = -1;
	return 0;
}

void sock_peer_text(int fd, char z[SOCK_TEXT_MAX])
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage any;
	} a = {.any = {0}};
	socklen_t len = sizeof(a);
	char ip[INET6_ADDRSTRLEN];

	if (getpeername(fd, &a.sa, &len) < 0) {
		snprintf(z, SOCK_TEXT_MAX, "unknown");
	} else if (a.sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a.in.sin_addr, ip, sizeof(ip));
		snprintf(z, SOCK_TEXT_MAX, "%s:%u", ip, ntohs(a.in.sin_port));
	} else if (a.sa.sa_family == AF_INET6 &&
		   IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr)) {
		inet_ntop(
			AF_INET, &a.in6.sin6_addr.s6_addr[12], ip, sizeof(ip));
		snprintf(z, SOCK_TEXT_MAX, "%s:%u", ip, ntohs(a.in6.sin6_port));
	} else if (a.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a.in6.sin6_addr, ip, sizeof(ip));
		snprintf(z, SOCK_TEXT_MAX, "[%s]:%u", ip,
			ntohs(a.in6.sin6_port));
	} else {
		snprintf(z, SOCK_TEXT_MAX, "unix");
	}
}

int sock_pair(int fd[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0, fd) < 0)
		return err_sys(e, "socketpair");
	return 0;
}
