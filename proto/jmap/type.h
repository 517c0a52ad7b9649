/*
 * A JMAP data type is a table plus a few hooks. /get /changes /set /query are
 * written once, over that table (verbs.c); a new type is a new table.
 *
 * The names below are the frame; the engine may grow them.
 */
#pragma once

#include <json-c/json_types.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/jw.h"
#include "core/store/store.h"

struct req;                     /* a request being worked on: request.h */

#define PROP_SERVER 1u          /* server-set */
#define PROP_IMMUTABLE 2u
#define PROP_DEFAULT 4u         /* returned by /get without "properties" */

struct prop {
	const char *name;
	unsigned flags;
};

struct type_ops;
struct jmap_type {
	const char *name;               /* "Email" */
	enum type type;                 /* its state */
	char id_prefix;                 /* ids are this letter and base 32 digits */
	const char *capability;         /* urn that must be in "using" */
	const struct prop *props;
	size_t props_n;
	const struct type_ops *ops;     /* a NULL hook: the verb is unknownMethod */
};
