/*
 * Any list: filters, sorts, threads and windows, each against a model that knows
 * nothing but the definitions, over random mail. The seed is fixed.
 */
#include "core/store/text.h"
#include "test/unit/core/store/fixture.h"

enum { EMAILS = 1500, BOXES = 4, WORDS = 4, THREADS = 700, TRIES = 400 };

static uint64_t seed = 20261124;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static const char *const keyword[WORDS] = {"$seen", "$flagged", "work", "w"};
static const char *const word[] = {"alpha", "beta", "gamma", "delta"};
static const char *const person[] = {
	"Zoe", "adam", "Ben", "ADAM", "\xc3\x84nne"};
/* As i;unicode-casemap has them. */
static const char *const folded[] = {
	"ZOE", "ADAM", "BEN", "ADAM", "A\xcc\x88NNE"};

struct model {
	uint64_t id, thread;
	int64_t received, sent;
	uint64_t size;
	unsigned boxes, keywords; /* bits */
	unsigned subject, from, to, body, tag;
	bool attachment;
	unsigned some, all; /* keywords of the thread */
};

struct world {
	struct fx *fx;
	uint64_t box[BOXES];
	struct model m[EMAILS];
};

/* ---- the mail ------------------------------------------------------------- */

static struct str raw_of(struct fx *fx, const struct model *m)
{
	static const char pad[] = "------------------------------------------";

	return arena_fmt(&fx->arena,
		"From: %s <a@example.org>\r\nTo: =?utf-8?q?%s?= <b@example.org>"
		"\r\nSubject: Re: %s\r\nX-Tag: One %s\r\n%s\r\n%s %.*s\r\n",
		person[m->from], person[m->to], word[m->subject],
		person[m->tag], m->tag ? "" : "X-Extra:\r\n", word[m->body],
		(int)rnd(40), pad);
}

static void add(struct world *w, struct model *m)
{
	struct fx *fx = w->fx;
	uint64_t boxes[BOXES];
	struct str keywords[WORDS];
	struct str mid = arena_fmt(&fx->arena, "%u", rnd(THREADS));
	struct email_new n = {
		.mailboxes = boxes,
		.keywords = keywords,
		.message_ids = &mid,
		.message_ids_n = 1,
	};

	*m = (struct model){
		.received = (int64_t)rnd(500) * 500,
		.sent = rnd(10) ? rnd(50) * 1000 : INT64_MIN,
		.boxes = rnd(4) ? 1u << (rnd(10) ? 0 : rnd(BOXES))
				: rnd((1 << BOXES) - 1) + 1,
		.keywords = rnd(1 << WORDS),
		.subject = rnd(countof(word)),
		.from = rnd(countof(person)),
		.to = rnd(countof(person)),
		.body = rnd(20) ? 3 : rnd(countof(word)),
		.tag = rnd(countof(person)),
		.attachment = rnd(2),
	};
	for (unsigned b = 0; b < BOXES; b++)
		if (m->boxes >> b & 1)
			boxes[n.mailboxes_n++] = w->box[b];
	for (unsigned k = 0; k < WORDS; k++)
		if (m->keywords >> k & 1)
			keywords[n.keywords_n++] = str_of(keyword[k]);
	n.raw = raw_of(fx, m);
	n.received_ms = m->received;
	n.sent_ms = m->sent;
	n.has_attachment = m->attachment;
	n.from = str_of(person[m->from]);
	n.to = str_of(person[m->to]);
	n.base_subject = str_of(word[m->subject]);
	m->size = n.raw.n;
	OK(email_add(fx->t, &n, &m->id, &m->thread, &fx->e));
}

static void count_threads(struct world *w)
{
	for (unsigned i = 0; i < EMAILS; i++) {
		struct model *m = &w->m[i];

		m->all = (1 << WORDS) - 1;
		for (unsigned k = 0; k < EMAILS; k++) {
			if (w->m[k].thread != m->thread)
				continue;
			m->some |= w->m[k].keywords;
			m->all &= w->m[k].keywords;
		}
	}
}

static void world_fill(struct world *w)
{
	struct fx *fx = w->fx = fx_new();

	fx_begin(fx, TX_WRITE);
	w->box[0] = fx_role(fx, "inbox");
	w->box[1] = fx_role(fx, "archive");
	w->box[2] = fx_role(fx, "trash");
	w->box[3] = fx_role(fx, "junk");
	for (unsigned i = 0; i < EMAILS; i++)
		add(w, &w->m[i]);
	count_threads(w);
	/* Some as an older version wrote them. */
	OK(db_run(fx->t->db, &fx->e,
		"UPDATE email SET sort = NULL WHERE id % 3 = 0", ""));
	fx_commit(fx);
	OK(text_catch_up(fx->a, &fx->e));
	fx_begin(fx, TX_READ);
}

/* ---- filters -------------------------------------------------------------- */

static unsigned bit_of(struct str text)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (str_eq(text, str_of(keyword[i])))
			return i;
	return WORDS; /* nobody has it */
}

static bool has_text(const struct model *m, const struct email_filter *f)
{
	return (f->fields & TEXT_SUBJECT &&
		       str_eq(f->text, str_of(word[m->subject]))) ||
	       (f->fields & TEXT_BODY &&
		       str_eq(f->text, str_of(word[m->body])));
}

static bool other_than(const struct world *w, const struct model *m,
	const struct email_filter *f)
{
	unsigned left = m->boxes;

	for (unsigned b = 0; b < BOXES; b++)
		for (size_t i = 0; i < f->n; i++)
			if (f->mailboxes[i] == w->box[b])
				left &= ~(1u << b);
	return left;
}

static bool has_header(const struct model *m, const struct email_filter *f)
{
	if (str_ieq(f->header, STR("x-extra")))
		return m->tag == 0 && (!f->text.p || f->text.n == 0);
	return !f->text.n || str_ieq(f->text, STR("one")) ||
	       str_ieq(f->text, str_of(person[m->tag]));
}

static bool matches(const struct world *w, const struct model *m,
	const struct email_filter *f)
{
	switch (f->kind) {
	case FILTER_AND:
	case FILTER_OR:
	case FILTER_NOT:
		for (size_t i = 0; i < f->n; i++)
			if (matches(w, m, &f->sub[i]) !=
				(f->kind == FILTER_AND))
				return f->kind == FILTER_OR;
		return f->kind != FILTER_OR;
	case FILTER_IN_MAILBOX:
		for (unsigned b = 0; b < BOXES; b++)
			if (w->box[b] == f->mailbox && m->boxes >> b & 1)
				return true;
		return false;
	case FILTER_OTHER_THAN:
		return other_than(w, m, f);
	case FILTER_BEFORE:
		return m->received < f->number;
	case FILTER_AFTER:
		return m->received >= f->number;
	case FILTER_MIN_SIZE:
		return m->size >= (uint64_t)f->number;
	case FILTER_MAX_SIZE:
		return m->size < (uint64_t)f->number;
	case FILTER_ALL_KEYWORD:
		return m->all >> bit_of(f->text) & 1;
	case FILTER_SOME_KEYWORD:
		return m->some >> bit_of(f->text) & 1;
	case FILTER_NONE_KEYWORD:
		return !(m->some >> bit_of(f->text) & 1);
	case FILTER_KEYWORD:
		return m->keywords >> bit_of(f->text) & 1;
	case FILTER_NOT_KEYWORD:
		return !(m->keywords >> bit_of(f->text) & 1);
	case FILTER_HAS_ATTACHMENT:
		return m->attachment == (f->number != 0);
	case FILTER_TEXT:
		return has_text(m, f);
	case FILTER_HEADER:
		return has_header(m, f);
	}
	return false;
}

static void some_boxes(struct world *w, struct email_filter *f)
{
	uint64_t *at = arena_new(&w->fx->arena, BOXES * sizeof(*at));

	f->n = rnd(BOXES);
	for (size_t i = 0; i < f->n; i++)
		at[i] = w->box[rnd(BOXES)];
	f->mailboxes = at;
}

static void some_text(struct email_filter *f)
{
	static const char *const headers[] = {"x-tag", "X-Tag", "X-EXTRA"};

	f->text = str_of(word[rnd(countof(word))]);
	f->fields = rnd(2) ? TEXT_ALL : rnd(2) ? TEXT_SUBJECT : TEXT_BODY;
	if (f->kind != FILTER_HEADER)
		return;
	f->header = str_of(headers[rnd(countof(headers))]);
	f->text = rnd(3) ? str_of(person[rnd(4)]) : STR_NONE;
	if (rnd(5) == 0)
		f->text = rnd(2) ? STR("oNE") : STR("");
}

static void some_filter(struct world *w, struct email_filter *f, unsigned deep)
{
	*f = (struct email_filter){0};
	if (deep && rnd(2)) {
		struct email_filter *sub;

		f->kind = (enum email_filter_kind)rnd(3);
		f->n = rnd(5) ? rnd(3) + 1 : 0;
		sub = arena_new(&w->fx->arena, 4 * sizeof(*sub));
		f->sub = sub;
		for (size_t i = 0; i < f->n; i++)
			some_filter(w, &sub[i], deep - 1);
		return;
	}
	f->kind =
		FILTER_IN_MAILBOX + rnd(FILTER_HEADER - FILTER_IN_MAILBOX + 1);
	if (rnd(3) == 0)
		f->kind = FILTER_IN_MAILBOX;
	f->mailbox = rnd(20) ? w->box[rnd(BOXES)] : rnd(2) * 4711;
	f->number = f->kind == FILTER_HAS_ATTACHMENT ? rnd(2)
		    : f->kind <= FILTER_AFTER	     ? (int64_t)rnd(260) * 1000
						     : 130 + rnd(40);
	if (f->kind >= FILTER_TEXT)
		some_text(f);
	else
		f->text = rnd(20) ? str_of(keyword[rnd(WORDS)]) : STR("ork");
	if (f->kind == FILTER_OTHER_THAN)
		some_boxes(w, f);
}

/* ---- order ---------------------------------------------------------------- */

static const struct email_search *sorting;

static int of_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int of_texts(const char *const *as, unsigned a, unsigned b)
{
	return of_numbers(strcmp(as[a], as[b]), 0);
}

static int by_one(const struct email_sort *c, bool last, const struct model *a,
	const struct model *b)
{
	const char *const *as =
		c->collation == COLLATION_UNICODE ? folded : person;
	unsigned bit = bit_of(c->keyword);
	int64_t unit = last ? 1 : 1000;

	switch (c->kind) {
	case SORT_RECEIVED:
		return of_numbers(a->received / unit, b->received / unit);
	case SORT_SENT:
		return of_numbers(a->sent, b->sent);
	case SORT_SIZE:
		return of_numbers((int64_t)a->size, (int64_t)b->size);
	case SORT_FROM:
		return of_texts(as, a->from, b->from);
	case SORT_TO:
		return of_texts(as, a->to, b->to);
	case SORT_SUBJECT:
		return of_texts(word, a->subject, b->subject);
	case SORT_KEYWORD:
		return of_numbers(
			a->keywords >> bit & 1, b->keywords >> bit & 1);
	case SORT_ALL_KEYWORD:
		return of_numbers(a->all >> bit & 1, b->all >> bit & 1);
	case SORT_SOME_KEYWORD:
		return of_numbers(a->some >> bit & 1, b->some >> bit & 1);
	}
	return 0;
}

static int by_all(const void *x, const void *y)
{
	const struct model *a = *(const struct model *const *)x;
	const struct model *b = *(const struct model *const *)y;
	bool descending = true;

	for (size_t i = 0; i < sorting->sort_n; i++) {
		const struct email_sort *c = &sorting->sort[i];
		int ret = by_one(c, i + 1 == sorting->sort_n, a, b);

		if (ret)
			return c->descending ? -ret : ret;
		descending = c->descending;
	}
	if (sorting->sort_n == 0 && a->received != b->received)
		return a->received > b->received ? -1 : 1;
	return (a->id < b->id) == descending ? 1 : -1;
}

static void some_sort(struct world *w, struct email_search *q)
{
	struct email_sort *s = arena_new(&w->fx->arena, 3 * sizeof(*s));

	q->sort = s;
	q->sort_n = rnd(4);
	for (size_t i = 0; i < q->sort_n; i++) {
		bool again;

		do {
			s[i] = (struct email_sort){
				.kind = (enum email_sort_kind)(
					rnd(SORT_SOME_KEYWORD + 1)),
				.descending = rnd(2),
				.collation = rnd(2) ? COLLATION_OCTET
						    : COLLATION_UNICODE,
			};
			again = false;
			/* The model does not leave out what comes twice. */
			for (size_t k = 0; k < i; k++)
				again |= s[k].kind == s[i].kind;
		} while (again);
		if (s[i].kind >= SORT_KEYWORD)
			s[i].keyword = str_of(keyword[rnd(WORDS)]);
	}
	if (rnd(3) == 0) {
		q->sort_n = rnd(2);
		s[0] = (struct email_sort){
			.kind = SORT_RECEIVED, .descending = rnd(2)};
	}
}

/* ---- the list ------------------------------------------------------------- */

static size_t model_list(struct world *w, const struct email_search *q,
	const struct model **list)
{
	static bool seen[EMAILS + THREADS * 8];
	size_t n = 0, k = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < EMAILS; i++)
		if (!q->filter || matches(w, &w->m[i], q->filter))
			list[n++] = &w->m[i];
	sorting = q;
	qsort(list, n, sizeof(struct model *), by_all);
	for (size_t i = 0; i < n; i++) {
		assert_true(list[i]->thread < countof(seen));
		if (q->collapse && seen[list[i]->thread])
			continue;
		seen[list[i]->thread] = true;
		list[k++] = list[i];
	}
	return k;
}

static void same_window(struct world *w, const struct email_search *q,
	const struct model *const *list, size_t n)
{
	struct fx *fx = w->fx;
	struct email_ids r;
	size_t first = q->position >= 0 ? (size_t)q->position
					: n - min_of(n, (size_t)-q->position);

	OK(email_search(fx->t, q, &fx->arena, &r, &fx->e));
	if (q->want_total)
		assert_int_equal(r.total, n);
	assert_int_equal(r.position, first);
	assert_int_equal(r.n, min_of(q->limit, n - min_of(n, first)));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.at[i], list[first + i]->id);
}

static void same_count(struct world *w, const struct email_search *q,
	const struct model *const *list, size_t n)
{
	struct fx *fx = w->fx;
	uint64_t ids[EMAILS], count;

	for (size_t i = 0; i < n; i++)
		ids[i] = list[i]->id;
	OK(email_search_count(fx->t, q, ids, n, &count, &fx->e));
	assert_int_equal(count, n);
	for (unsigned i = 0; i < EMAILS; i++)
		ids[i] = w->m[i].id;
	OK(email_search_count(fx->t, q, ids, EMAILS, &count, &fx->e));
	assert_int_equal(count, n);
}

static void random_lists_are_those_of_the_model(void **state)
{
	static struct world w;
	static const struct model *list[EMAILS];

	world_fill(&w);
	for (unsigned i = 0; i < TRIES; i++) {
		struct email_filter f;
		struct email_search q = {
			.filter = rnd(10) ? &f : NULL,
			.collapse = rnd(2),
			.want_total = rnd(2),
			.limit = rnd(4) ? rnd(30) : INT64_MAX,
		};
		size_t n;

		some_filter(&w, &f, 3);
		some_sort(&w, &q);
		n = model_list(&w, &q, list);
		if (rnd(2))
			q.position = (int64_t)rnd(2 * (unsigned)n + 5) -
				     (int64_t)n - 2;
		same_window(&w, &q, list, n);
		same_count(&w, &q, list, n);
	}
	fx_free(w.fx);
}

/* ---- one thing each ------------------------------------------------------- */

static struct email_ids search(struct fx *fx, struct email_search q)
{
	struct email_ids r;

	q.limit = q.limit ? q.limit : INT64_MAX;
	OK(email_search(fx->t, &q, &fx->arena, &r, &fx->e));
	return r;
}

static void first_names(void **state)
{
	static const struct {
		const char *raw, *name;
	} all[] = {
		{" Bob <bob@example.org>", "Bob"},
		{" bob@example.org, Al <al@example.org>", "bob@example.org"},
		{" \"\" <bob@example.org>", "bob@example.org"},
		{" Team: Al <al@example.org>;", "Al"},
		{" Nobody:;", ""},
		{"", ""},
		{" =?utf-8?q?J=C3=BCrgen?= <j@example.org>", "J\xc3\xbcrgen"},
	};
	struct arena a cleanup(arena_fini) = {0};

	for (size_t i = 0; i < countof(all); i++) {
		struct str name = email_first_name(str_of(all[i].raw), &a);

		assert_int_equal(name.n, strlen(all[i].name));
		assert_memory_equal(name.p, all[i].name, name.n);
	}
	assert_int_equal(email_first_name(STR_NONE, &a).n, 0);
}

static void long_texts_are_cut_between_characters(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct str s;

	buf_addc(&b, 'x');
	for (int i = 0; i < 100; i++)
		buf_addz(&b, "\xc3\xa4");
	s = email_sort_pack(&a, buf_str(&b), STR("f"), STR_NONE);
	assert_int_equal((unsigned char)s.p[0], 119);
	assert_memory_equal(s.p + 1, b.p, 119);
	assert_memory_equal(s.p + 120, "\001f\000", 3);
	assert_int_equal(s.n, 123);
}

static void large_messages_have_headers_too(void **state)
{
	struct fx *fx = fx_new();
	struct buf raw cleanup(buf_fini) = {0};
	struct email_filter f = {.kind = FILTER_HEADER,
		.header = STR("X-Last"),
		.text = STR("found")};
	uint64_t inbox, id;
	struct email_new n = {.mailboxes = &inbox, .mailboxes_n = 1};
	struct email_ids r;

	for (int i = 0; i < 1500; i++)
		buf_fmt(&raw, "X-Line: %0100d\r\n", i);
	buf_addz(&raw, "x-last: it is Found\r\nSubject: Re: z\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_addz(&raw, "X-Last: found in the body\r\n");
	n.raw = buf_str(&raw);
	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	fx_add(fx, inbox, 1);
	id = fx_add_new(fx, &n);
	r = search(fx, (struct email_search){.filter = &f});
	assert_int_equal(r.n, 1);
	assert_int_equal(r.at[0], id);
	f.header = STR("X-Other");
	assert_int_equal(search(fx, (struct email_search){.filter = &f}).n, 0);
	fx_free(fx);
}

static void a_list_of_no_mailbox_is_empty(void **state)
{
	struct fx *fx = fx_new();
	struct email_filter f = {.kind = FILTER_IN_MAILBOX};
	struct email_ids r;

	fx_begin(fx, TX_WRITE);
	fx_add(fx, fx_role(fx, "inbox"), 1);
	r = search(fx, (struct email_search){.filter = &f, .want_total = true});
	assert_int_equal(r.n, 0);
	assert_int_equal(r.total, 0);
	f.mailbox = 4711;
	r = search(fx, (struct email_search){.filter = &f, .position = 2});
	assert_int_equal(r.n, 0);
	assert_int_equal(r.position, 2);
	fx_free(fx);
}

static void more_mailboxes_than_a_walk_takes(void **state)
{
	struct fx *fx = fx_new();
	uint64_t last = 0, id[300];
	struct email_filter f = {
		.kind = FILTER_OTHER_THAN, .mailboxes = &last, .n = 1};
	struct email_ids r;

	fx_begin(fx, TX_WRITE);
	for (unsigned i = 0; i < countof(id); i++) {
		struct mailbox m = {.name = arena_fmt(&fx->arena, "box %u", i)};

		OK(mailbox_create(fx->t, &m, &last, &fx->e));
		id[i] = fx_add(fx, last, (int64_t)i * 7 % 300 * 1000);
	}
	r = search(fx, (struct email_search){.filter = &f, .limit = 3});
	assert_int_equal(r.n, 3);
	/* 299 is 257 * 7 % 300; the last one, 293, is left out. */
	assert_int_equal(r.at[0], id[257]);
	r = search(fx, (struct email_search){.filter = &f, .want_total = true});
	assert_int_equal(r.total, 299);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lists_are_those_of_the_model),
		cmocka_unit_test(first_names),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(large_messages_have_headers_too),
		cmocka_unit_test(a_list_of_no_mailbox_is_empty),
		cmocka_unit_test(more_mailboxes_than_a_walk_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
