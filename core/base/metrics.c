/*
 * Names and counting. Every add is one relaxed atomic add: counters order
 * nothing, and a reader of another process sees each by itself.
 */
#include "core/base/metrics.h"

#include "core/base/base.h"

static struct metrics own;
static struct metrics *here = &own;

static const struct {
	const char *name;
	const char *help;
} about[METRICS] = {
#define METRIC(name, text, help) [METRIC_##name] = {text, help},
#include "core/base/metrics.def"
#undef METRIC
};

void metrics_map(struct metrics *m)
{
	struct metrics *to = m ? m : &own;

	if (to == here)
		return;
	/* What was counted so far moves along. */
	for (unsigned i = 0; i < METRICS; i++) {
		uint64_t v = atomic_exchange_explicit(
			&here->v[i], 0, memory_order_relaxed);

		atomic_fetch_add_explicit(&to->v[i], v, memory_order_relaxed);
	}
	here = to;
}

void metrics_add(enum metric m, int64_t n)
{
	check((unsigned)m < METRICS);
	atomic_fetch_add_explicit(
		&here->v[m], (uint64_t)n, memory_order_relaxed);
}

uint64_t metrics_get(const struct metrics *all, enum metric m)
{
	check((unsigned)m < METRICS);
	return atomic_load_explicit(&all->v[m], memory_order_relaxed);
}

const struct metrics *metrics_here(void)
{
	return here;
}

const char *metrics_name(enum metric m)
{
	check((unsigned)m < METRICS);
	return about[m].name;
}

const char *metrics_help(enum metric m)
{
	check((unsigned)m < METRICS);
	return about[m].help;
}
