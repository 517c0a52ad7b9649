/*
 * Header fields: what is written, what is refused, and that all of it is read back,
 * by ours and by GMime's parser.
 */
#include "test/unit/core/mime/compose_test.h"

#include <gmime/gmime.h>

static struct arena arena;

static int setup(void **state)
{
	g_mime_init();
	mime_setup();
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&arena);
	g_mime_shutdown();
	return 0;
}

/* ---- raw ---------------------------------------------------------------------------- */

static void test_raw_is_kept_byte_for_byte(void **state)
{
	static const char *const good[] = {" bar", "bar", "", " ", "  two  ",
		" one\r\n two", "\r\n first", " a\r\n\tb\r\n c", " \r\n late",
		" Gr\xc3\xbc\xc3\x9f!", "\ttab\tin it"};

	for (size_t i = 0; i < countof(good); i++) {
		struct buf b cleanup(buf_fini) = {0};

		assert_true(compose_raw(&b, STR("X-Foo"), str_of(good[i])));
		assert_str(value_in(&b), good[i]);
	}
}

static void test_raw_that_would_end_the_field_is_refused(void **state)
{
	static const struct str bad[] = {
		{" a\r\nBcc: eve@example.org", 25},
		{" a\nb", 4},
		{" a\n b", 5},
		{" a\rb", 4},
		{" a\r\n", 4},
		{" a\r\n ", 5},
		{" a\r\n \r\n b", 9},
		{" a\r\n\r\nbody", 10},
		{" a\0b", 4},
		{" a\x01", 3},
		{" a\x7f", 3},
		{" a\xff", 3},
	};

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf b cleanup(buf_fini) = {0};

		buf_addz(&b, "before");
		assert_false(compose_raw(&b, STR("X-Foo"), bad[i]));
		assert_int_equal(b.n, 6);
	}
}

static void test_a_long_raw_value_is_folded_at_its_blanks(void **state)
{
	struct buf in cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i < 400; i++)
		buf_fmt(&in, "%s<%d@example.org>", i % 3 ? " " : "  ", i);
	assert_true(compose_raw(&b, STR("References"), buf_str(&in)));
	for (struct str s = buf_str(&b), line; str_cut(&s, '\n', &line);)
		assert_true(line.n <= 79);
	assert_true(str_eq(mime_clean(value_in(&b), &arena), buf_str(&in)));
}

static void test_a_line_without_blanks_ends_at_998(void **state)
{
	struct buf in cleanup(buf_fini) = {0};

	for (int n = 0; n < 1100; n++) {
		struct buf b cleanup(buf_fini) = {0};
		bool fits = compose_raw(&b, STR("X"), buf_str(&in));

		assert_int_equal(fits, n <= 996);
		buf_addc(&in, 'x');
	}
}

/* ---- text --------------------------------------------------------------------------- */

static void assert_text(struct str in)
{
	struct buf b cleanup(buf_fini) = {0};
	char *want, *got, *z;

	assert_true(compose_text(&b, STR("Subject"), in));
	assert_true(str_eq(mime_as_text(value_in(&b), &arena), in));
	/* GMime is not asked where it is known to differ: blanks at the ends. */
	if (in.n == 0 || in.p[0] == ' ' || in.p[in.n - 1] == ' ')
		return;
	want = str_dup(in);
	z = str_dup(str_trim(mime_clean(value_in(&b), &arena)));
	got = g_mime_utils_header_decode_text(NULL, z);
	assert_string_equal(got, want);
	g_free(got);
	free(z);
	free(want);
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{"Hello", "Subject: Hello\r\n"},
		{"", "Subject:\r\n"},
		{"a  b   c", "Subject: a  b   c\r\n"},
		{"Gr\xc3\xbc\xc3\x9f"
		 "e",
			"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"},
		{"Ein langer Satz mit einem \xc3\xa4 darin",
			"Subject: =?utf-8?q?Ein_langer_Satz_mit_einem_=C3=A4_"
			"darin?=\r\n"},
		{" blank", "Subject: =?utf-8?q?_blank?=\r\n"},
		{"a =?utf-8?q?x?= b",
			"Subject: =?utf-8?b?YSA9P3V0Zi04P3E/eD89IGI=?=\r\n"},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct buf b cleanup(buf_fini) = {0};

		assert_true(compose_text(&b, STR("Subject"), str_of(t[i].in)));
		assert_string_equal(buf_z(&b), t[i].out);
		assert_text(str_of(t[i].in));
	}
}

static void test_text_is_read_back_whatever_it_is(void **state)
{
	static const char *const pieces[] = {"a", "word", " ", "  ", "\xc3\xa4",
		"\xe6\xbc\xa2\xe5\xad\x97", "\xf0\x9f\x98\x80", "=?",
		"?=", "=?utf-8?q?x?=", "\"", "\\", "(", ")", "<", ">", ",", ";",
		":", "=20", "_", ".", "From ", "-- ",
		"averyveryveryveryveryveryveryverylongwordforaline"};
	uint32_t seed = 1;

	for (int i = 0; i < 3000; i++) {
		assert_text(
			pieces_of(&arena, &seed, 40, pieces, countof(pieces)));
		arena_fini(&arena);
	}
}

static void test_a_word_without_end_is_encoded(void **state)
{
	char in[5000];

	memset(in, 'x', sizeof(in));
	for (size_t n = 850; n < sizeof(in); n += 50)
		assert_text(str_n(in, n));
}

static void test_lines_of_text_are_short(void **state)
{
	struct buf in cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i < 100; i++)
		buf_addz(&in, "nine word\xc3\xa4 ");
	buf_addc(&in, '.');
	assert_true(compose_text(&b, STR("Subject"), buf_str(&in)));
	for (struct str s = buf_str(&b), line; str_cut(&s, '\n', &line);)
		assert_true(line.n <= 77);
}

static void test_controls_in_text_are_refused(void **state)
{
	static const struct str bad[] = {{"a\r\nBcc: eve@example.org", 24},
		{"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}, {"\x1b[m", 3},
		{"\x7f", 1}, {"\xc2\x85", 2}, {"\xff", 1}, {"\xc3", 1}};

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct mime_addr m = {.name = bad[i], .email = STR("a@b")};

		assert_false(compose_text(&b, STR("Subject"), bad[i]));
		assert_false(compose_addresses(&b, STR("To"), &m, 1));
		m = (struct mime_addr){.email = bad[i]};
		assert_false(compose_addresses(&b, STR("To"), &m, 1));
		assert_false(
			compose_message_ids(&b, STR("References"), &bad[i], 1));
		assert_false(compose_urls(&b, STR("List-Help"), &bad[i], 1));
		assert_false(
			compose_disposition(&b, STR("attachment"), bad[i]));
		assert_false(compose_disposition(&b, bad[i], STR_NONE));
		assert_false(compose_cid(&b, bad[i]));
		assert_false(compose_location(&b, bad[i]));
		assert_false(compose_language(&b, &bad[i], 1));
		assert_false(
			compose_type(&b, bad[i], STR_NONE, STR_NONE, STR_NONE));
		assert_false(compose_type(
			&b, STR("text/plain"), bad[i], STR_NONE, STR_NONE));
		assert_int_equal(b.n, 0);
	}
}

static void test_a_tab_is_a_blank(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_true(compose_text(&b, STR("Subject"), STR("a\tb")));
	assert_string_equal(buf_z(&b), "Subject: a b\r\n");
}

/* ---- addresses ------------------------------------------------------------------------ */

static void test_addresses(void **state)
{
	static const struct {
		const char *name, *email, *out;
	} t[] = {
		{NULL, "bob@example.net", "To: bob@example.net\r\n"},
		{"", "bob@example.net", "To: bob@example.net\r\n"},
		{"Bob", "bob@example.net", "To: Bob <bob@example.net>\r\n"},
		{"Bob B", "b@example.net", "To: Bob B <b@example.net>\r\n"},
		{"B. Ob", "b@example.net", "To: \"B. Ob\" <b@example.net>\r\n"},
		{"Ob, \"B\\", "b@example.net",
			"To: \"Ob, \\\"B\\\\\" <b@example.net>\r\n"},
		{"J\xc3\xb6rg", "b@example.net",
			"To: =?utf-8?b?SsO2cmc=?= <b@example.net>\r\n"},
		{"=?utf-8?q?x?=", "b@example.net",
			"To: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= "
			"<b@example.net>\r\n"},
		{NULL, "\"a b\"@example.net", "To: <\"a b\"@example.net>\r\n"},
		{NULL, "j\xc3\xb6@example.net",
			"To: j\xc3\xb6@example.net\r\n"},
		{NULL, "bob", "To: bob\r\n"},
		{NULL, "bob smith", "To: bob smith\r\n"},
		{NULL, "smith, bob", "To: \"smith, bob\"\r\n"},
		{"Bob", "", "To: Bob <>\r\n"},
		{NULL, "bob@", "To: <bob@>\r\n"},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct mime_addr m = {
			.name = str_of(t[i].name), .email = str_of(t[i].email)};

		assert_true(compose_addresses(&b, STR("To"), &m, 1));
		assert_string_equal(buf_z(&b), t[i].out);
	}
}

static void test_an_address_that_would_be_another_is_refused(void **state)
{
	static const char *const bad[] = {"", "a@x>, <eve@y", "a@x, eve@y",
		"<a@x>", "a b@x", "@r:a@x", "a\"b@x", "a@x\r\nBcc: eve@y",
		"a@x;", "a@x>"};

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct mime_addr m = {.email = str_of(bad[i])};

		if (compose_addresses(&b, STR("To"), &m, 1))
			fail_msg("%s became %s", bad[i], buf_z(&b));
		assert_int_equal(b.n, 0);
	}
}

/* Ours has compared already; GMime must see the same addresses. */
static void check_gmime(
	const struct buf *b, const struct mime_addr *at, size_t n)
{
	char *z = str_dup(mime_clean(value_in(b), &arena));
	InternetAddressList *l = internet_address_list_parse(NULL, z);

	assert_non_null(l);
	assert_int_equal(internet_address_list_length(l), n);
	for (size_t i = 0; i < n; i++) {
		InternetAddress *m =
			internet_address_list_get_address(l, (int)i);
		char *email = str_dup(at[i].email);
		const char *name = internet_address_get_name(m);
		char *want = str_dup(str_trim(at[i].name));

		assert_string_equal(internet_address_mailbox_get_addr(
					    INTERNET_ADDRESS_MAILBOX(m)),
			email);
		assert_string_equal(name ? name : "", want);
		free(want);
		free(email);
	}
	g_object_unref(l);
	free(z);
}

static void test_addresses_are_read_back_whatever_they_are(void **state)
{
	static const char *const names[] = {"a", "Bob", " ", "\xc3\xa4", ",",
		";", ":", "<", ">", "\"", "\\", "(", ")", "@", ".", "=?",
		"?=", "=?utf-8?q?x?=", "\xf0\x9f\x98\x80", "'", "[", "]", "  ",
		"averyveryveryveryveryveryveryveryveryveryverylongname"};
	static const char *const emails[] = {"a", "bob", ".", "+", "-", "x1"};
	uint32_t seed = 2;

	for (int i = 0; i < 2000; i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct mime_addr at[8] = {0};
		size_t n = 1 + number(&seed) % countof(at);

		for (size_t k = 0; k < n; k++) {
			struct str local = pieces_of(
				&arena, &seed, 4, emails, countof(emails));

			at[k].name = pieces_of(
				&arena, &seed, 12, names, countof(names));
			at[k].email = arena_fmt(
				&arena, "x%.*sx@example.net", STR_ARG(local));
		}
		assert_true(compose_addresses(&b, STR("Cc"), at, n));
		/* Two dots are no address to GMime. */
		if (mime_find(value_in(&b), 0, STR("..")) == value_in(&b).n)
			check_gmime(&b, at, n);
		arena_fini(&arena);
	}
}

static void test_groups(void **state)
{
	static const struct mime_addr at[] = {
		{.email = {"a@x", 3}},
		{.name = {"The team", 8}, .group_start = true},
		{.name = {"B", 1}, .email = {"b@x", 3}},
		{.email = {"c@x", 3}},
		{.group_end = true},
		{.name = {"M\xc3\xa4nner", 7}, .group_start = true},
		{.group_end = true},
		{.email = {"d@x", 3}},
	};
	struct buf b cleanup(buf_fini) = {0};

	assert_true(compose_addresses(&b, STR("To"), at, countof(at)));
	assert_string_equal(buf_z(&b), "To: a@x, The team: B <b@x>, c@x;, "
				       "=?utf-8?q?M=C3=A4nner?= :;, d@x\r\n");
}

/* ---- ids, urls, dates ------------------------------------------------------------------- */

static void test_message_ids_and_urls(void **state)
{
	static const struct str ids[] = {{"a@x", 3}, {"b.c@y", 5}};
	struct buf b cleanup(buf_fini) = {0};

	assert_true(compose_message_ids(&b, STR("References"), ids, 2));
	assert_true(compose_urls(&b, STR("List-Help"), ids, 2));
	assert_string_equal(buf_z(&b), "References: <a@x> <b.c@y>\r\n"
				       "List-Help: <a@x>, <b.c@y>\r\n");
}

static void test_an_id_that_would_be_two_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "a b", "a> <b", "<a>", "a>", "a\tb", "a\r\n b"};

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct str s = str_of(bad[i]);

		assert_false(compose_message_ids(&b, STR("X"), &s, 1));
		assert_false(compose_urls(&b, STR("X"), &s, 1));
		assert_int_equal(b.n, 0);
	}
}

static void test_dates(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_true(compose_date(&b, STR("Date"), 1795500529999, 60));
	assert_true(compose_date(&b, STR("Date"), 0, -570));
	assert_true(compose_date(&b, STR("Date"), -1, 0));
	assert_string_equal(buf_z(&b),
		"Date: Tue, 24 Nov 2026 07:08:49 +0100\r\n"
		"Date: Wed, 31 Dec 1969 14:30:00 -0930\r\n"
		"Date: Wed, 31 Dec 1969 23:59:59 +0000\r\n");
	buf_reset(&b);
	/* Beyond the years that a field can hold. */
	assert_false(
		compose_date(&b, STR("Date"), INT64_C(253402300800000), 0));
	assert_int_equal(b.n, 0);
}

static void test_new_message_ids_differ(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str first, second;

	compose_new_message_id(&b, STR("example.org"));
	compose_new_message_id(&b, STR("no domain>"));
	second = buf_str(&b);
	assert_true(str_cut(&second, '\n', &first));
	assert_true(str_ends(first, STR("@example.org>\r")));
	assert_true(str_ends(second, STR("@localhost>\r\n")));
	assert_false(
		str_eq(mime_slice(first, 0, 40), mime_slice(second, 0, 40)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_is_kept_byte_for_byte),
		cmocka_unit_test(test_raw_that_would_end_the_field_is_refused),
		cmocka_unit_test(test_a_long_raw_value_is_folded_at_its_blanks),
		cmocka_unit_test(test_a_line_without_blanks_ends_at_998),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_is_read_back_whatever_it_is),
		cmocka_unit_test(test_a_word_without_end_is_encoded),
		cmocka_unit_test(test_lines_of_text_are_short),
		cmocka_unit_test(test_controls_in_text_are_refused),
		cmocka_unit_test(test_a_tab_is_a_blank),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(
			test_an_address_that_would_be_another_is_refused),
		cmocka_unit_test(
			test_addresses_are_read_back_whatever_they_are),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_message_ids_and_urls),
		cmocka_unit_test(test_an_id_that_would_be_two_is_refused),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_new_message_ids_differ),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
