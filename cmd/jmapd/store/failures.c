#include "cmd/jmapd/store/failures.h"

#include <pthread.h>
#include <urcu.h>
#include <urcu/list.h>

#include "conf/conf.h"
#include "core/base/buf.h"
#include "core/base/map.h"

enum kind { ADDRESS, ACCOUNT, PAIR, WRONG, KINDS };

/* Its key is the node's hash. */
struct entry {
	struct map_node node;
	struct cds_list_head age;
	uint64_t until_ms; /* when the debt is paid off */
	uint64_t changes;  /* WRONG */
};

struct table {
	struct map map;
	struct cds_list_head by_age; /* not seen for longest first */
};

struct failures {
	pthread_mutex_t lock;
	struct table of[KINDS];
	uint64_t changes;
};

/* What the configuration allows: most failures, and what each is a debt of. */
struct limit {
	uint64_t window_ms;
	uint64_t each_ms; /* 0: no limit */
};

struct failures *failures_new(void)
{
	struct failures *f = mem_new(sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	for (size_t i = 0; i < KINDS; i++)
		CDS_INIT_LIST_HEAD(&f->of[i].by_age);
	return f;
}

static void forget(struct table *t, struct entry *n)
{
	map_del(&t->map, &n->node);
	cds_list_del(&n->age);
	free(n);
}

void failures_free(struct failures *f)
{
	struct entry *n, *next;
	for (size_t i = 0; i < KINDS; i++) {
		cds_list_for_each_entry_safe (n, next, &f->of[i].by_age, age)
			forget(&f->of[i], n);
		map_fini(&f->of[i].map);
	}
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* NULL: it is not there. */
static struct entry *find(struct failures *f, enum kind k, uint64_t key)
{
	struct table *t = &f->of[k];
	struct map_node *node = map_find(&t->map, key);
	if (!node)
		return NULL;
	struct entry *n = container_of(node, struct entry, node);
	cds_list_del(&n->age);
	cds_list_add_tail(&n->age, &t->by_age);
	return n;
}

static struct entry *find_or_make(struct failures *f, enum kind k, uint64_t key)
{
	struct table *t = &f->of[k];
	struct entry *n = find(f, k, key);
	if (n)
		return n;
	if (t->map.n >= FAILURES_MAX)
		forget(t, cds_list_first_entry(&t->by_age, struct entry, age));
	n = mem_new(sizeof(*n));
	map_put(&t->map, &n->node, key);
	cds_list_add_tail(&n->age, &t->by_age);
	return n;
}

/* ---- keys ----------------------------------------------------------------- */

static uint64_t never_0(uint64_t hash)
{
	return hash ? hash : 1;
}

static uint64_t hash_from(const uint8_t address[16])
{
	static const uint8_t none[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (memcmp(address, none, sizeof(none)) == 0)
		return 0;
	/* Whoever has one IPv6 address has all of its /64. */
	size_t n = memcmp(address, mapped, sizeof(mapped)) == 0 ? 16 : 8;
	return never_0(hash_str(str_n(address, n)));
}

struct login_try login_try_of(
	const uint8_t address[16], struct str user, struct str secret)
{
	struct login_try t = {.from = hash_from(address)};
	struct buf low cleanup(buf_fini) = {0};
	/* As the directory compares names: ASCII letters in either case. */
	for (size_t i = 0; i < user.n; i++)
		buf_addc(&low, user.p[i] >= 'A' && user.p[i] <= 'Z'
				       ? (char)(user.p[i] | 0x20)
				       : user.p[i]);
	if (user.n)
		t.account = never_0(hash_str(buf_str(&low)));
	uint64_t parts[3] = {t.from, t.account, hash_str(secret)};
	t.credential = hash_str(str_n(parts, sizeof(parts)));
	return t;
}

static uint64_t pair_of(const struct login_try *t)
{
	uint64_t parts[2] = {t->from, t->account};
	return hash_str(str_n(parts, sizeof(parts)));
}

/* ---- debts ---------------------------------------------------------------- */

static struct limit limit_of(uint64_t failures)
{
	uint64_t window_ms = conf_get()->login_failure_window * 1000;
	return (struct limit){
		.window_ms = window_ms,
		.each_ms = failures ? max_of(window_ms / failures, 1UL) : 0,
	};
}

/* Milliseconds until there is room for one more failure. */
static uint64_t debt_wait(
	const struct entry *n, const struct limit *l, uint64_t now_ms)
{
	if (!n || !l->each_ms || n->until_ms <= now_ms)
		return 0;
	/* A window that was made shorter forgives at once. */
	uint64_t debt = min_of(n->until_ms - now_ms, l->window_ms);
	uint64_t most = l->window_ms - l->each_ms;
	return debt > most ? debt - most : 0;
}

/* True: it is full now. */
static bool debt_add(struct entry *n, const struct limit *l, uint64_t now_ms)
{
	if (!l->each_ms)
		return false;
	n->until_ms = min_of(max_of(n->until_ms, now_ms) + l->each_ms,
		now_ms + l->window_ms);
	return debt_wait(n, l, now_ms) > 0;
}

/* ---- what is asked -------------------------------------------------------- */

struct limits {
	struct limit address, account;
};

/* Threads other than the loop hold the read lock around conf_get(). */
static struct limits limits_now(void)
{
	struct limits l;
	rcu_read_lock();
	l.address = limit_of(conf_get()->login_failures_per_address);
	l.account = limit_of(conf_get()->login_failures_per_account);
	rcu_read_unlock();
	return l;
}

/* One that was let in is never without a limit while there is any. */
static const struct limit *pair_limit(const struct limits *l)
{
	return l->account.each_ms ? &l->account : &l->address;
}

static struct entry *find_pair(struct failures *f, const struct login_try *t)
{
	return t->account ? find(f, PAIR, pair_of(t)) : NULL;
}

uint32_t failures_wait(
	struct failures *f, const struct login_try *t, uint64_t now_ms)
{
	struct limits l = limits_now();
	uint64_t ms;
	pthread_mutex_lock(&f->lock);
	struct entry *pair = find_pair(f, t);
	if (pair) {
		ms = debt_wait(pair, pair_limit(&l), now_ms);
	} else {
		uint64_t address = debt_wait(
			find(f, ADDRESS, t->from), &l.address, now_ms);
		uint64_t account = debt_wait(
			find(f, ACCOUNT, t->account), &l.account, now_ms);
		ms = max_of(address, account);
	}
	pthread_mutex_unlock(&f->lock);
	return (uint32_t)((ms + 999) / 1000);
}

bool failures_known(
	struct failures *f, const struct login_try *t, uint64_t now_ms)
{
	pthread_mutex_lock(&f->lock);
	struct entry *n = find(f, WRONG, t->credential);
	bool known = n && n->until_ms > now_ms && n->changes == f->changes;
	pthread_mutex_unlock(&f->lock);
	return known;
}

unsigned failures_count(
	struct failures *f, const struct login_try *t, uint64_t now_ms)
{
	struct limits l = limits_now();
	unsigned full = 0;
	pthread_mutex_lock(&f->lock);
	struct entry *wrong = find_or_make(f, WRONG, t->credential);
	wrong->until_ms = now_ms + l.address.window_ms;
	wrong->changes = t->changes;
	struct entry *pair = find_pair(f, t);
	if (pair)
		debt_add(pair, pair_limit(&l), now_ms);
	if (t->from &&
		debt_add(find_or_make(f, ADDRESS, t->from), &l.address, now_ms))
		full |= FAILURES_ADDRESS;
	if (t->account && debt_add(find_or_make(f, ACCOUNT, t->account),
				  &l.account, now_ms))
		full |= FAILURES_ACCOUNT;
	pthread_mutex_unlock(&f->lock);
	return full;
}

void failures_good(struct failures *f, const struct login_try *t)
{
	if (!t->account)
		return;
	pthread_mutex_lock(&f->lock);
	find_or_make(f, PAIR, pair_of(t));
	pthread_mutex_unlock(&f->lock);
}

uint64_t failures_changes(struct failures *f)
{
	pthread_mutex_lock(&f->lock);
	uint64_t n = f->changes;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void failures_changed(struct failures *f)
{
	pthread_mutex_lock(&f->lock);
	f->changes++;
	pthread_mutex_unlock(&f->lock);
}
