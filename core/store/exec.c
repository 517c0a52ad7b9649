/*
 * Executors: threads, and one actor an account that has jobs.
 *
 * An actor is in the ready queue when it has a job that may start now and fewer
 * running jobs than its share; a thread takes the first actor, one job (or batch)
 * of it, and puts the actor behind the others when there is more. Reads and the
 * next write take turns, so that neither starves the other.
 *
 * A read that its connection sent after a write hangs on that write (followers)
 * and becomes an ordinary waiting read when the write ends. A write that runs
 * belongs to its callee and may be gone: what it has to say (connections, reads
 * to release) is kept in the actor. An actor without jobs is freed.
 *
 * Waking a thread costs as much as a small job. So they are woken one at a time:
 * who finds more to do after its own job was taken wakes the next.
 */
#include "core/store/exec.h"

#include <pthread.h>
#include <stdatomic.h>
#include <urcu.h>

#include "core/base/map.h"

struct actor {
	struct map_node node;
	struct cds_list_head ready; /* exec: ready, when queued */
	uint64_t account;
	struct cds_list_head reads, writes; /* that wait */
	struct cds_list_head after; /* reads behind the write that runs */
	uint64_t conn[EXEC_BATCH];  /* of the jobs of that write */
	size_t conns;
	unsigned running;
	bool queued, writing, read_next;
};

struct exec {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct map actors;
	struct cds_list_head ready;
	_Atomic uint64_t load;
	unsigned threads_n, share, idle;
	bool waking; /* an idle thread was told, and has not come yet */
	bool stopping;
	pthread_t threads[];
};

/* ---- actors --------------------------------------------------------------- */

static struct actor *find(struct exec *x, uint64_t account)
{
	struct map_node *n;

	map_each (&x->actors, hash_u64(account), n) {
		struct actor *a = container_of(n, struct actor, node);

		if (a->account == account)
			return a;
	}
	return NULL;
}

static struct actor *find_or_new(struct exec *x, uint64_t account)
{
	struct actor *a = find(x, account);

	if (a)
		return a;
	a = mem_new(sizeof(*a));
	a->account = account;
	CDS_INIT_LIST_HEAD(&a->reads);
	CDS_INIT_LIST_HEAD(&a->writes);
	CDS_INIT_LIST_HEAD(&a->after);
	map_put(&x->actors, &a->node, hash_u64(account));
	return a;
}

static bool can_read(struct actor *a)
{
	return !cds_list_empty(&a->reads);
}

static bool can_write(struct actor *a)
{
	return !a->writing && !cds_list_empty(&a->writes);
}

/* Puts the actor where it belongs now: ready, idle or gone. */
static void settle(struct exec *x, struct actor *a)
{
	if (a->queued)
		return;
	if (a->running < x->share && (can_read(a) || can_write(a))) {
		a->queued = true;
		cds_list_add_tail(&a->ready, &x->ready);
	} else if (!a->running && cds_list_empty(&a->writes)) {
		map_del(&x->actors, &a->node);
		free(a);
	}
}

/* Wakes after it unlocked: who is woken need not wait for the lock. */
static void unlock(struct exec *x)
{
	bool wake = x->idle && !x->waking && !cds_list_empty(&x->ready);

	x->waking |= wake;
	pthread_mutex_unlock(&x->lock);
	if (wake)
		pthread_cond_signal(&x->work);
}

/* ---- coming --------------------------------------------------------------- */

static bool runs_for(const struct actor *a, uint64_t conn)
{
	for (size_t i = 0; i < a->conns; i++)
		if (a->conn[i] == conn)
			return true;
	return false;
}

/* Where a read has to wait: behind its connection's last write, or nowhere. */
static struct cds_list_head *place_of_read(struct actor *a, uint64_t conn)
{
	struct job *w;

	if (conn == 0)
		return &a->reads;
	cds_list_for_each_entry_reverse(
		w, &a->writes, node) if (w->conn == conn) return &w->followers;
	return a->writing && runs_for(a, conn) ? &a->after : &a->reads;
}

void exec_submit(struct exec *x, struct job *j)
{
	struct actor *a;

	check(j->run || j->batch);
	CDS_INIT_LIST_HEAD(&j->followers);
	atomic_fetch_add_explicit(&x->load, 1, memory_order_relaxed);
	pthread_mutex_lock(&x->lock);
	check(!x->stopping);
	a = find_or_new(x, j->account);
	cds_list_add_tail(
		&j->node, j->writes ? &a->writes : place_of_read(a, j->conn));
	settle(x, a);
	unlock(x);
}

uint64_t exec_load(const struct exec *x)
{
	return atomic_load_explicit(&x->load, memory_order_relaxed);
}

/* ---- running -------------------------------------------------------------- */

struct turn {
	struct actor *actor;
	struct job *job[EXEC_BATCH];
	size_t n;
	bool writes;
	void (*run)(struct job *j);
	void (*batch)(struct job **j, size_t n);
};

static struct job *first(struct cds_list_head *l)
{
	return cds_list_first_entry(l, struct job, node);
}

/* Takes j out of its queue for good. */
static void take(struct turn *t, struct job *j)
{
	struct actor *a = t->actor;

	cds_list_del(&j->node);
	t->job[t->n++] = j;
	if (!t->writes)
		return;
	a->conn[a->conns++] = j->conn;
	/* Behind what hangs on earlier jobs of this turn. */
	cds_list_splice(&j->followers, a->after.prev);
}

static void take_write(struct turn *t)
{
	struct actor *a = t->actor;
	struct job *j = first(&a->writes);

	t->writes = true;
	t->batch = j->batch;
	t->run = j->run;
	a->writing = true;
	a->conns = 0;
	take(t, j);
	while (t->batch && t->n < EXEC_BATCH && !cds_list_empty(&a->writes) &&
		first(&a->writes)->batch == t->batch)
		take(t, first(&a->writes));
}

static void take_read(struct turn *t)
{
	struct job *j = first(&t->actor->reads);

	t->batch = j->batch;
	t->run = j->run;
	take(t, j);
}

/* The first ready actor's next jobs. */
static void choose(struct exec *x, struct turn *t)
{
	struct actor *a = cds_list_first_entry(&x->ready, struct actor, ready);

	*t = (struct turn){.actor = a};
	cds_list_del(&a->ready);
	a->queued = false;
	a->running++;
	if (can_write(a) && !(a->read_next && can_read(a))) {
		a->read_next = true;
		take_write(t);
	} else {
		a->read_next = false;
		take_read(t);
	}
	settle(x, a);
}

static void finish(struct exec *x, const struct turn *t)
{
	struct actor *a = t->actor;

	a->running--;
	if (t->writes) {
		a->writing = false;
		a->conns = 0;
		cds_list_splice(&a->after, a->reads.prev);
		CDS_INIT_LIST_HEAD(&a->after);
	}
	atomic_fetch_sub_explicit(&x->load, t->n, memory_order_relaxed);
	settle(x, a);
}

static void *executor(void *exec)
{
	struct exec *x = exec;
	struct turn t;

	rcu_register_thread();
	pthread_mutex_lock(&x->lock);
	for (;;) {
		while (cds_list_empty(&x->ready) &&
			!(x->stopping && x->actors.n == 0)) {
			x->idle++;
			pthread_cond_wait(&x->work, &x->lock);
			x->idle--;
			x->waking = false;
		}
		if (cds_list_empty(&x->ready))
			break;
		choose(x, &t);
		unlock(x);
		if (t.batch)
			t.batch(t.job, t.n);
		else
			t.run(t.job[0]);
		pthread_mutex_lock(&x->lock);
		finish(x, &t);
		if (x->stopping)
			pthread_cond_broadcast(&x->work);
	}
	pthread_mutex_unlock(&x->lock);
	rcu_unregister_thread();
	return NULL;
}

/* ---- life ----------------------------------------------------------------- */

int exec_new(unsigned threads, struct exec **x_r, struct err *e)
{
	struct exec *x;
	int ret;

	check(threads > 0);
	x = mem_new(sizeof(*x) + threads * sizeof(x->threads[0]));
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->work, NULL);
	CDS_INIT_LIST_HEAD(&x->ready);
	x->share = max_of(threads / 2, 1u);
	while (x->threads_n < threads) {
		ret = pthread_create(
			&x->threads[x->threads_n], NULL, executor, x);
		if (ret) {
			exec_free(x);
			return err_set(e, -ret, "cannot start an executor");
		}
		x->threads_n++;
	}
	*x_r = x;
	return 0;
}

void exec_free(struct exec *x)
{
	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->stopping = true;
	pthread_cond_broadcast(&x->work);
	pthread_mutex_unlock(&x->lock);
	for (unsigned i = 0; i < x->threads_n; i++)
		check(pthread_join(x->threads[i], NULL) == 0);
	map_fini(&x->actors);
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->work);
	free(x);
}
