/*
 * What one HTTP/2 peer may do that costs us and is worth nothing to it (RFC 9113
 * 10.5): a bucket for each kind, which fills again with time and with honest work.
 * Within it nothing is said; an empty one ends the connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum h2_cost {
	H2_COST_BROKEN,	 /* streams that broke: rapid reset, and its kin */
	H2_COST_CONTROL, /* SETTINGS, PING, PRIORITY, frames nobody knows */
	H2_COST_WINDOW,	 /* WINDOW_UPDATE */
	H2_COST_EMPTY,	 /* DATA without a byte */
	H2_COST_HEADER,	 /* CONTINUATION, lists over the limit */
	H2_COSTS,
};

struct h2_budget { /* h2_budget_init() first */
	uint64_t ms[H2_COSTS];
	uint32_t left[H2_COSTS]; /* thousandths */
};

void h2_budget_init(struct h2_budget *b, uint64_t now_ms);
/* One of those; false when there were too many. */
bool h2_budget_charge(struct h2_budget *b, enum h2_cost what, uint64_t now_ms);
/* Honest work that makes n of those fair. */
void h2_budget_earn(struct h2_budget *b, enum h2_cost what, unsigned n);
/* "too many streams broke" */
const char *h2_budget_text(enum h2_cost what);
