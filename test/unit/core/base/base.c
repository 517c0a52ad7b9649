/*
 * check(), cleanup(), steal() and memory.
 */
#include "core/base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs fn in a child; returns its wait status, and what it said on stderr. */
static int in_child(void (*fn)(void), char *said, size_t cap)
{
	int fds[2];
	int status;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (n < cap - 1 && (r = read(fds[0], said + n, cap - 1 - n)) > 0)
		n += (size_t)r;
	said[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void fail_check(void)
{
	check(1 + 1 == 3);
}

static void pass_check(void)
{
	check(1 + 1 == 2);
}

static void closes_twice(void)
{
	int fd = dup(STDERR_FILENO);

	fd_closep(&fd);
	fd_closep(&fd);
	if (fd != -1)
		abort();
}

static void huge_memory(void)
{
	void *volatile p = mem_grow(NULL, SIZE_MAX / 2);

	free(p);
}

static void failed_check_says_where_and_aborts(void **state)
{
	char said[16384];
	int status = in_child(fail_check, said, sizeof(said));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(said, "base.c:"));
	assert_non_null(strstr(said, "check failed: 1 + 1 == 3\n"));
}

static void failed_check_prints_a_backtrace(void **state)
{
	char said[16384];
	const char *line;

	in_child(fail_check, said, sizeof(said));
	line = strchr(said, '\n');
	assert_non_null(line);
	/* backtrace_symbols_fd(): one "object(...)[0x...]" a frame. */
	assert_non_null(strstr(line, "[0x"));
}

static void true_check_is_silent(void **state)
{
	char said[256];
	int status = in_child(pass_check, said, sizeof(said));

	assert_true(WIFEXITED(status));
	assert_string_equal(said, "");
}

static void fd_closep_forgets_the_descriptor(void **state)
{
	char said[256];
	int status = in_child(closes_twice, said, sizeof(said));

	assert_true(WIFEXITED(status));
}

static void fd_closep_keeps_errno(void **state)
{
	int fd = 1 << 20; /* not open: close() fails */

	errno = EAGAIN;
	fd_closep(&fd);
	assert_int_equal(errno, EAGAIN);
}

static void memory_that_is_not_there_aborts(void **state)
{
	char said[65536];
	int status = in_child(huge_memory, said, sizeof(said));

	/* Sanitizers report it themselves and exit. */
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void mem_new_is_zeroed(void **state)
{
	static const char zero[4096];
	char *p cleanup(free) = mem_new(sizeof(zero));

	assert_memory_equal(p, zero, sizeof(zero));
}

static void mem_grow_keeps_the_content(void **state)
{
	char *p = mem_strdup("content");

	p = mem_grow(p, 1 << 20);
	assert_string_equal(p, "content");
	free(p);
}

static void mem_dup_of_nothing_is_a_pointer(void **state)
{
	void *p cleanup(free) = mem_dup(NULL, 0);

	assert_non_null(p);
}

struct thing {
	int *freed;
};

static void thing_free(struct thing *t)
{
	++*t->freed;
}
CLEANUP_PTR(struct thing, thing_free)

static void cleanup_runs_at_the_end_of_scope(void **state)
{
	int freed = 0;
	struct thing t = {&freed};

	{
		struct thing *p cleanup(thing_free) = &t;

		assert_ptr_equal(p, &t);
	}
	assert_int_equal(freed, 1);
}

static void steal_hands_over(void **state)
{
	int freed = 0;
	struct thing t = {&freed};
	struct thing *kept;

	{
		struct thing *p cleanup(thing_free) = &t;

		kept = steal(p);
	}
	assert_ptr_equal(kept, &t);
	assert_int_equal(freed, 0);
}

struct outer {
	int before;
	int inner;
};

static void container_of_finds_the_outer(void **state)
{
	struct outer o;

	assert_ptr_equal(container_of(&o.inner, struct outer, inner), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_check_says_where_and_aborts),
		cmocka_unit_test(failed_check_prints_a_backtrace),
		cmocka_unit_test(true_check_is_silent),
		cmocka_unit_test(fd_closep_forgets_the_descriptor),
		cmocka_unit_test(fd_closep_keeps_errno),
		cmocka_unit_test(memory_that_is_not_there_aborts),
		cmocka_unit_test(mem_new_is_zeroed),
		cmocka_unit_test(mem_grow_keeps_the_content),
		cmocka_unit_test(mem_dup_of_nothing_is_a_pointer),
		cmocka_unit_test(cleanup_runs_at_the_end_of_scope),
		cmocka_unit_test(steal_hands_over),
		cmocka_unit_test(container_of_finds_the_outer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
