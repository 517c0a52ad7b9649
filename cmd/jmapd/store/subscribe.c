#include "cmd/jmapd/store/subscribe.h"

#include <errno.h>
#include <inttypes.h>

#include "cmd/jmapd/store/call.h"
#include "core/base/log.h"

#define RETRY_MS 500 /* doubled each time, up to: */
#define RETRY_MAX_MS 30000

struct subscription {
	struct job job;
	struct done done;
	struct store_link *link;
	struct login login;
	bool add;
	bool failed;
	/* Until it is tried again. */
	struct cds_list_head waiting; /* link: unheard */
	struct timer again;
	uint64_t wait_ms;
};

static void drop(struct subscription *s)
{
	if (timer_is_set(&s->again)) {
		timer_stop(s->link->st->loop, &s->again);
		cds_list_del(&s->waiting);
	}
	store_link_unref(s->link);
	free(s);
}

static void try_later(struct subscription *s)
{
	struct loop *loop = s->link->st->loop;
	s->wait_ms = s->wait_ms ? min_of(s->wait_ms * 2, (uint64_t)RETRY_MAX_MS)
				: RETRY_MS;
	cds_list_add_tail(&s->waiting, &s->link->unheard);
	timer_set(loop, &s->again, loop_now_ms(loop) + s->wait_ms);
}

static void on_done(struct store_role *st, struct done *d)
{
	struct subscription *s = container_of(d, struct subscription, done);
	s->link->subscribing--;
	if (s->failed && !s->link->dead && st->exec)
		try_later(s);
	else
		drop(s);
}

static int read_states(struct store_role *st, uint64_t id,
	uint64_t modseq[TYPES], uint32_t *generation_r, struct err *e)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	int ret = account_get(st->store, id, &a, e);
	if (!ret)
		ret = tx_begin(a, TX_READ, &t, e);
	for (enum type type = 0; !ret && type < TYPES; type++)
		ret = tx_state(t, type, &modseq[type], e);
	if (!ret)
		*generation_r = tx_generation(t);
	return ret;
}

static int add(struct subscription *s, struct err *e)
{
	struct store_link *l = s->link;
	uint64_t modseq[TYPES] = {0};
	uint32_t generation = 0;
	int ret = read_states(l->st, s->job.account, modseq, &generation, e);
	if (!ret)
		subs_add(l->st->subs, l->worker, l->life, s->job.account,
			generation, modseq);
	return ret;
}

static void run(struct job *j)
{
	struct subscription *s = container_of(j, struct subscription, job);
	struct store_link *l = s->link;
	struct err e = {0};
	int ret = 0;
	if (s->add)
		ret = add(s, &e);
	else
		subs_remove(l->st->subs, l->worker, l->life, j->account);
	if (ret < 0 && !s->failed)
		log_error("subscribe account=%" PRIu64 ": %s", j->account,
			e.text);
	/* A removed account is nobody's to hear of. */
	s->failed = ret < 0 && ret != -ENOENT;
	/* The link may be waiting for it, to be read on. */
	store_done(l->st, &s->done, true);
}

/* The login, then the account; a disk that fails is asked again later. */
static void start(struct subscription *s)
{
	struct store_link *l = s->link;
	unsigned status = s->add ? login_refused(l, &s->login, NULL) : 0;
	if (status == 503) {
		s->failed = true;
		try_later(s);
	} else if (status) {
		drop(s);
	} else {
		l->subscribing++;
		exec_submit(l->st->exec, &s->job);
	}
}

static void on_again(struct timer *t)
{
	struct subscription *s = container_of(t, struct subscription, again);
	cds_list_del(&s->waiting);
	if (s->link->st->exec)
		start(s);
	else
		drop(s);
}

/* What was said last counts. */
static void forget_waiting(struct store_link *l, uint64_t account)
{
	struct subscription *s, *next;
	cds_list_for_each_entry_safe (s, next, &l->unheard, waiting)
		if (s->job.account == account)
			drop(s);
}

void subscribe_drop(struct store_link *l)
{
	struct subscription *s, *next;
	cds_list_for_each_entry_safe (s, next, &l->unheard, waiting)
		drop(s);
}

int subscribe_start(struct store_link *l, bool add, struct str rec)
{
	struct msg_subscribe m;
	struct str rest;
	if (!msg_split(add ? MSG_SUBSCRIBE : MSG_UNSUBSCRIBE, rec, &m,
		    sizeof(m), &rest))
		return -EPROTO;
	if (l->refs >= STORE_REFS_MAX)
		return -EPROTO;
	forget_waiting(l, m.login.account);
	struct subscription *s = mem_new(sizeof(*s));
	s->link = l;
	s->login = m.login;
	s->add = add;
	s->done.fn = on_done;
	timer_init(&s->again, on_again);
	s->job.account = m.login.account;
	s->job.writes = true;
	s->job.run = run;
	store_link_ref(l);
	start(s);
	return 0;
}
