/*
 * The text index of an account (RFC 8621 4.4.1: text, from, to, cc, bcc, subject,
 * body), in FTS5.
 *
 * A delivery does not write it: emails are indexed in their order, in batches,
 * soon after the commit, and "up to which id" is one number in the database. So a
 * crash costs nothing, and what waits is always the highest ids. Who searches
 * brings the index up to date first, and only then takes the snapshot.
 */
#pragma once

#include "core/store/store.h"

#define TEXT_FROM 1u
#define TEXT_TO 2u
#define TEXT_CC 4u
#define TEXT_BCC 8u
#define TEXT_SUBJECT 16u
#define TEXT_BODY 32u
/* RFC 8621 4.4.1 "text": all of them. */
#define TEXT_ALL \
	(TEXT_FROM | TEXT_TO | TEXT_CC | TEXT_BCC | TEXT_SUBJECT | TEXT_BODY)

/*
 * Indexes all that was committed before the call. Takes write transactions of its
 * own, one a batch: never inside a transaction of the caller's. Costs one look
 * when nothing waits.
 */
int text_catch_up(struct account *a, struct err *e);
/* Does anything of this snapshot wait for the index? 1, 0, < 0. */
int text_behind(struct tx *t, struct err *e);

/*
 * Emails with at least one of the fields matching the query, ascending, in the
 * arena. The words of the query must all be there, in any order; what stands in
 * "quotes" must stand so, word after word (RFC 8621 4.4.1).
 */
int text_search(struct tx *t, unsigned fields, struct str query,
	struct arena *a, const uint64_t **ids_r, size_t *n_r, struct err *e);

/*
 * A text with the words of n queries marked (RFC 8621 5): HTML-escaped, words and
 * phrases in <mark></mark>. Of a text that takes more than max bytes so (at least
 * 64; SIZE_MAX: no limit) the piece around the first hit, with "..." where it was
 * cut. False, and nothing appended, when no word of them is in it. The text should
 * be valid UTF-8.
 */
bool text_snippet(struct str text, const struct str *query, size_t n,
	size_t max, struct buf *out);
