/*
 * How the parts of Foo/set see each other: set.c runs it, patch.c reads objects and
 * PatchObjects into items, set_reply.c writes what became of them.
 */
#pragma once

#include "proto/jmap/verbs.h"

/* Fills i->patches, or refuses the item. 0, or < 0. */
int patch_read(struct set *s, struct set_item *i);

/* The whole response. */
void set_reply(struct set *s, const struct method *m,
	const struct statez *before, const struct statez *after);
