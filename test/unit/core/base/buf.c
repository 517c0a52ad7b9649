/*
 * The growing buffer.
 */
#include "core/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void all_zeroes_is_empty(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_int_equal(buf_str(&b).n, 0);
	assert_string_equal(buf_z(&b), "");
	assert_int_equal(b.n, 0);
}

static void pieces_follow_each_other(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_add(&b, "ab", 2);
	buf_adds(&b, STR("cd"));
	buf_addz(&b, "ef");
	buf_addc(&b, 'g');
	buf_add(&b, NULL, 0);
	assert_string_equal(buf_z(&b), "abcdefg");
	assert_int_equal(b.n, 7);
}

static void u64_writes_decimal(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_u64(&b, 0);
	buf_addc(&b, ' ');
	buf_u64(&b, UINT64_MAX);
	assert_string_equal(buf_z(&b), "0 18446744073709551615");
}

static void fmt_longer_than_the_room(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	char text[500];

	memset(text, 'x', sizeof(text));
	for (int n = 0; n < 500; n++) {
		buf_reset(&b);
		buf_addc(&b, '<');
		buf_fmt(&b, "%.*s%c", n, text, '>');
		assert_int_equal(b.n, n + 2);
		assert_int_equal(b.p[n + 1], '>');
	}
}

static void drop_moves_the_start(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	const char *p;

	buf_addz(&b, "abcdef");
	p = b.p;
	buf_drop(&b, 2);
	assert_ptr_equal(b.p, p + 2);
	assert_true(str_eq(buf_str(&b), STR("cdef")));
}

static void empty_goes_back_to_the_start(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	const char *p;
	size_t cap;

	buf_addz(&b, "abcdef");
	p = b.p;
	cap = b.cap;
	buf_drop(&b, 4);
	buf_drop(&b, 2);
	assert_ptr_equal(b.p, p);
	assert_int_equal(b.off, 0);
	assert_int_equal(b.cap, cap);
	buf_drop(&b, 0);
	assert_ptr_equal(b.p, p);
}

static void reset_keeps_the_memory(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	const char *p;

	buf_addz(&b, "abcdef");
	p = b.p;
	buf_drop(&b, 3);
	buf_reset(&b);
	assert_int_equal(b.n, 0);
	assert_ptr_equal(b.p, p);
	buf_reset(&(struct buf){0});
}

static void a_queue_does_not_grow_for_ever(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	unsigned char in = 0, out = 0;

	for (int i = 0; i < 100; i++)
		buf_addc(&b, (char)in++);
	for (int i = 0; i < 100000; i++) {
		buf_addc(&b, (char)in++);
		assert_int_equal((unsigned char)b.p[0], out++);
		buf_drop(&b, 1);
		assert_int_equal(b.n, 100);
	}
	assert_true(b.off + b.cap <= 512);
}

static void growth_is_geometric(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	size_t cap = 0, grown = 0;

	for (int i = 0; i < 1000000; i++) {
		buf_addc(&b, 'x');
		if (b.cap != cap) {
			cap = b.cap;
			grown++;
		}
	}
	assert_true(grown < 40);
}

static void growing_a_dropped_buffer_keeps_the_content(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	char *p;

	buf_addz(&b, "0123456789");
	buf_drop(&b, 3);
	p = buf_room(&b, 1 << 16);
	memset(p, 'z', 1 << 16);
	b.n += 1 << 16;
	assert_true(str_starts(buf_str(&b), STR("3456789zzz")));
	assert_int_equal(b.n, 7 + (1 << 16));
}

static void room_is_there_even_for_nothing(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_non_null(buf_room(&b, 0));
}

static void move_takes_memory_and_all(void **state)
{
	struct buf a cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	const char *p;

	buf_addz(&a, "old");
	buf_reset(&a);
	buf_addz(&b, "content");
	buf_drop(&b, 1);
	p = b.p;
	buf_move(&a, &b);
	assert_ptr_equal(a.p, p);
	assert_string_equal(buf_z(&a), "ontent");
	assert_null(b.p);
	assert_int_equal(b.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_zeroes_is_empty),
		cmocka_unit_test(pieces_follow_each_other),
		cmocka_unit_test(u64_writes_decimal),
		cmocka_unit_test(fmt_longer_than_the_room),
		cmocka_unit_test(drop_moves_the_start),
		cmocka_unit_test(empty_goes_back_to_the_start),
		cmocka_unit_test(reset_keeps_the_memory),
		cmocka_unit_test(a_queue_does_not_grow_for_ever),
		cmocka_unit_test(growth_is_geometric),
		cmocka_unit_test(growing_a_dropped_buffer_keeps_the_content),
		cmocka_unit_test(room_is_there_even_for_nothing),
		cmocka_unit_test(move_takes_memory_and_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
