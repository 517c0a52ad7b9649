/*
 * Files that grow while an upload comes (blob.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/store/internal.h"

struct spool {
	char *path;	     /* NULL: the file is somebody else's */
	struct sha256 *hash; /* NULL: it has ended */
	struct blob_id id;
	uint64_t size;
};

static char *folder(const struct store *s)
{
	return path_fmt("%s/uploads", s->dir);
}

int spool_sweep(struct store *s, struct err *e)
{
	char *dir = folder(s);
	int ret = dir_delete(dir, e);

	if (ret == 0)
		ret = dir_make(dir, e);
	free(dir);
	return ret;
}

int spool_new(struct store *s, struct spool **p_r, struct err *e)
{
	struct spool *p cleanup(spool_free) = mem_new(sizeof(*p));
	uint64_t no = atomic_fetch_add(&s->spools, 1);
	int fd cleanup(fd_close) = -1;

	p->hash = sha256_begin();
	p->path = path_fmt("%s/uploads/%" PRIu64, s->dir, no);
	fd = open(p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "make %s", p->path);
	*p_r = steal(p);
	return 0;
}

/* A file that may not grow is a disk that is full. */
static int failed(const struct spool *p, struct err *e)
{
	int ret = err_sys(e, "write %s", p->path);

	return ret == -EDQUOT || ret == -EFBIG
		       ? err_set(e, -ENOSPC, "no room for an upload")
		       : ret;
}

int spool_add(struct spool *p, struct str bytes, struct err *e)
{
	int fd cleanup(fd_close) =
		open(p->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	check(p->hash);
	if (fd < 0)
		return err_sys(e, "open %s", p->path);
	sha256_add(p->hash, bytes.p, bytes.n);
	p->size += bytes.n;
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(p, e);
		bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

int spool_end(struct spool *p, struct err *e)
{
	int fd cleanup(fd_close) = open(p->path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", p->path);
	if (fsync(fd) < 0)
		return failed(p, e);
	sha256_end(steal(p->hash), p->id.sha);
	return 0;
}

uint64_t spool_size(const struct spool *p)
{
	return p->size;
}

const struct blob_id *spool_id(const struct spool *p)
{
	check(!p->hash);
	return &p->id;
}

int spool_move(struct spool *p, const char *path, struct err *e)
{
	if (rename(p->path, path) < 0)
		return err_sys(e, "move %s", p->path);
	free(steal(p->path));
	return 0;
}

void spool_free(struct spool *p)
{
	if (!p)
		return;
	if (p->path)
		unlink(p->path);
	if (p->hash)
		sha256_free(p->hash);
	free(p->path);
	free(p);
}
