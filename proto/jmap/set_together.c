/*
 * Items of a /set that wait for each other (RFC 8620 5.3: the final state counts):
 * they are carried out while the rules of their type sleep, and then each is judged
 * as it stands. While one is found wrong all is undone, that one is refused, and the
 * rest is tried without it.
 */
#include "proto/jmap/set.h"

/* So often at most; what has not gone well by then is refused. */
enum { ROUNDS = 16 };

/* The last item of these that has gone wrong, or s->n. */
static int judge_all(struct set *s, const bool *waits, size_t *bad_r)
{
	int ret = 0;

	*bad_r = s->n;
	for (size_t k = 0; k < s->n && ret == 0; k++) {
		struct set_item *i = &s->items[k];

		if (!waits[k] || i->error != SET_OK || i->kind == SET_DESTROY)
			continue;
		ret = s->type->ops->judge(s, i);
		if (i->error != SET_OK)
			*bad_r = k;
	}
	return ret;
}

/* All of them wait again but the bad one, which is refused. */
static void go_back(struct set *s, const bool *waits,
	const struct set_item *was, size_t bad)
{
	tx_rollback_to(s->tx);
	for (size_t k = 0; k < s->n; k++)
		if (waits[k] && k != bad)
			s->items[k] = was[k];
	s->items[bad].done = true;
	idmap_fini(s->made);
	idmap_init(s->made);
	for (size_t k = 0; k < s->n; k++) {
		struct set_item *i = &s->items[k];
		struct idz id = id_of(s->type->id_prefix, i->id);

		if (i->kind == SET_CREATE && i->done && i->error == SET_OK)
			idmap_put(s->made, &s->r->arena, i->key,
				arena_str(&s->r->arena, str_n(id.z, id.n)));
	}
}

/* *bad_r: s->n when it went well; else that item keeps it from going. */
static int try_together(struct set *s, bool *waits, size_t *bad_r)
{
	struct set_item *was =
		arena_dup(&s->r->arena, s->items, s->n * sizeof(*s->items));
	bool wait;
	int ret = tx_savepoint(s->tx, &s->r->err);

	if (ret)
		return ret;
	for (size_t k = 0; k < s->n; k++)
		waits[k] = !s->items[k].done;
	s->type->ops->defer(s, true);
	ret = set_passes(s, &wait);
	s->type->ops->defer(s, false);
	if (ret == 0)
		ret = judge_all(s, waits, bad_r);
	if (ret)
		return ret;
	if (*bad_r == s->n)
		return tx_release(s->tx, &s->r->err);
	go_back(s, waits, was, *bad_r);
	return 0;
}

int set_together(struct set *s)
{
	bool *waits = arena_new(&s->r->arena, s->n * sizeof(*waits) + 1);
	size_t bad = 0;
	int ret = 0;

	for (int n = 0; n < ROUNDS && bad < s->n && ret == 0; n++)
		ret = try_together(s, waits, &bad);
	return ret;
}
