/*
 * Layout of the memfd: the two flags, call ring, reply ring, change ring. Every
 * part is a multiple of a cache line long, so that each starts on one.
 */
#include "ipc/link.h"

#include <fcntl.h>
#include <string.h>
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

static int memory_new(int *worker_r, int *store_r, struct err *e)
{
	int fd = shm_new("jmapd-link", link_size(), e);

	if (fd < 0)
		return fd;
	*worker_r = fd;
	*store_r = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *store_r < 0 ? err_sys(e, "memory of a link") : 0;
}

static int bell_new(int *sleeper_r, int *ringer_r, struct err *e)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "pipe");
	*sleeper_r = fd[0];
	*ringer_r = fd[1];
	return 0;
}

int link_new(int worker[LINK_FDS], int store[LINK_FDS], struct err *e)
{
	int w[LINK_FDS] = {-1, -1, -1}, s[LINK_FDS] = {-1, -1, -1};
	int ret = memory_new(&w[LINK_FD_MEM], &s[LINK_FD_MEM], e);

	if (ret == 0)
		ret = bell_new(&w[LINK_FD_MINE], &s[LINK_FD_THEIRS], e);
	if (ret == 0)
		ret = bell_new(&s[LINK_FD_MINE], &w[LINK_FD_THEIRS], e);
	if (ret < 0) {
		close_all(w);
		close_all(s);
		return ret;
	}
	memcpy(worker, w, sizeof(w));
	memcpy(store, s, sizeof(s));
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
	return 0;
}

int link_open_worker(struct link *l, const int fd[LINK_FDS], struct err *e)
{
	struct link_parts at;
	int ret = link_open(l, fd, &at, e);

	if (ret < 0)
		return ret;
	l->worker_bell = (struct doorbell){at.worker_flag, fd[LINK_FD_MINE]};
	l->store_bell = (struct doorbell){at.store_flag, fd[LINK_FD_THEIRS]};
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
	l->worker_bell = (struct doorbell){at.worker_flag, fd[LINK_FD_THEIRS]};
	l->store_bell = (struct doorbell){at.store_flag, fd[LINK_FD_MINE]};
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
