/*
 * Transactions of an account: begin, commit, tell the world.
 *
 * A write transaction keeps the account's counters (struct meta) in memory and
 * writes them once, at the commit; changed objects are collected and get their
 * modseqs when the log is written (changelog.c), so that deliveries that share a
 * commit make one row for the mailbox they all went to. The sink is called with
 * `writing` held: commits of one account are told in order.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "core/store/internal.h"

struct str u64s_pack(struct arena *a, const uint64_t *at, size_t n)
{
	uint8_t *p = arena_new(a, n * 8 + 1);

	for (size_t i = 0; i < n; i++)
		for (int b = 0; b < 8; b++)
			p[i * 8 + b] = (uint8_t)(at[i] >> (8 * b));
	return str_n(p, n * 8);
}

size_t u64s_unpack(struct arena *a, struct str b, const uint64_t **at_r)
{
	size_t n = b.n / 8;
	uint64_t *at = arena_new(a, n * 8 + 1);
	const uint8_t *p = (const uint8_t *)b.p;

	for (size_t i = 0; i < n * 8; i++)
		at[i / 8] |= (uint64_t)p[i] << (8 * (i % 8));
	*at_r = at;
	return n;
}

static int meta_read(struct tx *t, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct meta *m = &t->meta;
	const uint64_t *state;
	struct db_stmt *s;
	size_t n;
	int ret = db_stmt(t->db,
		"SELECT generation, modseq, floor, emails, next_mailbox,"
		" next_thread, next_email, state FROM meta WHERE id = 1",
		&s, e);

	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	if (ret > 0) {
		m->generation = (uint64_t)db_i64(s, 0);
		m->modseq = (uint64_t)db_i64(s, 1);
		m->floor = (uint64_t)db_i64(s, 2);
		m->emails = (uint64_t)db_i64(s, 3);
		m->next_mailbox = (uint64_t)db_i64(s, 4);
		m->next_thread = (uint64_t)db_i64(s, 5);
		m->next_email = (uint64_t)db_i64(s, 6);
		n = u64s_unpack(&tmp, db_bytes(s, 7), &state);
		for (size_t i = 0; i < TYPES; i++)
			m->state[i] = i < n ? state[i] : 1;
	}
	db_done(s);
	if (ret == 0)
		return err_set(e, -EUCLEAN,
			"account %" PRIu64 " has no counters", t->account->id);
	return min_of(ret, 0);
}

static int meta_write(struct tx *t, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	const struct meta *m = &t->meta;

	if (memcmp(m, &t->began, sizeof(*m)) == 0)
		return 0;
	return db_run(t->db, e,
		"UPDATE meta SET modseq = ?, floor = ?, emails = ?,"
		" next_mailbox = ?, next_thread = ?, next_email = ?,"
		" state = ? WHERE id = 1",
		"iiiiiib", (int64_t)m->modseq, (int64_t)m->floor,
		(int64_t)m->emails, (int64_t)m->next_mailbox,
		(int64_t)m->next_thread, (int64_t)m->next_email,
		u64s_pack(&tmp, m->state, TYPES));
}

static int begin_write(struct tx *t, struct err *e)
{
	struct account *a = t->account;
	int ret = db_begin(t->db, true, e);

	if (ret < 0)
		return ret;
	ret = meta_read(t, e);
	if (ret < 0)
		return ret;
	t->began = t->meta;
	pthread_mutex_lock(&a->lock);
	digests_take(&t->seen, &a->seen);
	pthread_mutex_unlock(&a->lock);
	return delivery_forget(t, e);
}

static int begin_read(struct tx *t, struct err *e)
{
	int ret = account_reader(t->account, &t->db, e);

	if (ret < 0)
		return ret;
	ret = db_begin(t->db, false, e);
	if (ret < 0)
		return ret;
	return meta_read(t, e); /* the first read takes the snapshot */
}

int tx_begin(
	struct account *a, enum tx_mode mode, struct tx **t_r, struct err *e)
{
	struct tx *t = mem_new(sizeof(*t));
	int ret;

	t->account = a;
	t->writes = mode == TX_WRITE;
	if (t->writes) {
		pthread_mutex_lock(&a->writing);
		t->db = a->writer;
		ret = begin_write(t, e);
	} else {
		ret = begin_read(t, e);
	}
	if (ret < 0) {
		tx_end(t);
		return ret;
	}
	*t_r = t;
	return 0;
}

static void tell(const struct tx *t)
{
	const struct account *a = t->account;
	const struct change_sink *sink = &a->store->sink;
	struct change c = {
		.account = a->id,
		.modseq = t->meta.modseq,
		.committed_ns = clock_mono_ns(),
		.generation = tx_generation(t),
		.types = t->types,
	};

	if (t->types && sink->changed && !a->quiet)
		sink->changed(sink->ctx, &c);
}

static int commit_write(struct tx *t, struct err *e)
{
	struct account *a = t->account;
	int ret = log_write(t, e);

	if (ret < 0)
		return ret;
	ret = log_prune(t, e);
	if (ret < 0)
		return ret;
	ret = meta_write(t, e);
	if (ret < 0)
		return ret;
	ret = db_commit(t->db, e);
	if (ret < 0)
		return ret;
	metrics_add(METRIC_COMMITS, 1);
	t->seen.n = 0;
	a->doubt = false;
	blob_committed(t);
	tell(t);
	if (t->meta.next_email != t->began.next_email)
		text_wanted(a, t->meta.next_email);
	if (db_log_pages(t->db) >= LOG_PAGES_MAX)
		account_checkpoint(a, t->db);
	if (db_log_pages(t->db) >= LOG_PAGES_WANTED &&
		!atomic_exchange(&a->want_checkpoint, true))
		account_chore(a, 0);
	return 0;
}

int tx_commit(struct tx *t, struct err *e)
{
	int ret;

	check(!t->done && !t->saved);
	t->done = true;
	if (!t->writes)
		return db_commit(t->db, e);
	ret = commit_write(t, e);
	if (ret < 0) {
		db_rollback(t->db);
		t->account->doubt |= ret == -ENOTRECOVERABLE;
		blob_undo(t, 0);
	}
	return ret;
}

static void end_write(struct tx *t)
{
	struct account *a = t->account;

	if (!t->done) {
		db_rollback(t->db);
		blob_undo(t, 0);
	}
	if (t->seen.n) {
		pthread_mutex_lock(&a->lock);
		digests_take(&a->seen, &t->seen);
		pthread_mutex_unlock(&a->lock);
	}
	pthread_mutex_unlock(&a->writing);
}

void tx_end(struct tx *t)
{
	if (!t)
		return;
	if (t->writes) {
		end_write(t);
	} else if (t->db) {
		db_rollback(t->db);
		account_reader_back(t->account, t->db);
	}
	free(t->pending);
	digests_fini(&t->seen);
	digests_fini(&t->files_new);
	digests_fini(&t->files_gone);
	free(t->moved);
	free(t);
}

void tx_endp(struct tx **t)
{
	tx_end(*t);
}

int tx_savepoint(struct tx *t, struct err *e)
{
	int ret;

	check(t->writes && !t->saved);
	ret = db_savepoint(t->db, e);
	if (ret < 0)
		return ret;
	t->saved = true;
	t->mark = (struct tx_mark){
		.meta = t->meta,
		.types = t->types,
		.delivered = t->delivered,
		.pending = t->pending_n,
		.written = t->written,
		.files_new = t->files_new.n,
		.files_gone = t->files_gone.n,
		.moved = t->moved_n,
	};
	return 0;
}

int tx_release(struct tx *t, struct err *e)
{
	check(t->saved);
	t->saved = false;
	return db_release(t->db, e);
}

void tx_rollback_to(struct tx *t)
{
	const struct tx_mark *m = &t->mark;

	check(t->saved);
	t->saved = false;
	db_rollback_to(t->db);
	t->meta = m->meta;
	t->types = m->types;
	t->delivered = m->delivered;
	t->pending_n = m->pending;
	t->written = m->written;
	t->trash_known = false;
	blob_undo(t, m->files_new);
	t->files_gone.n = m->files_gone;
	t->moved_n = m->moved;
}

bool tx_writes(const struct tx *t)
{
	return t->writes;
}

uint32_t tx_generation(const struct tx *t)
{
	return (uint32_t)t->meta.generation;
}

int tx_state(struct tx *t, enum type type, uint64_t *modseq_r, struct err *e)
{
	int ret = t->writes && !t->done ? log_write(t, e) : 0;

	check(type < TYPES);
	if (ret < 0)
		return ret;
	*modseq_r = t->meta.state[type];
	return 0;
}
