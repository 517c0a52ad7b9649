/* The text of a message, as a search sees it. */
#include "test/unit/core/mime/fixture.h"

#include "core/mime/text.h"

#define MAX ((size_t)1 << 20)

static struct mime_search read_of(const char *raw, size_t max)
{
	struct mime_search s = {0};
	struct str copy = exact(str_of(raw));

	mime_search_read(copy, max, &s);
	free((void *)(uintptr_t)copy.p);
	return s;
}

#define assert_field(s, field, want) \
	assert_string_equal(buf_z(&(s).field), want)

static void the_people_and_the_subject_are_decoded(void **state)
{
	struct mime_search s cleanup(mime_search_fini) =
		read_of("From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>\r\n"
			"To: \"Doe, Jane\" <jane@example.org>, x@y.z\r\n"
			"Cc: team: a@b.c, B <b@b.c>;\r\n"
			"Bcc: hidden@example.org\r\n"
			"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n there\r\n"
			"\r\nbody\r\n",
			MAX);

	assert_field(s, from, "Jürgen j@example.net\n");
	assert_field(s, to, "Doe, Jane jane@example.org\nx@y.z\n");
	assert_field(s, cc, "team\na@b.c\nB b@b.c\n");
	assert_field(s, bcc, "hidden@example.org\n");
	assert_field(s, subject, "Grüße there\n");
	assert_field(s, body, "body\n");
}

static void every_field_of_a_name_counts(void **state)
{
	struct mime_search s cleanup(mime_search_fini) = read_of(
		"subject: one\r\nSUBJECT: two\r\nTo: a@x\r\nto: b@x\r\n\r\n",
		MAX);

	assert_field(s, subject, "one\ntwo\n");
	assert_field(s, to, "a@x\nb@x\n");
	assert_field(s, body, "");
}

static void each_text_part_counts_and_markup_does_not(void **state)
{
	struct mime_search s cleanup(mime_search_fini) = read_of(
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
		"--B\r\n\r\nplain\r\n  text\r\n"
		"--B\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
		"<html><head><title>no</title><style>p{no:1}</style></head>"
		"<body><p class=no>b<b>ol</b>d &uuml;ber</p>"
		"<script>no</script></body></html>\r\n"
		"--B\r\nContent-Type: text/csv; charset=iso-8859-1\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		"caf=E9,1=\r\n2\r\n"
		"--B\r\nContent-Type: image/png; name=\"pic ture.png\"\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nbm8=\r\n"
		"--B--\r\n",
		MAX);

	assert_field(s, body, "plain text\nbold über\ncafé,12\npic ture.png\n");
}

static void words_shown_for_an_image_count(void **state)
{
	struct mime_search s cleanup(mime_search_fini) = read_of(
		"Content-Type: text/html\r\n\r\n"
		"<p>see <img src=\"no.png\" alt=\"a red &amp; round ball\""
		" title='its title'> here <a href=no title=tip>link</a></p>",
		MAX);

	assert_field(
		s, body, "see a red & round ball its title here tip link\n");
}

static void a_message_inside_is_body(void **state)
{
	struct mime_search s cleanup(mime_search_fini) = read_of(
		"Subject: outer\r\n"
		"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
		"--B\r\nContent-Type: message/rfc822\r\n\r\n"
		"From: Eve <eve@example.net>\r\nSubject: inner\r\n\r\ndeep\r\n"
		"--B\r\nContent-Type: message/rfc822\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n"
		"U3ViamVjdDogY29kZWQKCmlucw==\r\n"
		"--B--\r\n",
		MAX);

	assert_field(s, subject, "outer\n");
	assert_field(s, from, "");
	assert_field(s, body, "Eve eve@example.net\ninner\ndeep\ncoded\nins\n");
}

static void messages_inside_messages_come_to_an_end(void **state)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct mime_search s cleanup(mime_search_fini) = {0};

	for (int i = 0; i < 20000; i++)
		buf_addz(&raw, "Content-Type: message/rfc822\r\n\r\n");
	buf_addz(&raw, "Subject: last\r\n\r\nend\r\n");
	mime_search_read(buf_str(&raw), MAX, &s);
	assert_true(s.body.n > 0 && s.body.n <= MAX);
}

static void text_ends_at_its_limit(void **state)
{
	struct buf raw cleanup(buf_fini) = {0};

	buf_addz(&raw, "From: a@b\r\nSubject: s\r\n\r\n");
	for (int i = 0; i < 1000; i++)
		buf_addz(&raw, "üüü ");
	for (size_t max = 0; max < 100; max++) {
		struct mime_search s cleanup(mime_search_fini) = {0};

		mime_search_read(buf_str(&raw), max, &s);
		assert_true(s.from.n + s.subject.n + s.body.n <= max + 1);
	}
}

static void bytes_that_are_no_message_have_no_end_of_their_own(void **state)
{
	struct mime_search s cleanup(mime_search_fini) = {0};

	mime_search_read(STR_NONE, MAX, &s);
	assert_int_equal(s.body.n, 0);
	mime_search_read(STR("\0\xff\0"), MAX, &s);
	assert_true(s.body.n <= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_people_and_the_subject_are_decoded),
		cmocka_unit_test(every_field_of_a_name_counts),
		cmocka_unit_test(each_text_part_counts_and_markup_does_not),
		cmocka_unit_test(words_shown_for_an_image_count),
		cmocka_unit_test(a_message_inside_is_body),
		cmocka_unit_test(messages_inside_messages_come_to_an_end),
		cmocka_unit_test(text_ends_at_its_limit),
		cmocka_unit_test(
			bytes_that_are_no_message_have_no_end_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
