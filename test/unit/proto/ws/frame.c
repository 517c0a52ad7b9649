/* Heads, masks and close codes. */
#include "proto/ws/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "proto/ws/ws.h"

#define ERR (-WS_PROTOCOL_ERROR)

struct vector {
	const char *what;
	struct str bytes;
	int want;
};
#define V(what, want, bytes)                           \
	{                                              \
		what, {bytes, sizeof(bytes) - 1}, want \
	}

static bool may_pack;

static void judge(const struct vector *v, size_t count)
{
	struct ws_head h;

	for (size_t i = 0; i < count; i++) {
		int got = 0;
		/* Byte by byte: nothing is read beyond what is there. */
		for (size_t n = 0; n <= v[i].bytes.n && !got; n++) {
			char *p = n ? mem_dup(v[i].bytes.p, n) : NULL;
			got = ws_head_read(p, n, may_pack, &h);
			free(p);
		}
		if (got != v[i].want || ws_head_read(v[i].bytes.p, v[i].bytes.n,
						may_pack, &h) != got)
			fail_msg("%s: %d", v[i].what, got);
	}
}

static void right_heads_are_read(void **state)
{
	static const struct vector v[] = {
		V("empty text", 6, "\x81\x80mask"),
		V("text 125", 6, "\x81\xfdmask"),
		V("text 126", 8, "\x81\xfe\x00\x7emask"),
		V("text 65535", 8, "\x81\xfe\xff\xffmask"),
		V("text 65536", 14, "\x81\xff\0\0\0\0\0\x01\0\0mask"),
		V("2^63-1", 14, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask"),
		V("first fragment", 6, "\x01\x81mask"),
		V("continuation", 6, "\x00\x81mask"),
		V("ping", 6, "\x89\xfdmask"),
		V("head cut", 0, "\x81\xfe\x00\x7emas"),
	};

	judge(v, countof(v));
}

static void wrong_heads_are_1002(void **state)
{
	static const struct vector v[] = {
		V("RSV1", ERR, "\xc1"),
		V("RSV2", ERR, "\xa1"),
		V("RSV3", ERR, "\x91"),
		V("opcode 3", ERR, "\x83"),
		V("opcode 7", ERR, "\x87"),
		V("opcode 11", ERR, "\x8b"),
		V("opcode 15", ERR, "\x8f"),
		V("not masked", ERR, "\x81\x01"),
		V("fragmented ping", ERR, "\x09"),
		V("fragmented close", ERR, "\x08"),
		V("ping of 126", ERR, "\x89\xfe"),
		V("close of 64 bits", ERR, "\x88\xff"),
		V("125 in 16 bits", ERR, "\x81\xfe\x00\x7d"),
		V("65535 in 64 bits", ERR, "\x81\xff\0\0\0\0\0\0\xff\xff"),
		V("top bit", ERR, "\x81\xff\x80"),
	};

	judge(v, countof(v));
}

static void a_head_says_length_mask_and_kind(void **state)
{
	struct ws_head h;

	assert_int_equal(
		ws_head_read("\x02\xff\0\0\0\1\2\3\4\5abcdXX", 16, false, &h),
		14);
	assert_true(h.length == 0x102030405);
	assert_memory_equal(h.mask, "abcd", 4);
	assert_int_equal(h.opcode, WS_OP_BINARY);
	assert_false(h.fin);
}

/* RFC 7692 6 */
static void rsv1_is_for_the_first_frame_of_what_may_be_compressed(void **state)
{
	static const struct vector right[] = {
		V("text", 6, "\xc1\x80mask"),
		V("binary, first of some", 6, "\x42\x80mask"),
		V("not compressed", 6, "\x81\x80mask"),
	};
	static const struct vector wrong[] = {
		V("continuation", ERR, "\xc0"),
		V("continuation, not the last", ERR, "\x40"),
		V("ping", ERR, "\xc9"),
		V("pong", ERR, "\xca"),
		V("close", ERR, "\xc8"),
		V("RSV2 too", ERR, "\xe1"),
		V("RSV3", ERR, "\x91"),
		V("reserved opcode", ERR, "\xc3"),
	};
	struct ws_head h;

	may_pack = true;
	judge(right, countof(right));
	judge(wrong, countof(wrong));
	assert_int_equal(ws_head_read("\xc1\x80mask", 6, true, &h), 6);
	assert_true(h.packed);
	assert_int_equal(ws_head_read("\x81\x80mask", 6, true, &h), 6);
	assert_false(h.packed);
	may_pack = false;
	assert_int_equal(ws_head_read("\xc1\x80mask", 6, false, &h), ERR);
}

static void unmasking_works_at_every_offset(void **state)
{
	static const uint8_t mask[4] = {1, 20, 0xff, 0x80};
	char plain[64], coded[64];

	for (size_t i = 0; i < sizeof(plain); i++) {
		plain[i] = (char)(i * 7);
		coded[i] = (char)(plain[i] ^ mask[i & 3]);
	}
	for (size_t cut = 0; cut <= sizeof(plain); cut++) {
		for (size_t end = cut; end <= sizeof(plain); end++) {
			char got[64];
			memcpy(got, coded, sizeof(got));
			ws_unmask(got, cut, mask, 0);
			ws_unmask(got + cut, end - cut, mask, cut);
			ws_unmask(got + end, sizeof(got) - end, mask, end);
			assert_memory_equal(got, plain, sizeof(got));
		}
	}
}

static void heads_are_written_as_short_as_may_be(void **state)
{
	char p[WS_HEAD_OUT_MAX];

	assert_int_equal(ws_head_write(p, WS_OP_TEXT, 125), 2);
	assert_memory_equal(p, "\x81\x7d", 2);
	assert_int_equal(ws_head_write(p, WS_OP_TEXT, 126), 4);
	assert_memory_equal(p, "\x81\x7e\x00\x7e", 4);
	assert_int_equal(ws_head_write(p, WS_OP_BINARY, 65535), 4);
	assert_memory_equal(p, "\x82\x7e\xff\xff", 4);
	assert_int_equal(ws_head_write(p, WS_OP_TEXT, 65536), 10);
	assert_memory_equal(p, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
	assert_int_equal(ws_head_write(p, WS_OP_TEXT | WS_PACKED, 9), 2);
	assert_memory_equal(p, "\xc1\x09", 2);
}

static int close_of(unsigned code)
{
	char p[2] = {(char)(code >> 8), (char)code};

	return ws_close_read(str_n(p, 2));
}

static void close_codes_are_those_of_the_registry(void **state)
{
	for (unsigned c = 0; c < 65536; c++) {
		bool good = (c >= 1000 && c <= 1003) ||
			    (c >= 1007 && c <= 1014) ||
			    (c >= 3000 && c <= 4999);
		assert_int_equal(close_of(c), good ? (int)c : ERR);
	}
}

static void close_payloads_are_checked(void **state)
{
	assert_int_equal(ws_close_read(STR_NONE), WS_NO_STATUS);
	assert_int_equal(ws_close_read(STR("\x03")), ERR);
	assert_int_equal(ws_close_read(STR("\x03\xe8hi \xc3\xa4")), 1000);
	assert_int_equal(ws_close_read(STR("\x03\xe8\xc3")), -WS_INVALID_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_heads_are_read),
		cmocka_unit_test(wrong_heads_are_1002),
		cmocka_unit_test(a_head_says_length_mask_and_kind),
		cmocka_unit_test(
			rsv1_is_for_the_first_frame_of_what_may_be_compressed),
		cmocka_unit_test(unmasking_works_at_every_offset),
		cmocka_unit_test(heads_are_written_as_short_as_may_be),
		cmocka_unit_test(close_codes_are_those_of_the_registry),
		cmocka_unit_test(close_payloads_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
