#include "core/io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/log.h"

enum {
	ACCEPTS_PER_TURN = 16,
	ACCEPTS_AT_LAST = 4096,
	RETRY_MS = 100,
	COMPLAIN_MS = 10000,
};

struct listener {
	struct watch watch;
	struct timer retry; /* set while paused */
	struct defer gone;
	struct loop *loop;
	bool freed;
	bool complained;
	uint64_t complained_ms; /* the last time */
	void (*on_accept)(void *ctx, int fd);
	void *ctx;
};

/* The socket waits, its queue stays in the kernel. */
static void pause_accepting(struct listener *l, int why)
{
	uint64_t now = loop_now_ms(l->loop);

	if (!l->complained || now >= l->complained_ms + COMPLAIN_MS) {
		log_warn("accept: %s, trying again every %d ms", strerror(why),
			RETRY_MS);
		l->complained = true;
		l->complained_ms = now;
	}
	loop_rewatch(l->loop, &l->watch, 0);
	timer_set(l->loop, &l->retry, now + RETRY_MS);
}

/*
 * Would the next client take a descriptor that is kept? The kernel gives out the
 * lowest free number; the limit is asked for each time, since an operator may
 * change it (prlimit). Afterwards is too late: each try would take one more.
 */
static bool only_reserve_is_left(const struct listener *l)
{
	struct rlimit r;
	int fd = fcntl(l->watch.fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return true;
	close(fd);
	return getrlimit(RLIMIT_NOFILE, &r) == 0 &&
	       (rlim_t)fd + LISTENER_RESERVE >= r.rlim_cur;
}

static void on_retry(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, retry);

	loop_rewatch(l->loop, &l->watch, EPOLLIN);
}

static void set_nodelay(int fd, const struct sockaddr_storage *peer)
{
	int on = 1;

	/* Fails only when the peer has gone again; reading will tell. */
	if (peer->ss_family == AF_INET || peer->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Others hold the socket too: whether accept() waits is not up to us alone. */
static bool somebody_waits(const struct listener *l)
{
	struct pollfd p = {.fd = l->watch.fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void accept_some(struct listener *l, int max)
{
	for (int i = 0; i < max && !l->freed; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t len = sizeof(peer);
		int fd;

		if (only_reserve_is_left(l)) {
			pause_accepting(l, EMFILE);
			return;
		}
		if (!somebody_waits(l))
			return;
		fd = accept4(l->watch.fd, (struct sockaddr *)&peer, &len,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			set_nodelay(fd, &peer);
			l->on_accept(l->ctx, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno == EMFILE || errno == ENFILE ||
			   errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(l, errno);
			return;
		}
		/* else: that client is gone already (accept(2)); the next */
	}
}

static void on_ready(struct watch *w, uint32_t events)
{
	accept_some(container_of(w, struct listener, watch), ACCEPTS_PER_TURN);
}

void listener_accept_rest(struct listener *l)
{
	accept_some(l, ACCEPTS_AT_LAST);
}

static void on_gone(struct defer *d)
{
	free(container_of(d, struct listener, gone));
}

struct listener *listener_new(struct loop *loop, int fd,
	void (*on_accept)(void *ctx, int fd), void *ctx)
{
	struct listener *l = mem_new(sizeof(*l));

	l->loop = loop;
	l->on_accept = on_accept;
	l->ctx = ctx;
	timer_init(&l->retry, on_retry);
	defer_init(&l->gone, on_gone);
	loop_watch(loop, &l->watch, fd, EPOLLIN, on_ready);
	return l;
}

void listener_free(struct listener *l)
{
	l->freed = true;
	timer_stop(l->loop, &l->retry);
	loop_unwatch(l->loop, &l->watch);
	/* on_accept may be what called us. */
	loop_defer(l->loop, &l->gone, LOOP_FREE);
}
