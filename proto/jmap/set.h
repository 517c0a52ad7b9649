/*
 * How the parts of Foo/set see each other: set.c runs it, patch.c reads objects and
 * PatchObjects into items, set_reply.c writes what became of them.
 */
#pragma once

#include "proto/jmap/verbs.h"

/* Fills i->patches, or refuses the item. 0, or < 0. */
int patch_read(struct set *s, struct set_item *i);

/* Takes room for so many items. 0, or requestTooLarge. */
int set_limit(struct set *s, size_t n);
/* An item for each member (creation ids or ids); NULL: none. */
int set_add_map(struct set *s, struct json_object *map, enum set_kind kind);
/* Tries what is not done, again and again as long as that helps. *wait_r: some still
 * wait for others. 0, a method error, or < 0. */
int set_passes(struct set *s, bool *wait_r);
/* What waits is carried out together, as far as that is right. */
int set_together(struct set *s);
/* One transaction, the items, the response. */
int set_run(struct set *s, const struct method *m, struct str if_in_state);
/* The whole response. */
void set_reply(struct set *s, const struct method *m,
	const struct statez *before, const struct statez *after);
