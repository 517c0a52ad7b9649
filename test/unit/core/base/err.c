/*
 * Sentences about what went wrong.
 */
#include "core/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static void set_keeps_code_and_sentence(void **state)
{
	struct err e;

	assert_int_equal(err_set(&e, -EPERM, "bind %s", "x"), -EPERM);
	assert_int_equal(e.code, -EPERM);
	assert_string_equal(e.text, "bind x");
}

static void sys_appends_the_reason(void **state)
{
	struct err e;

	errno = EACCES;
	assert_int_equal(err_sys(&e, "bind %d", 443), -EACCES);
	assert_int_equal(e.code, -EACCES);
	assert_string_equal(e.text, "bind 443: Permission denied");
}

static void sys_without_errno_is_still_negative(void **state)
{
	struct err e;

	errno = 0;
	assert_int_equal(err_sys(&e, "read"), -EIO);
}

static void add_goes_in_front(void **state)
{
	struct err e;

	err_set(&e, -ENOENT, "no file");
	assert_int_equal(err_add(&e, "load %s", "cert"), -ENOENT);
	assert_string_equal(e.text, "load cert: no file");
}

static void add_may_quote_the_old_sentence(void **state)
{
	struct err e;

	err_set(&e, -ENOENT, "old");
	err_add(&e, "<%s>", e.text);
	assert_string_equal(e.text, "<old>: old");
}

static void null_takes_codes_only(void **state)
{
	errno = ENOSPC;
	assert_int_equal(err_sys(NULL, "write"), -ENOSPC);
	assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_true(err_add(NULL, "x") < 0);
}

static void long_sentences_are_cut(void **state)
{
	char text[1000];
	struct err e;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_add(&e, "what");
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(strncmp(e.text, "what: aaa", 9), 0);
	errno = EPERM;
	err_sys(&e, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void a_sentence_has_no_newline(void **state)
{
	struct err e;

	err_set(&e, -EINVAL, "one\ntwo\r\n");
	assert_string_equal(e.text, "one two  ");
	err_add(&e, "three\n");
	assert_null(strchr(e.text, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_keeps_code_and_sentence),
		cmocka_unit_test(sys_appends_the_reason),
		cmocka_unit_test(sys_without_errno_is_still_negative),
		cmocka_unit_test(add_goes_in_front),
		cmocka_unit_test(add_may_quote_the_old_sentence),
		cmocka_unit_test(null_takes_codes_only),
		cmocka_unit_test(long_sentences_are_cut),
		cmocka_unit_test(a_sentence_has_no_newline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
