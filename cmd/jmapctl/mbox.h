/*
 * An mbox taken apart as it comes, in pieces of any size: messages that begin with
 * a From_ line behind an empty line (or at the start), lines that were quoted as
 * mboxrd does (">From ", ">>From "), an empty line at the end of each.
 *
 * When the first From_ line has a date, all must: else "From here on" behind an
 * empty line of a text that nobody quoted would be one. At most max bytes of one
 * message are kept.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"

struct mbox_message {
	uint64_t at;	/* offset of its From_ line */
	struct str raw; /* as it stands there, unquoted; empty when too large */
	bool too_large;
	bool has_date; /* of the From_ line, taken as UTC */
	int64_t date_ms;
};

struct mbox {
	size_t max;
	int (*message)(void *ctx, const struct mbox_message *m, struct err *e);
	void *ctx;
	struct buf line, raw;
	uint64_t at;  /* offset of the line */
	bool within;  /* a message has begun */
	bool midline; /* line goes on one that was too long to keep */
	bool text;    /* the line before was not empty */
	bool dated;   /* From_ lines have dates */
	struct mbox_message now;
};

void mbox_init(struct mbox *b, size_t max,
	int (*message)(void *ctx, const struct mbox_message *m, struct err *e),
	void *ctx);
/* What message() returns < 0 ends it; so does what is no mbox. */
int mbox_feed(struct mbox *b, struct str bytes, struct err *e);
int mbox_end(struct mbox *b, struct err *e);
void mbox_fini(struct mbox *b);

/*
 * What programs that keep mail in an mbox note in its header: "Status: RO", "X-Status:
 * AFTD", and "X-Keywords: A B" (or Keywords), which is taken when all its words may
 * be keywords (RFC 8621 4.1.1). Appended, separated by spaces. deleted_r: it has the
 * D that no keyword stands for.
 */
void mbox_keywords(struct str raw, struct buf *out, bool *deleted_r);
/* "From alice@example.org Sat Jan  3 01:05:34 1996": also with a zone, or none of
 * a sender. */
bool mbox_from_date(struct str line, int64_t *ms_r);
