/*
 * What Content-* fields say: types, names, ids; parameters by RFC 2231.
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

static const struct mime_part *part(const char *header)
{
	struct str raw = arena_fmt(&arena, "%s\r\n\r\nx", header);
	struct mime_message *m = mime_parse(raw, &arena);

	check_message(m);
	return m->root;
}

static void assert_type(
	const char *header, const char *type, const char *charset)
{
	const struct mime_part *p = part(header);

	assert_str(p->type, type);
	if (charset)
		assert_str(p->charset, charset);
	else
		assert_null(p->charset.p);
}

#define CT "Content-Type: "
#define CD "Content-Disposition: "

static void test_types(void **state)
{
	assert_type("X: y", "text/plain", "us-ascii");
	assert_type(CT "TEXT/Html; Charset=\"UTF-8\"", "text/html", "UTF-8");
	assert_type(CT " text (a) / (b)\r\n plain (c); (d) charset=x (e)",
		"text/plain", "x");
	assert_type(CT "text/html", "text/html", "us-ascii");
	assert_type(CT "a/b; charset (x) = (y) z (c)", "a/b", "z");
	assert_type(CT "image/png", "image/png", NULL);
	assert_type(CT "application/xml; charset=utf-8", "application/xml",
		"utf-8");
	assert_type("content-TYPE: a/b", "a/b", NULL);
}

static void test_charsets_as_sent_by_the_careless(void **state)
{
	assert_type(CT "a/b; charset='utf-8'", "a/b", "utf-8");
	assert_type(CT "a/b; charset=\"koi8-r; format=x\"", "a/b", "koi8-r");
	assert_type(CT "a/b; charset=\" \\\"x\\\" y\"", "a/b", "x");
	assert_type(CT "text/plain; charset=\"'\"", "text/plain", "us-ascii");
}

static void test_broken_types_are_plain_text(void **state)
{
	assert_type(CT, "text/plain", "us-ascii");
	assert_type(CT "text", "text/plain", "us-ascii");
	assert_type(CT "/html", "text/plain", "us-ascii");
	assert_type(CT "text/; charset=utf-8", "text/plain", "utf-8");
	assert_type(CT "(text/html", "text/plain", "us-ascii");
	assert_type(CT "text/h\xc3\xbcml", "text/plain", "us-ascii");
	assert_type(CT "text/plain charset=utf-8 x; charset=koi8-r b",
		"text/plain", "koi8-r");
}

static void test_last_content_type_counts(void **state)
{
	assert_type(CT "text/html\r\n" CT "image/png", "image/png", NULL);
}

static void test_encodings(void **state)
{
	static const struct {
		const char *text;
		enum mime_encoding enc;
		bool problem;
	} t[] = {{"7bit", MIME_IDENTITY, false}, {"8BIT", MIME_IDENTITY, false},
		{"binary", MIME_IDENTITY, false},
		{" Base64 (x)", MIME_BASE64, false},
		{"quoted-printable", MIME_QP, false},
		{"x-uuencode", MIME_UUENCODE, false},
		{"rot13", MIME_IDENTITY, true}, {"", MIME_IDENTITY, true}};

	for (size_t i = 0; i < countof(t); i++) {
		const struct mime_part *p = part(arena_fmt(
			&arena, "Content-Transfer-Encoding: %s", t[i].text)
							 .p);

		assert_int_equal(p->encoding, t[i].enc);
		assert_int_equal(p->encoding_problem, t[i].problem);
	}
}

static void test_disposition_and_ids(void **state)
{
	const struct mime_part *p =
		part(CD "ATTACHMENT (x); a=b\r\n"
			"Content-ID: (c) <a@x> \r\n"
			"Content-Language: en,\r\n de\r\n"
			"Content-Location: http://x/\r\n y");

	assert_str(p->disposition, "attachment");
	assert_str(p->cid, "a@x");
	assert_str(p->language, "en, de");
	assert_str(p->location, "http://x/y");
	p = part("Content-ID: bare@x (c)");
	assert_str(p->cid, "bare@x");
	assert_null(p->disposition.p);
	assert_null(p->language.p);
	assert_null(p->location.p);
	p = part("Content-Language: (a (b)) en (c),(d)de");
	assert_str(p->language, "en ,de");
	p = part("Content-Language: (a) en (((, de");
	assert_str(p->language, "en (((, de");
	assert_null(part("Content-ID: <>")->cid.p);
	assert_null(part(CD ";")->disposition.p);
}

static void assert_name(const char *header, const char *want)
{
	const struct mime_part *p = part(header);

	if (want)
		assert_str(p->name, want);
	else
		assert_null(p->name.p);
}

#define FILE_ CD "attachment; "

static void test_names(void **state)
{
	assert_name(FILE_ "filename=a.pdf", "a.pdf");
	assert_name(FILE_ "filename=\"a \\\"b\\\" ;c.pdf\"", "a \"b\" ;c.pdf");
	assert_name(CT "image/png; name=a.png", "a.png");
	assert_name(CT "image/png; name=a.png\r\n" FILE_ "FileName = b.png",
		"b.png");
	assert_name(FILE_, NULL);
	assert_name(FILE_ "filename=\"\"", NULL);
	assert_name(FILE_ "filename=\"a\r\n b\"", "a b");
}

static void test_names_by_rfc_2231(void **state)
{
	assert_name(FILE_ "filename*=utf-8'en'%e2%82%ac%20rates.txt",
		"\xe2\x82\xac rates.txt");
	assert_name(FILE_ "filename*0=\"a b\"; filename*1=c; filename*2=.d",
		"a bc.d");
	assert_name(FILE_ "filename*1*=%20b; filename*0*=iso-8859-1''%E4;\r\n"
			  " filename*2=\"%20c\"",
		"\xc3\xa4 b%20c");
	assert_name(FILE_ "filename*=x-none''%C3%A4", "\xc3\xa4");
	assert_name(FILE_ "filename*=''a%2", "a%2");
	assert_name(FILE_ "filename*=a%20b", "a b");
	assert_name(FILE_ "filename=old; filename*=utf-8''new", "new");
	/* A character in two pieces. */
	assert_name(
		FILE_ "filename*0*=utf-8''%C3; filename*1*=%A4", "\xc3\xa4");
	/* A piece is missing: what is behind it has no place. */
	assert_name(FILE_ "filename*0=a; filename*2=c", "a");
	assert_name(FILE_ "filename*=utf-8''a%00%0Ab", "ab");
}

static void test_names_as_encoded_words(void **state)
{
	assert_name(FILE_
		"filename=\"=?utf-8?Q?=C3=A4?=\r\n =?utf-8?Q?b.pdf?=\"",
		"\xc3\xa4"
		"b.pdf");
	assert_name(CT "a/b; name==?utf-8?B?w6Q=?=", "\xc3\xa4");
}

static void test_names_as_sent_by_the_careless(void **state)
{
	assert_name(FILE_ "filename=foo bar.pdf; size=3", "foo bar.pdf");
	assert_name(FILE_ "filename=foo bar.pdf (my file)", "foo bar.pdf");
	assert_name(FILE_ "filename=\"open", "open");
	assert_name(FILE_ "filename=\"open\\", "open\\");
	assert_name(FILE_ "filename=J\xf6rg.txt", "J\xc3\xb6rg.txt");
	assert_name(CD "attachment filename=a.txt", NULL);
	assert_name(CD "filename=a.txt; size=1", "a.txt");
	assert_name(FILE_ ";; ; =x; filename", NULL);
	assert_name(CT "a/b; charset=\"x\" name=\"y\"", "y");
	assert_name(FILE_ "(filename=a.txt; filename=b.txt", NULL);
}

static void test_parameters_are_bounded(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_params ps;

	buf_addz(&b, "a");
	for (int i = 0; i < 100000; i++)
		buf_fmt(&b, ";n*%d=x", i);
	mime_params_read(&ps, buf_str(&b), &arena);
	assert_int_equal(ps.n, MIME_PARAMS);
	assert_int_equal(mime_param(&ps, STR("n"), &arena).n, MIME_PARAMS);
}

/* What opens and never closes is scanned for once, not again from each. */
static void test_many_openings(void **state)
{
	static const char *const open[] = {
		"(", "\"", ";\"", ";a=(", ";a=\"", ";a=\\\"", "=", ";"};

	for (size_t i = 0; i < countof(open); i++) {
		struct buf b cleanup(buf_fini) = {0};
		struct mime_params ps;

		buf_addz(&b, "a;");
		while (b.n < 500000)
			buf_addz(&b, open[i]);
		mime_params_read(&ps, buf_str(&b), &arena);
		assert_true(ps.n <= MIME_PARAMS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_charsets_as_sent_by_the_careless),
		cmocka_unit_test(test_broken_types_are_plain_text),
		cmocka_unit_test(test_last_content_type_counts),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_disposition_and_ids),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_by_rfc_2231),
		cmocka_unit_test(test_names_as_encoded_words),
		cmocka_unit_test(test_names_as_sent_by_the_careless),
		cmocka_unit_test(test_parameters_are_bounded),
		cmocka_unit_test(test_many_openings),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
