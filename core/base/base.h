/*
 * The few words that every file of jmapd speaks: check(), cleanup(), steal().
 *
 * check() is for our own bugs only: it says where and aborts the process (the
 * master restarts a role that aborts). Allocation never fails softly: a limit
 * of the peer is checked before memory is taken, so running out is a bug.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p)-offsetof(type, member)))
#define min_of(a, b) ((a) < (b) ? (a) : (b))
#define max_of(a, b) ((a) > (b) ? (a) : (b))

/* struct listener *l cleanup(listener_free) = ...; runs listener_freep(&l). */
#define cleanup(fn) __attribute__((cleanup(fn##p)))
#define CLEANUP_PTR(type, fn)              \
	static inline void fn##p(type **p) \
	{                                  \
		if (*p)                    \
			fn(*p);            \
	}
/* Hands ownership over: yields the pointer and leaves NULL behind. */
#define steal(p)                             \
	__extension__({                      \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})

#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define must_use __attribute__((warn_unused_result))

#define check(cond)                    \
	(__builtin_expect(!!(cond), 1) \
			? (void)0      \
			: check_failed(#cond, __FILE__, __LINE__))

__attribute__((noreturn)) void check_failed(
	const char *cond, const char *file, int line);

/* Loads what a backtrace needs, while files can be opened; log_init() does. */
void check_init(void);

/* malloc and friends that abort when memory is out; never NULL for n > 0. */
void *mem_new(size_t n);	   /* zeroed */
void *mem_grow(void *p, size_t n); /* realloc */
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t n);

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd when it is >= 0, keeps errno: `int fd cleanup(fd_close) = -1`. */
void fd_closep(int *fd);
