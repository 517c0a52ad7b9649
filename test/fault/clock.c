/*
 * The wall clock as a test sets it: loaded into jmapd by LD_PRELOAD (test_clock.py).
 * Whoever asks the C library for the time of day is told the kernel's plus an offset
 * that the test may change at any moment, by a file that both have mapped; other
 * clocks are the kernel's own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define OUT __attribute__((visibility("default")))

static _Atomic int64_t *offset_s;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TEST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0) {
		p = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (p == MAP_FAILED)
		abort(); /* the test would prove nothing */
	offset_s = p;
}

static bool is_of_day(clockid_t id)
{
	return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ||
	       id == CLOCK_TAI;
}

OUT int clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = (int)syscall(SYS_clock_gettime, id, t);

	/* The dynamic linker may ask before we are ready. */
	if (ret == 0 && offset_s && is_of_day(id))
		t->tv_sec += *offset_s;
	return ret;
}

OUT time_t time(time_t *t_r)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (t_r)
		*t_r = t.tv_sec;
	return t.tv_sec;
}

OUT int gettimeofday(struct timeval *restrict t_r, void *restrict zone)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t_r->tv_sec = t.tv_sec;
	t_r->tv_usec = t.tv_nsec / 1000;
	return 0;
}
