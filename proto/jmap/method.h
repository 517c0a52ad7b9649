/*
 * The methods that there are: one row of methods.def each.
 */
#pragma once

#include <json-c/json_types.h>
#include <stdbool.h>

#include "core/base/str.h"

struct req;
struct jmap_type;
struct method;

/*
 * Answers one call: 0 when its response is written; an enum method_error; or a
 * negative errno of the world (r->err says what). Whatever it had appended by
 * then is taken back.
 */
typedef int method_fn(
	struct req *r, const struct method *m, struct json_object *args);

enum capability {
#define CAPABILITY(name, urn) CAP_##name,
#include "proto/jmap/capabilities.def"
#undef CAPABILITY
	CAPS,
};

const char *capability_urn(enum capability c);
/* CAPS when there is none of that name. */
enum capability capability_by_urn(struct str urn);

struct method {
	const char *name;
	enum capability cap; /* must be in "using" */
	bool writes;
	method_fn *run; /* NULL: its arguments are never read (Core/echo) */
	const struct jmap_type *type; /* NULL: no type's */
};

/* NULL when there is none. */
const struct method *method_by_name(struct str name);
