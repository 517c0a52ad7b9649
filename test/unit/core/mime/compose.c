/*
 * Messages that are put together: ours reads back what went in, byte for byte, and
 * GMime's parser sees the same tree and the same contents.
 */
#include "test/unit/core/mime/compose_test.h"

#include <gmime/gmime.h>
#include <pthread.h>

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

/* ---- parts ------------------------------------------------------------------------------ */

static struct compose_part leaf(
	struct arena *a, const char *type, struct str content, bool text)
{
	struct compose_part p = {
		.type = str_of(type), .content = content, .text = text};
	struct buf b cleanup(buf_fini) = {0};

	assert_true(compose_type(&b, p.type, text ? STR("utf-8") : STR_NONE,
		STR_NONE, STR_NONE));
	p.head = arena_str(a, buf_str(&b));
	return p;
}

static struct compose_part multipart(
	struct arena *a, const char *type, struct compose_part *sub, size_t n)
{
	char z[COMPOSE_BOUNDARY_MAX];
	struct compose_part p = {.type = str_of(type), .sub = sub, .sub_n = n};
	struct buf b cleanup(buf_fini) = {0};

	compose_boundary(z);
	p.boundary = arena_str(a, str_of(z));
	assert_true(compose_type(&b, p.type, STR_NONE, STR_NONE, p.boundary));
	p.head = arena_str(a, buf_str(&b));
	return p;
}

/* The message, every line of its header and encoded bodies within 998 bytes. */
static struct str composed(struct arena *a, struct compose_part *root)
{
	struct buf b cleanup(buf_fini) = {0};

	compose_message(&b, STR("Subject: x\r\n"), root);
	return exact(arena_str(a, buf_str(&b)));
}

static void check_lines(struct str raw)
{
	struct str line;

	while (str_cut(&raw, '\n', &line)) {
		assert_true(line.n <= 999);
		assert_true(raw.n == 0 || str_ends(line, STR("\r")));
	}
}

/* ---- one text --------------------------------------------------------------------------- */

/* CRLF as LF, as RFC 8621 4.1.4 shows it. */
static struct str lf(struct arena *a, struct str s)
{
	char *p = arena_new(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' || i + 1 == s.n || s.p[i + 1] != '\n')
			p[n++] = s.p[i];
	return str_n(p, n);
}

/* Alone, and between others. */
static void assert_text_body(struct str in)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str want = lf(&a, in);

	for (int nested = 0; nested < 2; nested++) {
		struct compose_part sub[3] = {
			leaf(&a, "text/plain", STR("first"), true),
			leaf(&a, "text/plain", in, true),
			leaf(&a, "text/plain", STR(""), true)};
		struct compose_part root =
			nested ? multipart(&a, "multipart/mixed", sub, 3)
			       : sub[1];
		struct str raw = composed(&a, &root);
		struct mime_message *m = mime_parse(raw, &a);
		const struct mime_part *p = nested ? m->root->sub[1] : m->root;
		struct mime_text t = mime_body_text(raw, p, 0, &a);

		check_lines(raw);
		check_message(m);
		assert_true(str_eq(t.text, want));
		assert_false(t.encoding_problem);
		free((char *)raw.p);
	}
}

static void test_text_bodies(void **state)
{
	static const struct str bodies[] = {{"", 0}, {"x", 1}, {"\n", 1},
		{"\r\n", 2}, {"\r", 1}, {"\r\r\n\n\r", 5}, {"a\0b", 3},
		{" \n\t\n  ", 6}, {".\n..\n.x", 7}, {"From x\nFrom y", 13},
		{"--\n--x--\n", 9}, {"=\n=3D\n=", 7}, {"\xc3\xa4\n", 3}};
	char line[2001];

	for (size_t i = 0; i < countof(bodies); i++)
		assert_text_body(bodies[i]);
	memset(line, 'x', sizeof(line));
	for (size_t n = 990; n < sizeof(line); n += n < 1005 ? 1 : 200)
		assert_text_body(str_n(line, n));
}

static void test_text_bodies_whatever_they_are(void **state)
{
	static const char *const pieces[] = {"a", "word", " ", "  ", "\t", "\n",
		"\r\n", "\r", ".", "=", "=3D", "\xc3\xa4", "\xe6\xbc\xa2",
		"\xf0\x9f\x98\x80", "\x01", "\x7f", "From ", "--", "-- \n",
		"a much longer piece of plain text that makes lines long "};
	uint32_t seed = 1;

	for (int i = 0; i < 1500; i++) {
		struct arena a cleanup(arena_fini) = {0};

		assert_text_body(
			pieces_of(&a, &seed, 200, pieces, countof(pieces)));
	}
}

static void assert_encoding(const char *type, struct str in, const char *want)
{
	struct arena a cleanup(arena_fini) = {0};
	struct compose_part root = leaf(&a, type, in, false);
	struct str raw = composed(&a, &root);
	struct mime_message *m = mime_parse(raw, &a);
	struct str got =
		mime_header_raw(m->root, STR("Content-Transfer-Encoding"));
	struct buf b cleanup(buf_fini) = {0};

	assert_str(str_trim(got), want);
	mime_decode(raw, m->root, &b);
	assert_true(str_eq(buf_str(&b), in));
	free((char *)raw.p);
}

static void test_each_content_gets_the_encoding_that_fits(void **state)
{
	assert_encoding("text/plain", STR("plain\r\n"), "");
	assert_encoding("text/plain", STR("unix\nand a lot more of it\n"),
		"quoted-printable");
	assert_encoding("text/plain", STR("a\xc3\xa4 and plain words"),
		"quoted-printable");
	assert_encoding(
		"text/plain", STR("\xe6\xbc\xa2\xe5\xad\x97"), "base64");
	assert_encoding(
		"text/plain", STR("nul \0 in words"), "quoted-printable");
	assert_encoding("image/png", STR("plain\r\n"), "base64");
	assert_encoding("image/png", STR(""), "base64");
	assert_encoding("message/rfc822", STR("A: b\r\n\r\nc\r\n"), "");
	assert_encoding("message/rfc822", STR("A: \xc3\xa4\r\n\r\n"), "8bit");
	assert_encoding("message/rfc822", STR("A: b\n\nc\n"), "binary");
}

static void test_quoted_printable_lines(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct compose_part root = leaf(&a, "text/plain",
		STR("\xc3\xa4 \n.dot\nFrom me\nend\t\nnot . From \n"
		    "012345678901234567890123456789012345678901234"
		    "567890123456789012345678901234567890123456789 "),
		true);
	struct buf b cleanup(buf_fini) = {0};

	compose_message(&b, STR(""), &root);
	assert_string_equal(buf_z(&b),
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n"
		"\r\n"
		"=C3=A4=20\r\n"
		"=2Edot\r\n"
		"=46rom me\r\n"
		"end=09\r\n"
		"not . From=20\r\n"
		"0123456789012345678901234567890123456789"
		"01234567890123456789012345678901234=\r\n"
		"567890123456789=20");
}

/* ---- trees ------------------------------------------------------------------------------ */

static struct compose_part tree(
	struct arena *a, uint32_t *seed, unsigned depth, struct buf *shape)
{
	static const char *const kinds[] = {"multipart/mixed",
		"multipart/alternative", "multipart/related"};
	size_t n = 1 + number(seed) % 4;
	char data[300];
	struct compose_part *sub;
	const char *kind;

	if (depth == 0 || number(seed) % 3 == 0) {
		size_t len = number(seed) % sizeof(data);

		for (size_t i = 0; i < len; i++)
			data[i] = (char)number(seed);
		buf_addz(shape, "application/x-any;");
		return leaf(a, "application/x-any",
			arena_str(a, str_n(data, len)), false);
	}
	kind = kinds[number(seed) % countof(kinds)];
	buf_fmt(shape, "%s(", kind);
	sub = arena_new(a, n * sizeof(*sub));
	for (size_t i = 0; i < n; i++)
		sub[i] = tree(a, seed, depth - 1, shape);
	buf_addz(shape, ")");
	return multipart(a, kind, sub, n);
}

static void our_shape(struct str raw, const struct mime_part *p,
	struct buf *out, struct buf *contents)
{
	buf_adds(out, p->type);
	buf_addz(out, p->sub ? "(" : ";");
	for (size_t i = 0; i < p->sub_n; i++)
		our_shape(raw, p->sub[i], out, contents);
	if (p->sub)
		buf_addz(out, ")");
	else
		mime_decode(raw, p, contents);
}

static void their_shape(GMimeObject *o, struct buf *out, struct buf *contents)
{
	char *type = g_mime_content_type_get_mime_type(
		g_mime_object_get_content_type(o));
	GMimeStream *s;
	GByteArray *bytes;

	buf_addz(out, type);
	g_free(type);
	if (GMIME_IS_MULTIPART(o)) {
		GMimeMultipart *m = GMIME_MULTIPART(o);

		buf_addz(out, "(");
		for (int i = 0; i < g_mime_multipart_get_count(m); i++)
			their_shape(
				g_mime_multipart_get_part(m, i), out, contents);
		buf_addz(out, ")");
		return;
	}
	buf_addz(out, ";");
	s = g_mime_stream_mem_new();
	g_mime_data_wrapper_write_to_stream(
		g_mime_part_get_content(GMIME_PART(o)), s);
	bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(s));
	buf_add(contents, bytes->data, bytes->len);
	g_object_unref(s);
}

static void check_gmime(
	struct str raw, const struct buf *shape, const struct buf *contents)
{
	GMimeStream *s = g_mime_stream_mem_new_with_buffer(raw.p, raw.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(s);
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
	struct buf got cleanup(buf_fini) = {0};
	struct buf bytes cleanup(buf_fini) = {0};

	assert_non_null(m);
	their_shape(g_mime_message_get_mime_part(m), &got, &bytes);
	assert_true(str_eq(buf_str(&got), buf_str(shape)));
	assert_true(str_eq(buf_str(&bytes), buf_str(contents)));
	g_object_unref(m);
	g_object_unref(parser);
	g_object_unref(s);
}

static void collect(const struct compose_part *p, struct buf *contents)
{
	for (size_t i = 0; i < p->sub_n; i++)
		collect(&p->sub[i], contents);
	if (p->sub_n == 0)
		buf_adds(contents, p->content);
}

static void assert_tree(uint32_t seed, bool gmime)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf shape cleanup(buf_fini) = {0};
	struct buf want cleanup(buf_fini) = {0};
	struct buf ours cleanup(buf_fini) = {0};
	struct buf bytes cleanup(buf_fini) = {0};
	struct compose_part root = tree(&a, &seed, 5, &shape);
	struct str raw = composed(&a, &root);
	struct mime_message *m = mime_parse(raw, &a);

	collect(&root, &want);
	check_lines(raw);
	check_message(m);
	our_shape(raw, m->root, &ours, &bytes);
	assert_true(str_eq(buf_str(&ours), buf_str(&shape)));
	assert_true(str_eq(buf_str(&bytes), buf_str(&want)));
	if (gmime)
		check_gmime(raw, &shape, &want);
	free((char *)raw.p);
}

static void test_trees_of_parts(void **state)
{
	for (uint32_t seed = 1; seed <= 300; seed++)
		assert_tree(seed, true);
}

static void test_messages_within_messages(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str raw = STR("Subject: the core\r\n\r\nbody\r\n");

	for (int i = 0; i < 5; i++) {
		struct compose_part sub[2] = {
			leaf(&a, "text/plain", STR("\xc3\xa4"), true),
			leaf(&a, "message/rfc822", raw, false)};
		struct compose_part root =
			multipart(&a, "multipart/mixed", sub, 2);
		struct buf b cleanup(buf_fini) = {0};
		struct mime_message *m;

		compose_message(&b, STR(""), &root);
		m = mime_parse(buf_str(&b), &a);
		assert_shape(
			m, "multipart/mixed(1:text/plain 2:message/rfc822)");
		assert_true(str_eq(mime_slice(m->raw, m->root->sub[1]->offset,
					   m->root->sub[1]->offset +
						   m->root->sub[1]->length),
			raw));
		raw = arena_str(&a, buf_str(&b));
	}
}

static void test_boundaries_differ(void **state)
{
	char a[COMPOSE_BOUNDARY_MAX], b[COMPOSE_BOUNDARY_MAX];

	compose_boundary(a);
	compose_boundary(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), strlen(b));
	assert_int_equal(strncmp(a, "=_", 2), 0);
}

static void *tree_thread(void *seed)
{
	for (uint32_t i = 0; i < 50; i++)
		assert_tree(*(uint32_t *)seed + i, false);
	return NULL;
}

static void test_threads_compose_at_once(void **state)
{
	uint32_t seeds[4] = {1000, 2000, 3000, 4000};
	pthread_t t[4];

	for (size_t i = 0; i < countof(t); i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, tree_thread, &seeds[i]), 0);
	for (size_t i = 0; i < countof(t); i++)
		pthread_join(t[i], NULL);
}

/* ---- fields of a part -------------------------------------------------------------------- */

static const struct mime_part *part_of(const struct buf *head)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_adds(&b, buf_str(head));
	buf_addz(&b, "\r\nbody");
	return mime_parse(arena_str(&arena, buf_str(&b)), &arena)->root;
}

static void assert_name(struct str name)
{
	struct buf b cleanup(buf_fini) = {0};
	struct buf c cleanup(buf_fini) = {0};

	assert_true(compose_disposition(&b, STR("attachment"), name));
	value_in(&b);
	assert_true(str_eq(part_of(&b)->name, name));
	assert_true(
		compose_type(&c, STR("image/png"), STR_NONE, name, STR_NONE));
	value_in(&c);
	assert_true(str_eq(part_of(&c)->name, name));
	assert_str(part_of(&c)->type, "image/png");
	assert_str(part_of(&b)->disposition, "attachment");
}

static void test_file_names_whatever_they_are(void **state)
{
	static const char *const pieces[] = {"a", ".", " ", "  ", "\xc3\xa4",
		"\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\"", "\\", "'", "%", "%20",
		"*", "=", ";", ",", "/", "(", ")", "<", "utf-8''", "?",
		"a_rather_long_piece_of_a_name"};
	uint32_t seed = 3;

	for (int i = 0; i < 2000; i++) {
		struct str name =
			pieces_of(&arena, &seed, 30, pieces, countof(pieces));

		if (name.n > 0)
			assert_name(name);
		arena_fini(&arena);
	}
}

static void test_a_name_without_end_is_refused(void **state)
{
	char name[1025];
	struct buf b cleanup(buf_fini) = {0};

	memset(name, '\xc3', sizeof(name));
	for (size_t i = 1; i < sizeof(name); i += 2)
		name[i] = '\xa4';
	assert_name(str_n(name, 1024));
	memset(name, 'x', sizeof(name));
	assert_name(str_n(name, 1024));
	assert_false(compose_disposition(
		&b, STR("inline"), str_n(name, sizeof(name))));
}

static void test_the_fields_of_a_part(void **state)
{
	static const struct str tags[] = {{"de", 2}, {"en-GB", 5}};
	struct buf b cleanup(buf_fini) = {0};
	const struct mime_part *p;

	assert_true(compose_type(
		&b, STR("text/html"), STR("iso-8859-1"), STR("n"), STR_NONE));
	assert_true(compose_cid(&b, STR("a.b@c")));
	assert_true(compose_language(&b, tags, 2));
	assert_true(compose_location(&b, STR("https://x.org/?a=(b)")));
	p = part_of(&b);
	assert_str(p->type, "text/html");
	assert_str(p->charset, "iso-8859-1");
	assert_str(p->name, "n");
	assert_str(p->cid, "a.b@c");
	assert_str(p->language, "de, en-GB");
	assert_str(p->location, "https://x.org/?a=(b)");
}

static void test_what_a_part_cannot_have(void **state)
{
	static const char *const types[] = {"", "text", "text/", "/plain",
		"a/b/c", "a/b c", "a/b; c=d", "t\xc3\xa4/x"};
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < countof(types); i++)
		assert_false(compose_type(
			&b, str_of(types[i]), STR_NONE, STR_NONE, STR_NONE));
	assert_false(
		compose_type(&b, STR("a/b"), STR("x y"), STR_NONE, STR_NONE));
	assert_false(compose_disposition(&b, STR("a; b"), STR_NONE));
	assert_false(compose_cid(&b, STR("a b")));
	assert_false(compose_cid(&b, STR("")));
	assert_false(compose_language(&b, &STR("de;"), 1));
	assert_false(compose_location(&b, STR("a b")));
	assert_int_equal(b.n, 0);
}

static void test_a_content_type_of_the_client(void **state)
{
	static const struct {
		const char *line, *type, *charset;
	} good[] = {
		{"Content-Type: Text/Plain; format=flowed\r\n", "text/plain",
			"us-ascii"},
		{"Content-Type: text/plain; charset=UTF-8\r\n", "text/plain",
			"UTF-8"},
		{"Content-Type:\r\n image/png\r\n", "image/png", ""},
	};
	struct str type, charset;
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < countof(good); i++) {
		buf_reset(&b);
		assert_true(compose_own_type(&b, str_of(good[i].line), STR_NONE,
			&arena, &type, &charset));
		assert_string_equal(buf_z(&b), good[i].line);
		assert_str(type, good[i].type);
		assert_str(charset, good[i].charset);
	}
	buf_reset(&b);
	assert_true(compose_own_type(&b,
		STR("Content-Type: multipart/signed; micalg=x\r\n"), STR("=_1"),
		&arena, &type, &charset));
	assert_string_equal(buf_z(&b),
		"Content-Type: multipart/signed; micalg=x;\r\n"
		" boundary=\"=_1\"\r\n");
}

static void test_a_boundary_behind_a_full_line(void **state)
{
	struct str type, charset;

	for (size_t n = 996; n <= 998; n++) {
		struct buf line cleanup(buf_fini) = {0};
		struct buf b cleanup(buf_fini) = {0};

		buf_addz(&line, "Content-Type: multipart/mixed; a=");
		while (line.n < n)
			buf_addc(&line, 'x');
		buf_addz(&line, "\r\n");
		assert_true(compose_own_type(&b, buf_str(&line), STR("=_1"),
			&arena, &type, &charset));
		value_in(&b);
		assert_true(
			str_ends(buf_str(&b), STR(" boundary=\"=_1\"\r\n")));
	}
}

static void test_a_content_type_whose_boundary_would_be_lost(void **state)
{
	static const char *const bad[] = {
		"Content-Type: multipart/mixed; boundary=x\r\n",
		"Content-Type: multipart/mixed (comment\r\n",
		"Content-Type: multipart/mixed; a=\"x\r\n",
		"Content-Type: multipart/mixed; boundary*=utf-8''x\r\n",
	};
	struct str type, charset;
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < countof(bad); i++)
		assert_false(compose_own_type(&b, str_of(bad[i]), STR("=_1"),
			&arena, &type, &charset));
	assert_int_equal(b.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_bodies),
		cmocka_unit_test(test_text_bodies_whatever_they_are),
		cmocka_unit_test(test_each_content_gets_the_encoding_that_fits),
		cmocka_unit_test(test_quoted_printable_lines),
		cmocka_unit_test(test_trees_of_parts),
		cmocka_unit_test(test_messages_within_messages),
		cmocka_unit_test(test_boundaries_differ),
		cmocka_unit_test(test_threads_compose_at_once),
		cmocka_unit_test(test_file_names_whatever_they_are),
		cmocka_unit_test(test_a_name_without_end_is_refused),
		cmocka_unit_test(test_the_fields_of_a_part),
		cmocka_unit_test(test_what_a_part_cannot_have),
		cmocka_unit_test(test_a_content_type_of_the_client),
		cmocka_unit_test(test_a_boundary_behind_a_full_line),
		cmocka_unit_test(
			test_a_content_type_whose_boundary_would_be_lost),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
