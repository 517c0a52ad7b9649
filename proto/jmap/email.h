/*
 * The Email type's own: what its files share.
 */
#pragma once

#include "proto/jmap/email_card.h"
#include "proto/jmap/email_header.h"
#include "proto/jmap/verbs.h"

/* ---- what is asked for (RFC 8621 4.2, 4.9) ----------------------------------- */

struct email_get {
	struct header_props headers;	  /* header:* among the properties */
	unsigned body_props;		  /* bit per enum body_prop */
	bool body_default;		  /* no bodyProperties were given */
	struct header_props body_headers; /* header:* among them */
	bool text, html, all;		  /* fetch...BodyValues */
	int64_t max_bytes;		  /* maxBodyValueBytes; 0: no limit */
};

/* The arguments that Email/get and Email/parse share, and their names. */
extern const char *const email_get_args[];
int email_get_read(
	struct req *r, struct json_object *args, struct email_get *e);

/* ---- one Email while it is written --------------------------------------------- */

struct email_view {
	struct req *r;
	struct tx *tx;
	const struct email_get *get;
	uint64_t props; /* PROP_BIT()s */
	bool parsed;	/* by Email/parse: there is no row */
	struct arena tmp;
	struct email m;
	struct blob_part within; /* the part of m.blob that the message is */
	struct card card;
	struct buf raw;	 /* the message, once it was needed */
	struct buf made; /* a whole card, where the kept one is not */
};

void email_view_fini(struct email_view *v);
/* Appends the object; takes back what it wrote when it fails. */
int email_view_write(struct email_view *v, struct jw *w);
/* A card with its parts: makes it from the blob when the kept one has none. */
int email_whole_card(struct email_view *v);
/* Appends the value of a property that is made of the parts. */
int email_body(struct email_view *v, enum email_prop p, struct buf *out);
/* Appends header:* properties, and "headers" where it is wanted. */
int email_headers(struct email_view *v, struct jw *w);

/* Would Email/parse and Email/import take these bytes for a message? */
bool email_is_message(struct str raw);

/* RFC 8621 1.3.1 maxMailboxesPerEmail. */
#define EMAIL_MAILBOXES_MAX 1000
/*
 * maxSizeAttachmentsPerEmail: base64 makes 78 bytes of 57, and there is room for
 * the rest of the message.
 */
static inline uint64_t email_attachments_max(uint64_t max_size_message)
{
	return max_size_message / 10 * 7;
}

/* ---- methods and hooks ------------------------------------------------------------ */

int email_parse(
	struct req *r, const struct method *m, struct json_object *args);
int email_import(
	struct req *r, const struct method *m, struct json_object *args);

int email_set_update(struct set *s, struct set_item *i);
int email_set_destroy(struct set *s, struct set_item *i);

int email_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort);
int email_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r);
int email_query_touched(
	struct query *q, uint64_t since, const uint64_t **ids_r, size_t *n_r);
bool email_query_immutable(const struct query *q);
int email_query_count(
	struct query *q, const uint64_t *ids, size_t n, uint64_t *count_r);
