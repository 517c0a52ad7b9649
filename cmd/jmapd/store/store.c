#include "cmd/jmapd/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <urcu.h>

#include "cmd/jmapd/store/admin.h"
#include "cmd/jmapd/store/link.h"
#include "cmd/jmapd/store/role.h"
#include "cmd/jmapd/store/transfer.h"
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/base/log.h"
#include "core/db/db.h"
#include "core/mime/mime.h"
#include "ipc/shm.h"

#define LRU_ACCOUNTS 512
#define ACCOUNT_FILES 16 /* of one that is open: a writer, 4 readers, 3 each */
#define OTHER_FILES 64
#define THREADS_PER_CPU 4
#define DRAIN_MS 8000
#define LOCK_TRIES 100 /* 100 ms each: the last store's lock */

/* ---- what threads have finished ------------------------------------------- */

void store_done(struct store_role *st, struct done *d, bool wake)
{
	bool ring = false;
	pthread_mutex_lock(&st->done_lock);
	cds_list_add_tail(&d->node, &st->done);
	if (wake && !st->done_rung)
		ring = st->done_rung = true;
	pthread_mutex_unlock(&st->done_lock);
	uint64_t one = 1;
	if (ring && write(st->done_bell.fd, &one, sizeof(one)) < 0)
		check(errno == EAGAIN);
}

static bool take_done(struct store_role *st)
{
	struct done *d, *next;
	CDS_LIST_HEAD(list);
	pthread_mutex_lock(&st->done_lock);
	cds_list_splice(&st->done, &list);
	CDS_INIT_LIST_HEAD(&st->done);
	pthread_mutex_unlock(&st->done_lock);
	bool any = !cds_list_empty(&list);
	cds_list_for_each_entry_safe (d, next, &list, node)
		d->fn(st, d);
	return any;
}

static void on_done_bell(struct watch *w, uint32_t events)
{
	struct store_role *st = container_of(w, struct store_role, done_bell);
	uint64_t n;
	ssize_t ret = read(w->fd, &n, sizeof(n));
	check(ret == sizeof(n) || errno == EAGAIN);
	pthread_mutex_lock(&st->done_lock);
	st->done_rung = false;
	pthread_mutex_unlock(&st->done_lock);
	loop_defer(st->loop, &st->drain, LOOP_SOON);
}

/* ---- accounts that the main thread knows ---------------------------------- */

static struct known_account *known(struct store_role *st, uint64_t id)
{
	struct map_node *n;
	map_each (&st->accounts, hash_u64(id), n) {
		struct known_account *k =
			container_of(n, struct known_account, node);
		if (k->a.id == id)
			return k;
	}
	return NULL;
}

static struct known_account *know(
	struct store_role *st, const struct dir_account *a, bool gone)
{
	struct known_account *k = known(st, a->id);
	if (!k) {
		k = mem_new(sizeof(*k));
		map_put(&st->accounts, &k->node, hash_u64(a->id));
	}
	k->a = *a;
	k->gone = gone;
	return k;
}

int store_account(
	struct store_role *st, uint64_t id, struct known_account **k_r)
{
	struct dir_account a;
	struct err e = {0};
	*k_r = known(st, id);
	if (*k_r)
		return 1;
	int ret = dir_by_id(st->store, id, &a, &e);
	if (ret < 0)
		log_error("account=%llu: %s", (unsigned long long)id, e.text);
	if (ret > 0)
		*k_r = know(st, &a, false);
	return ret;
}

void store_revoke(struct store_role *st, const struct dir_account *a, bool gone)
{
	struct msg_revoke m = {
		.account = a->id,
		.version = gone ? UINT32_MAX : a->version,
	};
	know(st, a, gone);
	for (size_t i = 0; i < STORE_WORKERS; i++)
		if (st->link[i])
			store_link_say(st->link[i], MSG_REVOKE, &m, sizeof(m));
}

static bool free_known(struct map_node *n, void *ctx)
{
	free(container_of(n, struct known_account, node));
	return true;
}

/* ---- the loop: arm, look again, sleep (ipc/README.md) --------------------- */

static bool work(struct store_role *st)
{
	bool moved = take_done(st);
	for (size_t i = 0; i < STORE_WORKERS; i++)
		if (st->link[i])
			moved |= store_link_turn(st->link[i]);
	return moved;
}

static void on_drain(struct defer *d)
{
	work(container_of(d, struct store_role, drain));
}

static bool before_sleep(void *ctx)
{
	struct store_role *st = ctx;
	for (size_t i = 0; i < STORE_WORKERS; i++)
		if (st->link[i])
			doorbell_arm(&st->link[i]->link.store_bell);
	return work(st);
}

static void after_sleep(void *ctx)
{
	struct store_role *st = ctx;
	for (size_t i = 0; i < STORE_WORKERS; i++)
		if (st->link[i])
			doorbell_disarm(&st->link[i]->link.store_bell);
}

/* ---- the end -------------------------------------------------------------- */

/* Ends once nothing is under way; the master sends DRAIN when workers are gone. */
static void on_drain_tick(struct timer *t)
{
	struct store_role *st = container_of(t, struct store_role, drain_timer);
	uint64_t now = loop_now_ms(st->loop);
	bool cut = streams_cut(st->streams);
	if ((!st->calls && !exec_load(st->exec) && cut) ||
		now >= st->drain_end_ms) {
		loop_stop(st->loop, 0);
		return;
	}
	timer_set(st->loop, t, now + 20);
}

static void drain(struct store_role *st, uint64_t grace_ms)
{
	if (st->drain_end_ms)
		return;
	st->drain_end_ms = loop_now_ms(st->loop) + DRAIN_MS;
	timer_set(st->loop, &st->drain_timer, loop_now_ms(st->loop) + grace_ms);
}

/* ---- the master's word ---------------------------------------------------- */

static void on_packet(struct role *r, struct ctl_packet *p)
{
	struct store_role *st = container_of(r, struct store_role, role);
	struct err e = {0};
	switch (p->head.type) {
	case CTL_KEY:
		check(p->rest.n == sizeof(st->key));
		memcpy(st->key, p->rest.p, sizeof(st->key));
		st->have_key = true;
		break;
	case CTL_LINK:
		if (p->fds != LINK_FDS)
			break;
		if (store_link_up(
			    st, (unsigned)p->head.a, p->head.b, p->fd, &e) < 0)
			log_error("link worker=%u: %s", (unsigned)p->head.a,
				e.text);
		p->fds = 0; /* taken over either way */
		break;
	case CTL_UNLINK:
		store_link_down(st, (unsigned)p->head.a);
		break;
	case CTL_ADMIN:
		admin_start(st, p->head.a, p->rest);
		break;
	case CTL_STREAM:
		if (p->fds != 1)
			break;
		p->fds = 0; /* taken over */
		stream_start(st->streams, p->fd[0], p->rest);
		break;
	case CTL_DRAIN:
		drain(st, 1);
		break;
	default:
		log_warn("control packet %s is not for the store",
			ctl_name(p->head.type));
	}
}

/* Workers drain now; their last calls are served first. */
static void on_orphan(struct role *r)
{
	drain(container_of(r, struct store_role, role), 1000);
}

/* ---- start ---------------------------------------------------------------- */

/* As many as there are descriptors for: one that is idle gives its own back. */
static unsigned accounts_open(void)
{
	struct rlimit l;
	rlim_t room;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return LRU_ACCOUNTS;
	room = l.rlim_cur > OTHER_FILES ? l.rlim_cur - OTHER_FILES : 0;
	return (unsigned)min_of(room / ACCOUNT_FILES, (rlim_t)LRU_ACCOUNTS);
}

/* The last store may be dying still: its lock goes with it. */
static int open_store(struct store_role *st, struct err *e)
{
	struct change_sink sink = {subs_changed, st->subs};
	for (int i = 0;; i++) {
		int ret = store_open(conf_get()->data_dir, accounts_open(),
			&sink, &st->store, e);
		if (ret != -EAGAIN || i >= LOCK_TRIES)
			return ret;
		usleep(100000);
	}
}

/* A message that is indexed stands in the notebook as a request does. */
static int index_begin(void *ctx, uint64_t digest)
{
	struct store_role *st = ctx;
	if (notebook_is_poison(st->notebook, digest))
		return STORE_REFUSED;
	return at_work_begin(&st->at_work, digest);
}

static void index_end(void *ctx, int slot)
{
	struct store_role *st = ctx;
	at_work_end(&st->at_work, slot);
}

/* Durable commits are bound by the disk: more threads than CPUs overlap them. */
static unsigned threads(void)
{
	uint64_t want = conf_get()->store_threads;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return want ? (unsigned)want
		    : (unsigned)min_of(max_of(cpus, 1L) * THREADS_PER_CPU, 64L);
}

static int build(struct store_role *st, struct err *e)
{
	void *book;
	int ret = shm_map(ROLE_FD_NOTEBOOK, sizeof(struct notebook), &book, e);
	if (ret < 0)
		return ret;
	st->notebook = book;
	at_work_watch(&st->at_work, book, st->loop);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "eventfd");
	loop_watch(st->loop, &st->done_bell, fd, EPOLLIN, on_done_bell);
	ret = open_store(st, e);
	if (!ret)
		store_guard(st->store,
			&(struct store_guard){index_begin, index_end, st});
	if (!ret)
		ret = exec_new(st->threads, &st->exec, e);
	if (!ret)
		ret = hasher_new(
			(unsigned)conf_get()->hash_threads, &st->hasher, e);
	return ret;
}

static void destroy(struct store_role *st)
{
	hasher_free(st->hasher);
	streams_join(st->streams);
	exec_free(steal(st->exec));
	loop_hooks(st->loop, NULL, NULL, NULL);
	take_done(st);
	for (unsigned i = 0; i < STORE_WORKERS; i++)
		store_link_down(st, i);
	streams_free(st->streams);
	store_close(st->store);
	subs_free(st->subs);
	failures_free(st->failures);
	map_walk(&st->accounts, free_known, NULL);
	map_fini(&st->accounts);
	loop_unwatch(st->loop, &st->done_bell);
	buf_fini(&st->role.in);
	secret_wipe(st->key, sizeof(st->key));
}

static void prepare(struct store_role *st)
{
	CDS_INIT_LIST_HEAD(&st->done);
	pthread_mutex_init(&st->done_lock, NULL);
	defer_init(&st->drain, on_drain);
	timer_init(&st->drain_timer, on_drain_tick);
	st->subs = subs_new();
	st->failures = failures_new();
	st->streams = streams_new(st, STREAM_SILENCE_S * 1000);
}

/* What is read from files of the system is read while it may open any; threads,
 * of which the first comes with the subscriber table, are born confined. */
static void confine(struct store_role *st)
{
	st->threads = threads();
	mime_setup();
	crypto_setup();
	db_setup();
	role_drop();
	role_confine(SANDBOX_STORE, -1);
}

int store_main(unsigned index)
{
	struct store_role st = {
		.role = {.on_packet = on_packet, .on_orphan = on_orphan}};
	struct err e = {0};
	role_inherit(&st.role, "store", index);
	role_limits();
	rcu_register_thread();
	st.loop = st.role.loop = loop_new(&e);
	if (!st.loop) {
		log_error("%s", e.text);
		return 1;
	}
	role_configure(&st.role);
	confine(&st);
	prepare(&st);
	role_settle(&st.role);
	if (!st.have_key || build(&st, &e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	loop_hooks(st.loop, before_sleep, after_sleep, &st);
	role_ready(&st.role);
	int ret = loop_run(st.loop, &e);
	if (ret < 0)
		log_error("loop: %s", e.text);
	destroy(&st);
	loop_free(st.loop);
	rcu_unregister_thread();
	return ret < 0;
}
