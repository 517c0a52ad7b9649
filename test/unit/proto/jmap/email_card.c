/*
 * Cards: what went in comes out, and any bytes can be opened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/jmap/email_card.h"

static const char text[] =
	"From: Bob <bob@example.net>\r\n"
	"Subject: a card\r\n"
	"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
	"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
	"--i\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
	"--i\r\nContent-Type: text/html\r\n\r\n<p>html\r\n"
	"--i--\r\n"
	"--o\r\nContent-Type: image/png; name=x.png\r\n"
	"Content-Disposition: attachment\r\n"
	"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
	"--o--\r\n";

static struct buf card;
static struct arena arena;

static int setup(void **state)
{
	mime_setup();
	card_make(mime_parse(str_of(text), &arena), 0, &card);
	return 0;
}

static int teardown(void **state)
{
	buf_fini(&card);
	arena_fini(&arena);
	return 0;
}

static void assert_json(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("%.*s, not %s", STR_ARG(got), want);
}

static void test_properties_come_back(void **state)
{
	struct card c;

	assert_true(card_open(buf_str(&card), &c));
	assert_int_equal(c.flags, 0);
	assert_json(c.prop[EMAIL_SUBJECT - CARD_FIRST], "\"a card\"");
	assert_json(c.prop[EMAIL_TO - CARD_FIRST], "null");
	assert_json(c.prop[EMAIL_HAS_ATTACHMENT - CARD_FIRST], "true");
	assert_json(c.prop[EMAIL_PREVIEW - CARD_FIRST], "\"plain\"");
}

static void test_the_tree_comes_back(void **state)
{
	static const struct {
		const char *type, *id;
		size_t end;
		bool multipart;
	} want[] = {
		{"\"multipart/mixed\"", "null", 5, true},
		{"\"multipart/alternative\"", "null", 4, true},
		{"\"text/plain\"", "\"1.1\"", 3, false},
		{"\"text/html\"", "\"1.2\"", 4, false},
		{"\"image/png\"", "\"2\"", 5, false},
	};
	struct card_part p;
	struct card c;

	assert_true(card_open(buf_str(&card), &c));
	assert_int_equal(c.parts_n, countof(want));
	for (size_t i = 0; i < countof(want); i++) {
		assert_true(card_part(&c, i, &p));
		assert_json(p.prop[BODY_TYPE], want[i].type);
		assert_json(p.prop[BODY_PART_ID], want[i].id);
		assert_int_equal(p.end, want[i].end);
		assert_int_equal(p.multipart, want[i].multipart);
	}
	assert_false(card_part(&c, countof(want), &p));
	assert_int_equal(c.list_n[CARD_TEXT_BODY], 1);
	assert_int_equal(card_listed(&c, CARD_TEXT_BODY, 0), 2);
	assert_int_equal(card_listed(&c, CARD_HTML_BODY, 0), 3);
	assert_int_equal(card_listed(&c, CARD_ATTACHMENTS, 0), 4);
	assert_true(card_part(&c, 4, &p));
	assert_memory_equal(text + p.at.offset, "AAAA", 4);
	assert_int_equal(p.at.length, 4);
	assert_int_equal(p.at.encoding, MIME_BASE64);
	assert_memory_equal(text + p.header_at, "Content-Type: image/png", 23);
}

static void test_a_card_that_is_too_large_leaves_things_out(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m = mime_parse(str_of(text), &arena);
	struct card c;

	buf_addz(&b, "before");
	card_make(m, card.n - 1, &b);
	assert_true(card_open(str_skip(buf_str(&b), 6), &c));
	assert_int_equal(c.flags, CARD_NO_PARTS);
	assert_int_equal(c.parts_n, 0);
	assert_json(c.prop[EMAIL_SUBJECT - CARD_FIRST], "\"a card\"");
	b.n = 6;
	card_make(m, 100, &b);
	assert_true(card_open(str_skip(buf_str(&b), 6), &c));
	assert_int_equal(c.flags, CARD_NO_PARTS | CARD_EMPTY);
}

static void check_within(struct str all, struct str s)
{
	assert_true(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
}

/* Looks at all there is. */
static void walk(const char *p, size_t n)
{
	char *exact = mem_dup(p, n ? n : 1);
	struct str b = str_n(exact, n);
	struct card_part part;
	struct card c;

	if (card_open(b, &c)) {
		for (int i = 0; i < CARD_PROPS; i++)
			check_within(b, c.prop[i]);
		for (size_t i = 0; i < c.parts_n; i++) {
			if (!card_part(&c, i, &part))
				continue;
			assert_true(part.end > i && part.end <= c.parts_n);
			for (int k = 0; k < BODY_KEPT; k++)
				check_within(b, part.prop[k]);
		}
		for (unsigned l = 0; l < CARD_LISTS; l++)
			for (size_t k = 0; k < c.list_n[l]; k++)
				card_part(&c,
					card_listed(&c, (enum card_list)l, k),
					&part);
	}
	free(exact);
}

static void test_every_cut_can_be_opened(void **state)
{
	for (size_t n = 0; n <= card.n; n++)
		walk(card.p, n);
}

static void test_every_byte_may_be_wrong(void **state)
{
	static const uint8_t flips[] = {0x01, 0x80, 0xff};
	char *copy = mem_dup(card.p, card.n);

	for (size_t i = 0; i < card.n; i++) {
		for (size_t k = 0; k < countof(flips); k++) {
			copy[i] = (char)(card.p[i] ^ flips[k]);
			walk(copy, card.n);
		}
		copy[i] = card.p[i];
	}
	free(copy);
}

static void test_another_version_is_no_card(void **state)
{
	char *copy = mem_dup(card.p, card.n);
	struct card c;

	copy[0]--;
	assert_false(card_open(str_n(copy, card.n), &c));
	assert_false(card_open(STR_NONE, &c));
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties_come_back),
		cmocka_unit_test(test_the_tree_comes_back),
		cmocka_unit_test(
			test_a_card_that_is_too_large_leaves_things_out),
		cmocka_unit_test(test_every_cut_can_be_opened),
		cmocka_unit_test(test_every_byte_may_be_wrong),
		cmocka_unit_test(test_another_version_is_no_card),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
