/*
 * The store's opening and closing, its lock on data-dir, and what the other files
 * need of the file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/store/internal.h"

char *path_fmt(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	check(n >= 0);
	return p;
}

int dir_make(const char *path, struct err *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	return 0;
}

int dir_sync(const char *path, struct err *e)
{
	int fd cleanup(fd_close) =
		open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return fsync(fd) < 0 ? err_sys(e, "sync %s", path) : 0;
}

static int delete_one(
	const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	return remove(path);
}

int dir_delete(const char *path, struct err *e)
{
	if (nftw(path, delete_one, 16, FTW_DEPTH | FTW_PHYS) < 0 &&
		errno != ENOENT)
		return err_sys(e, "delete %s", path);
	return 0;
}

static int make_dirs(const struct store *s, struct err *e)
{
	char *accounts = path_fmt("%s/accounts", s->dir);
	int ret = dir_make(s->dir, e);

	if (ret == 0)
		ret = dir_make(accounts, e);
	free(accounts);
	return ret;
}

static int take_lock(struct store *s, struct err *e)
{
	char *path = path_fmt("%s/lock", s->dir);
	int ret = 0;

	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		ret = err_sys(e, "open %s", path);
	else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		ret = errno == EWOULDBLOCK
			      ? err_set(e, -EAGAIN, "another process uses %s",
					s->dir)
			      : err_sys(e, "lock %s", path);
	free(path);
	return ret;
}

static int start_keeper(struct store *s, struct err *e)
{
	int ret = pthread_create(&s->keeper, NULL, accounts_keeper, s);

	return ret ? err_set(e, -ret, "cannot start the housekeeper") : 0;
}

static struct store *store_new(
	const char *data_dir, unsigned lru, const struct change_sink *sink)
{
	struct store *s = mem_new(sizeof(*s));
	pthread_condattr_t mono;

	s->dir = mem_strdup(data_dir);
	s->lock_fd = -1;
	s->lru = max_of(lru, 1u);
	if (sink)
		s->sink = *sink;
	CDS_INIT_LIST_HEAD(&s->idle);
	CDS_INIT_LIST_HEAD(&s->chores);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->directory.lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &mono);
	pthread_condattr_destroy(&mono);
	return s;
}

static void store_free(struct store *s)
{
	directory_close(s);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->directory.lock);
	pthread_cond_destroy(&s->changed);
	pthread_cond_destroy(&s->work);
	free(s->dir);
	free(s);
}

int store_open(const char *data_dir, unsigned lru,
	const struct change_sink *sink, struct store **s_r, struct err *e)
{
	struct store *s = store_new(data_dir, lru, sink);
	int ret = make_dirs(s, e);

	if (ret == 0)
		ret = take_lock(s, e);
	if (ret == 0)
		ret = directory_open(s, e);
	if (ret == 0)
		ret = backup_sweep(s, e);
	if (ret == 0)
		ret = directory_sweep(s, e);
	if (ret == 0)
		ret = spool_sweep(s, e);
	if (ret == 0)
		ret = start_keeper(s, e);
	if (ret < 0) {
		store_free(s);
		return ret;
	}
	*s_r = s;
	return 0;
}

void store_guard(struct store *s, const struct store_guard *g)
{
	pthread_mutex_lock(&s->lock);
	s->guard = *g;
	pthread_mutex_unlock(&s->lock);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	check(pthread_join(s->keeper, NULL) == 0);
	accounts_close(s);
	store_free(s);
}
