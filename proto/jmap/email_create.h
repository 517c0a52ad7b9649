/*
 * An Email while it is created: what the files of email_create*.c share.
 *
 * All of the object is looked at before it is refused, so that a client hears of
 * every property that is invalid at once.
 */
#pragma once

#include "core/mime/compose.h"
#include "proto/jmap/email_set.h"

#define CREATE_FIELDS_MAX 1000 /* header fields of an Email, or of a part */
#define CREATE_PARTS_MAX 1000

/* Where in the object something stands: "attachments/0". */
struct where {
	const struct where *up;
	const char *name; /* NULL: the index */
	size_t index;
};

/* Names of the fields that an Email or a part has so far. */
struct names {
	const struct names *more; /* they count too, or NULL */
	struct str *at;
	size_t n, cap;
};

/* The bytes of a blobId, read once. */
struct draft_blob {
	struct draft_blob *next;
	struct str id;
	struct buf bytes;
	bool found;
};

struct draft {
	struct set *s;
	struct set_item *i;
	struct arena tmp; /* goes with the item */
	struct buf fields;
	struct names names;
	struct json_object *values; /* bodyValues, or NULL */
	struct draft_blob *blobs;
	size_t parts;
	uint64_t attached; /* bytes of the blobs so far */
	bool too_large;
	bool dated, named; /* a Date, a Message-ID is there */
};

/* Refuses the item for that property of the object at w (NULL: the Email). */
void draft_bad(struct draft *d, const struct where *w, const char *prop,
	const char *why);

/* The message has that field; Date and Message-ID are the server's otherwise. */
void draft_note(struct draft *d, struct str field);

/* ---- email_create_field.c ------------------------------------------------------- */

/* False: there is one of that name, or there are too many. */
bool names_add(struct draft *d, struct names *n, struct str name);
/*
 * Appends the lines of a header property; what cannot be is refused as the property
 * `key`. null: none.
 */
void draft_field(struct draft *d, const struct where *w, const char *key,
	const struct header_prop *h, struct json_object *value,
	struct buf *out);

/* ---- email_create_body.c -------------------------------------------------------- */

/* bodyValues; before any part. */
void draft_values(struct draft *d, struct json_object *values);
struct draft_body {
	struct json_object *structure, *text, *html, *attachments;
};
/* The tree of parts. Negative for the world's faults; the item may be refused. */
int draft_body(
	struct draft *d, const struct draft_body *b, struct compose_part *root);
