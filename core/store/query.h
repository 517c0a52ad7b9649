/*
 * Lists of emails: what is in them, in which order, and a window into it (RFC 8621
 * 4.4). Nothing of a list is kept between calls; each looks at one snapshot, holds
 * up no writer, and is stable: the same snapshot gives the same list, whichever
 * part of it is asked for.
 *
 * A plain list of one mailbox by receivedAt costs what its window costs, whatever
 * is in the mailbox. A filter takes the narrowest way to what may match (text
 * hits, the mailboxes' list indexes, else all rows), looks at the cheap conditions
 * first, and ends with the window when it can. Memory: a window's ids, or for a
 * list that must be sorted 16 bytes an email and 8 a comparator, and a bit an
 * email (or thread) for each text (or thread) condition.
 */
#pragma once

#include "core/store/store.h"

/* ---- filters -------------------------------------------------------------- */

enum email_filter_kind {
	/* Of sub[0..n): all, at least one, none of them. */
	FILTER_AND,
	FILTER_OR,
	FILTER_NOT,
	/* Conditions of RFC 8621 4.4.1, and what each looks at. */
	FILTER_IN_MAILBOX,     /* mailbox */
	FILTER_OTHER_THAN,     /* mailboxes[0..n): is it in any but these? */
	FILTER_BEFORE,	       /* number: ms */
	FILTER_AFTER,	       /* number: ms; or at it */
	FILTER_MIN_SIZE,       /* number */
	FILTER_MAX_SIZE,       /* number; less than it */
	FILTER_ALL_KEYWORD,    /* text: all emails of the thread have it */
	FILTER_SOME_KEYWORD,   /* text */
	FILTER_NONE_KEYWORD,   /* text */
	FILTER_KEYWORD,	       /* text: a keyword in lower case */
	FILTER_NOT_KEYWORD,    /* text */
	FILTER_HAS_ATTACHMENT, /* number: 0 or 1 */
	FILTER_TEXT,	       /* text, fields: as text_search() takes them */
	FILTER_HEADER, /* header: name; text: in its value, or STR_NONE */
};

struct email_filter {
	enum email_filter_kind kind;
	unsigned fields;
	size_t n;
	const struct email_filter *sub;
	const uint64_t *mailboxes;
	uint64_t mailbox; /* one that there is not has no emails */
	int64_t number;
	struct str text, header;
};

/* ---- order ---------------------------------------------------------------- */

enum email_sort_kind {
	SORT_RECEIVED,
	SORT_SENT, /* emails without come before all others */
	SORT_SIZE,
	SORT_FROM,
	SORT_TO,
	SORT_SUBJECT, /* the base subject */
	/* False before true. */
	SORT_KEYWORD,
	SORT_ALL_KEYWORD,  /* all of the thread */
	SORT_SOME_KEYWORD, /* any of the thread */
};
enum email_collation {
	COLLATION_UNICODE, /* i;unicode-casemap (RFC 5051) */
	COLLATION_ASCII,   /* i;ascii-casemap (RFC 4790 9.2) */
	COLLATION_OCTET,   /* i;octet */
};

#define EMAIL_SORTS 16 /* comparators of one list */

struct email_sort {
	enum email_sort_kind kind;
	bool descending;
	enum email_collation collation;
	struct str keyword; /* in lower case */
};

/*
 * What a list sorts by, of a From or To field (raw): name, or else address, of the
 * first one (RFC 8621 4.4.2); empty without.
 */
struct str email_first_name(struct str raw, struct arena *a);

/* ---- lists ---------------------------------------------------------------- */

struct email_ids {
	const uint64_t *at;
	size_t n;
	uint64_t position; /* of the first one, from 0 */
	uint64_t total;
};

/*
 * A list view: the emails of one mailbox (0: of all) by receivedAt. position < 0
 * counts from the end. total is always exact and costs nothing.
 */
struct email_query {
	uint64_t mailbox;
	bool ascending;
	int64_t position;
	uint64_t limit;
};
int email_query(struct tx *t, const struct email_query *q, struct arena *a,
	struct email_ids *r, struct err *e);

/*
 * Any list. Without comparators it is by receivedAt, newest first. Emails that all
 * comparators find equal come in the order of their ids, in the direction of the
 * last comparator. The text index is the caller's to bring up to date (text.h).
 */
struct email_search {
	const struct email_filter *filter; /* NULL: all */
	const struct email_sort *sort;
	size_t sort_n; /* at most EMAIL_SORTS */
	bool collapse; /* of each thread only the first one in the list */
	bool want_total;
	int64_t position;
	uint64_t limit;
};
/* r->total is set when it was wanted. */
int email_search(struct tx *t, const struct email_search *q, struct arena *a,
	struct email_ids *r, struct err *e);
/* How many of these (each once) are in the list. */
int email_search_count(struct tx *t, const struct email_search *q,
	const uint64_t *ids, size_t n, uint64_t *count_r, struct err *e);
