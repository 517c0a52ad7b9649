/*
 * Names of the data types, from types.def.
 */
#include "core/base/types.h"

static const struct str names[TYPES] = {
#define TYPE(name, jmap, stored) [TYPE_##name] = {jmap, sizeof(jmap) - 1},
#include "core/base/types.def"
#undef TYPE
};

const char *type_name(enum type t)
{
	check((unsigned)t < TYPES);
	return names[t].p;
}

enum type type_by_name(struct str name)
{
	for (unsigned t = 0; t < TYPES; t++) {
		if (str_eq(names[t], name))
			return (enum type)t;
	}
	return TYPES;
}
