/*
 * A worker wants an account's changes, or no longer. Both take the account's write
 * turn: no commit falls between the states that are read and the subscription, and
 * coming and going stay in the order in which the worker said them. While the disk
 * fails it is tried again: the worker's clients take it that they will hear.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

struct store_link;

/* 0, or -EPROTO. A login that is no longer good is ignored. */
int subscribe_start(struct store_link *l, bool add, struct str rec);
/* The link goes down: what waits to be tried again is given up. */
void subscribe_drop(struct store_link *l);
