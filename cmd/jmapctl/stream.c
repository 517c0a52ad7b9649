#include "cmd/jmapctl/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/jmapctl/jmapctl.h"

static int wait_for(const struct stream *s, short events, short *got_r)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	while (poll(&p, 1, -1) < 0)
		check(errno == EINTR);
	*got_r = p.revents;
	return 0;
}

static int hung_up(struct err *e)
{
	return err_set(e, -EPIPE, "jmapd hung up");
}

/* 1 = a packet, 0 = none there. */
static int take(
	struct stream *s, char *letter_r, struct str *rest_r, struct err *e)
{
	ssize_t n;
	buf_reset(&s->in);
	do
		n = recv(s->fd, buf_room(&s->in, ADMIN_PACKET), ADMIN_PACKET,
			MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	/* It hung up while words of ours were unread; its last ones follow. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(s->fd, buf_room(&s->in, ADMIN_PACKET), ADMIN_PACKET,
			MSG_TRUNC);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return err_sys(e, "control socket");
	if (n == 0)
		return hung_up(e);
	if (n > ADMIN_PACKET)
		return err_set(e, -EPROTO, "jmapd sent a packet too long");
	s->in.n = (size_t)n;
	*letter_r = s->in.p[0];
	*rest_r = str_skip(buf_str(&s->in), 1);
	if (*letter_r == ADMIN_ERROR)
		return err_set(e, -EINVAL, "%.*s",
			(int)min_of(rest_r->n, (size_t)250), rest_r->p);
	return 1;
}

/* It does not listen any more: why? */
static int last_words(struct stream *s, struct err *e)
{
	struct str rest;
	char letter;
	int ret;
	while ((ret = take(s, &letter, &rest, e)) > 0)
		;
	return ret < 0 ? ret : hung_up(e);
}

int stream_recv(
	struct stream *s, char *letter_r, struct str *rest_r, struct err *e)
{
	short got;
	int ret;
	while ((ret = take(s, letter_r, rest_r, e)) == 0)
		wait_for(s, POLLIN, &got);
	return min_of(ret, 0);
}

static int take_what_came(struct stream *s, struct err *e)
{
	struct str rest;
	char letter;
	int ret = take(s, &letter, &rest, e);
	if (ret <= 0)
		return ret;
	if (!s->came)
		return err_set(e, -EPROTO, "jmapd said what nobody asked for");
	return s->came(s->ctx, letter, rest, e);
}

int stream_send(struct stream *s, char letter, const void *head, size_t head_n,
	struct str rest, struct err *e)
{
	struct iovec part[3] = {
		{&letter, 1}, {(void *)head, head_n}, {(void *)rest.p, rest.n}};
	struct msghdr m = {.msg_iov = part, .msg_iovlen = 3};
	short got = 0;
	int ret = 0;
	check(1 + head_n + rest.n <= ADMIN_PACKET);
	while (ret == 0) {
		if (sendmsg(s->fd, &m, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EPIPE || errno == ECONNRESET)
			return last_words(s, e);
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(e, "control socket");
		wait_for(s, POLLIN | POLLOUT, &got);
		if (got & POLLIN)
			ret = take_what_came(s, e);
	}
	return ret;
}

int stream_head(struct str *rest, void *head, size_t n, struct err *e)
{
	if (rest->n < n)
		return err_set(e, -EPROTO, "jmapd sent a packet that is cut");
	memcpy(head, rest->p, n);
	*rest = str_skip(*rest, n);
	return 0;
}

int stream_end(struct stream *s, struct err *e)
{
	struct str rest;
	char letter;
	int ret = stream_recv(s, &letter, &rest, e);
	if (ret == 0 && letter != ADMIN_OK)
		ret = err_set(e, -EPROTO, "jmapd did not end in order");
	return ret;
}

int stream_open(struct stream *s, const char *socket_path, struct str words,
	struct err *e)
{
	struct str rest;
	char letter = 0;
	int ret = control_dial(socket_path, &s->fd, e);
	if (ret < 0) {
		s->fd = -1;
		return ret;
	}
	int flags = fcntl(s->fd, F_GETFL);
	if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(e, "control socket");
	if (send(s->fd, words.p, words.n, MSG_NOSIGNAL) < 0)
		return err_sys(e, "control socket");
	ret = stream_recv(s, &letter, &rest, e);
	if (ret == 0 && letter != FRAME_GO)
		ret = err_set(e, -EPROTO, "jmapd is another version");
	return ret;
}

void stream_fini(struct stream *s)
{
	fd_closep(&s->fd);
	s->fd = -1;
	buf_fini(&s->in);
}
