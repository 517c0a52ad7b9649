/*
 * What Email/set and Email/import share: keywords and mailboxes of an Email (RFC
 * 8621 4.1.1), and a raw message that becomes one.
 */
#pragma once

#include "proto/jmap/email.h"

#define EMAIL_KEYWORDS_MAX 128

/* What the Email will have. */
struct email_edit {
	struct str *keywords;
	size_t keywords_n;
	uint64_t *mailboxes;
	size_t mailboxes_n;
	bool keywords_set, mailboxes_set;
};

/* m: as it is now, or NULL. */
void email_edit_init(
	struct set *s, const struct email *m, struct email_edit *c);
/* sub: the one keyword or Mailbox that is meant, else STR_NONE: all of them. The
 * item is refused for what cannot be. */
void email_edit_keywords(struct set *s, struct set_item *i,
	struct email_edit *c, struct str sub, struct json_object *value);
void email_edit_mailboxes(struct set *s, struct set_item *i,
	struct email_edit *c, struct str sub, struct json_object *value);
/* There has to be one; otherwise the item is refused. */
void email_edit_check(struct set_item *i, const struct email_edit *c);

/* "receivedAt"; refused when it is no UTCDate. NULL: *ms_r as it is. */
void email_received_at(
	struct set_item *i, struct json_object *value, int64_t *ms_r);

/* Stores it, or refuses the item. 0, or < 0. */
int email_new(struct set *s, struct set_item *i, struct str raw,
	const struct email_edit *c, int64_t received_ms);

/* ---- hooks, and a method --------------------------------------------------------- */

/* What "created" shows of an Email (RFC 8621 4.6, 4.8). */
#define EMAIL_IMPORTED_PROPS                            \
	(PROP_BIT(EMAIL_ID) | PROP_BIT(EMAIL_BLOB_ID) | \
		PROP_BIT(EMAIL_THREAD_ID) | PROP_BIT(EMAIL_SIZE))
/* And what the server set where the client did not (RFC 8620 5.3). */
#define EMAIL_CREATED_PROPS                                                   \
	(EMAIL_IMPORTED_PROPS | PROP_BIT(EMAIL_KEYWORDS) |                    \
		PROP_BIT(EMAIL_RECEIVED_AT) | PROP_BIT(EMAIL_SENT_AT) |       \
		PROP_BIT(EMAIL_MESSAGE_ID) | PROP_BIT(EMAIL_HAS_ATTACHMENT) | \
		PROP_BIT(EMAIL_PREVIEW))

int email_create(struct set *s, struct set_item *i);
bool email_create_prop(struct str name);
