/*
 * What the tests of ipc/ share: memory for both ends of a ring, a seeded stream
 * of numbers, and two sides that run as two threads or as two processes.
 *
 * A side that loses a wake-up hangs; alarm() then ends the program, which counts
 * as failed. Nothing else here depends on time.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "ipc/doorbell.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* A sanitizer makes each step some ten times dearer. */
#define STEPS(n) (UNDER_TSAN ? (n) / 10 : (n))
#define HANG_S 100 /* run-unit gives a program 120 */

/* Zeroed memory that a forked child shares. */
static inline void *pair_mem(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Both ends of a bell. */
struct pair_bell {
	struct doorbell sleeper, ringer;
};

static inline struct pair_bell pair_bell(struct doorbell_flag *flag)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	return (struct pair_bell){{flag, fd[0]}, {flag, fd[1]}};
}

static inline void pair_bell_close(struct pair_bell *b)
{
	close(b->sleeper.fd);
	close(b->ringer.fd);
}

/* xorshift64: both sides draw the same numbers from the same seed. */
static inline uint64_t pair_draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static inline void pair_sleep(const struct doorbell *d)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};

	check(poll(&p, 1, -1) == 1);
}

/* A side: returns 0 when all went well. It must not call cmocka. */
typedef int pair_side(void *ctx);

struct pair_thread {
	pair_side *fn;
	void *ctx;
	int ret;
};

static inline void *pair_thread_main(void *arg)
{
	struct pair_thread *t = arg;

	t->ret = t->fn(t->ctx);
	return NULL;
}

static inline void pair_run_threads(
	pair_side *a, void *a_ctx, pair_side *b, void *b_ctx)
{
	struct pair_thread t = {.fn = a, .ctx = a_ctx, .ret = -1};
	pthread_t id;
	int ret;

	alarm(HANG_S);
	assert_int_equal(pthread_create(&id, NULL, pair_thread_main, &t), 0);
	ret = b(b_ctx);
	assert_int_equal(pthread_join(id, NULL), 0);
	alarm(0);
	assert_int_equal(ret, 0);
	assert_int_equal(t.ret, 0);
}

/* Runs fn in a child; returns what wait says of it. */
static inline pid_t pair_fork(pair_side *fn, void *ctx)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(HANG_S);
	_exit(fn(ctx) ? 1 : 0);
}

static inline int pair_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void pair_run_processes(
	pair_side *a, void *a_ctx, pair_side *b, void *b_ctx)
{
	pid_t pid = pair_fork(a, a_ctx);
	int ret;

	alarm(HANG_S);
	ret = b(b_ctx);
	assert_int_equal(pair_wait(pid), 0);
	alarm(0);
	assert_int_equal(ret, 0);
}

/* Does fn abort, as a check() that fails does? */
static inline void pair_assert_aborts(pair_side *fn, void *ctx)
{
	int status = pair_wait(pair_fork(fn, ctx));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}
