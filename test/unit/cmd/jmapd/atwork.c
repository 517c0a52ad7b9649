#include "cmd/jmapd/store/atwork.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct notebook book;
	struct at_works works;
};

static int setup(void **state)
{
	struct fixture *f = aligned_alloc(64, sizeof(*f));

	memset(f, 0, sizeof(*f));
	f->works.book = &f->book;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static bool stands(const struct fixture *f, uint64_t digest)
{
	for (size_t i = 0; i < NOTEBOOK_SLOTS; i++)
		if (f->book.at_work[i] == digest)
			return true;
	return false;
}

static void what_is_at_work_stands_in_the_notebook(void **state)
{
	struct fixture *f = *state;
	int a = at_work_begin(&f->works, 7), b = at_work_begin(&f->works, 9);

	assert_true(a >= 0 && b >= 0 && a != b);
	assert_true(stands(f, 7) && stands(f, 9));
	at_work_end(&f->works, a);
	assert_false(stands(f, 7));
	assert_true(stands(f, 9));
	at_work_end(&f->works, b);
}

static void a_full_notebook_watches_no_more(void **state)
{
	struct fixture *f = *state;
	int slot[NOTEBOOK_SLOTS];

	for (int i = 0; i < NOTEBOOK_SLOTS; i++) {
		slot[i] = at_work_begin(&f->works, 1 + (uint64_t)i);
		assert_true(slot[i] >= 0);
	}
	assert_int_equal(at_work_begin(&f->works, 1000), -1);
	at_work_end(&f->works, -1);
	for (int i = 0; i < NOTEBOOK_SLOTS; i++)
		at_work_end(&f->works, slot[i]);
	assert_false(stands(f, 1));
}

static void a_slot_counts_anew_for_each_job(void **state)
{
	struct fixture *f = *state;
	int a = at_work_begin(&f->works, 7);
	uint64_t turn = f->works.at[a].turn;

	assert_true(turn & 1);
	at_work_end(&f->works, a);
	assert_false(f->works.at[a].turn & 1);
	assert_int_equal(at_work_begin(&f->works, 8), a);
	assert_int_equal(f->works.at[a].turn, turn + 2);
	at_work_end(&f->works, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_at_work_stands_in_the_notebook, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_full_notebook_watches_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_slot_counts_anew_for_each_job, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
