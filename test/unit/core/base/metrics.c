/*
 * Counters.
 */
#include "core/base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

#include "core/base/base.h"

static void adds_and_takes(void **state)
{
	metrics_map(NULL);
	metrics_add(METRIC_CONNECTIONS, 5);
	metrics_add(METRIC_CONNECTIONS, -2);
	assert_int_equal(metrics_get(metrics_here(), METRIC_CONNECTIONS), 3);
	assert_int_equal(metrics_get(metrics_here(), METRIC_ACCEPTS), 0);
	metrics_add(METRIC_CONNECTIONS, -3);
}

static void mapping_moves_the_counts(void **state)
{
	static struct metrics block;

	metrics_add(METRIC_CALLS, 4);
	metrics_map(&block);
	assert_ptr_equal(metrics_here(), &block);
	metrics_add(METRIC_CALLS, 1);
	assert_int_equal(metrics_get(&block, METRIC_CALLS), 5);
	metrics_map(&block);
	assert_int_equal(metrics_get(&block, METRIC_CALLS), 5);
	metrics_map(NULL);
	assert_int_equal(metrics_get(&block, METRIC_CALLS), 0);
	assert_int_equal(metrics_get(metrics_here(), METRIC_CALLS), 5);
}

static void *add_many(void *arg)
{
	for (int i = 0; i < 100000; i++)
		metrics_add(METRIC_NOTICES, 1);
	return NULL;
}

static void threads_lose_no_count(void **state)
{
	pthread_t thread[4];

	for (size_t i = 0; i < countof(thread); i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, add_many, NULL), 0);
	for (size_t i = 0; i < countof(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(metrics_get(metrics_here(), METRIC_NOTICES), 400000);
}

static void every_counter_has_a_name_and_help(void **state)
{
	for (unsigned m = 0; m < METRICS; m++) {
		assert_true(metrics_name((enum metric)m)[0] != '\0');
		assert_true(metrics_help((enum metric)m)[0] != '\0');
		for (unsigned o = 0; o < m; o++)
			assert_string_not_equal(metrics_name((enum metric)m),
				metrics_name((enum metric)o));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_takes),
		cmocka_unit_test(mapping_moves_the_counts),
		cmocka_unit_test(threads_lose_no_count),
		cmocka_unit_test(every_counter_has_a_name_and_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
