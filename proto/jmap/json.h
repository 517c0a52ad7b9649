/*
 * json-c at arm's length: arguments in, values out.
 *
 * Only texts that scan_json() found good come here, so parsing fails for what
 * json-c cannot hold (a name with U+0000 in it) or what would take too much memory
 * (JSON_VALUES values; json-c takes up to 400 bytes for one of two bytes).
 */
#pragma once

#include <json-c/json_object.h>
#include <json-c/linkhash.h>
#include <stdbool.h>

#include "core/base/arena.h"

#define JSON_VALUES 300000u

/*
 * The tree, to be given back by json_free(); NULL and *why_r otherwise.
 */
struct json_object *json_parse(struct str text, const char **why_r);
void json_free(struct json_object *o);
CLEANUP_PTR(struct json_object, json_free)

/* The member's value in *v_r (NULL for null); false when it is not there. */
bool json_member(
	struct json_object *o, const char *name, struct json_object **v_r);
/* Bytes of a string, as long as the tree lives. */
bool json_text(struct json_object *o, struct str *s_r);
/* An integer number as it stands: "1.0" and "1e3" are none (RFC 8620 1.3). */
bool json_int(struct json_object *o, int64_t *v_r);
/* true, false: *v_r; anything else: false. */
bool json_flag(struct json_object *o, bool *v_r);
bool json_equal(struct json_object *a, struct json_object *b);
