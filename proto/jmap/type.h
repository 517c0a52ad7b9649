/*
 * A JMAP data type is a table plus a few hooks. /get /changes /set /query are
 * written once, over that table (get.c, changes.c, set.c, query.c); a new type is a
 * new table.
 *
 * Hooks return 0, an enum method_error (the whole method ends with it), or a
 * negative errno of the world with r->err set.
 */
#pragma once

#include <json-c/json_types.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/jw.h"
#include "core/store/query.h"

struct req; /* a request being worked on: request.h */
struct idmap;

#define PROP_SERVER 1u /* server-set */
#define PROP_IMMUTABLE 2u
#define PROP_DEFAULT 4u /* returned by /get without "properties" */

struct prop {
	const char *name;
	unsigned flags;
};

struct type_ops;
struct jmap_type {
	const char *name;	  /* "Email" */
	enum type type;		  /* its state */
	char id_prefix;		  /* ids are this letter and base 32 digits */
	const struct prop *props; /* [0] is "id"; at most 64 */
	size_t props_n;
	const struct type_ops *ops;
};

#define PROP_BIT(i) ((uint64_t)1 << (i))

/* ---- /get ------------------------------------------------------------------ */

struct get {
	struct req *r;
	struct tx *tx;
	const struct jmap_type *type;
	struct json_object *args; /* NULL when another verb asks */
	uint64_t props;		  /* PROP_BIT()s that are wanted */
	void *own;		  /* the type's, from get_open */
};

/* ---- /set ------------------------------------------------------------------ */

enum set_error {
	SET_OK,
#define SET_ERROR(name, type) SET_##name,
#include "proto/jmap/set_errors.def"
#undef SET_ERROR
	SET_ERRORS,
};

/* One member of a PatchObject, or of an object to create. */
struct patch {
	unsigned prop;		   /* index in the table */
	struct str sub;		   /* "x" of "keywords/x", else STR_NONE */
	struct json_object *value; /* NULL: null */
};

enum set_kind { SET_CREATE, SET_UPDATE, SET_DESTROY };

struct set_item {
	enum set_kind kind;
	bool done;	/* for good: carried out or refused */
	struct str key; /* creation id, or id as it was sent */
	struct json_object *value;
	struct patch *patches; /* create: no sub */
	size_t patches_n;
	uint64_t id;
	uint64_t told;	  /* PROP_BIT()s that are not as the client sent them */
	struct str reply; /* what it is told of the object, as JSON */
	/* Why it was refused. */
	enum set_error error;
	bool retry; /* another item may clear the way */
	const char *why;
	struct str bad[8]; /* invalid properties: names, or paths */
	unsigned bad_n;
	struct str existing; /* SET_ALREADY_EXISTS: existingId */
	struct str missing;  /* SET_BLOB_NOT_FOUND: notFound, as JSON */
};

struct set {
	struct req *r;
	struct tx *tx;
	const struct jmap_type *type;
	struct json_object *args;
	struct set_item *items;
	size_t n;
	struct idmap *made; /* creation ids of this very call */
	/* Carries out a creation; what "created" then shows (PROP_BIT()s). */
	int (*create)(struct set *s, struct set_item *i);
	uint64_t created;
	bool import; /* Email/import: there is nothing but creations */
	bool flag;   /* the type's own, from set_open */
};

/* ---- /query ---------------------------------------------------------------- */

struct query {
	struct req *r;
	struct tx *tx;
	const struct jmap_type *type;
	struct json_object *args;
	bool want_total;
	void *own;
};

/* ---- hooks ----------------------------------------------------------------- */

struct type_ops {
	/* /get: reads further arguments (names in get_args); may be NULL. */
	const char *const *get_args;
	int (*get_open)(struct get *g);
	/* A property that the table has not: taken (0) or a method error. */
	int (*get_prop)(struct get *g, struct str name);
	/* Appends one object; *found_r false (and nothing written) without. */
	int (*get_one)(struct get *g, uint64_t id, struct jw *w, bool *found_r);
	/* "ids": null. At most max + 1 of them. */
	int (*get_all)(struct get *g, uint64_t max, const uint64_t **ids_r,
		size_t *n_r);
	/* /changes: appends further members. */
	void (*changes_more)(struct jw *w, const struct changes *c);
	/* /set, NULL: unknownMethod. Each fills item->error when it refuses. */
	const char *const *set_args;
	int (*set_open)(struct set *s);
	/* A property to create with that the table has not; NULL: none. */
	bool (*create_prop)(struct str name);
	/* Properties that are told of a new object, unless the client sent them;
	 * 0: the default ones. */
	uint64_t created;
	int (*create)(struct set *s, struct set_item *i);
	int (*update)(struct set *s, struct set_item *i);
	int (*destroy)(struct set *s, struct set_item *i);
	/*
	 * Items that wait for each other are right only together: they are carried
	 * out once more while the rules sleep (defer), and then each is judged as
	 * it stands. Both or none.
	 */
	void (*defer)(struct set *s, bool on);
	int (*judge)(struct set *s, struct set_item *i);
	/* The id that an object has by now, after what this transaction did to it;
	 * NULL: it keeps its own. */
	uint64_t (*now)(const struct tx *t, uint64_t id);
	/* /query. */
	const char *const *query_args;
	int (*query_open)(struct query *q, struct json_object *filter,
		struct json_object *sort);
	/* position < 0 counts from the end; total only when it is wanted. */
	int (*query_page)(struct query *q, int64_t position, uint64_t limit,
		struct email_ids *ids_r);
	/*
	 * /queryChanges: every object, also of those that are gone, whose place in
	 * the list may be another than it was at that modseq (of the type's state);
	 * more than those are no fault. ERROR_CANNOT_CALCULATE when that is too
	 * long ago. NULL: unknownMethod.
	 */
	int (*query_touched)(struct query *q, uint64_t since,
		const uint64_t **ids_r, size_t *n_r);
	/* Do filter and sort look at immutable properties only (RFC 8620 5.6,
	 * upToId)? NULL: no. */
	bool (*query_immutable)(const struct query *q);
	/* How many of these are in the list: it need not be looked through any
	 * further. NULL: all of it is. */
	int (*query_count)(struct query *q, const uint64_t *ids, size_t n,
		uint64_t *count_r);
};
