/*
 * textBody, htmlBody, attachments (RFC 8621 4.1.4); previews.
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

/* The bodies of leaves are their names: "A D K". */
static void assert_parts(const struct mime_message *m,
	struct mime_part *const *p, size_t n, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(&b, ' ');
		mime_decode(m->raw, p[i], &b);
	}
	assert_string_equal(buf_z(&b), want);
}

static void assert_lists(const struct mime_message *m, const char *text,
	const char *html, const char *attachments)
{
	check_message(m);
	assert_parts(m, m->text_body, m->text_body_n, text);
	assert_parts(m, m->html_body, m->html_body_n, html);
	assert_parts(m, m->attachments, m->attachments_n, attachments);
}

#define CT "Content-Type: "
#define MULTI(kind, b) CT "multipart/" kind "; boundary=" b "\n\n"
#define LEAF(type, head, name) CT type "\n" head "\n" name "\n"
#define INLINE "Content-Disposition: inline\n"
#define ATTACHED "Content-Disposition: attachment\n"
#define NAMED "Content-Disposition: inline; filename=f\n"

static struct mime_message *parse(const char *z)
{
	return mime_parse(str_of(z), &arena);
}

/* RFC 8621 4.1.4, pages 41 and 42. */
static void test_example_of_the_rfc(void **state)
{
	struct mime_message *m = parse(MULTI("mixed", "1") "--1\n" LEAF(
		"text/plain", INLINE, "A") "--1\n" MULTI("mixed",
		"2") "--2\n" MULTI("alternative", "3") "--3\n" MULTI("mixed",
		"4") "--4\n" LEAF("text/plain", INLINE,
		"B") "--4\n" LEAF("image/jpeg", INLINE,
		"C") "--4\n" LEAF("text/plain", INLINE,
		"D") "--4--\n"
		     "--3\n" MULTI("related", "5") "--5\n" LEAF("text/html", "",
			     "E") "--5\n" LEAF("image/jpeg", "",
			     "F") "--5--\n--3--\n"
				  "--2\n" LEAF("image/jpeg", ATTACHED,
					  "G") "--2\n" LEAF("application/"
							    "x-excel",
					  "",
					  "H") "--2\n" LEAF("message/rfc822",
					  "", "J") "--2--\n"
						   "--1\n" LEAF("text/plain",
							   INLINE,
							   "K") "--1--\n");

	assert_lists(m, "A B C D K", "A E K", "C F G H J");
	assert_true(m->has_attachment);
	assert_str(m->preview, "A");
}

static void test_plain_message(void **state)
{
	struct mime_message *m = parse(CT "text/plain\n\nA");

	assert_lists(m, "A", "A", "");
	assert_false(m->has_attachment);
}

static void test_html_alone_is_the_text_too(void **state)
{
	assert_lists(parse(CT "text/html\n\nA"), "A", "A", "");
	assert_lists(parse(MULTI("alternative", "1") "--1\n" LEAF(
			     "text/html", "", "A") "--1--\n"),
		"A", "A", "");
}

static void test_alternatives(void **state)
{
	assert_lists(parse(MULTI("alternative", "1") "--1\n" LEAF(
			     "text/plain", "", "A") "--1\n" LEAF("text/html",
			     "", "B") "--1\n" LEAF("text/calendar", "",
			     "C") "--1\n" LEAF("image/png", "", "D") "--1--\n"),
		"A", "B", "C D");
	assert_lists(parse(MULTI("alternative", "1") "--1\n" LEAF(
			     "text/plain", "", "A") "--1--\n"),
		"A", "A", "");
}

static void test_single_parts_that_are_no_text(void **state)
{
	assert_lists(parse(CT "image/png\n\nA"), "A", "A", "");
	assert_lists(parse(CT "application/pdf\n\nA"), "", "", "A");
	assert_lists(parse(CT "text/plain\n" ATTACHED "\nA"), "", "", "A");
}

static void test_named_text_behind_the_first_is_attached(void **state)
{
	struct mime_message *m = parse(MULTI("mixed", "1") "--1\n" LEAF(
		"text/plain", NAMED, "A") "--1\n" LEAF("text/plain", NAMED,
		"B") "--1\n" LEAF("image/png", NAMED, "C") "--1--\n");

	assert_lists(m, "A C", "A C", "B");
	assert_false(m->has_attachment);
}

static void test_related_shows_only_its_first_part(void **state)
{
	struct mime_message *m =
		parse(MULTI("related", "1") "--1\n" LEAF("text/html", "",
			"A") "--1\n" LEAF("image/png", INLINE, "B") "--1--\n");

	assert_lists(m, "A", "A", "B");
	assert_false(m->has_attachment);
}

static void test_preview_collapses_white_space(void **state)
{
	assert_str(
		parse("\n \r\n a \t b\xc2\xa0\n\n c\x01 \n")->preview, "a b c");
}

static void test_preview_of_html(void **state)
{
	struct mime_message *m = parse(
		CT "text/html; charset=utf-8\n\n"
		   "<html><head><title>no</title><style>a{b:c}</style></head>"
		   "<body><!-- no --><p>Fish &amp; chips&nbsp;&#8364;&#x35;</p>"
		   "<script>if (a < b) no()</script><p>B<b>ol</b>d &bogus; &"
		   "</p>&#0; 1 < 2 <img alt='>'>end");

	assert_str(m->preview, "Fish & chips \xe2\x82\xac"
			       "5 Bold &bogus; & &#0; 1 < 2 end");
}

static void test_preview_of_newsletter_filler(void **state)
{
	assert_str(parse(CT "text/html\n\nHi<div>&nbsp;&zwnj;&nbsp;&zwnj;&nbsp;"
			    "&#847;&shy; </div>there")
			   ->preview,
		"Hi there");
}

static void test_preview_of_unterminated_html(void **state)
{
	assert_str(parse(CT "text/html\n\na<b")->preview, "a");
	assert_str(parse(CT "text/html\n\na<!-- b")->preview, "a");
	assert_str(parse(CT "text/html\n\na<style>b")->preview, "a");
	assert_str(parse(CT "text/html\n\na<")->preview, "a<");
	assert_str(parse(CT "text/html\n\na</")->preview, "a");
	assert_str(parse(CT "text/html\n\na&am")->preview, "a&am");
}

static void test_preview_comes_from_the_first_part_with_text(void **state)
{
	assert_str(parse(MULTI("mixed", "1") "--1\n" LEAF("text/plain", "",
				 " ") "--1\n" LEAF("image/png", "",
				 "no") "--1\n" LEAF("text/plain", "",
				 "yes") "--1--\n")
			   ->preview,
		"yes");
}

static size_t characters(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static struct str preview_of(const char *head, const char *unit)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, head);
	for (int i = 0; i < 50000; i++)
		buf_addz(&b, unit);
	return mime_parse(arena_str(&arena, buf_str(&b)), &arena)->preview;
}

static void test_preview_has_256_characters_at_most(void **state)
{
	const char *head = CT "text/plain; charset=utf-8\n\n";

	assert_int_equal(preview_of(head, "a").n, 256);
	assert_int_equal(characters(preview_of(head, "\xc3\xa4")), 256);
	/* Clients count UTF-16: these are two each. */
	assert_int_equal(characters(preview_of(head, "\xf0\x9f\x98\x80")), 128);
	assert_int_equal(preview_of(head, "ab ").n, 256);
	assert_int_equal(preview_of(CT "text/html\n\n", "<i>a</i>").n, 256);
}

/* The start of a part is decoded, whatever its cut falls into. */
static void test_preview_of_a_cut_part_has_no_replacement(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str p;

	buf_addz(&b, CT "text/plain; charset=utf-8\n\na");
	for (int i = 0; i < 8100; i++)
		buf_addc(&b, '\n');
	for (int i = 0; i < 500; i++)
		buf_addz(&b, "\xc3\xa4");
	p = mime_parse(buf_str(&b), &arena)->preview;
	assert_null(memmem(p.p, p.n, "\xef\xbf\xbd", 3));
	assert_true(p.n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_the_rfc),
		cmocka_unit_test(test_plain_message),
		cmocka_unit_test(test_html_alone_is_the_text_too),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_single_parts_that_are_no_text),
		cmocka_unit_test(test_named_text_behind_the_first_is_attached),
		cmocka_unit_test(test_related_shows_only_its_first_part),
		cmocka_unit_test(test_preview_collapses_white_space),
		cmocka_unit_test(test_preview_of_html),
		cmocka_unit_test(test_preview_of_newsletter_filler),
		cmocka_unit_test(test_preview_of_unterminated_html),
		cmocka_unit_test(
			test_preview_comes_from_the_first_part_with_text),
		cmocka_unit_test(test_preview_has_256_characters_at_most),
		cmocka_unit_test(test_preview_of_a_cut_part_has_no_replacement),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
