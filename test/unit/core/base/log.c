/*
 * Log lines as they leave on stderr.
 */
#include "core/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <regex.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/utf8.h"

/* Runs fn in a child with the given write end as stderr; returns its text. */
static size_t logged(void (*fn)(void), char *said, size_t cap)
{
	int fds[2];
	int status;
	ssize_t n;
	pid_t pid;

	/* A datagram is one write(2). */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
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
	n = read(fds[0], said, cap - 1);
	assert_true(n >= 0);
	said[n] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return (size_t)n;
}

static void one_line(void)
{
	log_init("worker0", LOG_INFO);
	log_warn("id=%d text", 7);
}

static void a_line_has_time_level_role_and_pid(void **state)
{
	char said[2048];
	regex_t re;

	logged(one_line, said, sizeof(said));
	assert_int_equal(regcomp(&re,
				 "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}"
				 "\\.[0-9]{3}Z warn worker0"
				 "\\[[0-9]+\\] id=7 text\n$",
				 REG_EXTENDED),
		0);
	assert_int_equal(regexec(&re, said, 0, NULL, 0), 0);
	regfree(&re);
}

static void unwanted(void)
{
	log_init("worker0", LOG_WARN);
	log_info("not wanted");
	log_debug("not wanted");
}

static void less_urgent_lines_are_not_written(void **state)
{
	char said[64];

	assert_int_equal(logged(unwanted, said, sizeof(said)), 0);
}

static void level_changed(void)
{
	log_init("worker0", LOG_ERROR);
	log_set_level(LOG_DEBUG);
	log_debug("now wanted");
}

static void the_level_can_change(void **state)
{
	char said[2048];

	assert_true(logged(level_changed, said, sizeof(said)) > 0);
	assert_non_null(strstr(said, " debug "));
	assert_non_null(strstr(said, "now wanted\n"));
}

static void long_line(void)
{
	char text[5000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
}

static void a_long_line_is_cut_at_1_kb(void **state)
{
	char said[8192];

	assert_int_equal(logged(long_line, said, sizeof(said)), 1024);
	assert_string_equal(said + 1024 - 6, "aa...\n");
}

static void long_utf8_line(void)
{
	char text[5001];

	for (size_t i = 0; i < 5000; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	text[5000] = '\0';
	log_info("%s", text);
	log_info("x%s", text);
}

static void a_line_is_not_cut_inside_a_character(void **state)
{
	char said[8192];

	assert_true(logged(long_utf8_line, said, sizeof(said)) <= 1024);
	assert_true(utf8_valid(str_of(said)));
}

static void two_lines_in_one(void)
{
	log_info("one\ntwo\x1b[0m\x7f");
}

static void control_bytes_cannot_make_a_second_line(void **state)
{
	char said[2048];

	logged(two_lines_in_one, said, sizeof(said));
	assert_non_null(strstr(said, "one?two?[0m?\n"));
}

static void long_role(void)
{
	char role[500];

	memset(role, 'r', sizeof(role) - 1);
	role[sizeof(role) - 1] = '\0';
	log_init(role, LOG_INFO);
	log_info("text");
}

static void a_long_role_is_cut(void **state)
{
	char said[2048];

	assert_true(logged(long_role, said, sizeof(said)) < 120);
}

static void keeps_errno_inside(void)
{
	errno = EBADF;
	log_info("%m");
	if (errno != EBADF)
		abort();
}

static void errno_survives_a_line(void **state)
{
	char said[2048];

	logged(keeps_errno_inside, said, sizeof(said));
	assert_non_null(strstr(said, "Bad file descriptor"));
}

static void wants_follows_the_order_of_urgency(void **state)
{
	log_set_level(LOG_WARN);
	assert_true(log_wants(LOG_ERROR));
	assert_true(log_wants(LOG_WARN));
	assert_false(log_wants(LOG_INFO));
	log_set_level(LOG_INFO);
}

static void quote_escapes_what_is_not_printable(void **state)
{
	assert_string_equal(log_quote(STR("a b\n\x7f\xc3\"\\\0")).z,
		"a b\\x0a\\x7f\\xc3\\\"\\\\\\x00");
	assert_string_equal(log_quote(STR_NONE).z, "");
}

static void quote_cuts_at_120_and_splits_no_escape(void **state)
{
	char text[300];

	memset(text, 'a', sizeof(text));
	assert_int_equal(strlen(log_quote(str_n(text, 120)).z), 120);
	assert_int_equal(strlen(log_quote(str_n(text, 121)).z), 123);
	text[118] = '\n';
	assert_string_equal(log_quote(str_n(text, 300)).z + 116, "aa...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_time_level_role_and_pid),
		cmocka_unit_test(less_urgent_lines_are_not_written),
		cmocka_unit_test(the_level_can_change),
		cmocka_unit_test(a_long_line_is_cut_at_1_kb),
		cmocka_unit_test(a_line_is_not_cut_inside_a_character),
		cmocka_unit_test(control_bytes_cannot_make_a_second_line),
		cmocka_unit_test(a_long_role_is_cut),
		cmocka_unit_test(errno_survives_a_line),
		cmocka_unit_test(wants_follows_the_order_of_urgency),
		cmocka_unit_test(quote_escapes_what_is_not_printable),
		cmocka_unit_test(quote_cuts_at_120_and_splits_no_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
