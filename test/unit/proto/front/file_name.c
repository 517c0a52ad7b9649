/* Names and types of downloads: what a client says, as header fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/front/file_name.h"

static void media_types(void **state)
{
	static const char *const good[] = {"text/plain", "image/svg+xml",
		"text/html; charset=utf-8", "text/html;charset=\"utf-8\"",
		"a/b;c=\"x;y\\\"z\"; d=e", "a/b ; c=d", "a/b;", "a/b; ;c=d",
		"a/b\t;\tc=d", "application/vnd.x-1.2", "!#$%&'*+-.^_`|~/x"};
	static const char *const bad[] = {"", "text", "text/", "/plain", "/",
		"text/plain/x", "text/plain x", "te xt/plain", " text/plain",
		"text/plain; charset", "text/plain; charset=", "text/plain; =x",
		"text/plain; a=\"b", "text/plain; a=\"\\", "text/plain\r\nA: b",
		"text/plain; a=\"\r\n\"", "text/plain; a=b c", "text\t/plain",
		"a/b;\x0bc=d", "t\xc3\xa9xt/plain", "text/plain,x/y"};

	for (size_t i = 0; i < countof(good); i++)
		if (!media_type_valid(str_of(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < countof(bad); i++)
		if (media_type_valid(str_of(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(media_type_valid(str_n("a/b\0c", 5)));
}

static void a_media_type_has_an_end(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, "a/");
	while (b.n < 1000)
		buf_addc(&b, 'x');
	assert_true(media_type_valid(buf_str(&b)));
	buf_addc(&b, 'x');
	assert_false(media_type_valid(buf_str(&b)));
}

static void assert_disposition(struct str name, const char *want)
{
	struct buf out cleanup(buf_fini) = {0};

	disposition_of(name, &out);
	assert_string_equal(buf_z(&out), want);
}

static void names(void **state)
{
	static const struct {
		const char *name, *want;
	} t[] = {
		{"", "attachment"},
		{"a b.txt", "attachment; filename=\"a b.txt\""},
		{"\"\\", "attachment; filename=\"__\"; "
			 "filename*=UTF-8''%22_"},
		{"\r\n\t\x7f", "attachment; filename=\"____\""},
		{"a/b\\c", "attachment; filename=\"a_b_c\""},
		{".", "attachment; filename=\"_\""},
		{"..", "attachment; filename=\"_\""},
		{"...", "attachment; filename=\"...\""},
		{"\xc3\xa9", "attachment; filename=\"_\"; "
			     "filename*=UTF-8''%C3%A9"},
		{"\xf0\x9f\x93\xa7!", "attachment; filename=\"_!\"; "
				      "filename*=UTF-8''%F0%9F%93%A7!"},
		{"a\xff", "attachment; filename=\"a_\""},
		{"\xc3", "attachment; filename=\"_\""},
		{"\xc2\x85x", "attachment; filename=\"_x\""},
		{"\xe2\x80\xae"
		 "cod.exe",
			"attachment; filename=\"_cod.exe\""},
		{"50%", "attachment; filename=\"50_\"; "
			"filename*=UTF-8''50%25"},
		{"it's;(x)", "attachment; filename=\"it's;(x)\""},
		{"'\xc3\xa9", "attachment; filename=\"'_\"; "
			      "filename*=UTF-8''%27%C3%A9"},
	};

	for (size_t i = 0; i < countof(t); i++)
		assert_disposition(str_of(t[i].name), t[i].want);
	assert_disposition(str_n("a\0b", 3), "attachment; filename=\"a_b\"");
}

static void query_values(void **state)
{
	static const struct {
		const char *query, *want; /* NULL: malformed */
	} t[] = {
		{"type=a/b", "a/b"},
		{"x=1&type=a%2Fb&y", "a/b"},
		{"type=%61%2f%62", "a/b"},
		{"type=image/svg+xml", "image/svg+xml"},
		{"type=a=b", "a=b"},
		{"type=", ""},
		{"type", ""},
		{"", ""},
		{"xtype=1&types=2", ""},
		{"type=1&type=2", "1"},
		{"type=%", NULL},
		{"type=%4", NULL},
		{"type=%4g", NULL},
		{"type=%g4", NULL},
		{"x=%zz&type=a", "a"},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct buf out cleanup(buf_fini) = {0};
		bool ok = query_value(str_of(t[i].query), STR("type"), &out);

		assert_int_equal(ok, t[i].want != NULL);
		if (t[i].want)
			assert_string_equal(buf_z(&out), t[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(media_types),
		cmocka_unit_test(a_media_type_has_an_end),
		cmocka_unit_test(names),
		cmocka_unit_test(query_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
