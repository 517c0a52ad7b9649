/*
 * Layout of the memfd: the two flags, call ring, reply ring, change ring. Every
 * part is a multiple of a cache line long, so that each starts on one.
 */
#include "ipc/link.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/msg.h"
#include "ipc/shm.h"

_Static_assert(MSG_CHUNK + sizeof(struct msg_call) <= LINK_CALLS / 4,
	"a chunk and its head always fit (ring_max)");

struct link_parts {
	struct doorbell_flag *worker_flag, *store_flag;
	void *calls, *replies, *notices;
};

static size_t link_size(void)
{
	return 2 * sizeof(struct doorbell_flag) + ring_size(LINK_CALLS) +
	       ring_size(LINK_REPLIES) + notice_ring_size(LINK_NOTICES);
}

static struct link_parts parts_of(void *mem)
{
	struct doorbell_flag *flags = mem;
	char *p = mem;
	struct link_parts at = {
		.worker_flag = &flags[0], .store_flag = &flags[1]};

	p += 2 * sizeof(struct doorbell_flag);
	at.calls = p;
	p += ring_size(LINK_CALLS);
	at.replies = p;
	p += ring_size(LINK_REPLIES);
	at.notices = p;
	return at;
}

static void close_all(int fd[LINK_FDS])
{
	for (int i = 0; i < LINK_FDS; i++)
		fd_closep(&fd[i]);
}

static int bell_new(struct err *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? err_sys(e, "eventfd") : fd;
}

int link_new(int fd[LINK_FDS], struct err *e)
{
	int made[LINK_FDS] = {-1, -1, -1};
	int ret = 0;

	for (int i = 0; i < LINK_FDS && ret >= 0; i++) {
		ret = i == LINK_FD_MEM ? shm_new("jmapd-link", link_size(), e)
				       : bell_new(e);
		made[i] = ret;
	}
	if (ret < 0) {
		close_all(made);
		return ret;
	}
	memcpy(fd, made, sizeof(made));
	return 0;
}

/* What both sides do. */
static int link_open(struct link *l, const int fd[LINK_FDS],
	struct link_parts *at_r, struct err *e)
{
	int ret;

	*l = (struct link){.size = link_size()};
	memcpy(l->fd, fd, sizeof(l->fd));
	ret = shm_map(fd[LINK_FD_MEM], l->size, &l->mem, e);
	if (ret < 0) {
		close_all(l->fd);
		return ret;
	}
	*at_r = parts_of(l->mem);
	l->worker_bell =
		(struct doorbell){at_r->worker_flag, fd[LINK_FD_WORKER_BELL]};
	l->store_bell =
		(struct doorbell){at_r->store_flag, fd[LINK_FD_STORE_BELL]};
	return 0;
}

int link_open_worker(struct link *l, const int fd[LINK_FDS], struct err *e)
{
	struct link_parts at;
	int ret = link_open(l, fd, &at, e);

	if (ret < 0)
		return ret;
	ring_open_writer(&l->calls, at.calls, LINK_CALLS);
	ring_open_reader(&l->replies, at.replies, LINK_REPLIES);
	notice_open_reader(&l->notices, at.notices, LINK_NOTICES);
	return 0;
}

int link_open_store(struct link *l, const int fd[LINK_FDS], struct err *e)
{
	struct link_parts at;
	int ret = link_open(l, fd, &at, e);

	if (ret < 0)
		return ret;
	ring_open_reader(&l->calls, at.calls, LINK_CALLS);
	ring_open_writer(&l->replies, at.replies, LINK_REPLIES);
	notice_open_writer(&l->notices, at.notices, LINK_NOTICES);
	return 0;
}

void link_close(struct link *l)
{
	if (!l->mem)
		return;
	shm_unmap(l->mem, l->size);
	close_all(l->fd);
	l->mem = NULL;
}
