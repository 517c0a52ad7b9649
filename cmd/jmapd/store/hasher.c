#include "cmd/jmapd/store/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <urcu.h>

#include "core/base/map.h"

struct hasher {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct map flows;	    /* those that wait */
	struct cds_list_head turns; /* the same: the first is next */
	size_t queued;		    /* tasks of all */
	bool ending;
	unsigned threads;
	pthread_t thread[];
};

struct flow {
	struct map_node node; /* its number is the hash */
	struct cds_list_head turn;
	struct cds_list_head tasks;
	size_t n;
};

static struct flow *flow_of(struct hasher *h, uint64_t number)
{
	struct map_node *n = map_find(&h->flows, number);
	return n ? container_of(n, struct flow, node) : NULL;
}

static struct flow *flow_new(struct hasher *h, uint64_t number)
{
	struct flow *f = mem_new(sizeof(*f));
	CDS_INIT_LIST_HEAD(&f->tasks);
	map_put(&h->flows, &f->node, number);
	cds_list_add_tail(&f->turn, &h->turns);
	return f;
}

/* Its first task; the next one waits behind those of all others. */
static struct slow_task *take_turn(struct hasher *h, struct flow *f)
{
	struct slow_task *t =
		cds_list_first_entry(&f->tasks, struct slow_task, node);
	cds_list_del(&t->node);
	cds_list_del(&f->turn);
	h->queued--;
	f->n--;
	if (f->n) {
		cds_list_add_tail(&f->turn, &h->turns);
	} else {
		map_del(&h->flows, &f->node);
		free(f);
	}
	return t;
}

static struct slow_task *next(struct hasher *h)
{
	struct slow_task *t = NULL;
	pthread_mutex_lock(&h->lock);
	while (cds_list_empty(&h->turns) && !h->ending)
		pthread_cond_wait(&h->more, &h->lock);
	if (!cds_list_empty(&h->turns))
		t = take_turn(
			h, cds_list_first_entry(&h->turns, struct flow, turn));
	pthread_mutex_unlock(&h->lock);
	return t;
}

static void *work(void *arg)
{
	struct hasher *h = arg;
	struct slow_task *t;
	rcu_register_thread();
	while ((t = next(h)))
		t->run(t);
	rcu_unregister_thread();
	return NULL;
}

int hasher_new(unsigned threads, struct hasher **h_r, struct err *e)
{
	struct hasher *h = mem_new(sizeof(*h) + threads * sizeof(pthread_t));
	sigset_t all, was;
	int ret = 0;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	CDS_INIT_LIST_HEAD(&h->turns);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	for (; h->threads < threads && !ret; h->threads++)
		ret = pthread_create(&h->thread[h->threads], NULL, work, h);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (ret) {
		h->threads--;
		hasher_free(h);
		return err_set(e, -ret, "hash thread: %s", strerror(ret));
	}
	*h_r = h;
	return 0;
}

bool hasher_submit(struct hasher *h, struct slow_task *t)
{
	bool taken = false;
	pthread_mutex_lock(&h->lock);
	struct flow *f = flow_of(h, t->flow);
	if (h->queued < HASHER_QUEUE && (!f || f->n < HASHER_FLOW)) {
		if (!f)
			f = flow_new(h, t->flow);
		cds_list_add_tail(&t->node, &f->tasks);
		f->n++;
		h->queued++;
		taken = true;
		pthread_cond_signal(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
	return taken;
}

void hasher_free(struct hasher *h)
{
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->threads; i++)
		check(pthread_join(h->thread[i], NULL) == 0);
	map_fini(&h->flows);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
