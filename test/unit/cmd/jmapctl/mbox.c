/* An mbox, fed whole and byte by byte. */
#include "cmd/jmapctl/mbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FROM "From bob@example.net Sat Jan  3 01:05:34 1996\n"
#define FROM_MS INT64_C(820631134000)

/* What came out: "<offset>[,date]:<raw>|". */
struct out {
	struct buf text;
	int ret;
};

static int on_message(void *ctx, const struct mbox_message *m, struct err *e)
{
	struct out *o = ctx;
	buf_fmt(&o->text, "%d%s%s:", (int)m->at, m->has_date ? ",dated" : "",
		m->too_large ? ",large" : "");
	buf_adds(&o->text, m->raw);
	buf_addc(&o->text, '|');
	if (m->has_date)
		assert_true(m->date_ms == FROM_MS);
	return o->ret;
}

static int feed(struct str text, size_t piece, size_t max, struct out *o)
{
	struct mbox b;
	int ret = 0;
	mbox_init(&b, max, on_message, o);
	while (text.n && ret == 0) {
		size_t n = min_of(piece, text.n);
		ret = mbox_feed(&b, str_n(text.p, n), NULL);
		text = str_skip(text, n);
	}
	if (ret == 0)
		ret = mbox_end(&b, NULL);
	mbox_fini(&b);
	return ret;
}

static void assert_made(const char *text, size_t max, const char *want)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 2, 7, 100};
	for (size_t i = 0; i < countof(pieces); i++) {
		struct out o = {0};
		assert_int_equal(feed(str_of(text), pieces[i], max, &o), 0);
		assert_string_equal(buf_z(&o.text), want);
		buf_fini(&o.text);
	}
}

static void nothing_is_an_empty_mbox(void **state)
{
	assert_made("", 1000, "");
}

static void messages_end_before_the_empty_line(void **state)
{
	assert_made(FROM "A: 1\n\nx\n\n" FROM "A: 2\n\n\n\n" FROM "A: 3\n\ny",
		1000,
		"0,dated:A: 1\n\nx\n|55,dated:A: 2\n\n\n|109,dated:A: 3\n\ny|");
}

static void line_ends_may_be_crlf(void **state)
{
	assert_made("From x\r\nA: 1\r\n\r\nx\r\n\r\nFrom y\r\nA: 2\r\n\r\n",
		1000, "0:A: 1\r\n\r\nx\r\n|21:A: 2\r\n|");
}

static void quoted_lines_lose_one_mark(void **state)
{
	assert_made(FROM "A: 1\n\n>From a\n>>From b\n>Fromage\n> From c\n\n",
		1000, "0,dated:A: 1\n\nFrom a\n>From b\n>Fromage\n> From c\n|");
}

static void from_without_an_empty_line_before_it_is_text(void **state)
{
	assert_made(FROM "A: 1\n\nx\nFrom y Sat Jan  3 01:05:34 1996\n\n", 1000,
		"0,dated:A: 1\n\nx\nFrom y Sat Jan  3 01:05:34 1996\n|");
}

static void from_without_a_date_is_text_where_others_have_one(void **state)
{
	assert_made(FROM "A: 1\n\n\nFrom here on\n\n", 1000,
		"0,dated:A: 1\n\n\nFrom here on\n|");
}

static void from_lines_without_a_date_are_known_by_the_first(void **state)
{
	assert_made("From \nA: 1\n\nx\n\nFrom -\nA: 2\n\ny\n", 1000,
		"0:A: 1\n\nx\n|15:A: 2\n\ny\n|");
}

static void a_message_may_be_empty(void **state)
{
	assert_made(FROM "\n" FROM, 1000, "0,dated:|47,dated:|");
}

static void bytes_that_are_no_text_stay(void **state)
{
	static const char text[] = "From x\nA: 1\n\n\0\xff\r\r\n>\0From \n";
	struct out o = {0};
	assert_int_equal(feed(str_n(text, sizeof(text) - 1), 3, 1000, &o), 0);
	assert_int_equal(o.text.n, sizeof(text) - 1 - 7 + 3);
	assert_memory_equal(o.text.p + 2, text + 7, sizeof(text) - 1 - 7);
	buf_fini(&o.text);
}

static void one_that_is_too_large_is_told_and_the_next_one_comes(void **state)
{
	assert_made("From x\nA: 1\n\n0123456789\n\nFrom y\nB\n", 12,
		"0,large:|25:B\n|");
}

/* Longer than what is kept of a line at once. */
static void a_long_line_is_one_line(void **state)
{
	struct buf text cleanup(buf_fini) = {0}, want cleanup(buf_fini) = {0};
	for (int from = 0; from < 2; from++) {
		buf_reset(&text);
		buf_reset(&want);
		buf_addz(&text, "From x\nA: 1\n\n\n");
		buf_addz(&want, "0:A: 1\n\n\n");
		if (from) /* no From_ line is as long as that */
			buf_addz(&text, "From ");
		if (from)
			buf_addz(&want, "From ");
		for (int i = 0; i < 20000; i++) {
			buf_addc(&text, 'l');
			buf_addc(&want, 'l');
		}
		buf_addz(&text, "\n\nFrom y\nB\n");
		buf_fmt(&want, "\n|%d:B\n|", (int)text.n - 9);
		assert_made(buf_z(&text), 100000, buf_z(&want));
	}
}

static void what_does_not_begin_with_from_is_no_mbox(void **state)
{
	struct out o = {0};
	assert_true(feed(STR("A: 1\n\nx\n"), 100, 100, &o) < 0);
	assert_true(feed(STR("x"), 100, 100, &o) < 0);
	assert_int_equal(o.text.n, 0);
}

static void who_takes_the_messages_may_end_it(void **state)
{
	struct out o = {.ret = -5};
	assert_int_equal(
		feed(STR("From x\nA\n\nFrom y\nB\n"), 100, 100, &o), -5);
	assert_string_equal(buf_z(&o.text), "0:A\n|");
	buf_fini(&o.text);
}

static void dates_of_from_lines_are_read(void **state)
{
	static const char *const good[] = {
		"From a Sat Jan  3 01:05:34 1996",
		"From a Sat Jan 03 01:05:34 1996\r\n",
		"From Sat Jan 3 01:05:34 1996",
		"From a b@c  Sat Jan  3 01:05:34 GMT 1996\n",
		"From - Sat jan  3 01:05:34 1996 +0000",
	};
	static const char *const bad[] = {
		"From a",
		"From a Jan",
		"From a Sat Jan 3 1996",
		"From a Sat Jan 3 25:05:34 1996",
		"From a Sat Jan 33 01:05 1996",
		"From a Sat Jan 3 01:05:34 96",
		"From Jan Jan Jan 3 01:05",
		"From a Sat Foo 3 01:05:34 1996",
		"From a Sat Jan 3 01:60 1996",
	};
	int64_t ms;
	for (size_t i = 0; i < countof(good); i++) {
		ms = 0;
		assert_true(mbox_from_date(str_of(good[i]), &ms));
		assert_true(ms == FROM_MS);
	}
	for (size_t i = 0; i < countof(bad); i++)
		assert_false(mbox_from_date(str_of(bad[i]), &ms));
}

static void assert_keywords(const char *raw, const char *want, bool deleted)
{
	struct buf out = {0};
	bool d;
	mbox_keywords(str_of(raw), &out, &d);
	assert_string_equal(buf_z(&out), want);
	assert_int_equal(d, deleted);
	buf_fini(&out);
}

static void status_fields_are_keywords(void **state)
{
	assert_keywords("A: 1\nStatus: RO\n\nx\n", "$seen", false);
	assert_keywords("status: OR\r\nX-STATUS: AFT\r\n\r\nx\r\n",
		"$seen $answered $flagged $draft", false);
	assert_keywords("Status: O\nX-Status: R\n\n", "", false);
	assert_keywords("Status: AFTD\nX-Status: \n\n", "", false);
	assert_keywords("A: 1\n\nStatus: R\nX-Status: D\n", "", false);
	assert_keywords("Status: RESOLVED\nX-Status: Dead\n\n", "", false);
	assert_keywords("", "", false);
}

static void deleted_is_told_and_is_no_keyword(void **state)
{
	assert_keywords("X-Status: DF\n\n", "$flagged", true);
}

static void simple_keywords_are_taken(void **state)
{
	assert_keywords("X-Keywords:  Work   $Label1 \nStatus: R\n\n",
		"Work $Label1 $seen", false);
	assert_keywords("Keywords: todo\n\n", "todo", false);
	assert_keywords("X-Keywords:\n\n", "", false);
}

static void keywords_that_are_not_simple_are_left_out(void **state)
{
	struct buf text cleanup(buf_fini) = {0};
	assert_keywords("X-Keywords: a, b\n\n", "", false);
	assert_keywords("X-Keywords: a (b)\nX-Keywords: c\n\n", "c", false);
	assert_keywords("X-Keywords: a\n b\n\n", "", false);
	assert_keywords("X-Keywords: a\tb\n\n", "", false);
	assert_keywords("X-Keywords: \xc3\xa4\n\n", "", false);
	buf_addz(&text, "X-Keywords: ");
	for (int i = 0; i < 256; i++)
		buf_addc(&text, 'k');
	assert_keywords(buf_z(&text), "", false);
}

static void an_author_sets_no_flag_by_keywords(void **state)
{
	assert_keywords("Keywords: a $seen\n\n", "", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_an_empty_mbox),
		cmocka_unit_test(messages_end_before_the_empty_line),
		cmocka_unit_test(line_ends_may_be_crlf),
		cmocka_unit_test(quoted_lines_lose_one_mark),
		cmocka_unit_test(from_without_an_empty_line_before_it_is_text),
		cmocka_unit_test(
			from_without_a_date_is_text_where_others_have_one),
		cmocka_unit_test(
			from_lines_without_a_date_are_known_by_the_first),
		cmocka_unit_test(a_message_may_be_empty),
		cmocka_unit_test(bytes_that_are_no_text_stay),
		cmocka_unit_test(
			one_that_is_too_large_is_told_and_the_next_one_comes),
		cmocka_unit_test(a_long_line_is_one_line),
		cmocka_unit_test(what_does_not_begin_with_from_is_no_mbox),
		cmocka_unit_test(who_takes_the_messages_may_end_it),
		cmocka_unit_test(dates_of_from_lines_are_read),
		cmocka_unit_test(status_fields_are_keywords),
		cmocka_unit_test(deleted_is_told_and_is_no_keyword),
		cmocka_unit_test(simple_keywords_are_taken),
		cmocka_unit_test(keywords_that_are_not_simple_are_left_out),
		cmocka_unit_test(an_author_sets_no_flag_by_keywords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
