/*
 * The JMAP data types that have a state, as small numbers and as bits.
 */
#pragma once

#include "core/base/str.h"

enum type {
#define TYPE(name, jmap, stored) TYPE_##name,
#include "core/base/types.def"
#undef TYPE
	TYPES,
};

#define TYPE_BIT(t) (1u << (t))
#define TYPE_ALL (TYPE_BIT(TYPES) - 1)

/* "Email" for TYPE_EMAIL. */
const char *type_name(enum type t);
/* The type of that name, or TYPES when there is none. */
enum type type_by_name(struct str name);
