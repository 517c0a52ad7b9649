/*
 * The generic methods (RFC 8620 5), and what their files share.
 */
#pragma once

#include "proto/jmap/request.h"
#include "proto/jmap/type.h"

int verb_get(struct req *r, const struct method *m, struct json_object *args);
int verb_changes(
	struct req *r, const struct method *m, struct json_object *args);
int verb_set(struct req *r, const struct method *m, struct json_object *args);
int verb_query(struct req *r, const struct method *m, struct json_object *args);
int verb_query_changes(
	struct req *r, const struct method *m, struct json_object *args);

/* ---- arguments; each returns 0 or a method error --------------------------- */

/* Every argument's name is in one of the lists (NULL-ended; more may be NULL),
 * and accountId is the account of this login. */
int args_open(struct req *r, struct json_object *args, const char *const *names,
	const char *const *more);
/* Absent: *v_r stays as it is. */
int arg_flag(
	struct req *r, struct json_object *args, const char *name, bool *v_r);
/* min is the least; null is taken as absent when nullable. given_r: or NULL. */
int arg_int(struct req *r, struct json_object *args, const char *name,
	bool nullable, int64_t min, int64_t *v_r, bool *given_r);
/* STR_NONE for null or absent. */
int arg_text(struct req *r, struct json_object *args, const char *name,
	struct str *v_r);
/* NULL for null or absent; json_type_array or json_type_object else. */
int arg_of_type(struct req *r, struct json_object *args, const char *name,
	enum json_type type, struct json_object **v_r);
/* An Id[] of at most max strings (requestTooLarge, which names the limit). null or
 * absent: NULL when nullable, else a method error. */
int arg_ids(struct req *r, struct json_object *args, const char *name,
	bool nullable, const char *limit, uint64_t max,
	struct json_object **v_r);

/* "filter" and "sort" go to the type's query_open(). */
int query_read(struct query *q);

/* ---- states ---------------------------------------------------------------- */

int verb_state(struct req *r, struct tx *t, const struct jmap_type *type,
	struct statez *s_r);

/* ---- an object as another verb needs it -------------------------------------- */

/* Appends the object with those properties. */
int get_render(struct req *r, struct tx *t, const struct jmap_type *type,
	uint64_t id, uint64_t props, struct buf *out, bool *found_r);
/* The table's index of a property, or props_n. */
size_t prop_find(const struct jmap_type *type, struct str name);

/* ---- refusals (set.c) -------------------------------------------------------- */

/* Refuses an item; returns 0, for the hook to pass on. */
int set_refuse(struct set_item *i, enum set_error e, const char *why);
/* SET_INVALID_PROPERTIES, adding one name or path (kept by reference). */
int set_bad(struct set_item *i, const char *prop, const char *why);
int set_bad_str(struct set_item *i, struct str prop, const char *why);
/* An id or "#creationId" of that kind of object. False: not known. */
bool set_ref(const struct set *s, char prefix, struct str ref, uint64_t *id_r);
