/*
 * A hash table with the order of its entries kept.
 */
#include "proto/jmap/idmap.h"

void idmap_init(struct idmap *m)
{
	*m = (struct idmap){0};
	m->tail = &m->first;
}

void idmap_fini(struct idmap *m)
{
	map_fini(&m->map);
}

static struct idmap_entry *find(const struct idmap *m, struct str key)
{
	struct map_node *n;

	map_each (&m->map, hash_str(key), n) {
		struct idmap_entry *e =
			container_of(n, struct idmap_entry, node);

		if (str_eq(e->key, key))
			return e;
	}
	return NULL;
}

const struct idmap_entry *idmap_find(const struct idmap *m, struct str key)
{
	return find(m, key);
}

void idmap_put(struct idmap *m, struct arena *a, struct str key, struct str id)
{
	struct idmap_entry *e = find(m, key);

	if (e) {
		m->bytes += id.n - e->id.n;
		e->id = id;
		return;
	}
	e = arena_new(a, sizeof(*e));
	e->key = key;
	e->id = id;
	*m->tail = e;
	m->tail = &e->next;
	m->bytes += key.n + id.n;
	map_put(&m->map, &e->node, hash_str(key));
}
