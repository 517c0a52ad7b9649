/*
 * Intrusive hash table. The caller embeds a map_node and compares keys itself:
 * the table knows hashes only. One thread.
 *
 *	struct map_node *n;
 *	map_each(&m, hash, n) {
 *		struct thing *t = container_of(n, struct thing, node);
 *		if (t->key == key)
 *			return t;
 *	}
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **slot;
	size_t cap; /* slots, a power of two or 0 */
	size_t n;   /* nodes */
};

void map_fini(struct map *m); /* nodes are the caller's */
void map_put(struct map *m, struct map_node *n, uint64_t hash);
void map_del(struct map *m, struct map_node *n);
/* First node with that hash, then the next with the same; NULL at the end. */
struct map_node *map_find(const struct map *m, uint64_t hash);
struct map_node *map_same(const struct map_node *n);

#define map_each(m, h, n) for ((n) = map_find((m), (h)); (n); (n) = map_same(n))

/*
 * Walks every node; fn may delete the node that it is given. A false from fn
 * ends the walk.
 */
void map_walk(
	struct map *m, bool (*fn)(struct map_node *n, void *ctx), void *ctx);

uint64_t hash_u64(uint64_t v);
/* Keyed with a secret of this process: peers choose these bytes. */
uint64_t hash_str(struct str s);
/* SipHash-1-3 under a key of the caller. */
uint64_t hash_sip13(const uint64_t key[2], struct str s);
