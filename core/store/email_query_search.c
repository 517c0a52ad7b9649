/*
 * A search: which way to the emails, and the window of what was found.
 *
 * There are three ways. The walk takes them in order of receivedAt from the list
 * indexes of those mailboxes that they can be in, and may end with the window. Hits
 * are rows of a text's matches. The pass reads all rows. Costs are guessed in tenths
 * of a microsecond; a walk that has looked at so many rows that a pass would have
 * been cheaper is given up for one.
 */
#include "core/store/email_search.h"

enum {
	COST_STEP = 2,	 /* of a walk */
	COST_FETCH = 12, /* a row by id */
	COST_HIT = 16,	 /* a row by id that must be sorted in */
	COST_PASS = 3,	 /* a row of all */
	COST_FLAGS = 2,	 /* when most of them have the wrong flags */
};

/* What every email of the list must be or have. */
struct musts {
	struct node *box, *other_than;
	uint64_t box_total;
	struct bits hits; /* of all texts; none: no text */
	uint64_t hits_n;
	int64_t low, high;	 /* receivedAt, both in */
	int64_t flags, flags_on; /* those that are decided, and set */
};

struct run {
	struct search s;
	struct musts m;
	struct walk walk;
	uint64_t walk_n; /* emails that it would come by */
	bool walks;
	bool ordered;	 /* they come in the order of the list */
	uint64_t want;	 /* ids from the list's beginning */
	bool all;	 /* go on when the window is full */
	uint64_t budget; /* rows that a walk may fetch */
	/* What was found. */
	struct lines lines;
	uint64_t *ids;
	size_t ids_n, ids_cap;
	uint64_t count;
	struct bits threads;
};

/* ---- what must be --------------------------------------------------------- */

static int mailbox_total(struct search *s, uint64_t id, uint64_t *n_r)
{
	int64_t n = 0;
	int ret = db_number(s->tx->db, &n, s->e,
		"SELECT total_emails FROM mailbox WHERE id = ?", "i",
		(int64_t)id);

	*n_r = (uint64_t)n;
	return min_of(ret, 0);
}

static int must_box(struct search *s, struct musts *m, struct node *n)
{
	uint64_t total;
	int ret = mailbox_total(s, n->mailbox, &total);

	if (ret == 0 && (!m->box || total < m->box_total)) {
		m->box = n;
		m->box_total = total;
	}
	return ret;
}

static void must_hit(struct search *s, struct musts *m, const struct node *n)
{
	bool first = !m->hits.at;

	if (first)
		m->hits = bits_new(&s->arena, n->hits.n);
	m->hits_n = 0;
	for (uint64_t i = 0; i < n->hits.n / 64 + 1; i++) {
		uint64_t *at = &m->hits.at[i];

		*at = first ? n->hits.at[i] : *at & n->hits.at[i];
		m->hits_n += (unsigned)__builtin_popcountll(*at);
	}
}

static int find_musts(struct search *s, struct musts *m, struct node *n)
{
	int ret = 0;

	switch (n->kind) {
	case FILTER_AND:
		for (size_t i = 0; i < n->n && ret == 0; i++)
			ret = find_musts(s, m, &n->sub[i]);
		return ret;
	case FILTER_IN_MAILBOX:
		return must_box(s, m, n);
	case FILTER_OTHER_THAN:
		if (!m->other_than || m->other_than->n < n->n)
			m->other_than = n;
		return 0;
	case FILTER_TEXT:
		must_hit(s, m, n);
		return 0;
	case FILTER_BEFORE:
		if (n->number > INT64_MIN)
			m->high = min_of(m->high, n->number - 1);
		return 0;
	case FILTER_AFTER:
		m->low = max_of(m->low, n->number);
		return 0;
	case FILTER_KEYWORD:
		m->flags_on |= n->keyword.flag;
		m->flags |= n->keyword.flag;
		return 0;
	case FILTER_NOT_KEYWORD:
		m->flags |= n->keyword.flag;
		return 0;
	default:
		return 0;
	}
}

/* Does nothing decide but where the walk goes, and texts when they may? */
static bool is_plain(const struct node *n, bool texts)
{
	if (n->kind != FILTER_AND)
		return n->sure || (texts && n->kind == FILTER_TEXT);
	for (size_t i = 0; i < n->n; i++)
		if (!is_plain(&n->sub[i], texts))
			return false;
	return true;
}

/* ---- the way -------------------------------------------------------------- */

static bool is_listed(const struct node *n, uint64_t mailbox)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->mailboxes[i] == mailbox)
			return true;
	return false;
}

/* The mailboxes of a walk; *n_r above the maximum: too many. */
static int find_boxes(struct run *u, size_t *n_r)
{
	struct search *s = &u->s;
	const struct node *other = u->m.other_than;
	struct db_stmt *st;
	int ret = db_stmt(s->tx->db,
		"SELECT id, total_emails FROM mailbox WHERE total_emails > 0",
		&st, s->e);

	*n_r = 0;
	if (ret < 0)
		return ret;
	while (*n_r <= WALK_MAILBOXES && (ret = db_step(st, s->e)) > 0) {
		uint64_t id = (uint64_t)db_i64(st, 0);

		if (other && is_listed(other, id))
			continue;
		if (*n_r < WALK_MAILBOXES)
			u->walk.box[*n_r].mailbox = id;
		u->walk_n += (uint64_t)db_i64(st, 1);
		++*n_r;
	}
	db_done(st);
	return min_of(ret, 0);
}

/* Where a walk would go; the conditions that it makes sure. */
static int plan_walk(struct run *u)
{
	struct musts *m = &u->m;
	int ret = 0;

	u->walk.n = 1;
	if (m->box) {
		u->walk.box[0].mailbox = m->box->mailbox;
		u->walk_n = m->box_total;
		m->box->sure = true;
	} else {
		ret = find_boxes(u, &u->walk.n);
		if (m->other_than)
			m->other_than->sure = true;
	}
	u->walks = u->walk.n <= WALK_MAILBOXES;
	return ret;
}

/* a * b / c, or much */
static uint64_t share(uint64_t a, uint64_t b, uint64_t c)
{
	return b && a > UINT64_MAX / b ? UINT64_MAX / 4 : a * b / c;
}

static uint64_t walk_cost(const struct run *u)
{
	const struct musts *m = &u->m;
	uint64_t steps = u->walk_n, rows;
	bool fetch = node_cost(&u->s.root) > COST_LIST ||
		     (!u->ordered && sort_needs_row(&u->s));

	if (u->ordered && !u->all && m->hits.at)
		steps = min_of(steps,
			share(u->want, u->s.tx->meta.emails, m->hits_n + 1));
	rows = m->hits.at ? min_of(steps, m->hits_n) : steps;
	return steps * COST_STEP + (fetch ? rows * COST_FETCH : 0);
}

enum way { BY_WALK, BY_HITS, BY_PASS };

static enum way choose(struct run *u)
{
	const struct musts *m = &u->m;
	uint64_t pass =
		u->s.tx->meta.emails * (m->flags ? COST_FLAGS : COST_PASS);
	uint64_t hits = m->hits.at ? m->hits_n * COST_HIT : UINT64_MAX;
	uint64_t walk = u->walks ? walk_cost(u) : UINT64_MAX;
	bool bounded = m->low > INT64_MIN || m->high < INT64_MAX;

	u->budget = UINT64_MAX;
	if (hits <= walk && hits <= pass)
		return BY_HITS;
	if (walk <= pass)
		return BY_WALK;
	/* It may end early: it is worth a try that costs half a pass. */
	if (u->walks && ((u->ordered && !u->all) || bounded)) {
		if (node_cost(&u->s.root) < COST_HEADER)
			u->budget = pass / COST_FETCH / 2 + 256;
		return BY_WALK;
	}
	return BY_PASS;
}

/* ---- taking --------------------------------------------------------------- */

static bool is_full(const struct run *u)
{
	return u->ordered && !u->all && u->count >= u->want;
}

static void take_id(struct run *u, uint64_t id, uint64_t thread)
{
	if (u->threads.at && !bits_add(&u->threads, thread))
		return;
	u->count++;
	if (u->ids_n >= u->want)
		return;
	if (u->ids_n == u->ids_cap) {
		u->ids_cap = max_of(u->ids_cap * 2, (size_t)64);
		u->ids = mem_grow(u->ids, u->ids_cap * sizeof(*u->ids));
	}
	u->ids[u->ids_n++] = id;
}

/* 0, or < 0. */
static int take(struct run *u, struct row *r)
{
	int ret = search_match(&u->s, r);

	if (ret > 0 && u->ordered)
		take_id(u, r->id, r->thread);
	else if (ret > 0)
		ret = lines_add(&u->s, &u->lines, r);
	row_done(r);
	return min_of(ret, 0);
}

/* 1: given up. */
static int run_walk(struct run *u)
{
	struct search *s = &u->s;
	struct walk_item i;
	int ret = 1;

	u->walk.tx = s->tx;
	u->walk.ascending = u->ordered && !s->sort[0].descending;
	u->walk.low = u->m.low;
	u->walk.high = u->m.high;
	u->walk.chunk = u->all ? SIZE_MAX : min_of(u->want, 4096u) + 1;
	walk_begin(&u->walk, &s->arena);
	while (!is_full(u) && ret > 0) {
		struct row r = {0};

		ret = walk_next(&u->walk, &s->arena, &i, s->e);
		if (ret <= 0)
			break;
		r.id = i.email;
		r.thread = i.thread;
		r.received = i.received;
		ret = take(u, &r);
		if (ret == 0)
			ret = 1;
		if (s->loads > u->budget)
			return 1;
	}
	return min_of(ret, 0);
}

static int run_hits(struct run *u)
{
	const struct bits *hits = &u->m.hits;
	int ret = 0;

	for (uint64_t i = 0; i < hits->n / 64 + 1; i++) {
		uint64_t left = hits->at[i];

		for (; left; left &= left - 1) {
			struct row r = {
				.id = i * 64 + (unsigned)__builtin_ctzll(left),
			};

			/* The index may know what is there no more. */
			ret = row_fetch(&u->s, &r);
			if (ret > 0)
				ret = take(u, &r);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

/* Rows without the flags that they must have do not even leave the database. */
static int run_pass(struct run *u)
{
	struct search *s = &u->s;
	struct db_stmt *st;
	int ret = s->wide ? db_stmt(s->tx->db,
				    "SELECT " ROW_WIDE
				    " FROM email WHERE flags & ?1 = ?2",
				    &st, s->e)
			  : db_stmt(s->tx->db,
				    "SELECT " ROW_COLUMNS
				    " FROM email WHERE flags & ?1 = ?2",
				    &st, s->e);

	if (ret < 0)
		return ret;
	db_bind_i64(st, 1, u->m.flags);
	db_bind_i64(st, 2, u->m.flags_on);
	while ((ret = db_step(st, s->e)) > 0) {
		struct row r = {0};

		row_take(&r, st, s->wide);
		ret = take(u, &r);
		if (ret < 0)
			break;
	}
	db_done(st);
	return ret;
}

static void unordered(struct run *u)
{
	u->ordered = false;
	u->ids_n = 0;
	u->count = 0;
	u->lines.n = 0;
	u->lines.stride = 2 + u->s.sort_n;
	for (size_t i = 0; i < EMAIL_SORTS; i++)
		buf_reset(&u->lines.text[i]);
	if (u->m.box)
		u->m.box->sure = false;
	if (u->m.other_than)
		u->m.other_than->sure = false;
	if (u->threads.at)
		u->threads = bits_new(&u->s.arena, u->s.tx->meta.next_thread);
}

static int run_way(struct run *u)
{
	enum way way = choose(u);
	int ret;

	if (way == BY_WALK) {
		u->lines.stride = 2 + u->s.sort_n;
		if (u->all || !u->ordered)
			thread_words_expect(&u->s, u->walk_n);
		ret = run_walk(u);
		if (ret <= 0)
			return ret;
		way = BY_PASS;
	}
	unordered(u);
	if (way == BY_HITS)
		return run_hits(u);
	thread_words_expect(&u->s, u->s.tx->meta.emails);
	return run_pass(u);
}

/* ---- the window ----------------------------------------------------------- */

/* From lines in any order to the list. */
static void put_in_order(struct run *u)
{
	struct lines *l = &u->lines;

	lines_sort(&u->s, l);
	for (size_t i = 0; i < l->n; i++)
		take_id(u, l->at[i * l->stride], l->at[i * l->stride + 1]);
}

static void cut_window(struct run *u, struct arena *a, struct email_ids *r)
{
	const struct email_search *q = u->s.q;
	uint64_t first = (uint64_t)q->position;

	if (q->position < 0)
		first = u->count - min_of(u->count, 0 - (uint64_t)q->position);
	r->position = first;
	if (first >= u->ids_n)
		return;
	r->n = min_of(q->limit, u->ids_n - first);
	if (r->n)
		r->at = arena_dup(a, u->ids + first, r->n * sizeof(*r->at));
}

static int threads_of(struct run *u, uint64_t *n_r)
{
	struct search *s = &u->s;
	int64_t n = 0;
	int ret = u->m.box ? db_number(s->tx->db, &n, s->e,
				     "SELECT total_threads FROM mailbox"
				     " WHERE id = ?",
				     "i", (int64_t)u->m.box->mailbox)
			   : db_number(s->tx->db, &n, s->e,
				     "SELECT COUNT(DISTINCT thread)"
				     " FROM email",
				     "");

	*n_r = (uint64_t)n;
	return ret < 0 ? ret : 1;
}

/* A total that is known without counting the list; 1, 0, < 0. */
static int known_total(struct run *u, uint64_t *n_r)
{
	const struct musts *m = &u->m;

	if (m->other_than)
		return 0;
	if (u->s.q->collapse)
		return is_plain(&u->s.root, false) ? threads_of(u, n_r) : 0;
	*n_r = m->hits_n;
	return !m->box && m->hits.at && is_plain(&u->s.root, true);
}

/* By receivedAt, without a condition: the list view, but for threads. */
static int view(struct run *u, struct arena *a, struct email_ids *r)
{
	const struct email_search *q = u->s.q;
	struct email_query v = {
		.mailbox = u->m.box ? u->m.box->mailbox : 0,
		.ascending = !u->s.sort[0].descending,
		.position = q->position,
		.limit = q->limit,
	};

	/* Mailbox 0 is no mailbox; a view of it would be of all. */
	if (u->m.box && v.mailbox == 0) {
		r->position = (uint64_t)max_of(q->position, 0);
		return 0;
	}
	return email_query(u->s.tx, &v, a, r, u->s.e);
}

static int run(struct run *u, struct arena *a, struct email_ids *r)
{
	const struct email_search *q = u->s.q;
	uint64_t total = 0;
	int ret = plan_walk(u), known = 0;

	if (ret < 0)
		return ret;
	u->ordered = sort_is_list(&u->s);
	if (u->ordered && !q->collapse && is_plain(&u->s.root, false) &&
		!u->m.other_than)
		return view(u, a, r);
	if (q->collapse)
		u->threads = bits_new(&u->s.arena, u->s.tx->meta.next_thread);
	if (q->want_total)
		known = known_total(u, &total);
	u->all = q->position < 0 || (q->want_total && known == 0);
	u->want = q->position < 0
			  ? UINT64_MAX
			  : (uint64_t)q->position +
				    min_of(q->limit, (uint64_t)INT64_MAX);
	ret = known < 0 ? known : run_way(u);
	if (ret < 0)
		return ret;
	if (!u->ordered)
		put_in_order(u);
	cut_window(u, a, r);
	r->total = known ? total : u->count;
	return 0;
}

static struct run *run_new(
	struct tx *t, const struct email_search *q, struct err *e)
{
	struct run *u = mem_new(sizeof(*u));

	u->s.tx = t;
	u->s.q = q;
	u->s.e = e;
	u->m.low = INT64_MIN;
	u->m.high = INT64_MAX;
	return u;
}

static void run_free(struct run *u)
{
	lines_fini(&u->lines);
	free(u->ids);
	arena_fini(&u->s.arena);
	free(u);
}
CLEANUP_PTR(struct run, run_free)

int email_search(struct tx *t, const struct email_search *q, struct arena *a,
	struct email_ids *r, struct err *e)
{
	struct run *u cleanup(run_free) = run_new(t, q, e);
	int ret;

	*r = (struct email_ids){0};
	sort_open(&u->s);
	ret = search_compile(&u->s);
	if (ret == 0)
		ret = find_musts(&u->s, &u->m, &u->s.root);
	return ret < 0 ? ret : run(u, a, r);
}

int email_search_count(struct tx *t, const struct email_search *q,
	const uint64_t *ids, size_t n, uint64_t *count_r, struct err *e)
{
	struct run *u cleanup(run_free) = run_new(t, q, e);
	int ret = search_compile(&u->s);

	u->ordered = true;
	if (q->collapse)
		u->threads = bits_new(&u->s.arena, t->meta.next_thread);
	for (size_t i = 0; i < n && ret >= 0; i++) {
		struct row r = {.id = ids[i]};

		ret = row_fetch(&u->s, &r);
		if (ret > 0)
			ret = take(u, &r);
	}
	*count_r = u->count;
	return min_of(ret, 0);
}
