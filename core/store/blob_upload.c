/*
 * Uploads (blob.h): rows of upload, the small ones with their bytes in
 * upload_body, and what makes them go.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/internal.h"

#define RETRY_MS 60000 /* after a failure */

_Static_assert(UPLOAD_ROW_MAX == BODY_ROW_MAX, "one bound for all files");

struct oldest {
	int64_t id, size;
	struct blob_id blob;
};

/* ---- going ---------------------------------------------------------------- */

static int drop(struct tx *t, const struct oldest *o, struct err *e)
{
	int ret =
		db_run(t->db, e, "DELETE FROM upload WHERE id = ?", "i", o->id);

	if (ret < 0)
		return ret;
	if (o->size > UPLOAD_ROW_MAX)
		return blob_unref(t, o->blob.sha, e);
	return db_run(
		t->db, e, "DELETE FROM upload_body WHERE id = ?", "i", o->id);
}

/* The oldest one that came before that time; 1, 0, < 0. */
static int oldest(
	struct tx *t, int64_t before_ms, struct oldest *o, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT id, size, sha FROM upload WHERE time <= ?"
		" ORDER BY time, id LIMIT 1",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, before_ms);
	ret = db_step(s, e);
	if (ret > 0) {
		o->id = db_i64(s, 0);
		o->size = db_i64(s, 1);
		if (db_bytes(s, 2).n == SHA256_LEN)
			memcpy(o->blob.sha, db_bytes(s, 2).p, SHA256_LEN);
		else
			ret = err_set(e, -EUCLEAN, "an upload has no digest");
	}
	db_done(s);
	return ret;
}

int upload_expire(struct tx *t, int64_t now_ms, struct err *e)
{
	struct oldest o;
	int ret;

	while ((ret = oldest(t, now_ms - UPLOAD_KEEP_MS, &o, e)) > 0) {
		ret = drop(t, &o, e);
		if (ret < 0)
			return ret;
	}
	return ret;
}

/* RFC 8620 6: what is over the quota goes in order of date. */
static int make_room(
	struct tx *t, uint64_t wanted, uint64_t quota, struct err *e)
{
	struct oldest o = {0};
	int64_t used = 0;
	int ret = db_number(t->db, &used, e,
		"SELECT coalesce(sum(max(size, ?)), 0) FROM upload", "i",
		(int64_t)UPLOAD_LEAST);

	while (ret >= 0 && (uint64_t)used + wanted > quota) {
		ret = oldest(t, INT64_MAX, &o, e);
		if (ret == 0)
			return 0;
		if (ret > 0)
			ret = drop(t, &o, e);
		used -= max_of(o.size, (int64_t)UPLOAD_LEAST);
	}
	return min_of(ret, 0);
}

/* ---- coming --------------------------------------------------------------- */

int upload_find(struct tx *t, const struct blob_id *b, struct err *e)
{
	int64_t id;

	return db_number(t->db, &id, e,
		"SELECT id FROM upload WHERE sha = ? LIMIT 1", "b",
		str_n(b->sha, SHA256_LEN));
}

/* It was one before: the hour begins anew. 1, 0, < 0. */
static int again(struct tx *t, const struct blob_id *b, struct err *e)
{
	int ret = upload_find(t, b, e);

	if (ret <= 0)
		return ret;
	ret = db_run(t->db, e, "UPDATE upload SET time = ? WHERE sha = ?", "ib",
		clock_real_ms(), str_n(b->sha, SHA256_LEN));
	return ret < 0 ? ret : 1;
}

/* The row of what is not one yet, in an account that has room for it. */
static int insert(struct tx *t, const struct blob_id *b, uint64_t size,
	uint64_t quota, int64_t *id_r, struct err *e)
{
	uint64_t counts = max_of(size, (uint64_t)UPLOAD_LEAST);
	int ret;

	if (counts > quota)
		return UPLOAD_NO_ROOM;
	ret = make_room(t, counts, quota, e);
	if (ret == 0)
		ret = db_run(t->db, e,
			"INSERT INTO upload (sha, size, time) VALUES (?, ?, ?)",
			"bii", str_n(b->sha, SHA256_LEN), (int64_t)size,
			clock_real_ms());
	if (ret == 0)
		ret = db_number(
			t->db, id_r, e, "SELECT last_insert_rowid()", "");
	if (ret < 0)
		return ret;
	upload_wanted(t->account);
	return 0;
}

int upload_add(struct tx *t, struct str raw, uint64_t quota,
	struct blob_id *b_r, struct err *e)
{
	int64_t id = 0;
	int ret;

	sha256(raw, b_r->sha);
	ret = again(t, b_r, e);
	if (ret != 0)
		return min_of(ret, 0);
	ret = insert(t, b_r, raw.n, quota, &id, e);
	if (ret != 0)
		return ret;
	if (raw.n > UPLOAD_ROW_MAX)
		return blob_write(t, b_r->sha, raw, e);
	return db_run(t->db, e,
		"INSERT INTO upload_body (id, raw) VALUES (?, ?)", "ib", id,
		raw);
}

int upload_keep(struct tx *t, struct spool *p, uint64_t quota, struct err *e)
{
	const struct blob_id *b = spool_id(p);
	int64_t id;
	int ret = again(t, b, e);

	check(spool_size(p) > UPLOAD_ROW_MAX);
	if (ret != 0)
		return min_of(ret, 0);
	ret = insert(t, b, spool_size(p), quota, &id, e);
	return ret != 0 ? ret : blob_take(t, p, e);
}

/* ---- in time -------------------------------------------------------------- */

/* When the next one goes; 0: none does. */
static int next_due(struct tx *t, int64_t *at_r, struct err *e)
{
	struct oldest o;
	int ret = oldest(t, INT64_MAX, &o, e);

	*at_r = 0;
	if (ret > 0)
		ret = db_number(t->db, at_r, e,
			"SELECT time FROM upload WHERE id = ?", "i", o.id);
	if (ret > 0)
		*at_r += UPLOAD_KEEP_MS;
	return min_of(ret, 0);
}

static int expire(struct tx *t, struct err *e)
{
	int64_t at;
	int ret = upload_expire(t, clock_real_ms(), e);

	if (ret == 0)
		ret = next_due(t, &at, e);
	if (ret == 0)
		atomic_store(&t->account->upload_due_ms, at);
	return ret;
}

int upload_open(struct tx *t, struct err *e)
{
	return expire(t, e);
}

uint64_t upload_due_in(struct account *a)
{
	int64_t at = atomic_load(&a->upload_due_ms), now = clock_real_ms();

	if (at == 0)
		return UINT64_MAX;
	/* A clock that is set must not make it late by more than its time. */
	return (uint64_t)min_of(
		max_of(at - now, (int64_t)0), (int64_t)UPLOAD_KEEP_MS);
}

void upload_wanted(struct account *a)
{
	int64_t none = 0;

	if (atomic_compare_exchange_strong(
		    &a->upload_due_ms, &none, clock_real_ms() + UPLOAD_KEEP_MS))
		account_chore(a, UPLOAD_KEEP_MS);
}

void upload_chore(struct account *a)
{
	struct tx *t cleanup(tx_end) = NULL;
	uint64_t in_ms = upload_due_in(a);
	struct err e;

	if (in_ms == 0) {
		if (tx_begin(a, TX_WRITE, &t, &e) < 0 || expire(t, &e) < 0 ||
			tx_commit(t, &e) < 0) {
			log_warn("account=%" PRIu64 " old uploads: %s", a->id,
				e.text);
			in_ms = RETRY_MS;
		} else {
			in_ms = upload_due_in(a);
		}
	}
	if (in_ms != UINT64_MAX)
		account_chore(a, in_ms);
}
