/*
 * One search while it runs: how the files of email_search() see each other.
 *
 *	email_query_filter.c  is this email in the list?
 *	email_query_words.c   keywords of whole threads, text hits, header fields
 *	email_query_walk.c    emails of some mailboxes in order of receivedAt
 *	email_query_sort.c    keys of comparators, and the order they make
 *	email_query_search.c  which way, and the window
 */
#pragma once

#include "core/store/internal.h"
#include "core/store/query.h"

/* A set of numbers below n. */
struct bits {
	uint64_t *at;
	uint64_t n;
};

static inline bool bits_has(const struct bits *b, uint64_t i)
{
	return i < b->n && b->at[i / 64] >> (i % 64) & 1;
}

/* False when it was there, or can be no number of ours. */
static inline bool bits_add(struct bits *b, uint64_t i)
{
	if (i >= b->n || bits_has(b, i))
		return false;
	b->at[i / 64] |= (uint64_t)1 << (i % 64);
	return true;
}

struct keyword {
	int64_t flag; /* bit in email.flags; 0: word */
	struct str word;
};

/* A keyword that threads are asked for. */
struct thread_words {
	struct thread_words *next;
	struct keyword keyword;
	struct bits some, lacks; /* threads; empty before they are needed */
	uint64_t looked;	 /* threads that were looked at alone */
};

/*
 * An email as it is asked about. Lists know id, thread and received; the other
 * columns come when a condition or comparator wants them (row_load()).
 */
struct row {
	uint64_t id, thread;
	int64_t received;
	bool loaded;
	int64_t sent, size, flags;
	bool attachment;
	struct str mailboxes,
		keywords; /* as long as its statement stands there */
	struct str sha, sort;
	bool sort_null;
	struct db_stmt *by_id; /* this row's own statement */
};

/* The dearest thing that a condition looks at. */
enum { COST_LIST, COST_ROW, COST_THREAD, COST_HEADER };

struct node {
	enum email_filter_kind kind;
	unsigned cost;
	bool sure; /* all that come have it anyway */
	struct node *sub;
	size_t n;
	const uint64_t *mailboxes; /* sorted */
	uint64_t mailbox;
	int64_t number;
	struct keyword keyword;
	struct thread_words *threads;
	struct bits hits;	  /* of a text: these emails */
	struct str header, value; /* value: mime_casemap()ped */
};

struct search {
	struct tx *tx;
	const struct email_search *q;
	struct err *e;
	struct arena arena;
	struct node root; /* an AND of what the filter says */
	struct thread_words *words;
	/* Comparators that decide something. */
	struct email_sort sort[EMAIL_SORTS];
	struct thread_words *sort_words[EMAIL_SORTS];
	size_t sort_n;
	bool texts;	/* comparators want email.sort */
	bool wide;	/* rows with sha and sort */
	uint64_t loads; /* rows that were fetched by id */
};

/* ---- filter --------------------------------------------------------------- */

/* 0, or < 0. Searches for texts. */
int search_compile(struct search *s);
/* The dearest of what is not sure. */
unsigned node_cost(const struct node *n);
/* 1, 0, < 0. */
int search_match(struct search *s, struct row *r);

/* The statement's row: columns of ROW_COLUMNS, wide ones of ROW_WIDE too. */
#define ROW_COLUMNS                                                        \
	"id, thread, received, sent, size, flags, attachment, mailboxes, " \
	"keywords"
#define ROW_WIDE ROW_COLUMNS ", sha, sort"
void row_take(struct row *r, struct db_stmt *st, bool wide);
/* The row of that id; 1, 0 = there is none, < 0. */
int row_fetch(struct search *s, struct row *r);
/* Fetches what the list did not know. 0, < 0. */
int row_load(struct search *s, struct row *r);
/* Call it after each row that search_match() or sort_key() saw. */
void row_done(struct row *r);

/* ---- words ---------------------------------------------------------------- */

struct keyword keyword_of(struct str text);
bool keyword_in(const struct keyword *k, int64_t flags, struct str keywords);
/* One object a keyword. */
struct thread_words *thread_words_of(struct search *s, struct str text);
/* About so many threads will be asked for. */
void thread_words_expect(struct search *s, uint64_t n);
/* Does some, do all emails of the thread have it? */
int thread_words_ask(struct search *s, struct thread_words *w, uint64_t thread,
	bool *some_r, bool *all_r);
struct bits bits_new(struct arena *a, uint64_t n);
int text_hits(struct search *s, const struct email_filter *f, struct node *n);
/* 1, 0, < 0. */
int header_match(struct search *s, const struct node *n, struct row *r);
/* Appends at least the header of the message; the row has its wide columns. */
int header_read(struct search *s, const struct row *r, struct buf *out);

/* ---- walk ----------------------------------------------------------------- */

#define WALK_MAILBOXES 256

struct walk_item {
	int64_t received;
	uint64_t email, thread;
};
struct walk_box {
	uint64_t mailbox;
	struct walk_item *at;
	size_t i, n;
	bool last; /* nothing behind these */
};
struct walk {
	struct tx *tx;
	bool ascending;
	int64_t low, high; /* of received, both in */
	struct walk_box box[WALK_MAILBOXES];
	size_t n;
	size_t chunk, chunk_max; /* items of a mailbox that come at once */
	uint64_t email;		 /* the last one */
};

/* Fill in tx to n, and chunk, which is a guess. */
void walk_begin(struct walk *w, struct arena *a);
/* In order, each email once. 1, 0, < 0. */
int walk_next(
	struct walk *w, struct arena *a, struct walk_item *i_r, struct err *e);

/* ---- order ---------------------------------------------------------------- */

/*
 * Emails with their keys: a line is id, thread, and a key a comparator. Texts wait
 * in `text` until they all are there and become ranks.
 */
struct lines {
	uint64_t *at;
	size_t n, cap;
	size_t stride; /* numbers in a line */
	struct buf text[EMAIL_SORTS];
};

/* Leaves out comparators that decide nothing. */
void sort_open(struct search *s);
/* By receivedAt alone? */
bool sort_is_list(const struct search *s);
/* Do keys need more than a list knows? */
bool sort_needs_row(const struct search *s);
int lines_add(struct search *s, struct lines *l, struct row *r);
void lines_sort(struct search *s, struct lines *l);
void lines_fini(struct lines *l);
