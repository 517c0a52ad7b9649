/*
 * The filter of a search: compiled once, then asked of each email. Conditions of
 * one operator are asked in order of cost, so what is dear is asked only where
 * nothing cheap has decided.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/mime/collate.h"
#include "core/store/email_search.h"

/* ---- rows ----------------------------------------------------------------- */

void row_take(struct row *r, struct db_stmt *st, bool wide)
{
	r->id = (uint64_t)db_i64(st, 0);
	r->thread = (uint64_t)db_i64(st, 1);
	r->received = db_i64(st, 2);
	r->sent = db_i64(st, 3);
	r->size = db_i64(st, 4);
	r->flags = db_i64(st, 5);
	r->attachment = db_i64(st, 6) != 0;
	r->mailboxes = db_bytes(st, 7);
	r->keywords = db_bytes(st, 8);
	r->loaded = true;
	if (wide) {
		r->sha = db_bytes(st, 9);
		r->sort_null = db_is_null(st, 10);
		r->sort = db_bytes(st, 10);
	}
}

int row_fetch(struct search *s, struct row *r)
{
	struct db_stmt *st;
	int ret =
		s->wide ? db_stmt(s->tx->db,
				  "SELECT " ROW_WIDE " FROM email WHERE id = ?",
				  &st, s->e)
			: db_stmt(s->tx->db,
				  "SELECT " ROW_COLUMNS
				  " FROM email WHERE id = ?",
				  &st, s->e);
	if (ret < 0)
		return ret;
	s->loads++;
	db_bind_i64(st, 1, (int64_t)r->id);
	ret = db_step(st, s->e);
	if (ret > 0) {
		row_take(r, st, s->wide);
		r->by_id = st;
	} else {
		db_done(st);
	}
	return ret;
}

int row_load(struct search *s, struct row *r)
{
	int ret = r->loaded ? 1 : row_fetch(s, r);

	if (ret == 0)
		ret = err_set(s->e, -EUCLEAN,
			"a list has email %" PRIu64 ", which is nowhere",
			r->id);
	return min_of(ret, 0);
}

void row_done(struct row *r)
{
	if (r->by_id)
		db_done(r->by_id);
	r->by_id = NULL;
}

/* ---- asking --------------------------------------------------------------- */

static uint64_t u64_at(struct str packed, size_t i)
{
	const uint8_t *p = (const uint8_t *)packed.p + i * 8;
	uint64_t v = 0;

	for (int b = 7; b >= 0; b--)
		v = v << 8 | p[b];
	return v;
}

static bool in_mailbox(struct str packed, uint64_t mailbox)
{
	for (size_t i = 0; i < packed.n / 8; i++)
		if (u64_at(packed, i) == mailbox)
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool other_than(const struct node *n, struct str packed)
{
	for (size_t i = 0; i < packed.n / 8; i++) {
		uint64_t mailbox = u64_at(packed, i);

		if (n->n == 0 || !bsearch(&mailbox, n->mailboxes, n->n,
					 sizeof(mailbox), by_number))
			return true;
	}
	return false;
}

static int ask_row(struct search *s, const struct node *n, struct row *r)
{
	int ret = row_load(s, r);

	if (ret < 0)
		return ret;
	switch (n->kind) {
	case FILTER_IN_MAILBOX:
		return in_mailbox(r->mailboxes, n->mailbox);
	case FILTER_OTHER_THAN:
		return other_than(n, r->mailboxes);
	case FILTER_MIN_SIZE:
		return r->size >= n->number;
	case FILTER_MAX_SIZE:
		return r->size < n->number;
	case FILTER_HAS_ATTACHMENT:
		return r->attachment == (n->number != 0);
	case FILTER_KEYWORD:
		return keyword_in(&n->keyword, r->flags, r->keywords);
	default:
		check(n->kind == FILTER_NOT_KEYWORD);
		return !keyword_in(&n->keyword, r->flags, r->keywords);
	}
}

static int ask_thread(struct search *s, const struct node *n, struct row *r)
{
	bool some = false, all = false;
	int ret = thread_words_ask(s, n->threads, r->thread, &some, &all);

	if (ret < 0)
		return ret;
	if (n->kind == FILTER_ALL_KEYWORD)
		return all;
	return n->kind == FILTER_SOME_KEYWORD ? some : !some;
}

static int ask(struct search *s, const struct node *n, struct row *r);

static int ask_sub(struct search *s, const struct node *n, struct row *r)
{
	bool until = n->kind != FILTER_AND; /* what one sub may decide by */

	for (size_t i = 0; i < n->n; i++) {
		int ret = ask(s, &n->sub[i], r);

		if (ret < 0)
			return ret;
		if ((ret > 0) == until)
			return n->kind == FILTER_OR;
	}
	return n->kind != FILTER_OR;
}

static int ask(struct search *s, const struct node *n, struct row *r)
{
	if (n->sure)
		return 1;
	switch (n->kind) {
	case FILTER_AND:
	case FILTER_OR:
	case FILTER_NOT:
		return ask_sub(s, n, r);
	case FILTER_BEFORE:
		return r->received < n->number;
	case FILTER_AFTER:
		return r->received >= n->number;
	case FILTER_TEXT:
		return bits_has(&n->hits, r->id);
	case FILTER_ALL_KEYWORD:
	case FILTER_SOME_KEYWORD:
	case FILTER_NONE_KEYWORD:
		return ask_thread(s, n, r);
	case FILTER_HEADER:
		return header_match(s, n, r);
	default:
		return ask_row(s, n, r);
	}
}

int search_match(struct search *s, struct row *r)
{
	return ask(s, &s->root, r);
}

/* ---- compiling ------------------------------------------------------------ */

static unsigned cost_of(enum email_filter_kind kind)
{
	switch (kind) {
	case FILTER_BEFORE:
	case FILTER_AFTER:
	case FILTER_TEXT:
		return COST_LIST;
	case FILTER_ALL_KEYWORD:
	case FILTER_SOME_KEYWORD:
	case FILTER_NONE_KEYWORD:
		return COST_THREAD;
	case FILTER_HEADER:
		return COST_HEADER;
	default:
		return COST_ROW;
	}
}

unsigned node_cost(const struct node *n)
{
	unsigned cost = COST_LIST;

	if (n->sure)
		return cost;
	if (n->kind > FILTER_NOT)
		return n->cost;
	for (size_t i = 0; i < n->n; i++) {
		unsigned sub = node_cost(&n->sub[i]);

		cost = max_of(cost, sub);
	}
	return cost;
}

static int by_cost(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return (x->cost > y->cost) - (x->cost < y->cost);
}

static int compile(
	struct search *s, const struct email_filter *f, struct node *n);

static int compile_sub(
	struct search *s, const struct email_filter *f, struct node *n)
{
	int ret = 0;

	n->sub = arena_new(&s->arena, f->n * sizeof(*n->sub) + 1);
	n->n = f->n;
	n->cost = COST_LIST;
	for (size_t i = 0; i < f->n && ret >= 0; i++) {
		ret = compile(s, &f->sub[i], &n->sub[i]);
		n->cost = max_of(n->cost, n->sub[i].cost);
	}
	if (n->n)
		qsort(n->sub, n->n, sizeof(*n->sub), by_cost);
	return ret;
}

static void compile_mailboxes(
	struct search *s, const struct email_filter *f, struct node *n)
{
	uint64_t *own = arena_new(&s->arena, f->n * sizeof(*own) + 1);

	if (f->n) {
		memcpy(own, f->mailboxes, f->n * sizeof(*own));
		qsort(own, f->n, sizeof(*own), by_number);
	}
	n->mailboxes = own;
	n->n = f->n;
}

static void compile_header(
	struct search *s, const struct email_filter *f, struct node *n)
{
	struct buf folded cleanup(buf_fini) = {0};

	s->wide = true;
	n->header = f->header;
	if (!f->text.p)
		return;
	mime_casemap(f->text, &folded);
	n->value = arena_str(&s->arena, buf_str(&folded));
}

static int compile(
	struct search *s, const struct email_filter *f, struct node *n)
{
	*n = (struct node){
		.kind = f->kind,
		.cost = cost_of(f->kind),
		.mailbox = f->mailbox,
		.number = f->number,
	};
	switch (f->kind) {
	case FILTER_AND:
	case FILTER_OR:
	case FILTER_NOT:
		return compile_sub(s, f, n);
	case FILTER_OTHER_THAN:
		compile_mailboxes(s, f, n);
		return 0;
	case FILTER_ALL_KEYWORD:
	case FILTER_SOME_KEYWORD:
	case FILTER_NONE_KEYWORD:
		n->threads = thread_words_of(s, f->text);
		return 0;
	case FILTER_KEYWORD:
	case FILTER_NOT_KEYWORD:
		n->keyword = keyword_of(f->text);
		return 0;
	case FILTER_TEXT:
		return text_hits(s, f, n);
	case FILTER_HEADER:
		compile_header(s, f, n);
		return 0;
	default:
		return 0;
	}
}

int search_compile(struct search *s)
{
	const struct email_filter all = {
		.kind = FILTER_AND,
		.sub = s->q->filter,
		.n = s->q->filter ? 1 : 0,
	};

	return compile(s, &all, &s->root);
}
