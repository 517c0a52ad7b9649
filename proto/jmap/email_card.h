/*
 * The card: what Email/get shows of a message's content, as ready JSON.
 *
 * It is made once, at delivery, and kept beside the row: a list view appends
 * pieces of it and never parses MIME. It also has a table of the parts, multiparts
 * too (offset, length and encoding in the blob, where the header is, JSON of their
 * properties), so that bodyStructure needs no blob and a body value no parser.
 *
 * A card stays small: without its parts (CARD_NO_PARTS) or wholly empty
 * (CARD_EMPTY) when the message has too much to show; whoever then wants more makes
 * a whole card from the blob at that moment.
 */
#pragma once

#include "core/mime/mime.h"
#include "proto/jmap/email_header.h"
#include "proto/jmap/ids.h"

#define CARD_MAX 32768 /* bytes of one that is kept */
#define CARD_NO_PARTS 1u
#define CARD_EMPTY 2u

enum email_prop {
#define EMAIL_PROP(n, name, flags) EMAIL_##n,
#include "proto/jmap/email_props.def"
#undef EMAIL_PROP
	EMAIL_PROPS,
};
enum {
	CARD_FIRST = EMAIL_SENT_AT,
	CARD_PROPS = EMAIL_PREVIEW - EMAIL_SENT_AT + 1,
};

enum body_prop {
#define BODY_PROP(n, name) BODY_##n,
#include "proto/jmap/body_props.def"
#undef BODY_PROP
	BODY_PROPS,
};
enum { BODY_KEPT = BODY_LOCATION + 1 };

enum card_list { CARD_TEXT_BODY, CARD_HTML_BODY, CARD_ATTACHMENTS, CARD_LISTS };

struct card {
	unsigned flags;
	struct str prop[CARD_PROPS]; /* JSON; in the order of email_props.def */
	size_t parts_n;
	size_t list_n[CARD_LISTS];
	/* Where the lists and the parts' index stand. */
	const char *lists, *index;
	struct str bytes;
};

/* Parts are numbered from the root, 0, each before those in it. */
struct card_part {
	struct blob_part at;
	size_t header_at, header_n; /* for mime_fields_at() */
	size_t end;		    /* the first one that is not in it */
	bool multipart, encoding_problem;
	struct str prop[BODY_KEPT]; /* JSON; that of blobId is empty */
};

/* The field that a property shows, and its form; false: it is no field's. */
bool card_field(enum email_prop p, struct header_prop *h_r);
/* Appends the card of m; at most max bytes of it (0: no limit). */
void card_make(const struct mime_message *m, size_t max, struct buf *out);
/* False for bytes that are no card. */
bool card_open(struct str bytes, struct card *c_r);
/* i < parts_n. */
bool card_part(const struct card *c, size_t i, struct card_part *p_r);
/* The k-th entry of a list, as a number for card_part(). */
size_t card_listed(const struct card *c, enum card_list l, size_t k);
