#include "cmd/jmapd/store/subs.h"

#include <pthread.h>
#include <urcu.h>
#include <urcu/list.h>
#include <urcu/rculfhash.h>

#include "core/base/map.h"
#include "core/base/metrics.h"

/*
 * Locks, in this order: account_lock (an account's subscribers and modseqs), then
 * ring_lock (one worker's change ring and its list of debts).
 */
struct subs {
	struct cds_lfht *table; /* struct sub_account */
	struct {
		pthread_mutex_t lock; /* ring_lock */
		struct notice_ring ring;
		uint64_t life;
		bool linked;
		bool lied; /* what it says of its ring cannot be true */
		struct cds_list_head debts; /* struct sub with missed types */
		void (*bell)(void *ctx);
		void *ctx;
	} worker[SUBS_WORKERS];
};

struct sub_account {
	struct cds_lfht_node node;
	struct rcu_head rcu;
	pthread_mutex_t lock; /* account_lock */
	uint64_t account;
	uint32_t generation;
	uint64_t modseq[TYPES];
	struct cds_list_head subs;
	bool gone; /* out of the table: look it up again */
};

/* One worker's subscription to one account. */
struct sub {
	struct cds_list_head node; /* account_lock */
	struct cds_list_head debt; /* ring_lock; empty head: owes nothing */
	struct rcu_head rcu;
	struct sub_account *a;
	unsigned worker;
	bool gone;	 /* account_lock */
	uint32_t missed; /* account_lock: types to be told */
	uint32_t news;	 /* of them, changed since it subscribed */
	bool baseline;	 /* the others are a baseline, with its end */
};

static int same_account(struct cds_lfht_node *n, const void *key)
{
	const struct sub_account *a =
		caa_container_of(n, struct sub_account, node);
	return a->account == *(const uint64_t *)key;
}

/* Caller holds rcu_read_lock(). */
static struct sub_account *find(struct subs *s, uint64_t account)
{
	struct cds_lfht_iter it;
	cds_lfht_lookup(s->table, (unsigned long)hash_u64(account),
		same_account, &account, &it);
	struct cds_lfht_node *n = cds_lfht_iter_get_node(&it);
	return n ? caa_container_of(n, struct sub_account, node) : NULL;
}

struct subs *subs_new(void)
{
	struct subs *s = mem_new(sizeof(*s));
	s->table = cds_lfht_new(1024, 1024, 0,
		CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, NULL);
	check(s->table);
	for (size_t i = 0; i < SUBS_WORKERS; i++) {
		pthread_mutex_init(&s->worker[i].lock, NULL);
		CDS_INIT_LIST_HEAD(&s->worker[i].debts);
	}
	return s;
}

static void account_free(struct rcu_head *h)
{
	struct sub_account *a = caa_container_of(h, struct sub_account, rcu);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* The entry that is in the table afterwards: ours, or another thread's. */
static struct sub_account *insert(struct subs *s, uint64_t account)
{
	struct sub_account *a = mem_new(sizeof(*a));
	a->account = account;
	pthread_mutex_init(&a->lock, NULL);
	CDS_INIT_LIST_HEAD(&a->subs);
	cds_lfht_node_init(&a->node);
	struct cds_lfht_node *n =
		cds_lfht_add_unique(s->table, (unsigned long)hash_u64(account),
			same_account, &account, &a->node);
	if (n == &a->node)
		return a;
	account_free(&a->rcu);
	return caa_container_of(n, struct sub_account, node);
}

/*
 * Locks the account's entry, made when missing. The RCU section that keeps its
 * memory lasts until unlock_account().
 */
static struct sub_account *lock_account(struct subs *s, uint64_t account)
{
	rcu_read_lock();
	for (;;) {
		struct sub_account *a = find(s, account);
		if (!a)
			a = insert(s, account);
		pthread_mutex_lock(&a->lock);
		if (!a->gone)
			return a;
		pthread_mutex_unlock(&a->lock);
	}
}

static void unlock_account(struct sub_account *a)
{
	pthread_mutex_unlock(&a->lock);
	rcu_read_unlock();
}

/* ---- notices; the caller holds account_lock ------------------------------- */

static int put(struct subs *s, const struct sub *k, uint64_t modseq,
	uint32_t types, uint64_t committed_ns, enum notice_kind kind)
{
	struct notice n = {
		.account = k->a->account,
		.modseq = modseq,
		.committed_ns = committed_ns,
		.generation = k->a->generation,
		.types = (uint16_t)types,
		.kind = (uint16_t)kind,
	};
	int ret = notice_put(&s->worker[k->worker].ring, &n);
	s->worker[k->worker].lied |= ret < 0;
	metrics_add(ret > 0 ? METRIC_NOTICES : METRIC_NOTICES_MISSED, 1);
	return ret;
}

/* The lowest modseq among those types, and which of them stand there. */
static uint32_t lowest(
	const struct sub_account *a, uint32_t types, uint64_t *modseq_r)
{
	uint32_t at = 0;
	for (unsigned t = 0; t < TYPES; t++) {
		if (!(types & TYPE_BIT(t)))
			continue;
		if (!at || a->modseq[t] < *modseq_r) {
			*modseq_r = a->modseq[t];
			at = 0;
		}
		if (a->modseq[t] == *modseq_r)
			at |= TYPE_BIT(t);
	}
	return at;
}

/*
 * Tells what is missed, lowest modseq first, as far as there is room. Returns
 * whether anything was written. ring_lock is held.
 */
static bool pay(struct subs *s, struct sub *k)
{
	bool wrote = false;
	while (k->missed) {
		uint64_t modseq = 0;
		uint32_t at = lowest(k->a, k->missed, &modseq);
		if (put(s, k, modseq, at, 0,
			    k->news & at ? NOTICE_CHANGE : NOTICE_BASELINE) <=
			0)
			return wrote;
		k->missed &= ~at;
		k->news &= ~at;
		wrote = true;
	}
	if (k->baseline) {
		if (put(s, k, 0, 0, 0, NOTICE_BASELINE_END) <= 0)
			return wrote;
		k->baseline = false;
		wrote = true;
	}
	return wrote;
}

static bool owes(const struct sub *k)
{
	return k->missed || k->baseline;
}

static void tell(struct subs *s, struct sub *k, const struct change *c)
{
	bool wrote = false;
	pthread_mutex_lock(&s->worker[k->worker].lock);
	if (s->worker[k->worker].linked) {
		if (!owes(k) && put(s, k, c->modseq, c->types, c->committed_ns,
					NOTICE_CHANGE) > 0) {
			wrote = true;
		} else {
			k->missed |= c->types;
			k->news |= c->types;
		}
		if (owes(k) && cds_list_empty(&k->debt))
			cds_list_add_tail(
				&k->debt, &s->worker[k->worker].debts);
	}
	if (wrote)
		s->worker[k->worker].bell(s->worker[k->worker].ctx);
	pthread_mutex_unlock(&s->worker[k->worker].lock);
}

void subs_changed(void *ctx, const struct change *c)
{
	struct subs *s = ctx;
	struct sub *k;
	rcu_read_lock();
	struct sub_account *a = find(s, c->account);
	if (!a) {
		rcu_read_unlock();
		return;
	}
	pthread_mutex_lock(&a->lock);
	a->generation = c->generation;
	for (unsigned t = 0; t < TYPES; t++)
		if (c->types & TYPE_BIT(t))
			a->modseq[t] = c->modseq;
	cds_list_for_each_entry (k, &a->subs, node)
		tell(s, k, c);
	unlock_account(a);
}

/* account_lock is held: all types are news. */
static void tell_all(struct subs *s, struct sub *k)
{
	pthread_mutex_lock(&s->worker[k->worker].lock);
	if (s->worker[k->worker].linked) {
		k->missed = k->news = TYPE_ALL;
		if (pay(s, k))
			s->worker[k->worker].bell(s->worker[k->worker].ctx);
		if (owes(k) && cds_list_empty(&k->debt))
			cds_list_add_tail(
				&k->debt, &s->worker[k->worker].debts);
	}
	pthread_mutex_unlock(&s->worker[k->worker].lock);
}

void subs_restored(struct subs *s, uint64_t account, uint32_t generation,
	const uint64_t modseq[TYPES])
{
	struct sub *k;
	rcu_read_lock();
	struct sub_account *a = find(s, account);
	if (!a) {
		rcu_read_unlock();
		return;
	}
	pthread_mutex_lock(&a->lock);
	a->generation = generation;
	memcpy(a->modseq, modseq, sizeof(a->modseq));
	cds_list_for_each_entry (k, &a->subs, node)
		tell_all(s, k);
	unlock_account(a);
}

/* ---- coming and going ----------------------------------------------------- */

void subs_link(struct subs *s, unsigned worker, uint64_t life,
	const struct notice_ring *ring, void (*bell)(void *ctx), void *ctx)
{
	check(worker < SUBS_WORKERS);
	pthread_mutex_lock(&s->worker[worker].lock);
	s->worker[worker].ring = *ring;
	s->worker[worker].bell = bell;
	s->worker[worker].ctx = ctx;
	s->worker[worker].life = life;
	s->worker[worker].lied = false;
	s->worker[worker].linked = true;
	pthread_mutex_unlock(&s->worker[worker].lock);
}

static struct sub *sub_of(struct sub_account *a, unsigned worker)
{
	struct sub *k;
	cds_list_for_each_entry (k, &a->subs, node) {
		if (k->worker == worker)
			return k;
	}
	return NULL;
}

static bool is_life(struct subs *s, unsigned worker, uint64_t life)
{
	pthread_mutex_lock(&s->worker[worker].lock);
	bool is = s->worker[worker].linked && s->worker[worker].life == life;
	pthread_mutex_unlock(&s->worker[worker].lock);
	return is;
}

static struct sub *sub_new(struct sub_account *a, unsigned worker)
{
	struct sub *k = mem_new(sizeof(*k));
	k->a = a;
	k->worker = worker;
	CDS_INIT_LIST_HEAD(&k->debt);
	cds_list_add_tail(&k->node, &a->subs);
	return k;
}

static void sub_free(struct rcu_head *h)
{
	free(caa_container_of(h, struct sub, rcu));
}

/* account_lock is held: takes the worker's subscription away, if there is one. */
static void drop(struct subs *s, struct sub_account *a, unsigned worker)
{
	struct sub *k = sub_of(a, worker);
	if (!k)
		return;
	pthread_mutex_lock(&s->worker[worker].lock);
	cds_list_del(&k->debt);
	pthread_mutex_unlock(&s->worker[worker].lock);
	cds_list_del(&k->node);
	k->gone = true;
	call_rcu(&k->rcu, sub_free);
}

/* account_lock is held: an entry without subscribers leaves the table. */
static void retire(struct subs *s, struct sub_account *a)
{
	if (a->gone || !cds_list_empty(&a->subs))
		return;
	a->gone = true;
	cds_lfht_del(s->table, &a->node);
	call_rcu(&a->rcu, account_free);
}

void subs_add(struct subs *s, unsigned worker, uint64_t life, uint64_t account,
	uint32_t generation, const uint64_t modseq[TYPES])
{
	check(worker < SUBS_WORKERS);
	struct sub_account *a = lock_account(s, account);
	if (!is_life(s, worker, life)) {
		retire(s, a);
		unlock_account(a);
		return;
	}
	struct sub *k = sub_of(a, worker);
	if (!k)
		k = sub_new(a, worker);
	a->generation = generation;
	memcpy(a->modseq, modseq, sizeof(a->modseq));
	k->missed = TYPE_ALL;
	k->news = 0;
	k->baseline = true;
	pthread_mutex_lock(&s->worker[worker].lock);
	if (s->worker[worker].linked && pay(s, k))
		s->worker[worker].bell(s->worker[worker].ctx);
	if (owes(k) && cds_list_empty(&k->debt))
		cds_list_add_tail(&k->debt, &s->worker[worker].debts);
	pthread_mutex_unlock(&s->worker[worker].lock);
	unlock_account(a);
}

void subs_remove(
	struct subs *s, unsigned worker, uint64_t life, uint64_t account)
{
	rcu_read_lock();
	struct sub_account *a = find(s, account);
	if (!a || !is_life(s, worker, life)) {
		rcu_read_unlock();
		return;
	}
	pthread_mutex_lock(&a->lock);
	drop(s, a, worker);
	retire(s, a);
	unlock_account(a);
}

void subs_unlink(struct subs *s, unsigned worker)
{
	struct cds_lfht_iter it;
	struct cds_lfht_node *n;
	check(worker < SUBS_WORKERS);
	pthread_mutex_lock(&s->worker[worker].lock);
	s->worker[worker].linked = false;
	pthread_mutex_unlock(&s->worker[worker].lock);
	rcu_read_lock();
	cds_lfht_first(s->table, &it);
	while ((n = cds_lfht_iter_get_node(&it))) {
		struct sub_account *a =
			caa_container_of(n, struct sub_account, node);
		cds_lfht_next(s->table, &it);
		pthread_mutex_lock(&a->lock);
		drop(s, a, worker);
		retire(s, a);
		pthread_mutex_unlock(&a->lock);
	}
	rcu_read_unlock();
}

/* ---- room again ----------------------------------------------------------- */

/* Caller holds rcu_read_lock(): it may be taken away, but its memory stays. */
static struct sub *first_debt(struct subs *s, unsigned worker)
{
	struct sub *k = NULL;
	pthread_mutex_lock(&s->worker[worker].lock);
	if (s->worker[worker].linked &&
		!cds_list_empty(&s->worker[worker].debts))
		k = cds_list_first_entry(
			&s->worker[worker].debts, struct sub, debt);
	pthread_mutex_unlock(&s->worker[worker].lock);
	return k;
}

bool subs_lied(struct subs *s, unsigned worker)
{
	pthread_mutex_lock(&s->worker[worker].lock);
	bool lied = s->worker[worker].linked && s->worker[worker].lied;
	pthread_mutex_unlock(&s->worker[worker].lock);
	return lied;
}

bool subs_owes(struct subs *s, unsigned worker)
{
	rcu_read_lock();
	bool owed = first_debt(s, worker) != NULL;
	rcu_read_unlock();
	return owed;
}

/* Returns whether the worker's ring is full. */
static bool repair_one(struct subs *s, struct sub *k, bool *wrote)
{
	bool full = false;
	unsigned worker = k->worker;
	pthread_mutex_lock(&k->a->lock);
	if (!k->gone) {
		pthread_mutex_lock(&s->worker[worker].lock);
		*wrote |= s->worker[worker].linked && pay(s, k);
		full = owes(k);
		if (!full)
			cds_list_del_init(&k->debt);
		pthread_mutex_unlock(&s->worker[worker].lock);
	}
	pthread_mutex_unlock(&k->a->lock);
	return full;
}

bool subs_repair(struct subs *s, unsigned worker)
{
	struct sub *k;
	bool wrote = false;
	rcu_read_lock();
	while ((k = first_debt(s, worker)))
		if (repair_one(s, k, &wrote))
			break;
	rcu_read_unlock();
	if (wrote)
		s->worker[worker].bell(s->worker[worker].ctx);
	return wrote;
}

void subs_free(struct subs *s)
{
	for (unsigned i = 0; i < SUBS_WORKERS; i++)
		subs_unlink(s, i);
	rcu_barrier();
	cds_lfht_destroy(s->table, NULL);
	for (size_t i = 0; i < SUBS_WORKERS; i++)
		pthread_mutex_destroy(&s->worker[i].lock);
	free(s);
}
