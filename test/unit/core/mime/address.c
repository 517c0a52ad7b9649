/*
 * Address lists: RFC 8621 4.1.2.3's own example, and what is really sent.
 */
#include "test/unit/core/mime/fixture.h"

static struct arena arena;

static int setup(void **state)
{
	mime_setup();
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

/* "name<email>;name<email>", groups as {name: ... }. */
static void assert_addrs(const char *in, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str copy = exact(str_of(in));
	const struct mime_addr *m;
	size_t n = mime_as_addresses(copy, &arena, &m);

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(&b, ' ');
		if (m[i].group_start || m[i].group_end)
			assert_null(m[i].email.p);
		if (m[i].group_start) {
			buf_fmt(&b, "{%.*s:", STR_ARG(m[i].name));
		} else if (m[i].group_end) {
			buf_addc(&b, '}');
		} else {
			assert_non_null(m[i].email.p);
			assert_true(!m[i].name.p || m[i].name.n > 0);
			buf_adds(&b, m[i].name);
			buf_fmt(&b, "<%.*s>", STR_ARG(m[i].email));
		}
	}
	assert_string_equal(buf_z(&b), want);
	free((void *)(uintptr_t)copy.p);
}

static void test_example_of_the_rfc(void **state)
{
	assert_addrs("\"  James Smythe\" <james@example.com>, Friends:\r\n"
		     "  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n"
		     "  <john@example.com>;",
		"James Smythe<james@example.com> {Friends: "
		"<jane@example.com> John Sm\xc3\xaeth"
		"<john@example.com> }");
}

static void test_plain_forms(void **state)
{
	assert_addrs(" a@example.org", "<a@example.org>");
	assert_addrs("a@example.org, b@example.org",
		"<a@example.org> <b@example.org>");
	assert_addrs(
		"Ann  B. Cee <a@example.org>", "Ann B. Cee<a@example.org>");
	assert_addrs("<a@example.org>", "<a@example.org>");
	assert_addrs("\"a b\"@example.org", "<\"a b\"@example.org>");
	assert_addrs("u@[192.0.2.1], <v@[IPv6:::1]>",
		"<u@[192.0.2.1]> <v@[IPv6:::1]>");
}

static void test_quoted_names(void **state)
{
	assert_addrs("\"Doe, \\\"J\\\" (x)\" <a@x>", "Doe, \"J\" (x)<a@x>");
	assert_addrs("\"A\" B \"C\" <a@x>", "A B C<a@x>");
	assert_addrs("\"\" <a@x>", "<a@x>");
}

static void test_encoded_names(void **state)
{
	assert_addrs("=?utf-8?Q?a?= =?utf-8?Q?b?= c <x@y>", "ab c<x@y>");
	assert_addrs("=?utf-8?Q?Doe=2C_J?= <x@y>, z@y", "Doe, J<x@y> <z@y>");
	/* RFC 2047 5 (3): not inside a quoted-string. */
	assert_addrs("\"=?utf-8?Q?a?=\" <x@y>", "=?utf-8?Q?a?=<x@y>");
}

static void test_comment_behind_the_address_is_the_name(void **state)
{
	assert_addrs("a@x (Ann (the) \\) B)", "Ann (the) ) B<a@x>");
	assert_addrs("<a@x> (=?utf-8?Q?=C3=A4?=)", "\xc3\xa4<a@x>");
	assert_addrs("Ann <a@x> (work)", "Ann<a@x>");
	assert_addrs("(before) a@x", "<a@x>");
}

static void test_obsolete_white_space_and_routes(void **state)
{
	assert_addrs("a (c) @ x . (d) y", "<a@x.y>");
	assert_addrs("<@r1,@r2:a @ x>", "<a@x>");
	assert_addrs("A <\"q s\" @ x>", "A<\"q s\"@x>");
	assert_addrs("A <(c) a(d) @ (e)x(f)>, b@y", "A<a@x> <b@y>");
	assert_addrs("A <a(@x>, b@y", "A<a(@x> <b@y>");
}

static void test_groups(void **state)
{
	assert_addrs("undisclosed-recipients:;", "{undisclosed-recipients: }");
	assert_addrs("\"G, 1\": a@x;, b@y", "{G, 1: <a@x> } <b@y>");
	assert_addrs("G: a@x", "{G: <a@x> }");
	assert_addrs("=?utf-8?Q?=C3=A4?= =?utf-8?Q?b?=: ;", "{\xc3\xa4"
							    "b: }");
}

static void test_drafts_and_broken_lists(void **state)
{
	assert_addrs("", "");
	assert_addrs(" , ,, ", "");
	assert_addrs("<>", "");
	assert_addrs("Ann <>", "Ann<>");
	assert_addrs("foo", "<foo>");
	assert_addrs("Ann Bee", "<Ann Bee>");
	assert_addrs("Ann Bee ann@x, c@y", "Ann Bee<ann@x> <c@y>");
	assert_addrs("=?utf-8?Q?a?= =?utf-8?Q?b?= ann@x", "ab<ann@x>");
	assert_addrs("a@x; b@y", "<a@x> <b@y>");
	assert_addrs("Ann <a@x, Bee <b@y>", "Ann<a@x> Bee<b@y>");
	assert_addrs("<a@x> <b@y>", "<a@x> <b@y>");
	assert_addrs("\"Ann <a@x>, b@y", "Ann<a@x> <b@y>");
	assert_addrs("Ann (oops <a@x>", "Ann (oops<a@x>");
	assert_addrs("<<a@x>>", "<a@x>");
	assert_addrs("a@b@c", "<a@b@c>");
	assert_addrs("\\", "<\\>");
	assert_addrs("[", "<[>");
	assert_addrs("Ann.\"B\"@x", "<Ann.\"B\"@x>");
}

static void test_8_bit_names(void **state)
{
	assert_addrs("J\xf6rg <j@x>", "J\xc3\xb6rg<j@x>");
	assert_addrs(
		"J\xc3\xb6rg <j\xc3\xb6rg@x>", "J\xc3\xb6rg<j\xc3\xb6rg@x>");
}

static void test_list_ends_at_the_limit(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	const struct mime_addr *m;

	for (int i = 0; i < 3 * MIME_LIST; i++)
		buf_addz(&b, "a@x,");
	assert_int_equal(mime_as_addresses(buf_str(&b), &arena, &m), MIME_LIST);
}

/* What opens and never closes is scanned for once, not again from each. */
static void test_many_openings(void **state)
{
	static const char *const open[] = {
		"(", "\"", "<", "<\\\"", "[", ":", "\\\"", "a <(", "((\""};
	const struct mime_addr *m;

	for (size_t i = 0; i < countof(open); i++) {
		struct buf b cleanup(buf_fini) = {0};

		while (b.n < 500000)
			buf_addz(&b, open[i]);
		assert_true(mime_as_addresses(buf_str(&b), &arena, &m) <=
			    MIME_LIST);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_the_rfc),
		cmocka_unit_test(test_plain_forms),
		cmocka_unit_test(test_quoted_names),
		cmocka_unit_test(test_encoded_names),
		cmocka_unit_test(test_comment_behind_the_address_is_the_name),
		cmocka_unit_test(test_obsolete_white_space_and_routes),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_drafts_and_broken_lists),
		cmocka_unit_test(test_8_bit_names),
		cmocka_unit_test(test_list_ends_at_the_limit),
		cmocka_unit_test(test_many_openings),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
