/*
 * The notebook: two deaths over one request make it poison; kill -9 never does.
 */
#include "cmd/jmapd/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_two_deaths_make_a_request_poison(void **state)
{
	struct notebook *n = mem_new(sizeof(*n));
	notebook_begin(n, 11);
	notebook_end(n, notebook_begin(n, 22));
	assert_int_equal(notebook_death(n), 1);
	assert_true(notebook_suspects(n, 11));
	assert_false(notebook_is_poison(n, 11));
	assert_false(notebook_suspects(n, 22));
	notebook_begin(n, 11);
	assert_int_equal(notebook_death(n), 1);
	assert_true(notebook_is_poison(n, 11));
	free(n);
}

static void test_a_forgotten_death_counts_for_nobody(void **state)
{
	struct notebook *n = mem_new(sizeof(*n));
	notebook_begin(n, 11);
	notebook_forget(n);
	assert_false(notebook_suspects(n, 11));
	assert_int_equal(notebook_death(n), 0);
	free(n);
}

static void test_a_full_notebook_still_lets_work_go_on(void **state)
{
	struct notebook *n = mem_new(sizeof(*n));
	for (uint64_t i = 1; i <= NOTEBOOK_SLOTS; i++)
		assert_true(notebook_begin(n, i) >= 0);
	assert_int_equal(notebook_begin(n, 999), -1);
	notebook_end(n, -1);
	assert_int_equal(notebook_death(n), NOTEBOOK_SLOTS);
	/* Only so many are remembered: the latest of them. */
	assert_true(notebook_suspects(n, NOTEBOOK_SLOTS));
	assert_false(notebook_suspects(n, 1));
	free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_deaths_make_a_request_poison),
		cmocka_unit_test(test_a_forgotten_death_counts_for_nobody),
		cmocka_unit_test(test_a_full_notebook_still_lets_work_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
