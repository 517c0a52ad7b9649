/*
 * Memory of one request.
 */
#include "core/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pieces_are_zeroed_and_aligned(void **state)
{
	static const char zero[300];
	struct arena a cleanup(arena_fini) = {0};

	for (size_t n = 0; n < sizeof(zero); n++) {
		char *p = arena_new(&a, n);

		assert_int_equal((uintptr_t)p % 16, 0);
		assert_memory_equal(p, zero, n);
		memset(p, 0xee, n);
	}
}

static void pieces_do_not_overlap(void **state)
{
	enum { COUNT = 2000 };
	struct arena a cleanup(arena_fini) = {0};
	unsigned char *p[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		p[i] = arena_new(&a, i * 7 % 3000 + 1);
		memset(p[i], (int)(i & 0xff), i * 7 % 3000 + 1);
	}
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = 0; j < i * 7 % 3000 + 1; j++)
			assert_int_equal(p[i][j], i & 0xff);
	}
}

static void a_big_piece_leaves_the_block_in_use(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	char *first = arena_new(&a, 16);
	char *big = arena_new(&a, 1 << 20);
	char *second = arena_new(&a, 16);

	memset(big, 1, 1 << 20);
	assert_ptr_equal(second, first + 16);
}

static void a_big_first_piece_is_fine(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	char *big = arena_new(&a, 1 << 20);

	memset(big, 1, 1 << 20);
	*(char *)arena_new(&a, 1) = 1;
	assert_true(a.used >= (1 << 20) + 1);
}

static void used_counts_what_was_handed_out(void **state)
{
	struct arena a cleanup(arena_fini) = {0};

	arena_new(&a, 100);
	assert_true(a.used >= 100 && a.used < 116);
	arena_fini(&a);
	assert_int_equal(a.used, 0);
	assert_null(a.block);
}

static void str_is_a_copy_with_nul(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	char from[] = "abc";
	struct str s = arena_str(&a, str_n(from, 2));
	struct str none = arena_str(&a, STR_NONE);

	from[0] = 'x';
	assert_int_equal(s.n, 2);
	assert_string_equal(s.p, "ab");
	assert_string_equal(none.p, "");
}

static void fmt_has_its_length(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str s = arena_fmt(&a, "%s=%d", "key", 42);

	assert_int_equal(s.n, 6);
	assert_string_equal(s.p, "key=42");
}

static void dup_copies(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	int v = 7;
	int *copy = arena_dup(&a, &v, sizeof(v));

	v = 8;
	assert_int_equal(*copy, 7);
	assert_non_null(arena_dup(&a, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_and_aligned),
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(a_big_piece_leaves_the_block_in_use),
		cmocka_unit_test(a_big_first_piece_is_fine),
		cmocka_unit_test(used_counts_what_was_handed_out),
		cmocka_unit_test(str_is_a_copy_with_nul),
		cmocka_unit_test(fmt_has_its_length),
		cmocka_unit_test(dup_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
