/*
 * sock_send_fds(), sock_recv_fds(): packets with descriptors (unix(7), SCM_RIGHTS).
 * A packet is never empty, so that reading 0 bytes means that the peer is gone.
 */
#include "core/io/sock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

union control {
	char p[CMSG_SPACE(SOCK_FDS * sizeof(int))];
	struct cmsghdr align;
};

int sock_send_fds(
	int sock, struct str packet, const int *fds, size_t n, struct err *e)
{
	struct iovec iov = {(void *)packet.p, packet.n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;

	check(packet.n > 0);
	if (n > SOCK_FDS)
		return err_set(e, -EINVAL,
			"%zu descriptors in a packet, at most %d", n, SOCK_FDS);
	if (n > 0) {
		struct cmsghdr *h;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.p;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	if (sendmsg(sock, &m, MSG_NOSIGNAL) >= 0)
		return 1;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return err_sys(e, "sendmsg");
}

/* Every descriptor that came; the kernel has opened them, so all are ours. */
static size_t take_fds(struct msghdr *m, int fds[SOCK_FDS])
{
	size_t n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t k;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		k = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		check(n + k <= SOCK_FDS); /* the control buffer ends there */
		memcpy(fds + n, CMSG_DATA(h), k * sizeof(int));
		n += k;
	}
	return n;
}

void sock_drop(int fd)
{
	struct linger none = {0};

	/* ENOTSOCK: it does not linger. */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

int sock_recv_fds(int sock, struct buf *out, size_t max, int fds[SOCK_FDS],
	size_t *n_r, struct err *e)
{
	union control control;
	struct iovec iov;
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.p,
		.msg_controllen = sizeof(control)};
	ssize_t len;

	*n_r = 0;
	len = recv(sock, NULL, 0, MSG_PEEK | MSG_TRUNC); /* its length */
	if (len >= 0) {
		size_t want = min_of((size_t)len, max);

		iov = (struct iovec){buf_room(out, want + 1), want + 1};
		len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0)
		return err_sys(e, "recvmsg");
	*n_r = take_fds(&m, fds);
	if (len == 0)
		return err_set(e, -EPIPE, "packet: the peer is gone");
	if ((size_t)len > max || m.msg_flags & MSG_TRUNC)
		return err_set(e, -EMSGSIZE, "packet: too long");
	if (m.msg_flags & MSG_CTRUNC)
		return err_set(e, -EMFILE, "packet: descriptors were lost");
	out->n += (size_t)len;
	return 1;
}
