/*
 * The text of DATA: unstuffed, and ended by nothing but CRLF "." CRLF.
 */
#include "proto/lmtp/dot.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct row {
	const char *in;	  /* after the 354 reply */
	const char *out;  /* the message */
	const char *rest; /* what follows its end; NULL: there is no end */
};

static const struct row rows[] = {
	{".\r\n", "", ""},
	{"a\r\n.\r\n", "a\r\n", ""},
	{"a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n"},
	{"..\r\n.\r\n", ".\r\n", ""},
	{"...a\r\n.\r\n", "..a\r\n", ""},
	{".a\r\n.\r\n", "a\r\n", ""},
	{"a.b\r\n.\r\n", "a.b\r\n", ""},
	{"\r\n.\r\n", "\r\n", ""},
	/* What other servers were smuggled past with is text here. */
	{"a\n.\n", "a\n.\n", NULL},
	{"a\n.\r\n", "a\n.\r\n", NULL},
	{"a\r.\r", "a\r.\r", NULL},
	{"a\r\n.\n", "a\r\n\n", NULL},
	{"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
	{"a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", ""},
	{"a\r\r\n.\r\n", "a\r\r\n", ""},
};

static void check_row(const struct row *r, size_t step)
{
	struct dot d = {0};
	struct buf out cleanup(buf_fini) = {0};
	struct str in = str_of(r->in);
	while (in.n && d.state != DOT_END) {
		size_t n = min_of(in.n, step);
		size_t took = dot_feed(&d, in.p, n, &out);
		assert_true(took == n || d.state == DOT_END);
		in = str_skip(in, took);
	}
	assert_int_equal(d.state == DOT_END, r->rest != NULL);
	assert_string_equal(buf_z(&out), r->out);
	if (r->rest)
		assert_true(str_eq(in, str_of(r->rest)));
}

static void test_whole(void **state)
{
	for (size_t i = 0; i < countof(rows); i++)
		check_row(&rows[i], 1000);
}

static void test_byte_by_byte(void **state)
{
	for (size_t i = 0; i < countof(rows); i++)
		check_row(&rows[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_byte_by_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
