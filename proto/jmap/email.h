/*
 * The Email type's own: what its files share.
 */
#pragma once

#include "proto/jmap/email_card.h"
#include "proto/jmap/verbs.h"

/* Arguments of Email/get (RFC 8621 4.2). */
struct email_get {
	unsigned body_props;  /* bit per enum body_prop */
	bool text, html, all; /* fetch...BodyValues */
	int64_t max_bytes;    /* maxBodyValueBytes; 0: no limit */
};

/* One Email while it is written. */
struct email_view {
	struct get *g;
	const struct email_get *get;
	struct arena tmp; /* goes with the object */
	struct email m;
	struct card card;
	struct buf raw;	 /* the message, once it was needed */
	struct buf made; /* a whole card, where the kept one is not */
};

/* A card with its parts: makes it from the blob when the kept one has none. */
int email_whole_card(struct email_view *v);
/* The value of bodyValues, textBody, htmlBody or attachments. */
int email_body(struct email_view *v, enum email_prop p, struct jw *w);

int email_set_update(struct set *s, struct set_item *i);
int email_set_destroy(struct set *s, struct set_item *i);

int email_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort);
int email_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r);
