/*
 * What it does to memory and descriptors that others have, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/fault/hostile/hostile.h"

#define SHARED(name) \
	static void name(struct hostile *h, struct str args, struct buf *out)

static void add_result(struct buf *out, const char *what, int ret)
{
	buf_fmt(out, " %s=%s", what, ret < 0 ? strerrorname_np(errno) : "ok");
}

/* Its size is sealed, and so are the seals. */
SHARED(truncate_memory)
{
	int fd = h->link.fd[LINK_FD_MEM];
	off_t size = (off_t)h->link.size;

	add_result(out, "truncate", ftruncate(fd, 0));
	add_result(out, "grow", ftruncate(fd, size + 4096));
	add_result(out, "allocate", fallocate(fd, 0, size, 4096));
	add_result(out, "collapse",
		fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	add_result(out, "seal", fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	add_result(out, "seal-write", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

/*
 * "change-lengths MS": records whose length changes between 8 and 24 bytes as they
 * are read, as does their type; each reading of them is well-formed, so that the
 * store reads on and on.
 */
struct flipper {
	unsigned char *data;
	_Atomic bool over;
};

#define FLIP_RECORDS 4096

static void *flip(void *arg)
{
	struct flipper *f = arg;
	unsigned i = 0;

	while (!atomic_load(&f->over)) {
		for (unsigned r = 0; r + 1 < FLIP_RECORDS; r++) {
			struct ring_record rec = {
				.len = (i ^ r) & 1 ? 8 : 24,
				.type = (i ^ r) & 2 ? MSG_CALL_CANCEL
						    : MSG_CALL_END,
			};
			uint64_t word;

			memcpy(&word, &rec, sizeof(word));
			atomic_store_explicit(
				(_Atomic uint64_t *)(void *)(f->data + 16 * r),
				word, memory_order_relaxed);
		}
		i++;
	}
	return NULL;
}

SHARED(change_lengths)
{
	struct ring *r = &h->link.calls;
	struct flipper f = {.data = r->shm->data};
	uint64_t end = now_ms() + number_of(&args), n = 0;
	pthread_t id;

	/* The ring's whole length is used by records of 16 bytes: rounds of it. */
	check(r->mine == 0);
	for (uint64_t at = 0; at < LINK_CALLS; at += 16) {
		struct ring_record rec = {.len = 8, .type = MSG_CALL_CANCEL};

		memset(r->shm->data + at, 0, 16);
		memcpy(r->shm->data + at, &rec, sizeof(rec));
		r->shm->data[at + 8] = 1; /* the call; also a header's length */
	}
	check(pthread_create(&id, NULL, flip, &f) == 0);
	for (; now_ms() < end; n++) {
		uint64_t tail = r->mine + LINK_CALLS / 2;

		while (atomic_load(&r->shm->head) != r->mine)
			nap();
		r->mine = tail;
		publish(h);
	}
	atomic_store(&f.over, true);
	check(pthread_join(id, NULL) == 0);
	buf_fmt(out, " %llu", (unsigned long long)n);
}

/* "change-all MS": its whole memory changes all the time, the indexes too. */
SHARED(change_all)
{
	uint64_t end = now_ms() + number_of(&args), seed = 88172645463325252u;
	_Atomic uint64_t *word = h->link.mem;

	while (now_ms() < end) {
		for (int i = 0; i < 100000; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			atomic_store_explicit(&word[seed % (h->link.size / 8)],
				seed >> 32 & 0xffff00ff, memory_order_relaxed);
		}
		(void)!write(h->link.store_bell.fd, "", 1);
	}
}

/* Clears what says that nobody waits; fills the bell that wakes us, empties the one
 * that wakes the store. */
SHARED(flags)
{
	int mine = h->link.fd[LINK_FD_MINE];
	int theirs = h->link.fd[LINK_FD_THEIRS];
	char path[64], bytes[4096] = {0};
	int full, empty, off = 0;

	for (int i = 0; i < LINK_FDS; i++)
		add_result(out, "flags", fcntl(h->link.fd[i], F_SETFL, 0));
	/* Its own end of the line: it would itself wait there. */
	add_result(out, "line", fcntl(ROLE_FD_CTL, F_SETFL, O_ASYNC));
	for (int i = 0; i < 700; i++)
		nap(); /* it is asked whether it lives */
	add_result(out, "line", fcntl(ROLE_FD_CTL, F_SETFL, O_NONBLOCK));
	add_result(out, "ioctl", ioctl(theirs, FIONBIO, &off));
	for (int fd = 0; fd < 3; fd++)
		add_result(
			out, "log", fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mine);
	full = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	while (full >= 0 && write(full, bytes, sizeof(bytes)) > 0)
		;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", theirs);
	empty = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (empty >= 0 && read(empty, bytes, sizeof(bytes)) > 0)
		;
	add_result(out, "full", full);
	add_result(out, "empty", empty);
	/* And wants to be woken. */
	doorbell_arm(&h->link.worker_bell);
}

/* Closes its ends of both bells. */
SHARED(close_bells)
{
	close(h->link.fd[LINK_FD_MINE]);
	close(h->link.fd[LINK_FD_THEIRS]);
	doorbell_arm(&h->link.worker_bell);
}

/* The flags of all listening sockets, then the sockets themselves. */
SHARED(doors_block)
{
	for (size_t i = 0; i < h->doors; i++)
		add_result(out, "door", fcntl(h->door[i].fd, F_SETFL, 0));
}

SHARED(doors_shut)
{
	for (size_t i = 0; i < h->doors; i++)
		add_result(out, "door", shutdown(h->door[i].fd, SHUT_RDWR));
}

const struct attack shared[] = {
	{"truncate", truncate_memory},
	{"change-lengths", change_lengths},
	{"change-all", change_all},
	{"flags", flags},
	{"close-bells", close_bells},
	{"doors-block", doors_block},
	{"doors-shut", doors_shut},
	{0},
};
