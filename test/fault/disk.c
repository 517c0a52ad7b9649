/*
 * A disk that forgets and fails, as the store sees it: loaded into jmapd by
 * LD_PRELOAD (disk.py), awake only in the role @store, for what is below one folder.
 *
 * Journal: each change of a file or a folder is carried out and appended to one file,
 * under one lock, so that the order of the journal is the order of the disk. A sync
 * that succeeded says up to where in the journal the disk holds what was written to that
 * file (or the names in that folder). From this disk.py makes what a power cut would
 * have left at any moment. Nothing is really synced: the journal is the truth, and
 * a sync takes as long as the test says.
 *
 * Faults: the test maps the same struct control and says what fails from now on.
 *
 * A descriptor is known by who opened it here; -shm files are memory (SQLite makes
 * them anew), the lock is nobody's.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536
#define OUT __attribute__((visibility("default")))
#define REAL(name, ...) \
	((__typeof__(name) *)real_of(&real_##name, #name))(__VA_ARGS__)

/* disk.py has the same numbers. */
enum op {
	OP_CREATE = 1, /* path, inode */
	OP_WRITE,
	OP_TRUNCATE,
	OP_SYNC,
	OP_SYNC_FAILED,
	OP_FOLDER_SYNC,
	OP_ALL_SYNC,
	OP_MKDIR,
	OP_RMDIR,
	OP_UNLINK,
	OP_RENAME,
	OP_LINK,
	OP_OPEN, /* from here on: for faults only */
	OP_READ,
};

struct record {
	uint32_t op;
	uint32_t path_n, other_n, data_n; /* what follows */
	uint64_t inode, offset;
	uint64_t upto; /* a sync: the journal when it began */
};

struct control {
	_Atomic uint32_t on;
	uint32_t ops;	   /* 1 << enum op */
	int32_t error;	   /* below 0: a sync is not done, and says nothing */
	uint32_t shorten;  /* a write does the half of it first */
	uint32_t permille; /* of those that match; 1000: all */
	_Atomic int64_t skip;	 /* so many go well first */
	_Atomic int64_t left;	 /* so many fail */
	_Atomic uint64_t failed; /* so many did */
	_Atomic uint32_t sync_us;
	_Atomic uint32_t seed;
	char pattern[256]; /* of the path below the folder: fnmatch(3) */
};

struct file {
	uint64_t inode;
	bool folder, silent; /* silent: no journal */
	char path[];
};

static struct control *control;
static int journal = -1;
static uint64_t journal_n;
static const char *root;
static size_t root_n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *_Atomic files[FDS];

static void *real_of(void **at, const char *name)
{
	if (!*at)
		*at = dlsym(RTLD_NEXT, name);
	return *at;
}

static void *real_open, *real_close, *real_write, *real_pwrite, *real_pread,
	*real_fsync, *real_fdatasync, *real_ftruncate, *real_syncfs,
	*real_rename, *real_unlink, *real_mkdir, *real_rmdir, *real_linkat,
	*real_opendir, *real_closedir;

/* ---- what is ours --------------------------------------------------------- */

/* The path below the folder, or NULL. */
static const char *ours(const char *path)
{
	if (!control || strncmp(path, root, root_n) != 0)
		return NULL;
	if (!path[root_n])
		return "";
	return path[root_n] == '/' ? path + root_n + 1 : NULL;
}

static bool ends(const char *path, const char *with)
{
	size_t n = strlen(path), m = strlen(with);

	return n >= m && strcmp(path + n - m, with) == 0;
}

static bool is_silent(const char *path)
{
	return ends(path, "-shm") || strcmp(path, "lock") == 0;
}

static struct file *file_of(int fd)
{
	return control && fd >= 0 && fd < FDS ? files[fd] : NULL;
}

static void know(int fd, const char *path, bool folder)
{
	struct file *f;
	struct stat st;

	if (fd < 0 || fd >= FDS || fstat(fd, &st) < 0)
		return;
	f = malloc(sizeof(*f) + strlen(path) + 1);
	if (!f)
		abort();
	f->inode = st.st_ino;
	f->folder = folder || S_ISDIR(st.st_mode);
	f->silent = is_silent(path);
	strcpy(f->path, path);
	free(files[fd]);
	files[fd] = f;
}

static void forget(int fd)
{
	if (fd >= 0 && fd < FDS && files[fd]) {
		free(files[fd]);
		files[fd] = NULL;
	}
}

/* ---- the journal ---------------------------------------------------------- */

static void put(const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t did = REAL(write, journal, at, n);

		if (did < 0)
			abort();
		at += did;
		n -= (size_t)did;
		journal_n += (size_t)did;
	}
}

/* Under the lock. */
static void note(struct record r, const char *path, const char *other,
	const void *data, size_t n)
{
	char *whole;
	size_t at = sizeof(r);

	r.path_n = path ? (uint32_t)strlen(path) : 0;
	r.other_n = other ? (uint32_t)strlen(other) : 0;
	r.data_n = (uint32_t)n;
	whole = malloc(sizeof(r) + r.path_n + r.other_n + n);
	if (!whole)
		abort();
	memcpy(whole, &r, sizeof(r));
	memcpy(whole + at, path ? path : "", r.path_n);
	at += r.path_n;
	memcpy(whole + at, other ? other : "", r.other_n);
	at += r.other_n;
	if (n)
		memcpy(whole + at, data, n);
	put(whole, at + n);
	free(whole);
}

static void note_path(enum op op, const char *path, const char *other)
{
	note((struct record){.op = op}, path, other, NULL, 0);
}

/* ---- faults --------------------------------------------------------------- */

static bool coin(void)
{
	uint32_t x;

	if (control->permille >= 1000)
		return true;
	x = atomic_fetch_add(&control->seed, 0x9e3779b9u);
	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return (x ^ x >> 16) % 1000 < control->permille;
}

/* The errno with which it fails; 0: it does not. */
static int fault(enum op op, const char *path)
{
	if (!atomic_load(&control->on) || !(control->ops & 1u << op) ||
		fnmatch(control->pattern, path, 0) != 0 || !coin())
		return 0;
	if (atomic_fetch_sub(&control->skip, 1) > 0)
		return 0;
	if (atomic_fetch_sub(&control->left, 1) <= 0)
		return 0;
	atomic_fetch_add(&control->failed, 1);
	return control->error;
}

static bool fails(enum op op, const char *path)
{
	int error = path ? fault(op, path) : 0;

	if (error)
		errno = error;
	return error != 0;
}

/* ---- open and close ------------------------------------------------------- */

static int open_ours(const char *path, const char *rel, int flags, mode_t mode)
{
	struct stat st;
	bool there, writes = (flags & O_ACCMODE) != O_RDONLY;
	int fd;

	if (fails(OP_OPEN, rel))
		return -1;
	pthread_mutex_lock(&lock);
	there = stat(path, &st) == 0;
	if (!there && flags & O_CREAT && fails(OP_CREATE, rel)) {
		pthread_mutex_unlock(&lock);
		return -1;
	}
	fd = REAL(open, path, flags, mode);
	if (fd >= 0 && !is_silent(rel) && fstat(fd, &st) == 0) {
		struct record r = {.inode = st.st_ino};

		r.op = there ? OP_TRUNCATE : OP_CREATE;
		if (!there || (writes && flags & O_TRUNC))
			note(r, rel, NULL, NULL, 0);
	}
	if (fd >= 0)
		know(fd, rel, false);
	pthread_mutex_unlock(&lock);
	return fd;
}

OUT int open(const char *path, int flags, ...)
{
	const char *rel = ours(path);
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return rel ? open_ours(path, rel, flags, mode)
		   : REAL(open, path, flags, mode);
}

OUT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open(path, flags, mode);
}

OUT int close(int fd)
{
	if (file_of(fd))
		forget(fd);
	return REAL(close, fd);
}

OUT DIR *opendir(const char *path)
{
	const char *rel = ours(path);
	DIR *d;

	if (fails(OP_OPEN, rel))
		return NULL;
	d = REAL(opendir, path);
	if (d && rel)
		know(dirfd(d), rel, true);
	return d;
}

OUT int closedir(DIR *d)
{
	if (file_of(dirfd(d)))
		forget(dirfd(d));
	return REAL(closedir, d);
}

/* ---- bytes ---------------------------------------------------------------- */

/* offset < 0: where the descriptor stands. */
static ssize_t write_ours(
	int fd, struct file *f, const void *p, size_t n, off_t offset)
{
	struct record r = {.op = OP_WRITE, .inode = f->inode};
	ssize_t did;

	pthread_mutex_lock(&lock);
	if (fails(OP_WRITE, f->path)) {
		n = control->shorten ? n / 2 : 0;
		if (!n) {
			pthread_mutex_unlock(&lock);
			errno = control->error;
			return -1;
		}
	}
	did = offset < 0 ? REAL(write, fd, p, n)
			 : REAL(pwrite, fd, p, n, offset);
	if (did > 0 && !f->silent) {
		r.offset = (uint64_t)(offset < 0 ? lseek(fd, 0, SEEK_CUR) - did
						 : offset);
		note(r, NULL, NULL, p, (size_t)did);
	}
	pthread_mutex_unlock(&lock);
	return did;
}

OUT ssize_t write(int fd, const void *p, size_t n)
{
	struct file *f = file_of(fd);

	return f ? write_ours(fd, f, p, n, -1) : REAL(write, fd, p, n);
}

OUT ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
	struct file *f = file_of(fd);

	return f ? write_ours(fd, f, p, n, offset)
		 : REAL(pwrite, fd, p, n, offset);
}

OUT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
	return pwrite(fd, p, n, offset);
}

OUT ssize_t pread(int fd, void *p, size_t n, off_t offset)
{
	struct file *f = file_of(fd);

	return f && fails(OP_READ, f->path) ? -1
					    : REAL(pread, fd, p, n, offset);
}

OUT ssize_t pread64(int fd, void *p, size_t n, off64_t offset)
{
	return pread(fd, p, n, offset);
}

OUT int ftruncate(int fd, off_t n)
{
	struct file *f = file_of(fd);
	struct record r = {.op = OP_TRUNCATE, .offset = (uint64_t)n};
	int ret;

	if (!f)
		return REAL(ftruncate, fd, n);
	if (fails(OP_TRUNCATE, f->path))
		return -1;
	pthread_mutex_lock(&lock);
	ret = REAL(ftruncate, fd, n);
	r.inode = f->inode;
	if (ret == 0 && !f->silent)
		note(r, NULL, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return ret;
}

OUT int ftruncate64(int fd, off64_t n)
{
	return ftruncate(fd, n);
}

/* ---- syncs ---------------------------------------------------------------- */

static uint64_t journal_end(void)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = journal_n;
	pthread_mutex_unlock(&lock);
	return n;
}

static void take_time(void)
{
	struct timespec t = {.tv_nsec = control->sync_us * 1000L};

	if (t.tv_nsec)
		nanosleep(&t, NULL);
}

static int fail_with(int error)
{
	errno = error;
	return error ? -1 : 0;
}

/* The names that were there when it began. */
static int sync_folder(struct file *f)
{
	int error = fault(OP_FOLDER_SYNC, f->path);

	if (error < 0)
		return 0;
	pthread_mutex_lock(&lock);
	if (!error)
		note_path(OP_FOLDER_SYNC, f->path, NULL);
	pthread_mutex_unlock(&lock);
	take_time();
	return fail_with(error);
}

static int sync_ours(struct file *f)
{
	struct record r = {.inode = f->inode, .upto = journal_end()};
	int error;

	if (f->folder)
		return sync_folder(f);
	take_time();
	error = fault(OP_SYNC, f->path);
	if (error < 0)
		return 0;
	r.op = error ? OP_SYNC_FAILED : OP_SYNC;
	pthread_mutex_lock(&lock);
	if (!f->silent)
		note(r, NULL, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return fail_with(error);
}

OUT int fsync(int fd)
{
	struct file *f = file_of(fd);

	return f ? sync_ours(f) : REAL(fsync, fd);
}

OUT int fdatasync(int fd)
{
	struct file *f = file_of(fd);

	return f ? sync_ours(f) : REAL(fdatasync, fd);
}

OUT int syncfs(int fd)
{
	struct file *f = file_of(fd);
	struct record r = {.op = OP_ALL_SYNC, .upto = journal_end()};

	if (!f)
		return REAL(syncfs, fd);
	if (fails(OP_ALL_SYNC, f->path))
		return -1;
	pthread_mutex_lock(&lock);
	note(r, NULL, NULL, NULL, 0);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* ---- names ---------------------------------------------------------------- */

OUT int rename(const char *from, const char *to)
{
	const char *a = ours(from), *b = ours(to);
	int ret;

	if (!a || !b)
		return REAL(rename, from, to);
	if (fails(OP_RENAME, a))
		return -1;
	pthread_mutex_lock(&lock);
	ret = REAL(rename, from, to);
	if (ret == 0)
		note_path(OP_RENAME, a, b);
	pthread_mutex_unlock(&lock);
	return ret;
}

#define NAME_OP(fn, op, call, ...)                  \
	OUT int fn(const char *path, ##__VA_ARGS__) \
	{                                           \
		const char *rel = ours(path);       \
		int ret;                            \
                                                    \
		if (!rel)                           \
			return call;                \
		if (fails(op, rel))                 \
			return -1;                  \
		pthread_mutex_lock(&lock);          \
		ret = call;                         \
		if (ret == 0 && !is_silent(rel))    \
			note_path(op, rel, NULL);   \
		pthread_mutex_unlock(&lock);        \
		return ret;                         \
	}

NAME_OP(unlink, OP_UNLINK, REAL(unlink, path))
NAME_OP(rmdir, OP_RMDIR, REAL(rmdir, path))
NAME_OP(mkdir, OP_MKDIR, REAL(mkdir, path, mode), mode_t mode)

/* libc's own would call its own unlink() and mkdir(). */
OUT int remove(const char *path)
{
	int ret = unlink(path);

	return ret < 0 && errno == EISDIR ? rmdir(path) : ret;
}

OUT char *mkdtemp(char *path)
{
	static _Atomic unsigned last;
	size_t n = strlen(path);

	for (;;) {
		unsigned no = atomic_fetch_add(&last, 1) % 1000000;
		char tail[16];

		snprintf(tail, sizeof(tail), "%06u", no);
		memcpy(path + n - 6, tail, 6);
		if (mkdir(path, 0700) == 0)
			return path;
		if (errno != EEXIST)
			return NULL;
	}
}

OUT int linkat(int from, const char *a, int to, const char *b, int flags)
{
	struct file *f = file_of(from), *t = file_of(to);
	char one[512], two[512];
	int ret;

	if (!f || !t)
		return REAL(linkat, from, a, to, b, flags);
	snprintf(one, sizeof(one), "%s/%s", f->path, a);
	snprintf(two, sizeof(two), "%s/%s", t->path, b);
	if (fails(OP_LINK, two))
		return -1;
	pthread_mutex_lock(&lock);
	ret = REAL(linkat, from, a, to, b, flags);
	if (ret == 0)
		note_path(OP_LINK, one, two);
	pthread_mutex_unlock(&lock);
	return ret;
}

/* ---- waking up ------------------------------------------------------------ */

/* Out of the way of the numbers that a role knows by heart. */
static int far(int fd)
{
	int other = fcntl(fd, F_DUPFD_CLOEXEC, 200);

	if (fd < 0 || other < 0)
		abort();
	REAL(close, fd);
	return other;
}

__attribute__((constructor)) static void wake(int argc, char **argv)
{
	const char *dir = getenv("TEST_DISK"), *data = getenv("TEST_DISK_DATA");
	char path[512];
	void *p;
	int fd;

	if (!dir || !data || argc < 2 || strcmp(argv[1], "@store") != 0)
		return;
	snprintf(path, sizeof(path), "%s/journal", dir);
	journal = far(REAL(open, path, O_WRONLY | O_APPEND | O_CLOEXEC));
	journal_n = (uint64_t)lseek(journal, 0, SEEK_END);
	snprintf(path, sizeof(path), "%s/control", dir);
	fd = far(REAL(open, path, O_RDWR | O_CLOEXEC));
	p = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		abort();
	root = data;
	root_n = strlen(data);
	control = p;
}
