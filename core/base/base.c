/*
 * The end of a process that found its own bug, and memory that is always there.
 *
 * check_failed() takes no memory and speaks with write(2) only: the heap or
 * stdio may be what is broken.
 */
#include "core/base/base.h"

#include <errno.h>
#include <execinfo.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 48 };

/* The process ends anyway: a stderr that cannot be written changes nothing. */
static void say(const char *z)
{
	size_t n = strlen(z);
	ssize_t r;

	while (n > 0) {
		r = write(STDERR_FILENO, z, n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return;
		z += r;
		n -= (size_t)r;
	}
}

void check_failed(const char *cond, const char *file, int line)
{
	void *frame[FRAMES];
	char digits[16];
	char *d = digits + sizeof(digits) - 1;

	*d = '\0';
	do {
		*--d = (char)('0' + line % 10);
		line /= 10;
	} while (line > 0);
	say(file);
	say(":");
	say(d);
	say(": check failed: ");
	say(cond);
	say("\n");
	backtrace_symbols_fd(frame, backtrace(frame, FRAMES), STDERR_FILENO);
	abort();
}

void check_init(void)
{
	void *frame[1];

	(void)backtrace(frame, 1);
}

void *mem_new(size_t n)
{
	void *p = calloc(1, n);

	check(p || n == 0);
	return p;
}

void *mem_grow(void *p, size_t n)
{
	/* realloc(p, 0) frees or not, as the libc likes: never ask it. */
	p = realloc(p, n > 0 ? n : 1);
	check(p);
	return p;
}

char *mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t n)
{
	void *copy = malloc(n > 0 ? n : 1);

	check(copy);
	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

void fd_closep(int *fd)
{
	int saved = errno;

	/* Linux closes even when close() says EINTR; an unwritten byte is
	 * the business of fsync(). */
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}
