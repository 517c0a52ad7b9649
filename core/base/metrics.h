/*
 * Counters of this process. Writers add relaxed; readers may be other
 * processes.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum metric {
#define METRIC(name, text, help) METRIC_##name,
#include "core/base/metrics.def"
#undef METRIC
	METRICS,
};

struct metrics {
	_Alignas(64) _Atomic uint64_t v[METRICS];
};

/*
 * Where this process counts: a private block until the role maps its own,
 * before it has threads. What was counted so far moves along; NULL goes back to the
 * private block.
 */
void metrics_map(struct metrics *m);
void metrics_add(enum metric m, int64_t n);
uint64_t metrics_get(const struct metrics *all, enum metric m);
const struct metrics *metrics_here(void);
const char *metrics_name(enum metric m);
const char *metrics_help(enum metric m);
