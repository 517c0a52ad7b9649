/*
 * Splitting: where headers, parts and bodies begin and end.
 */
#include "test/unit/core/mime/fixture.h"

static struct arena arena;

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static struct mime_message *parse(const char *z)
{
	struct mime_message *m = mime_parse(str_of(z), &arena);

	check_message(m);
	return m;
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static void test_empty_message_is_one_empty_text_part(void **state)
{
	struct mime_message *m = mime_parse(STR_NONE, &arena);

	check_message(m);
	assert_shape(m, "1:text/plain");
	assert_int_equal(m->root->size, 0);
	assert_int_equal(m->root->headers_n, 0);
	assert_str(m->preview, "");
}

static void test_fields_keep_their_names_and_raw_values(void **state)
{
	struct mime_message *m = parse("SubJect: a\r\n b \r\n\tc\r\nX:\r\n"
				       "y : 1\r\n\r\nbody");

	assert_int_equal(m->root->headers_n, 3);
	assert_str(m->root->headers[0].name, "SubJect");
	assert_str(m->root->headers[0].value, " a\r\n b \r\n\tc");
	assert_str(m->root->headers[1].value, "");
	assert_str(m->root->headers[2].name, "y");
	assert_str(m->root->headers[2].value, " 1");
	assert_body(m, m->root, "body");
}

static void test_last_field_of_a_name_is_found(void **state)
{
	struct mime_message *m = parse("A: 1\nb: 2\na: 3\n\n");

	assert_str(mime_header_raw(m->root, STR("A")), " 3");
	assert_null(mime_header_raw(m->root, STR("c")).p);
}

static void test_header_without_body(void **state)
{
	struct mime_message *m = parse("Subject: x");

	assert_int_equal(m->root->headers_n, 1);
	assert_str(m->root->headers[0].value, " x");
	assert_body(m, m->root, "");
}

static void test_body_without_header(void **state)
{
	struct mime_message *m = parse("Hello there\r\nSubject: x\r\n");

	assert_int_equal(m->root->headers_n, 0);
	assert_body(m, m->root, "Hello there\r\nSubject: x\r\n");
}

static void test_line_that_is_no_field_starts_the_body(void **state)
{
	struct mime_message *m = parse("A: 1\r\noops\r\nB: 2\r\n\r\nx");

	assert_int_equal(m->root->headers_n, 1);
	assert_body(m, m->root, "oops\r\nB: 2\r\n\r\nx");
}

static void test_mbox_line_is_skipped(void **state)
{
	struct mime_message *m = parse("From a@example.org Tue\nA: 1\n\nx");

	assert_int_equal(m->root->headers_n, 1);
	assert_body(m, m->root, "x");
}

static void test_mbox_line_below_trace_fields_is_skipped(void **state)
{
	struct mime_message *m = parse("Received: x\n>From b\nFrom a Tue\n"
				       "A: 1\n\nx");
	const struct mime_header *h;

	assert_int_equal(m->root->headers_n, 2);
	assert_body(m, m->root, "x");
	assert_int_equal(mime_fields_at(m->raw, 0, m->raw.n, &arena, &h), 2);
	assert_str(h[1].name, "A");
}

static void test_prose_that_begins_as_an_mbox_line_stays(void **state)
{
	struct mime_message *m = parse("From now on\nwe meet at 9.\n");

	assert_body(m, m->root, "From now on\nwe meet at 9.\n");
	m = parse("A: 1\nFrom now on\n\nx");
	assert_body(m, m->root, "From now on\n\nx");
	m = parse(MIXED "--b\nFrom a\nA: 1\n\nx\n--b--");
	assert_body(m, m->root->sub[0], "From a\nA: 1\n\nx");
}

static void test_bare_cr_ends_no_line(void **state)
{
	struct mime_message *m = parse("A: 1\rB: 2\n\nx\ry");

	assert_int_equal(m->root->headers_n, 1);
	assert_str(m->root->headers[0].value, " 1\rB: 2");
	assert_body(m, m->root, "x\ry");
}

static void test_nul_bytes_are_bytes(void **state)
{
	struct mime_message *m = mime_parse(STR("A: x\0y\n\n\0z"), &arena);

	check_message(m);
	assert_int_equal(m->root->headers[0].value.n, 4);
	assert_int_equal(m->root->size, 2);
}

static void test_parts_lose_the_break_before_a_delimiter(void **state)
{
	struct mime_message *m =
		parse(MIXED "preamble\r\n--b\r\n\r\none\r\n"
			    "\r\n--b\r\n\r\n--b--\r\nepilogue");

	assert_shape(m, "multipart/mixed(1:text/plain 2:text/plain)");
	assert_body(m, m->root->sub[0], "one\r\n");
	assert_body(m, m->root->sub[1], "");
}

static void test_lf_only_message(void **state)
{
	struct mime_message *m = parse("Content-Type: multipart/mixed; "
				       "boundary=b\n\n--b\n\none\n--b \t\n\n"
				       "two\n--b--");

	assert_shape(m, "multipart/mixed(1:text/plain 2:text/plain)");
	assert_body(m, m->root->sub[0], "one");
	assert_body(m, m->root->sub[1], "two");
}

static void test_delimiter_right_behind_header_fields(void **state)
{
	struct mime_message *m = parse(MIXED "--b\r\nContent-Type: text/html"
					     "\r\n--b\r\nX: 1\r\n\r\n2");

	assert_shape(m, "multipart/mixed(1:text/html 2:text/plain)");
	assert_int_equal(m->root->sub[0]->size, 0);
	assert_body(m, m->root->sub[1], "2");
}

static void test_unterminated_multipart_ends_with_the_message(void **state)
{
	struct mime_message *m = parse(MIXED "--b\r\n\r\none");

	assert_shape(m, "multipart/mixed(1:text/plain)");
	assert_body(m, m->root->sub[0], "one");
}

#define OUTER "Content-Type: multipart/mixed; boundary=out\n\n--out\n"
#define INNER(b) "Content-Type: multipart/alternative; boundary=" b "\n\n"

static void test_outer_delimiter_ends_open_inner_multiparts(void **state)
{
	struct mime_message *m = parse(OUTER INNER("in") "--in\n\na\n--out\n"
							 "\nb\n--out--\n");

	assert_shape(m, "multipart/mixed(multipart/alternative(1.1:text/plain)"
			" 2:text/plain)");
	assert_body(m, m->root->sub[0]->sub[0], "a");
	assert_body(m, m->root->sub[1], "b");
}

static void test_boundary_that_begins_with_the_outer_one(void **state)
{
	struct mime_message *m =
		parse(OUTER INNER("outer") "--outer\n\na\n"
					   "--outer--\n--out\n\nb\n--out--\n");

	assert_shape(m, "multipart/mixed(multipart/alternative(1.1:text/plain)"
			" 2:text/plain)");
}

static void test_boundary_that_ends_in_dashes(void **state)
{
	struct mime_message *m =
		parse(OUTER INNER("out--") "--out--\n\na\n"
					   "--out----\n--out\n\nb\n--out--\n");

	assert_shape(m, "multipart/mixed(multipart/alternative(1.1:text/plain)"
			" 2:text/plain)");
}

static void test_same_boundary_again_is_the_inner_one_first(void **state)
{
	struct mime_message *m =
		parse(OUTER INNER("out") "--out\n\na\n"
					 "--out--\n--out\n\nb\n--out--\n");

	assert_shape(m, "multipart/mixed(multipart/alternative(1.1:text/plain)"
			" 2:text/plain)");
}

static void test_epilogue_and_text_between_are_no_parts(void **state)
{
	struct mime_message *m =
		parse(OUTER INNER("in") "--in\n\na\n--in--\n"
					"--in\nnoise\n--out\n\nb\n--out--\nc");

	assert_shape(m, "multipart/mixed(multipart/alternative(1.1:text/plain)"
			" 2:text/plain)");
}

static void test_lines_that_only_look_like_delimiters(void **state)
{
	struct mime_message *m = parse(MIXED "--b\n\nx--b\n --b\n--bb\n--b-\n"
					     "-- \n--\n--b x\n--b--");

	assert_shape(m, "multipart/mixed(1:text/plain)");
	assert_body(
		m, m->root->sub[0], "x--b\n --b\n--bb\n--b-\n-- \n--\n--b x");
}

static void test_multipart_without_boundary_is_plain(void **state)
{
	struct mime_message *m = parse("Content-Type: multipart/mixed\n\nabc");

	assert_shape(m, "1:text/plain");
	assert_body(m, m->root, "abc");
}

static void test_multipart_whose_boundary_never_comes_is_plain(void **state)
{
	struct mime_message *m = parse(MIXED "--c\n\nabc\n--c--\n");

	assert_shape(m, "1:text/plain");
	assert_str(m->root->charset, "us-ascii");
	assert_body(m, m->root, "--c\n\nabc\n--c--\n");
}

static void test_multipart_that_is_closed_at_once_is_empty(void **state)
{
	struct mime_message *m = parse(MIXED "--b--\n");

	assert_shape(m, "multipart/mixed()");
	assert_int_equal(m->text_body_n + m->attachments_n, 0);
}

static void test_attached_message_is_a_leaf(void **state)
{
	struct mime_message *m = parse(MIXED
		"--b\nContent-Type: "
		"message/rfc822\n\n" INNER("in") "--in\n\na\n--in--\n\n--b--");

	assert_shape(m, "multipart/mixed(1:message/rfc822)");
}

static void test_digest_children_are_messages(void **state)
{
	struct mime_message *m = parse("Content-Type: multipart/digest; "
				       "boundary=b\n\n--b\n\nSubject: x\n\ny\n"
				       "--b\nContent-Type: text/html\n\nz\n");

	assert_shape(m, "multipart/digest(1:message/rfc822 2:text/html)");
	assert_null(m->root->sub[0]->charset.p);
	assert_body(m, m->root->sub[0], "Subject: x\n\ny");
}

static struct mime_message *nested(size_t levels)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m;

	for (size_t i = 0; i < levels; i++)
		buf_fmt(&b,
			"Content-Type: multipart/mixed; boundary=%zu\n\n"
			"--%zu\n",
			i, i);
	buf_addz(&b, "\nleaf\n");
	for (size_t i = levels; i-- > 0;)
		buf_fmt(&b, "--%zu--\n", i);
	m = mime_parse(arena_str(&arena, buf_str(&b)), &arena);
	check_message(m);
	return m;
}

static size_t depth_of(const struct mime_part *p, const struct mime_part **leaf)
{
	size_t n = 1;

	for (; p->sub; p = p->sub[0])
		n++;
	*leaf = p;
	return n;
}

static void test_sixty_levels_are_shown(void **state)
{
	const struct mime_part *leaf;
	struct mime_message *m = nested(60);

	assert_int_equal(depth_of(m->root, &leaf), 61);
	assert_body(m, leaf, "leaf");
	assert_int_equal(leaf->part_id.n, 60 * 2 - 1);
	assert_str(m->preview, "leaf");
}

static void test_levels_beyond_the_limit_are_plain(void **state)
{
	const struct mime_part *leaf;
	struct mime_message *m = nested(MIME_DEPTH - 1);

	assert_int_equal(depth_of(m->root, &leaf), MIME_DEPTH);
	assert_body(m, leaf, "leaf");
	m = nested(5000);
	assert_int_equal(depth_of(m->root, &leaf), MIME_DEPTH);
	assert_str(leaf->type, "text/plain");
	assert_true(leaf->size > 100000);
}

static struct mime_message *wide(size_t parts)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m;

	buf_addz(&b, MIXED);
	for (size_t i = 0; i < parts; i++)
		buf_addz(&b, "--b\n\nx\n");
	buf_addz(&b, "--b--\n");
	m = mime_parse(arena_str(&arena, buf_str(&b)), &arena);
	check_message(m);
	return m;
}

static void test_part_limit(void **state)
{
	struct mime_message *m = wide(MIME_PARTS - 1);
	const struct mime_part *last;

	assert_int_equal(m->root->sub_n, MIME_PARTS - 1);
	last = m->root->sub[m->root->sub_n - 1];
	assert_body(m, last, "x\n--b--\n");
	m = wide(3 * MIME_PARTS);
	assert_int_equal(m->root->sub_n, MIME_PARTS - 1);
	last = m->root->sub[m->root->sub_n - 1];
	assert_int_equal(last->offset + last->length, m->raw.n);
	assert_int_equal(m->text_body_n, MIME_PARTS - 1);
}

static void test_field_limit(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m;

	for (size_t i = 0; i < 2 * MIME_HEADERS; i++)
		buf_addz(&b, "a:\n");
	buf_addz(&b, "\nbody");
	m = mime_parse(buf_str(&b), &arena);
	check_message(m);
	assert_int_equal(m->root->headers_n, MIME_HEADERS);
	assert_body(m, m->root, "body");
}

/* Memory stays far below what one struct per line would take. */
static void test_fields_of_all_parts_are_bounded(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct arena a cleanup(arena_fini) = {0};

	buf_addz(&b, MIXED);
	for (size_t i = 0; i < 1000; i++) {
		buf_addz(&b, "--b\n");
		for (size_t k = 0; k < 1000; k++)
			buf_addz(&b, "a:\n");
		buf_addz(&b, "\n");
	}
	check_message(mime_parse(buf_str(&b), &a));
	assert_true(a.used < 5000000);
}

static void test_long_header_line(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m;

	buf_addz(&b, "Subject: ");
	memset(buf_room(&b, 1 << 20), 'x', 1 << 20);
	b.n += 1 << 20;
	buf_addz(&b, "\r\n\r\nbody");
	m = mime_parse(buf_str(&b), &arena);
	check_message(m);
	assert_int_equal(m->root->headers[0].value.n, (1 << 20) + 1);
	assert_body(m, m->root, "body");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_message_is_one_empty_text_part),
		cmocka_unit_test(test_fields_keep_their_names_and_raw_values),
		cmocka_unit_test(test_last_field_of_a_name_is_found),
		cmocka_unit_test(test_header_without_body),
		cmocka_unit_test(test_body_without_header),
		cmocka_unit_test(test_line_that_is_no_field_starts_the_body),
		cmocka_unit_test(test_mbox_line_is_skipped),
		cmocka_unit_test(test_mbox_line_below_trace_fields_is_skipped),
		cmocka_unit_test(test_prose_that_begins_as_an_mbox_line_stays),
		cmocka_unit_test(test_bare_cr_ends_no_line),
		cmocka_unit_test(test_nul_bytes_are_bytes),
		cmocka_unit_test(test_parts_lose_the_break_before_a_delimiter),
		cmocka_unit_test(test_lf_only_message),
		cmocka_unit_test(test_delimiter_right_behind_header_fields),
		cmocka_unit_test(
			test_unterminated_multipart_ends_with_the_message),
		cmocka_unit_test(
			test_outer_delimiter_ends_open_inner_multiparts),
		cmocka_unit_test(test_boundary_that_begins_with_the_outer_one),
		cmocka_unit_test(test_boundary_that_ends_in_dashes),
		cmocka_unit_test(
			test_same_boundary_again_is_the_inner_one_first),
		cmocka_unit_test(test_epilogue_and_text_between_are_no_parts),
		cmocka_unit_test(test_lines_that_only_look_like_delimiters),
		cmocka_unit_test(test_multipart_without_boundary_is_plain),
		cmocka_unit_test(
			test_multipart_whose_boundary_never_comes_is_plain),
		cmocka_unit_test(
			test_multipart_that_is_closed_at_once_is_empty),
		cmocka_unit_test(test_attached_message_is_a_leaf),
		cmocka_unit_test(test_digest_children_are_messages),
		cmocka_unit_test(test_sixty_levels_are_shown),
		cmocka_unit_test(test_levels_beyond_the_limit_are_plain),
		cmocka_unit_test(test_part_limit),
		cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_fields_of_all_parts_are_bounded),
		cmocka_unit_test(test_long_header_line),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
