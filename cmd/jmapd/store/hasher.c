#include "cmd/jmapd/store/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <urcu.h>

struct hasher {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct cds_list_head queue;
	size_t queued;
	bool ending;
	unsigned threads;
	pthread_t thread[];
};

static struct slow_task *next(struct hasher *h)
{
	struct slow_task *t = NULL;
	pthread_mutex_lock(&h->lock);
	while (cds_list_empty(&h->queue) && !h->ending)
		pthread_cond_wait(&h->more, &h->lock);
	if (!cds_list_empty(&h->queue)) {
		t = cds_list_first_entry(&h->queue, struct slow_task, node);
		cds_list_del(&t->node);
		h->queued--;
	}
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
	CDS_INIT_LIST_HEAD(&h->queue);
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
	if (h->queued < HASHER_QUEUE) {
		cds_list_add_tail(&t->node, &h->queue);
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
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
