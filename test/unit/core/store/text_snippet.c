/* Queries taken apart, and snippets: what is marked, and where it is cut. */
#include "core/base/utf8.h"
#include "core/store/text.h"
#include "core/store/text_query.h"
#include "test/unit/core/store/fixture.h"

/* "one two|thre*" */
static void assert_query(const char *query, const char *want)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct text_query *q = arena_new(&a, sizeof(*q));

	text_query_add(q, str_of(query), &a);
	for (size_t i = 0; i < q->n; i++) {
		const struct text_term *t = &q->term[i];

		if (i)
			buf_addc(&b, '|');
		assert_true(t->n > 0);
		for (size_t k = 0; k < t->n; k++) {
			if (k)
				buf_addc(&b, ' ');
			buf_adds(&b, t->word[k]);
		}
		if (t->prefix)
			buf_addc(&b, '*');
	}
	assert_string_equal(buf_z(&b), want);
}

static void words_are_terms(void **state)
{
	assert_query("", "");
	assert_query(" \t\r\n", "");
	assert_query("Foo  bar", "foo|bar");
	assert_query("bob@example.net Bob", "bob example net|bob");
	assert_query("a\xc2\xa0"
		     "b\xe3\x80\x80"
		     "c",
		"a|b|c");
}

static void punctuation_asks_for_nothing(void **state)
{
	assert_query("- * \"...\" '' \"\"", "");
	assert_query("foo - bar", "foo|bar");
}

static void quotes_make_a_phrase(void **state)
{
	assert_query("\"Foo bar\" baz", "foo bar|baz");
	assert_query("'Foo bar'baz", "foo bar|baz");
	assert_query("\"it's here\"", "it s here");
	assert_query("'say \"hi\"'", "say hi");
	assert_query("\"a \\\"b\\\" \\\\ c\" d", "a b c|d");
	assert_query("'don\\'t go'", "don t go");
}

static void a_quote_without_an_end_is_none(void **state)
{
	assert_query("\"foo bar", "foo|bar");
	assert_query("don't stop", "don t|stop");
	assert_query("rock 'n roll", "rock|n|roll");
	assert_query("\"a\\\"", "a");
}

static void a_star_makes_a_beginning(void **state)
{
	assert_query("foo* ba", "foo*|ba");
	assert_query("fo*o", "fo o");
	assert_query("\"foo*\"", "foo");
	assert_query("a*", "a");
	assert_query("ä*", "a");
	assert_query("x@ex*", "x ex*");
}

static void a_run_is_its_pairs(void **state)
{
	assert_query("東京都", "東京 京都");
	assert_query("東", "東*");
	assert_query("東京abc", "東京 京 abc");
	assert_query("'東 京都'", "東 京都");
	assert_query("foo東", "foo 東*");
}

static void operators_of_the_index_are_words(void **state)
{
	assert_query("foo OR NOT bar", "foo|or|not|bar");
	assert_query("subject:foo {body}:x NEAR(a b)",
		"subject foo|body x|near a|b");
}

static void a_query_without_end_is_cut(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct text_query *q = arena_new(&a, sizeof(*q));

	for (int i = 0; i < 3000; i++)
		buf_addz(&b, "ab ");
	text_query_add(q, buf_str(&b), &a);
	assert_int_equal(q->n, TEXT_TERMS);
	buf_addc(&b, '\'');
	q->n = 0;
	text_query_add(
		q, str_n(arena_fmt(&a, "'%s", buf_z(&b)).p, b.n + 1), &a);
	assert_int_equal(q->n, 1);
	assert_int_equal(q->term[0].n, TEXT_TERM_WORDS);
}

static bool snippet(
	struct str text, struct str query, size_t max, struct buf *out)
{
	return text_snippet(text, &query, 1, max, out);
}

static void assert_snippet(
	const char *text, const char *query, size_t max, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};
	bool found = snippet(str_of(text), str_of(query), max, &b);

	assert_int_equal(found, want != NULL);
	assert_string_equal(buf_z(&b), want ? want : "");
	assert_true(b.n <= max);
}

static void words_of_the_query_are_marked(void **state)
{
	assert_snippet("The Foo, the bar", "foo BAR", SIZE_MAX,
		"The <mark>Foo</mark>, the <mark>bar</mark>");
	assert_snippet("foo", "foo", SIZE_MAX, "<mark>foo</mark>");
	assert_snippet("foobar", "foo", SIZE_MAX, NULL);
	assert_snippet("foobar", "foo*", SIZE_MAX, "<mark>foobar</mark>");
	assert_snippet(
		"a Größe b", "grosse", SIZE_MAX, "a <mark>Größe</mark> b");
	assert_snippet("", "foo", SIZE_MAX, NULL);
	assert_snippet("foo", "", SIZE_MAX, NULL);
	assert_snippet("foo", "...", SIZE_MAX, NULL);
}

static void one_word_of_the_query_is_enough(void **state)
{
	assert_snippet(
		"the foo", "foo missing", SIZE_MAX, "the <mark>foo</mark>");
}

static void queries_keep_their_quotes_to_themselves(void **state)
{
	const struct str query[] = {STR("rock 'n"), STR("roll don't")};
	struct buf b cleanup(buf_fini) = {0};

	assert_true(text_snippet(STR("don't rock and roll"), query,
		countof(query), SIZE_MAX, &b));
	assert_string_equal(buf_z(&b),
		"<mark>don't</mark> <mark>rock</mark> and <mark>roll</mark>");
	buf_reset(&b);
	assert_false(text_snippet(STR("x"), NULL, 0, SIZE_MAX, &b));
	assert_int_equal(b.n, 0);
}

static void a_phrase_is_marked_as_one(void **state)
{
	assert_snippet("red round, ball; round red ball", "\"round ball\"",
		SIZE_MAX, "red <mark>round, ball</mark>; round red ball");
	assert_snippet(
		"a b a b c a", "'a b c'", SIZE_MAX, "a b <mark>a b c</mark> a");
	assert_snippet("a a a b", "'a a b'", SIZE_MAX, "a <mark>a a b</mark>");
	assert_snippet("to bob@example.net.", "bob@example.net", SIZE_MAX,
		"to <mark>bob@example.net</mark>.");
}

static void hits_that_overlap_are_one_mark(void **state)
{
	assert_snippet("a b c d", "\"a b\" \"b c\" c", SIZE_MAX,
		"<mark>a b c</mark> d");
	assert_snippet(
		"は東京都に", "東京都", SIZE_MAX, "は<mark>東京都</mark>に");
	assert_snippet("猫が好き", "猫", SIZE_MAX, "<mark>猫が</mark>好き");
}

static void markup_is_escaped(void **state)
{
	assert_snippet("<b> & x<y \"q\" foo&", "foo", SIZE_MAX,
		"&lt;b&gt; &amp; x&lt;y \"q\" <mark>foo</mark>&amp;");
	assert_snippet("a&b", "'a b'", SIZE_MAX, "<mark>a&amp;b</mark>");
}

static void a_long_text_is_cut_around_the_first_hit(void **state)
{
	struct buf text cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i < 100; i++)
		buf_addz(&text, "before ");
	buf_addz(&text, "needle");
	for (int i = 0; i < 100; i++)
		buf_addz(&text, " behind");
	assert_true(snippet(buf_str(&text), STR("needle"), 255, &b));
	assert_true(b.n <= 255 && b.n > 240);
	assert_true(str_starts(buf_str(&b), STR("\xe2\x80\xa6"
						"before ")));
	assert_true(str_ends(buf_str(&b), STR("\xe2\x80\xa6")));
	assert_non_null(strstr(buf_z(&b), " before <mark>needle</mark> beh"));
}

/* Whatever is cut: no half character, entity or mark, and never too long. */
static void assert_whole(struct str s, size_t max)
{
	size_t open = 0;

	assert_true(s.n <= max);
	assert_true(utf8_valid(s));
	for (size_t i = 0; i < s.n; i++) {
		struct str rest = str_skip(s, i);

		if (s.p[i] == '<') {
			bool opens = str_starts(rest, STR("<mark>"));

			assert_true(opens || str_starts(rest, STR("</mark>")));
			assert_int_equal(open, !opens);
			open = opens;
		}
		if (s.p[i] == '&')
			assert_true(str_starts(rest, STR("&amp;")) ||
				    str_starts(rest, STR("&lt;")) ||
				    str_starts(rest, STR("&gt;")));
	}
	assert_int_equal(open, 0);
}

static void a_cut_never_breaks_anything(void **state)
{
	static const char *const piece[] = {"&", "<", "ü", "needle", " ",
		"東京", "x", "\n", "needles", "\xf0\x9f\x98\x80", ">"};
	uint32_t seed = 7;

	for (int round = 0; round < 3000; round++) {
		struct buf text cleanup(buf_fini) = {0};
		struct buf b cleanup(buf_fini) = {0};
		size_t max = 64 + (size_t)round % 200;

		for (int i = 0; i < 120; i++) {
			seed = seed * 1664525 + 1013904223;
			buf_addz(&text, piece[(seed >> 16) % countof(piece)]);
		}
		if (snippet(buf_str(&text), STR("needle* \"x needle\" 東京"),
			    max, &b)) {
			assert_whole(buf_str(&b), max);
			assert_non_null(strstr(buf_z(&b), "<mark>"));
		}
	}
}

static void a_hit_longer_than_the_room_is_cut(void **state)
{
	struct buf text cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i < 200; i++)
		buf_addz(&text, "ab&");
	assert_true(snippet(buf_str(&text), STR("ab"), 100, &b));
	assert_whole(buf_str(&b), 100);
	buf_reset(&b);
	buf_reset(&text);
	for (int i = 0; i < 5000; i++)
		buf_addc(&text, 'z');
	assert_true(snippet(buf_str(&text), STR("zz*"), 100, &b));
	assert_whole(buf_str(&b), 100);
	assert_true(str_ends(buf_str(&b), STR("</mark>\xe2\x80\xa6")));
}

static void bytes_that_are_no_text_do_no_harm(void **state)
{
	uint32_t seed = 3;

	for (int round = 0; round < 2000; round++) {
		struct buf b cleanup(buf_fini) = {0};
		char *bytes = mem_new(200);
		size_t n = (size_t)round % 200;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] =
				(char)(seed >> 24 & (round & 1 ? 0xff : 0xa7));
		}
		/* The text and the query alike. */
		snippet(str_n(bytes, n), str_n(bytes, n / 2), 80, &b);
		assert_true(b.n <= 80);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_terms),
		cmocka_unit_test(punctuation_asks_for_nothing),
		cmocka_unit_test(quotes_make_a_phrase),
		cmocka_unit_test(a_quote_without_an_end_is_none),
		cmocka_unit_test(a_star_makes_a_beginning),
		cmocka_unit_test(a_run_is_its_pairs),
		cmocka_unit_test(operators_of_the_index_are_words),
		cmocka_unit_test(a_query_without_end_is_cut),
		cmocka_unit_test(words_of_the_query_are_marked),
		cmocka_unit_test(one_word_of_the_query_is_enough),
		cmocka_unit_test(queries_keep_their_quotes_to_themselves),
		cmocka_unit_test(a_phrase_is_marked_as_one),
		cmocka_unit_test(hits_that_overlap_are_one_mark),
		cmocka_unit_test(markup_is_escaped),
		cmocka_unit_test(a_long_text_is_cut_around_the_first_hit),
		cmocka_unit_test(a_cut_never_breaks_anything),
		cmocka_unit_test(a_hit_longer_than_the_room_is_cut),
		cmocka_unit_test(bytes_that_are_no_text_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
