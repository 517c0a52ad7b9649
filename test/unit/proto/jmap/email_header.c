/*
 * Names of header properties, and what a field looks like in each form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/jmap/email_header.h"

static const struct {
	const char *key, *name;
	enum header_form form;
	bool all;
} good[] = {
	{"header:X", "X", FORM_RAW, false},
	{"header:X:all", "X", FORM_RAW, true},
	{"header:X:asRaw", "X", FORM_RAW, false},
	{"header:Subject:asText", "Subject", FORM_TEXT, false},
	{"header:sUBJECT:asText:all", "sUBJECT", FORM_TEXT, true},
	{"header:To:asAddresses", "To", FORM_ADDRESSES, false},
	{"header:To:asGroupedAddresses:all", "To", FORM_GROUPED, true},
	{"header:References:asMessageIds", "References", FORM_MESSAGE_IDS,
		false},
	{"header:Resent-Date:asDate:all", "Resent-Date", FORM_DATE, true},
	{"header:List-Post:asURLs", "List-Post", FORM_URLS, false},
	{"header:all:all", "all", FORM_RAW, true},
	{"header:asText", "asText", FORM_RAW, false},
	{"header:!\"#'()~", "!\"#'()~", FORM_RAW, false},
};

static const char *const bad[] = {"", "header", "header:", "headers",
	"Header:X", " header:X", "header::all", "header: X", "header:X Y",
	"header:X\t", "header:\x7f", "header:\xc3\xa4",
	"header:X:", "header:X::", "header:X:ALL", "header:X:as",
	"header:X:astext", "header:X:asText ", "header:X:asTexts",
	"header:X:all:", "header:X:all:all", "header:X:all:asText",
	"header:X:asText:asText", "header:X:asText:", "header:X:asText::all",
	"header:X:asText:all:all", "header:X:nothing",
	/* forms that these fields may not have */
	"header:From:asText", "header:FROM:asDate", "header:Date:asText",
	"header:Subject:asAddresses", "header:subject:asGroupedAddresses:all",
	"header:To:asMessageIds", "header:Message-ID:asURLs",
	"header:List-Post:asText", "header:Received:asDate",
	"header:Return-Path:asAddresses", "header:Comments:asURLs"};

static void test_names_that_are_good(void **state)
{
	for (size_t i = 0; i < countof(good); i++) {
		struct header_prop p;

		assert_null(header_prop_read(str_of(good[i].key), &p));
		assert_true(str_eq(p.name, str_of(good[i].name)));
		assert_int_equal(p.form, good[i].form);
		assert_int_equal(p.all, good[i].all);
		assert_true(str_eq(p.key, str_of(good[i].key)));
	}
}

static void test_names_that_are_none(void **state)
{
	struct header_prop p;

	for (size_t i = 0; i < countof(bad); i++)
		if (!header_prop_read(str_of(bad[i]), &p))
			fail_msg("taken: %s", bad[i]);
	assert_non_null(header_prop_read(STR("header:X\0Y"), &p));
	assert_non_null(header_prop_read(STR_NONE, &p));
}

/* Whatever is taken is made of the pieces that it was read as. */
static void check_pieces(struct str key)
{
	static const char *const forms[] = {"Raw", "Text", "Addresses",
		"GroupedAddresses", "MessageIds", "Date", "URLs"};
	struct header_prop p;
	char z[512];
	int n;

	if (header_prop_read(key, &p))
		return;
	for (int as = 0; as < 2; as++) {
		n = snprintf(z, sizeof(z), "header:%.*s%s%s%s", STR_ARG(p.name),
			as ? ":as" : "", as ? forms[p.form] : "",
			p.all ? ":all" : "");
		if (str_eq(key, str_n(z, (size_t)n)))
			return;
	}
	fail_msg("taken: %.*s", STR_ARG(key));
}

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void test_names_that_are_nonsense(void **state)
{
	static const char *const words[] = {"header", ":", "as", "Text", "all",
		"Raw", "URLs", "Addresses", "From", "X", " ", "\xff", "Date"};
	char z[256];

	for (int i = 0; i < 200000; i++) {
		size_t n = 0;
		struct str key;
		char *exact;

		for (uint64_t k = rnd(8); k > 0; k--)
			n += (size_t)snprintf(z + n, sizeof(z) - n, "%s",
				words[rnd(countof(words))]);
		if (rnd(2)) {
			memmove(z + 7, z, n);
			memcpy(z, "header:", 7);
			n += 7;
		}
		if (n > 0 && rnd(4) == 0)
			z[rnd(n)] = (char)rnd(256);
		/* A copy of just that length, for the sanitizers. */
		exact = n ? mem_dup(z, n) : NULL;
		key = str_n(exact, n);
		check_pieces(key);
		free(exact);
	}
}

static void test_a_property_comes_once_and_not_too_many(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct header_props h = {0};
	char z[HEADER_PROPS_MAX + 1][32];

	for (int i = 0; i <= HEADER_PROPS_MAX; i++)
		snprintf(z[i], sizeof(z[i]), "header:X-%d", i);
	for (int i = 0; i < HEADER_PROPS_MAX; i++)
		assert_null(header_props_add(&h, str_of(z[i]), &a));
	assert_int_equal(h.n, HEADER_PROPS_MAX);
	assert_null(header_props_add(&h, str_of(z[3]), &a));
	assert_int_equal(h.n, HEADER_PROPS_MAX);
	assert_non_null(header_props_add(&h, str_of(z[HEADER_PROPS_MAX]), &a));
	assert_non_null(header_props_add(&h, STR("nope"), &a));
}

/* ---- values ------------------------------------------------------------------------ */

static void assert_value(
	enum header_form form, const char *raw, const char *want)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &b);
	assert_true(header_value(form, str_of(raw), SIZE_MAX, &a, &w));
	assert_string_equal(buf_z(&b), want);
}

static void test_values(void **state)
{
	assert_value(FORM_RAW, " a\r\n b", "\" a\\r\\n b\"");
	assert_value(FORM_TEXT, " a\r\n b", "\"a b\"");
	assert_value(FORM_DATE, "Tue, 24 Nov 2026 06:00:00 +0100",
		"\"2026-11-24T06:00:00+01:00\"");
	assert_value(FORM_DATE, "yesterday", "null");
	assert_value(FORM_URLS, "<a:b> (c), <d:e>", "[\"a:b\",\"d:e\"]");
	assert_value(FORM_URLS, "NO", "null");
	assert_value(
		FORM_MESSAGE_IDS, " (c) <a@b>\r\n <c@d>", "[\"a@b\",\"c@d\"]");
	assert_value(FORM_MESSAGE_IDS, "a@b", "null");
	assert_value(FORM_ADDRESSES, "", "[]");
	assert_value(FORM_ADDRESSES, "G: a@b;, C <c@d>",
		"[{\"name\":null,\"email\":\"a@b\"},"
		"{\"name\":\"C\",\"email\":\"c@d\"}]");
}

static void test_groups(void **state)
{
	assert_value(FORM_GROUPED, "", "[]");
	assert_value(FORM_GROUPED, "a@b, c@d",
		"[{\"name\":null,\"addresses\":["
		"{\"name\":null,\"email\":\"a@b\"},"
		"{\"name\":null,\"email\":\"c@d\"}]}]");
	assert_value(FORM_GROUPED, "Empty:;",
		"[{\"name\":\"Empty\",\"addresses\":[]}]");
	assert_value(FORM_GROUPED, "One: a@b; , Two: c@d;, e@f",
		"[{\"name\":\"One\",\"addresses\":["
		"{\"name\":null,\"email\":\"a@b\"}]},"
		"{\"name\":\"Two\",\"addresses\":["
		"{\"name\":null,\"email\":\"c@d\"}]},"
		"{\"name\":null,\"addresses\":["
		"{\"name\":null,\"email\":\"e@f\"}]}]");
	/* A group that is not closed ends with the field. */
	assert_value(FORM_GROUPED, "a@b, G: c@d",
		"[{\"name\":null,\"addresses\":["
		"{\"name\":null,\"email\":\"a@b\"}]},"
		"{\"name\":\"G\",\"addresses\":["
		"{\"name\":null,\"email\":\"c@d\"}]}]");
}

/* What does not fit is not made: the buffer stays near the room there is. */
static void test_room_is_kept(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf raw cleanup(buf_fini) = {0};

	for (int i = 0; i < 2000; i++)
		buf_fmt(&raw, "%s<person%d@example.org>", i ? "," : "", i);
	for (unsigned f = 0; f < HEADER_FORMS; f++) {
		struct buf b cleanup(buf_fini) = {0};
		struct jw w;

		if (f == FORM_DATE)
			continue; /* never long */
		jw_init(&w, &b);
		assert_false(header_value(
			(enum header_form)f, buf_str(&raw), 1000, &a, &w));
		assert_true(b.n < 2000);
	}
}

static void test_all_and_last_of_the_fields(void **state)
{
	const struct mime_header h[] = {{STR("A"), STR(" 1")},
		{STR("b"), STR(" 2")}, {STR("a"), STR(" 3")}};
	static const char *const keys[] = {"header:a:all", "header:A",
		"header:c:asText:all", "header:C", "header:B:asText"};
	struct buf b cleanup(buf_fini) = {0};
	struct header_prop p;
	struct jw w;

	jw_init(&w, &b);
	jw_obj(&w);
	for (size_t i = 0; i < countof(keys); i++) {
		assert_null(header_prop_read(str_of(keys[i]), &p));
		assert_true(header_prop_write(&p, h, 3, SIZE_MAX, &w));
	}
	jw_key(&w, STR("list"));
	assert_true(header_list_write(h, 2, SIZE_MAX, &w));
	jw_obj_end(&w);
	assert_string_equal(buf_z(&b),
		"{\"header:a:all\":[\" 1\",\" 3\"],\"header:A\":\" 3\","
		"\"header:c:asText:all\":[],\"header:C\":null,"
		"\"header:B:asText\":\"2\",\"list\":["
		"{\"name\":\"A\",\"value\":\" 1\"},"
		"{\"name\":\"b\",\"value\":\" 2\"}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_are_good),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_names_that_are_nonsense),
		cmocka_unit_test(test_a_property_comes_once_and_not_too_many),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_room_is_kept),
		cmocka_unit_test(test_all_and_last_of_the_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
