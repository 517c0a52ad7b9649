/*
 * Creation ids and the ids that they stand for (RFC 8620 3.3, 5.3).
 */
#pragma once

#include "core/base/arena.h"
#include "core/base/map.h"

struct idmap_entry {
	struct map_node node;
	struct idmap_entry *next; /* in the order of their coming */
	struct str key, id;
};
struct idmap {
	struct map map;
	struct idmap_entry *first, **tail;
	size_t bytes; /* of all keys and ids */
};

void idmap_init(struct idmap *m);
void idmap_fini(struct idmap *m);
/* The newest id of a key wins. Entries live in the arena; strs are kept. */
void idmap_put(struct idmap *m, struct arena *a, struct str key, struct str id);
/* NULL when the key is not there. */
const struct idmap_entry *idmap_find(const struct idmap *m, struct str key);
