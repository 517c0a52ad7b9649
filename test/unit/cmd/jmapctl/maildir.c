/* Names of a Maildir: folders, messages, keywords. */
#include "cmd/jmapctl/maildir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/crypto.h"

static void assert_utf7(const char *coded, const char *text)
{
	struct buf b cleanup(buf_fini) = {0};
	assert_true(utf7_decode(str_of(coded), &b));
	assert_string_equal(buf_z(&b), text);
	buf_reset(&b);
	utf7_encode(str_of(text), "./", &b);
	assert_string_equal(buf_z(&b), coded);
}

static void utf7_is_that_of_rfc_3501(void **state)
{
	assert_utf7("", "");
	assert_utf7("Sent", "Sent");
	assert_utf7("A&-B", "A&B");
	assert_utf7("&-", "&");
	/* RFC 3501 5.1.3 */
	assert_utf7("&U,BTFw-", "\u53f0\u5317");
	assert_utf7("~peter", "~peter");
	assert_utf7("&ZeVnLIqe-", "\u65e5\u672c\u8a9e");
	assert_utf7("Entw&APw-rfe", "Entw\u00fcrfe");
	assert_utf7("&2D3eAA-", "\U0001f600");
	/* What no level may hold. */
	assert_utf7("a&AC4-b&AC8-c", "a.b/c");
}

static void what_is_no_utf7_is_left_alone(void **state)
{
	static const char *const bad[] = {"&", "&abc", "a&b", "&!-", "&AP-",
		"&2D0-", "&3gA-", "&AAAAAAA-x\xff", "\xc3\xbc", "a\tb", "&APx-",
		"&2D0AQQ-"};
	struct buf b cleanup(buf_fini) = {0};
	buf_addz(&b, "kept");
	for (size_t i = 0; i < countof(bad); i++) {
		assert_false(utf7_decode(str_of(bad[i]), &b));
		assert_string_equal(buf_z(&b), "kept");
	}
}

static void every_name_comes_back_from_utf7(void **state)
{
	for (int round = 0; round < 2000; round++) {
		struct buf name cleanup(buf_fini) = {0},
				coded cleanup(buf_fini) = {0},
				back cleanup(buf_fini) = {0};
		unsigned n = (unsigned)(random_u64() % 8);
		for (unsigned i = 0; i < n; i++) {
			static const uint32_t at[] = {'&', '-', '.', 'a', 0x80,
				0x20ac, 0xffff, 0x10000, 0x10ffff, ','};
			/* UTF-8 by hand: not by what is tested. */
			uint32_t c = at[random_u64() % countof(at)];
			if (c < 0x80) {
				buf_addc(&name, (char)c);
			} else if (c < 0x800) {
				buf_addc(&name, (char)(0xc0 | c >> 6));
				buf_addc(&name, (char)(0x80 | (c & 63)));
			} else if (c < 0x10000) {
				buf_addc(&name, (char)(0xe0 | c >> 12));
				buf_addc(&name, (char)(0x80 | (c >> 6 & 63)));
				buf_addc(&name, (char)(0x80 | (c & 63)));
			} else {
				buf_addc(&name, (char)(0xf0 | c >> 18));
				buf_addc(&name, (char)(0x80 | (c >> 12 & 63)));
				buf_addc(&name, (char)(0x80 | (c >> 6 & 63)));
				buf_addc(&name, (char)(0x80 | (c & 63)));
			}
		}
		utf7_encode(buf_str(&name), "./", &coded);
		assert_int_equal(str_find(buf_str(&coded), '.'), coded.n);
		assert_true(utf7_decode(buf_str(&coded), &back));
		assert_true(str_eq(buf_str(&name), buf_str(&back)));
	}
}

static struct maildir_name read_name(const char *file)
{
	struct maildir_name n;
	maildir_name_read(str_of(file), &n);
	return n;
}

static void the_parts_of_a_files_name_are_found(void **state)
{
	struct maildir_name n =
		read_name("1700000001.M123456P7Q8.host,S=100,W=102:2,FSa");
	assert_true(n.has_time && !n.crlf);
	assert_true(n.received_ms == INT64_C(1700000001123));
	assert_true(str_eq(n.flags, STR("FSa")));
	assert_true(str_eq(n.unique, STR("1700000001.M123456P7Q8.host")));
	n = read_name("1700000001.12_3.host");
	assert_true(n.has_time && n.received_ms == INT64_C(1700000001000));
	assert_int_equal(n.flags.n, 0);
	assert_true(read_name("1.x,S=5,W=5:2,").crlf);
	assert_false(read_name("1.x,W=5:2,").crlf);
	assert_int_equal(read_name("1.x:2").flags.n, 0);
	assert_int_equal(read_name("1.x:1,S").flags.n, 0);
}

static void a_name_without_a_time_has_none(void **state)
{
	static const char *const names[] = {"", "x", "17", "x.1", ".5",
		"99999999999999999999.x", "9999999999999999.x"};
	for (size_t i = 0; i < countof(names); i++)
		assert_false(read_name(names[i]).has_time);
}

static void a_written_name_can_be_read(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct maildir_name n;
	maildir_name_write(&b, INT64_C(1700000001987), 42, 7, 123);
	maildir_name_read(buf_str(&b), &n);
	assert_true(n.has_time && n.received_ms == INT64_C(1700000001987));
	assert_true(n.crlf);
	buf_reset(&b);
	maildir_name_write(&b, -5, 42, 7, 123);
	maildir_name_read(buf_str(&b), &n);
	assert_false(n.has_time);
	assert_true(n.crlf);
}

static void flags_are_keywords_and_back(void **state)
{
	static const char *const pairs[] = {
		"S$seen", "R$answered", "F$flagged", "D$draft", "P$forwarded"};
	struct maildir_letters l = {0};
	for (size_t i = 0; i < countof(pairs); i++) {
		struct str k = str_of(pairs[i] + 1);
		assert_true(str_eq(maildir_keyword(&l, pairs[i][0]), k));
		assert_int_equal(maildir_flag(&l, k), pairs[i][0]);
	}
	assert_int_equal(maildir_keyword(&l, 'T').n, 0);
	assert_int_equal(maildir_keyword(&l, 'a').n, 0);
	assert_int_equal(maildir_keyword(&l, '$').n, 0);
	assert_false(l.changed);
}

static void letters_are_given_out_and_written_down(void **state)
{
	char dir[] = "/tmp/jmapd-maildirXXXXXX", path[64], name[16];
	struct maildir_letters l = {0}, again = {0};
	struct err e = {0};
	assert_non_null(mkdtemp(dir));
	assert_int_equal(maildir_letters_read(&l, dir, &e), 0);
	for (int i = 0; i < MAILDIR_LETTERS; i++) {
		snprintf(name, sizeof(name), "label%d", i);
		assert_int_equal(maildir_flag(&l, str_of(name)), 'a' + i);
	}
	assert_int_equal(maildir_flag(&l, STR("one-too-many")), 0);
	assert_int_equal(maildir_flag(&l, STR("label3")), 'd');
	assert_int_equal(maildir_letters_write(&l, dir, &e), 0);
	assert_int_equal(maildir_letters_read(&again, dir, &e), 0);
	assert_true(str_eq(maildir_keyword(&again, 'z'), STR("label25")));
	assert_int_equal(maildir_flag(&again, STR("label3")), 'd');
	assert_false(again.changed);
	maildir_letters_fini(&l);
	maildir_letters_fini(&again);
	snprintf(path, sizeof(path), "%s/" MAILDIR_KEYWORDS, dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* As Dovecot writes it, and lines that are nonsense. */
static void a_foreign_list_of_keywords_is_read(void **state)
{
	char dir[] = "/tmp/jmapd-maildirXXXXXX", path[64];
	struct maildir_letters l = {0};
	struct err e = {0};
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/" MAILDIR_KEYWORDS, dir);
	assert_int_equal(file_write(path,
				 STR("0 $Forwarded\n1 NonJunk\nx\n26 no\n2\n"
				     "0 Again\n3 last"),
				 &e),
		0);
	assert_int_equal(maildir_letters_read(&l, dir, &e), 0);
	assert_true(str_eq(maildir_keyword(&l, 'a'), STR("again")));
	assert_true(str_eq(maildir_keyword(&l, 'b'), STR("nonjunk")));
	assert_true(str_eq(maildir_keyword(&l, 'd'), STR("last")));
	assert_int_equal(maildir_keyword(&l, 'c').n, 0);
	maildir_letters_fini(&l);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf7_is_that_of_rfc_3501),
		cmocka_unit_test(what_is_no_utf7_is_left_alone),
		cmocka_unit_test(every_name_comes_back_from_utf7),
		cmocka_unit_test(the_parts_of_a_files_name_are_found),
		cmocka_unit_test(a_name_without_a_time_has_none),
		cmocka_unit_test(a_written_name_can_be_read),
		cmocka_unit_test(flags_are_keywords_and_back),
		cmocka_unit_test(letters_are_given_out_and_written_down),
		cmocka_unit_test(a_foreign_list_of_keywords_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
