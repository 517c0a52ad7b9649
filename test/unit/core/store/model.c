/*
 * Random operations on a store and on a plain model of it that counts by counting;
 * the seed is fixed. After every few the two must agree on lists, threads and all
 * counts, and /changes from any earlier state, in steps of any size, must lead from
 * what was there then to what is there now.
 */
#include "test/unit/core/store/fixture.h"

#define EMAILS 4000
#define MAILBOXES 64
#define STATES 24
#define IDS 40 /* message ids in play */
#define SUBJECTS 3

struct m_email {
	uint64_t id, thread, boxes; /* bits: index of mailbox */
	int64_t received;
	bool seen, draft, other;
	int key[3], subject, keys;
};
struct m_mailbox {
	uint64_t id;
	bool trash;
	unsigned name;
};
struct model {
	struct m_email email[EMAILS];
	size_t emails;
	struct m_mailbox box[MAILBOXES]; /* id 0: gone */
	size_t boxes;
	uint64_t email_state, thread_state, mailbox_state;
};

static uint32_t rnd_state;

static unsigned rnd(unsigned n)
{
	rnd_state = rnd_state * 1664525u + 1013904223u;
	return (unsigned)(((uint64_t)(rnd_state >> 8) * n) >> 24);
}

/* ---- what the model says -------------------------------------------------- */

static bool unread(const struct m_email *e)
{
	return !e->seen && !e->draft;
}

static size_t trash_of(const struct model *m)
{
	for (size_t i = 0; i < m->boxes; i++)
		if (m->box[i].id && m->box[i].trash)
			return i;
	return MAILBOXES;
}

static uint64_t trash_bit(const struct model *m)
{
	size_t i = trash_of(m);

	return i < MAILBOXES ? 1ull << i : 0;
}

/* RFC 8621 2 unreadThreads, word by word. */
static bool thread_unread(const struct model *m, uint64_t thread, size_t box)
{
	uint64_t trash = trash_bit(m);
	bool in_trash = 1ull << box == trash;

	for (size_t i = 0; i < m->emails; i++) {
		const struct m_email *e = &m->email[i];

		if (e->thread != thread || !unread(e))
			continue;
		if (in_trash ? (e->boxes & trash) != 0 : e->boxes != trash)
			return true;
	}
	return false;
}

static struct mailbox counts_of(const struct model *m, size_t box)
{
	struct mailbox c = {0};

	for (size_t i = 0; i < m->emails; i++) {
		const struct m_email *e = &m->email[i];
		bool first = true;

		if (!(e->boxes >> box & 1))
			continue;
		c.total_emails++;
		c.unread_emails += unread(e);
		for (size_t k = 0; k < i; k++)
			if (m->email[k].thread == e->thread &&
				(m->email[k].boxes >> box & 1))
				first = false;
		c.total_threads += first;
		c.unread_threads += first && thread_unread(m, e->thread, box);
	}
	return c;
}

static bool tied(const struct m_email *o, const struct m_email *e)
{
	for (int a = 0; a < o->keys; a++)
		for (int b = 0; b < e->keys; b++)
			if (o->key[a] == e->key[b] && o->subject == e->subject)
				return true;
	return false;
}

static size_t thread_size(const struct model *m, uint64_t thread)
{
	size_t n = 0;

	for (size_t i = 0; i < m->emails; i++)
		n += m->email[i].thread == thread;
	return n;
}

/* The threads that a new email ties together, oldest first. */
static size_t threads_for(
	const struct model *m, const struct m_email *e, uint64_t *at)
{
	size_t n = 0, k;

	for (size_t i = 0; i < m->emails; i++) {
		uint64_t thread = m->email[i].thread;

		if (!tied(&m->email[i], e))
			continue;
		for (k = 0; k < n && at[k] < thread; k++)
			;
		if (k < n && at[k] == thread)
			continue;
		memmove(&at[k + 1], &at[k], (n++ - k) * sizeof(*at));
		at[k] = thread;
	}
	return n;
}

static int older(const void *a, const void *b)
{
	const struct m_email *x = a, *y = b;

	if (x->received != y->received)
		return x->received < y->received ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Emails of the model in a mailbox (or thread), oldest first. */
static size_t select_emails(const struct model *m, uint64_t bit,
	uint64_t thread, struct m_email *at)
{
	size_t n = 0;

	for (size_t i = 0; i < m->emails; i++)
		if ((!bit || m->email[i].boxes & bit) &&
			(!thread || m->email[i].thread == thread))
			at[n++] = m->email[i];
	qsort(at, n, sizeof(*at), older);
	return n;
}

/* ---- operations on both --------------------------------------------------- */

static uint64_t some_boxes(const struct model *m)
{
	uint64_t bits = 0;

	while (!bits)
		for (unsigned k = rnd(3) + 1; k; k--) {
			unsigned i = rnd((unsigned)m->boxes);

			if (m->box[i].id)
				bits |= 1ull << i;
		}
	return bits;
}

static size_t ids_of(const struct model *m, uint64_t bits, uint64_t *at)
{
	size_t n = 0;

	for (size_t i = 0; i < m->boxes; i++)
		if (bits >> i & 1)
			at[n++] = m->box[i].id;
	return n;
}

static size_t keywords_of(const struct m_email *e, struct str *at)
{
	size_t n = 0;

	if (e->seen)
		at[n++] = STR("$seen");
	if (e->draft)
		at[n++] = STR("$draft");
	if (e->other)
		at[n++] = STR("blue");
	return n;
}

/* RFC 8621 3: the emails of the smaller threads come anew, before this one. */
static void unite(struct model *m, const struct m_email *e,
	const uint64_t *threads, size_t n)
{
	static struct m_email at[EMAILS];
	uint64_t into = threads[0], id = e->id;
	size_t moved;

	for (size_t i = 1; i < n; i++)
		if (thread_size(m, threads[i]) > thread_size(m, into))
			into = threads[i];
	assert_int_equal(e->thread, into);
	for (size_t i = n; i-- > 0;) {
		if (threads[i] == into)
			continue;
		moved = select_emails(m, 0, threads[i], at);
		while (moved-- > 0)
			for (size_t k = 0; k < m->emails; k++) {
				if (m->email[k].id != at[moved].id)
					continue;
				m->email[k].id = --id;
				m->email[k].thread = into;
				break;
			}
	}
}

static void op_add(struct fx *fx, struct model *m)
{
	struct m_email *e = &m->email[m->emails];
	uint64_t boxes[MAILBOXES], threads[EMAILS];
	struct str keywords[3], ids[3], raw;
	size_t joined;

	if (m->emails == EMAILS)
		return;
	*e = (struct m_email){
		.boxes = some_boxes(m),
		.received = rnd(50) * 1000,
		.seen = rnd(2),
		.draft = rnd(6) == 0,
		.subject = (int)rnd(SUBJECTS),
		.keys = (int)rnd(3) + 1,
	};
	for (int i = 0; i < e->keys; i++) {
		e->key[i] = (int)rnd(IDS);
		ids[i] = arena_fmt(&fx->arena, "<%d@x>", e->key[i]);
	}
	raw = arena_fmt(&fx->arena, "Subject: %u\r\n\r\n", rnd(1000));
	struct email_new n = {
		.raw = raw,
		.received_ms = e->received,
		.keywords = keywords,
		.keywords_n = keywords_of(e, keywords),
		.mailboxes = boxes,
		.mailboxes_n = ids_of(m, e->boxes, boxes),
		.message_ids = ids,
		.message_ids_n = (size_t)e->keys,
		.base_subject = arena_fmt(&fx->arena, "s%d", e->subject),
	};
	joined = threads_for(m, e, threads);
	OK(email_add(fx->t, &n, &e->id, &e->thread, &fx->e));
	if (joined)
		unite(m, e, threads, joined);
	for (size_t i = 0; i < m->emails; i++) {
		assert_true(m->email[i].id < e->id);
		if (!joined)
			assert_int_not_equal(m->email[i].thread, e->thread);
	}
	m->emails++;
}

static void op_update(struct fx *fx, struct model *m)
{
	struct m_email *e = &m->email[rnd((unsigned)m->emails + 1)];
	uint64_t boxes[MAILBOXES];
	struct str keywords[3];
	bool move = rnd(2), flag = rnd(2);
	size_t kn;

	if (e == &m->email[m->emails])
		return;
	if (move)
		e->boxes = some_boxes(m);
	if (flag) {
		e->seen = rnd(2);
		e->draft = rnd(6) == 0;
		e->other = rnd(3) == 0;
	}
	kn = keywords_of(e, keywords);
	OK(email_update(fx->t, e->id, flag ? keywords : NULL, kn,
		move ? boxes : NULL, ids_of(m, e->boxes, boxes), &fx->e));
}

static void op_destroy(struct fx *fx, struct model *m)
{
	size_t i = rnd((unsigned)m->emails + 1);

	if (i == m->emails)
		return;
	OK(email_destroy(fx->t, m->email[i].id, &fx->e));
	m->emails--;
	memmove(&m->email[i], &m->email[i + 1],
		(m->emails - i) * sizeof(m->email[0]));
}

static size_t box_slot(struct model *m)
{
	size_t i = 6; /* those with roles stay */

	while (i < m->boxes && m->box[i].id)
		i++;
	return i;
}

static void op_mailbox(struct fx *fx, struct model *m)
{
	size_t i = box_slot(m);
	static unsigned name;
	struct mailbox b = {
		.name = arena_fmt(&fx->arena, "box %u", ++name),
		.subscribed = true,
	};

	if (i >= 12)
		return;
	OK(mailbox_create(fx->t, &b, &m->box[i].id, &fx->e));
	m->box[i].name = name;
	m->boxes = max_of(m->boxes, i + 1);
}

static void op_mailbox_destroy(struct fx *fx, struct model *m)
{
	size_t i = 6 + rnd(6);
	uint64_t bit = 1ull << i;
	size_t n = 0;

	if (i >= m->boxes || !m->box[i].id || m->box[i].trash)
		return;
	OK(mailbox_destroy(fx->t, m->box[i].id, true, &fx->e));
	m->box[i].id = 0;
	for (size_t k = 0; k < m->emails; k++) {
		m->email[k].boxes &= ~bit;
		if (m->email[k].boxes)
			m->email[n++] = m->email[k];
	}
	m->emails = n;
}

/* The role goes to no mailbox, or to some other one. */
static void op_retrash(struct fx *fx, struct model *m)
{
	size_t old = trash_of(m), new = rnd((unsigned)m->boxes);
	struct mailbox b;

	if (old < MAILBOXES) {
		b = fx_mailbox(fx, m->box[old].id);
		b.role = STR_NONE;
		OK(mailbox_update(fx->t, &b, &fx->e));
		m->box[old].trash = false;
	}
	if (!m->box[new].id)
		return;
	b = fx_mailbox(fx, m->box[new].id);
	if (b.role.n)
		return;
	b.role = STR("trash");
	OK(mailbox_update(fx->t, &b, &fx->e));
	m->box[new].trash = true;
}

static void op_any(struct fx *fx, struct model *m)
{
	unsigned k = rnd(100);

	if (k < 42)
		op_add(fx, m);
	else if (k < 70)
		op_update(fx, m);
	else if (k < 92)
		op_destroy(fx, m);
	else if (k < 95)
		op_mailbox(fx, m);
	else if (k < 97)
		op_mailbox_destroy(fx, m);
	else
		op_retrash(fx, m);
}

/* ---- do they agree? ------------------------------------------------------- */

static void same_mailboxes(struct fx *fx, const struct model *m)
{
	const struct mailbox *at;
	size_t n, live = 0;

	for (size_t i = 0; i < m->boxes; i++) {
		struct mailbox c;

		if (!m->box[i].id)
			continue;
		live++;
		c = counts_of(m, i);
		assert_counts(fx, m->box[i].id, c.total_emails, c.unread_emails,
			c.total_threads, c.unread_threads);
	}
	OK(mailbox_list(fx->t, &fx->arena, &at, &n, &fx->e));
	assert_int_equal(n, live);
}

static void same_list(
	struct fx *fx, const struct model *m, uint64_t mailbox, uint64_t bit)
{
	static struct m_email want[EMAILS];
	size_t n = select_emails(m, bit, 0, want);
	struct email_query q = {
		.mailbox = mailbox,
		.ascending = rnd(2),
		.position = (int64_t)rnd((unsigned)n + 3) -
			    (int64_t)rnd((unsigned)n + 3),
		.limit = rnd(20),
	};
	struct email_ids r;
	size_t first = q.position >= 0		 ? (size_t)q.position
		       : (size_t)-q.position > n ? 0
						 : n - (size_t)-q.position;

	OK(email_query(fx->t, &q, &fx->arena, &r, &fx->e));
	assert_int_equal(r.total, n);
	assert_int_equal(r.position, first);
	assert_int_equal(r.n, min_of(q.limit, n - min_of(n, first)));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.at[i],
			want[q.ascending ? first + i : n - 1 - first - i].id);
}

static void same_emails(struct fx *fx, const struct model *m)
{
	static struct m_email want[EMAILS];

	for (size_t i = 0; i < m->emails; i++) {
		const struct m_email *e = &m->email[i];
		struct email is = fx_email(fx, e->id);
		uint64_t boxes[MAILBOXES];
		struct str keywords[3];
		const uint64_t *ids;
		size_t n;

		assert_int_equal(is.thread, e->thread);
		assert_int_equal(is.received_ms, e->received);
		assert_int_equal(is.keywords_n, keywords_of(e, keywords));
		for (size_t k = 0; k < is.keywords_n; k++)
			assert_true(str_eq(is.keywords[k], keywords[k]));
		n = ids_of(m, e->boxes, boxes);
		assert_int_equal(is.mailboxes_n, n);
		for (size_t k = 0; k < n; k++) {
			size_t at = 0;

			while (at < n && is.mailboxes[at] != boxes[k])
				at++;
			assert_true(at < n);
		}
		OK(thread_emails(
			fx->t, e->thread, &fx->arena, &ids, &n, &fx->e));
		assert_int_equal(n, select_emails(m, 0, e->thread, want));
		for (size_t k = 0; k < n; k++)
			assert_int_equal(ids[k], want[k].id);
	}
}

/* ---- /changes from any state ---------------------------------------------- */

struct set {
	uint64_t id[EMAILS];
	size_t n;
};

static bool set_has(const struct set *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->id[i] == id)
			return true;
	return false;
}

static void set_add(struct set *s, uint64_t id)
{
	if (!set_has(s, id))
		s->id[s->n++] = id;
}

static void set_del(struct set *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->id[i] == id)
			s->id[i--] = s->id[--s->n];
}

static void set_of(const struct model *m, enum type type, struct set *s)
{
	s->n = 0;
	for (size_t i = 0; type == TYPE_MAILBOX && i < m->boxes; i++)
		if (m->box[i].id)
			set_add(s, m->box[i].id);
	for (size_t i = 0; type != TYPE_MAILBOX && i < m->emails; i++)
		set_add(s, type == TYPE_EMAIL ? m->email[i].id
					      : m->email[i].thread);
}

/* Follows the changes in steps of max; set leads from then to now. */
static void replay(struct fx *fx, enum type type, uint64_t since, size_t max,
	struct set *s, struct set *updated)
{
	struct changes c;

	updated->n = 0;
	do {
		c = fx_changes(fx, type, since, max);
		assert_true(!max || c.n <= max);
		assert_true(!c.has_more || c.new_modseq > since);
		for (size_t i = 0; i < c.n; i++) {
			bool had = set_has(s, c.at[i].id);

			for (size_t k = 0; k < i; k++)
				assert_int_not_equal(c.at[k].id, c.at[i].id);
			assert_int_equal(had, c.at[i].kind != CHANGE_CREATED);
			if (c.at[i].kind == CHANGE_CREATED)
				set_add(s, c.at[i].id);
			else if (c.at[i].kind == CHANGE_DESTROYED)
				set_del(s, c.at[i].id);
			if (c.at[i].kind == CHANGE_UPDATED)
				set_add(updated, c.at[i].id);
			if (c.at[i].counts_only)
				assert_int_equal(type, TYPE_MAILBOX);
		}
		since = c.new_modseq;
	} while (c.has_more);
	assert_int_equal(since, fx_state(fx, type));
}

static void same_set(const struct set *a, const struct set *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_true(set_has(b, a->id[i]));
}

static const struct m_email *email_in(const struct model *m, uint64_t id)
{
	for (size_t i = 0; i < m->emails; i++)
		if (m->email[i].id == id)
			return &m->email[i];
	return NULL;
}

/* Every email that is different now was told, in whatever steps. */
static void told_emails(const struct model *then, const struct model *now,
	const struct set *updated)
{
	for (size_t i = 0; i < then->emails; i++) {
		const struct m_email *a = &then->email[i];
		const struct m_email *b = email_in(now, a->id);
		uint64_t was[MAILBOXES] = {0}, is[MAILBOXES] = {0};

		if (!b)
			continue;
		ids_of(then, a->boxes, was);
		ids_of(now, b->boxes, is);
		if (a->seen != b->seen || a->draft != b->draft ||
			a->other != b->other || memcmp(was, is, sizeof(was)))
			assert_true(set_has(updated, a->id));
	}
}

static void told_mailboxes(const struct model *then, const struct model *now,
	const struct set *updated)
{
	for (size_t i = 0; i < then->boxes; i++) {
		struct mailbox a, b;

		if (!then->box[i].id || then->box[i].id != now->box[i].id)
			continue;
		a = counts_of(then, i);
		b = counts_of(now, i);
		if (memcmp(&a, &b, sizeof(a)) ||
			then->box[i].trash != now->box[i].trash)
			assert_true(set_has(updated, then->box[i].id));
	}
}

static void told_threads(const struct model *then, const struct model *now,
	const struct set *updated)
{
	static struct m_email was[EMAILS], is[EMAILS];

	for (size_t i = 0; i < then->emails; i++) {
		uint64_t thread = then->email[i].thread;
		size_t a = select_emails(then, 0, thread, was);
		size_t b = select_emails(now, 0, thread, is);
		bool same = a == b;

		for (size_t k = 0; same && k < a; k++)
			same = was[k].id == is[k].id;
		if (!same && b)
			assert_true(set_has(updated, thread));
	}
}

static void same_changes(
	struct fx *fx, const struct model *then, const struct model *now)
{
	static const size_t steps[] = {0, 1, 2, 3, 7, 50};
	static struct set s, want, updated;

	for (size_t i = 0; i < countof(steps); i++) {
		set_of(then, TYPE_EMAIL, &s);
		replay(fx, TYPE_EMAIL, then->email_state, steps[i], &s,
			&updated);
		set_of(now, TYPE_EMAIL, &want);
		same_set(&s, &want);
		told_emails(then, now, &updated);
		set_of(then, TYPE_THREAD, &s);
		replay(fx, TYPE_THREAD, then->thread_state, steps[i], &s,
			&updated);
		set_of(now, TYPE_THREAD, &want);
		same_set(&s, &want);
		told_threads(then, now, &updated);
		set_of(then, TYPE_MAILBOX, &s);
		replay(fx, TYPE_MAILBOX, then->mailbox_state, steps[i], &s,
			&updated);
		set_of(now, TYPE_MAILBOX, &want);
		same_set(&s, &want);
		told_mailboxes(then, now, &updated);
	}
}

/* ---- the run -------------------------------------------------------------- */

static void model_init(struct fx *fx, struct model *m)
{
	static const char *const roles[] = {
		"inbox", "drafts", "sent", "archive", "junk", "trash"};

	fx_begin(fx, TX_READ);
	for (m->boxes = 0; m->boxes < countof(roles); m->boxes++)
		m->box[m->boxes] = (struct m_mailbox){
			.id = fx_role(fx, roles[m->boxes]),
			.trash = m->boxes == 5,
		};
	fx_end(fx);
}

/* Some operations in one commit; some of them are undone. */
static void turn(struct fx *fx, struct model *m)
{
	static struct model saved;

	fx_begin(fx, TX_WRITE);
	for (unsigned k = rnd(6) + 1; k; k--) {
		bool undo = rnd(5) == 0;

		if (rnd(2)) {
			op_any(fx, m);
			continue;
		}
		saved = *m;
		OK(tx_savepoint(fx->t, &fx->e));
		for (unsigned i = rnd(3) + 1; i; i--)
			op_any(fx, m);
		if (rnd(4) == 0)
			fx_state(fx, TYPE_EMAIL);
		if (undo) {
			tx_rollback_to(fx->t);
			*m = saved;
		} else {
			OK(tx_release(fx->t, &fx->e));
		}
	}
	if (rnd(8) == 0)
		fx_state(fx, TYPE_MAILBOX);
	fx_commit(fx);
}

static void compare(
	struct fx *fx, struct model *m, struct model *states, size_t n)
{
	fx_begin(fx, TX_READ);
	m->email_state = fx_state(fx, TYPE_EMAIL);
	m->thread_state = fx_state(fx, TYPE_THREAD);
	m->mailbox_state = fx_state(fx, TYPE_MAILBOX);
	same_mailboxes(fx, m);
	same_emails(fx, m);
	for (int k = 0; k < 4; k++)
		same_list(fx, m, 0, 0);
	for (size_t i = 0; i < m->boxes; i++)
		if (m->box[i].id)
			same_list(fx, m, m->box[i].id, 1ull << i);
	for (size_t i = 0; i < n; i += 1 + rnd(3))
		same_changes(fx, &states[i], m);
	fx_end(fx);
	arena_fini(&fx->arena);
}

static void run(uint32_t seed, unsigned turns)
{
	struct fx *fx = fx_new();
	struct model *m = mem_new(sizeof(*m));
	struct model *states = mem_new(STATES * sizeof(*states));
	size_t n = 0;

	rnd_state = seed;
	model_init(fx, m);
	for (unsigned i = 1; i <= turns; i++) {
		turn(fx, m);
		if (i % 25)
			continue;
		compare(fx, m, states, n);
		if (n < STATES)
			states[n++] = *m;
		else
			states[rnd(STATES)] = *m;
		if (i % 250 == 0)
			fx_reopen(fx);
	}
	assert_true(m->emails > 20);
	free(states);
	free(m);
	fx_free(fx);
}

static void the_store_is_its_model_seed_1(void **state)
{
	run(1, 700);
}

static void the_store_is_its_model_seed_2(void **state)
{
	run(77, 700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_store_is_its_model_seed_1),
		cmocka_unit_test(the_store_is_its_model_seed_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
