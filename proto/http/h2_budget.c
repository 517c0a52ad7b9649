#include "proto/http/h2_budget.h"

#include "core/base/base.h"

#define ONE 1000u /* a charge */

static const struct {
	uint32_t burst;
	uint32_t per_s;
	const char *text;
} costs[] = {
	[H2_COST_BROKEN] = {200, 20, "too many streams broke"},
	[H2_COST_CONTROL] = {200, 20, "too many control frames"},
	[H2_COST_WINDOW] = {1000, 100, "too many window updates"},
	[H2_COST_EMPTY] = {100, 10, "too many empty DATA frames"},
	[H2_COST_HEADER] = {50, 5, "too many or too large header frames"},
};
_Static_assert(countof(costs) == H2_COSTS, "each cost has a bucket");

void h2_budget_init(struct h2_budget *b, uint64_t now_ms)
{
	for (unsigned i = 0; i < H2_COSTS; i++) {
		b->ms[i] = now_ms;
		b->left[i] = costs[i].burst * ONE;
	}
}

static void fill(struct h2_budget *b, enum h2_cost what, uint64_t thousandths)
{
	uint64_t most = costs[what].burst * ONE, left = b->left[what];

	b->left[what] = (uint32_t)min_of(left + thousandths, most);
}

bool h2_budget_charge(struct h2_budget *b, enum h2_cost what, uint64_t now_ms)
{
	/* A day fills every bucket, and cannot overflow. */
	uint64_t gone = min_of(now_ms - b->ms[what], (uint64_t)86400000);

	b->ms[what] = now_ms;
	fill(b, what, gone * costs[what].per_s);
	if (b->left[what] < ONE)
		return false;
	b->left[what] -= ONE;
	return true;
}

void h2_budget_earn(struct h2_budget *b, enum h2_cost what, unsigned n)
{
	fill(b, what, (uint64_t)n * ONE);
}

const char *h2_budget_text(enum h2_cost what)
{
	return costs[what].text;
}
