/*
 * Deliveries whose answer may be lost (DESIGN.md 2): a note of the message's digest
 * goes into its own transaction, and leaves with a later one after the answer
 * was seen to leave. What a dead store leaves behind is what nobody was told.
 */
#include "core/base/clock.h"
#include "core/store/internal.h"

void digests_add(struct digests *d, const uint8_t b[SHA256_LEN])
{
	if (d->n == d->cap) {
		d->cap = max_of(d->cap * 2, (size_t)16);
		d->at = mem_grow(d->at, d->cap * sizeof(*d->at));
	}
	memcpy(d->at[d->n++].b, b, SHA256_LEN);
}

void digests_take(struct digests *dst, struct digests *src)
{
	for (size_t i = 0; i < src->n; i++)
		digests_add(dst, src->at[i].b);
	digests_fini(src);
}

void digests_fini(struct digests *d)
{
	free(d->at);
	*d = (struct digests){0};
}

int delivery_begin(
	struct tx *t, const uint8_t digest[SHA256_LEN], struct err *e)
{
	struct str key = str_n(digest, SHA256_LEN);
	int64_t now = clock_real_ms(), at;
	int ret = db_number(t->db, &at, e,
		"SELECT time FROM delivery WHERE digest = ?", "b", key);

	if (ret < 0)
		return ret;
	/* A clock that was set back makes a note from the future: it is young. */
	if (ret > 0 && at > now - DELIVERY_TWICE_MS)
		return 1;
	return db_run(t->db, e,
		"INSERT INTO delivery (digest, time) VALUES (?, ?)"
		" ON CONFLICT (digest) DO UPDATE SET time ="
		" excluded.time",
		"bi", key, now);
}

void delivery_seen(struct account *a, const uint8_t digest[SHA256_LEN])
{
	bool first;

	pthread_mutex_lock(&a->lock);
	first = a->seen.n == 0;
	digests_add(&a->seen, digest);
	pthread_mutex_unlock(&a->lock);
	if (first)
		account_chore(a, SEEN_FLUSH_MS);
}

int delivery_forget(struct tx *t, struct err *e)
{
	struct account *a = t->account;
	int ret = 0;

	for (size_t i = 0; i < t->seen.n && ret == 0; i++)
		ret = db_run(t->db, e, "DELETE FROM delivery WHERE digest = ?",
			"b", str_n(t->seen.at[i].b, SHA256_LEN));
	if (ret == 0 && a->blobs_gone) {
		ret = db_run(t->db, e, "DELETE FROM blob_gone", "");
		a->blobs_gone = false;
	}
	if (ret == 0 && (int64_t)clock_mono_ms() >= a->prune_due_ms)
		ret = db_run(t->db, e, "DELETE FROM delivery WHERE time <= ?",
			"i", clock_real_ms() - DELIVERY_TWICE_MS);
	return ret;
}
