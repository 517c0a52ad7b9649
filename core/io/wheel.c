#include "core/io/wheel.h"

#include <stdbool.h>

#include "core/base/base.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	w->now = now_ms;
	for (size_t i = 0; i < WHEEL_LEVELS; i++) {
		w->used[i] = 0;
		for (size_t k = 0; k < WHEEL_SLOTS; k++)
			CDS_INIT_LIST_HEAD(&w->slot[i][k]);
	}
	CDS_INIT_LIST_HEAD(&w->due);
}

void wheel_add(struct wheel *w, struct timer *t)
{
	unsigned level, slot;

	if (t->due_ms <= w->now) {
		cds_list_add_tail(&t->node, &w->due);
		return;
	}
	/* now and due differ, so there is a highest bit that does. */
	level = (63 - (unsigned)__builtin_clzll(w->now ^ t->due_ms)) /
		WHEEL_BITS;
	slot = t->due_ms >> (level * WHEEL_BITS) & (WHEEL_SLOTS - 1);
	cds_list_add_tail(&t->node, &w->slot[level][slot]);
	w->used[level] |= 1ull << slot;
}

/* First slot that holds a timer, and the tick where its span begins. */
static bool first_slot(
	struct wheel *w, struct cds_list_head **list_r, uint64_t *start_r)
{
	for (unsigned i = 0; i < WHEEL_LEVELS; i++) {
		while (w->used[i]) {
			unsigned k = (unsigned)__builtin_ctzll(w->used[i]);
			unsigned shift = i * WHEEL_BITS;
			uint64_t above;

			*list_r = &w->slot[i][k];
			if (cds_list_empty(*list_r)) {
				w->used[i] &= ~(1ull << k);
				continue;
			}
			/* The top level has no bits above it to keep. */
			above = i + 1 == WHEEL_LEVELS
					? 0
					: w->now >> (shift + WHEEL_BITS)
							    << WHEEL_BITS;
			*start_r = (above | k) << shift;
			return true;
		}
	}
	return false;
}

uint64_t wheel_next(struct wheel *w)
{
	struct cds_list_head *list;
	uint64_t start;

	if (!cds_list_empty(&w->due))
		return w->now;
	return first_slot(w, &list, &start) ? start : UINT64_MAX;
}

/* Takes the whole list from src; dst is overwritten. */
static void take_list(struct cds_list_head *dst, struct cds_list_head *src)
{
	CDS_INIT_LIST_HEAD(dst);
	cds_list_splice(src, dst);
	CDS_INIT_LIST_HEAD(src);
}

static struct timer *pop(struct cds_list_head *list)
{
	struct timer *t = cds_list_entry(list->next, struct timer, node);

	cds_list_del(&t->node);
	return t;
}

void wheel_run(struct wheel *w, uint64_t now_ms)
{
	struct cds_list_head list, *slot;
	uint64_t start;

	while (first_slot(w, &slot, &start) && start <= now_ms) {
		w->now = start;
		take_list(&list, slot);
		while (!cds_list_empty(&list))
			wheel_add(w, pop(&list)); /* down, or due */
	}
	w->now = max_of(w->now, now_ms);
	take_list(&list, &w->due);
	while (!cds_list_empty(&list)) {
		struct timer *t = pop(&list);

		t->due_ms = 0;
		t->fn(t);
	}
}
