/*
 * What an HTTP/2 peer may do for nothing: bursts, refills, honest work.
 */
#include "proto/http/h2_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/base/base.h"

/* How many charges at that moment until it says no. */
static unsigned burst(struct h2_budget *b, enum h2_cost what, uint64_t ms)
{
	unsigned n = 0;

	while (h2_budget_charge(b, what, ms))
		n++;
	return n;
}

static void each_bucket_has_a_bottom(void **state)
{
	struct h2_budget b;

	h2_budget_init(&b, 1000);
	for (unsigned i = 0; i < H2_COSTS; i++) {
		unsigned n = burst(&b, i, 1000);

		assert_in_range(n, 10, 2000);
		assert_non_null(h2_budget_text(i));
	}
}

static void buckets_are_each_their_own(void **state)
{
	struct h2_budget b;

	h2_budget_init(&b, 0);
	burst(&b, H2_COST_CONTROL, 0);
	assert_true(h2_budget_charge(&b, H2_COST_BROKEN, 0));
}

static void time_fills_a_bucket_but_not_over_its_rim(void **state)
{
	struct h2_budget b;
	unsigned full, second;

	h2_budget_init(&b, 0);
	full = burst(&b, H2_COST_CONTROL, 0);
	second = burst(&b, H2_COST_CONTROL, 1000);
	assert_in_range(second, 1, full - 1);
	assert_int_equal(burst(&b, H2_COST_CONTROL, 3000), 2 * second);
	assert_int_equal(burst(&b, H2_COST_CONTROL, UINT64_MAX / 2), full);
}

static void many_small_waits_are_as_good_as_a_long_one(void **state)
{
	struct h2_budget b;
	unsigned n = 0;

	h2_budget_init(&b, 0);
	burst(&b, H2_COST_BROKEN, 0);
	for (uint64_t ms = 1; ms <= 1000; ms++)
		n += h2_budget_charge(&b, H2_COST_BROKEN, ms);
	h2_budget_init(&b, 0);
	burst(&b, H2_COST_BROKEN, 0);
	assert_int_equal(burst(&b, H2_COST_BROKEN, 1000), n);
}

static void honest_work_earns(void **state)
{
	struct h2_budget b;

	h2_budget_init(&b, 0);
	burst(&b, H2_COST_WINDOW, 0);
	h2_budget_earn(&b, H2_COST_WINDOW, 2);
	assert_int_equal(burst(&b, H2_COST_WINDOW, 0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bucket_has_a_bottom),
		cmocka_unit_test(buckets_are_each_their_own),
		cmocka_unit_test(time_fills_a_bucket_but_not_over_its_rim),
		cmocka_unit_test(many_small_waits_are_as_good_as_a_long_one),
		cmocka_unit_test(honest_work_earns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
