#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/jmapctl/jmapctl.h"

int control_dial(const char *path, int *fd_r, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(
			e, -ENAMETOOLONG, "%s: the path is too long", path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "socket");
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int ret = err_sys(e, "%s (does jmapd run?)", path);
		close(fd);
		return ret;
	}
	*fd_r = fd;
	return 0;
}

static int converse(int fd, struct str words, struct err *e)
{
	static char in[ADMIN_PACKET];
	if (send(fd, words.p, words.n, MSG_NOSIGNAL) < 0)
		return err_sys(e, "control socket");
	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		if (n < 0)
			return err_sys(e, "control socket");
		if (n == 0)
			return err_set(e, -EPIPE, "jmapd hung up");
		if (in[0] == ADMIN_OK)
			return 0;
		if (in[0] == ADMIN_ERROR)
			return err_set(e, -EINVAL, "%.*s", (int)n - 1, in + 1);
		fwrite(in + 1, 1, (size_t)n - 1, stdout);
	}
}

int control(const char *socket_path, struct str words)
{
	int fd cleanup(fd_close) = -1;
	struct err e = {0};
	int ret = control_dial(socket_path, &fd, &e);
	if (!ret)
		ret = converse(fd, words, &e);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s\n", e.text);
	return ret < 0 ? EXIT_FAILED : EXIT_GOOD;
}
