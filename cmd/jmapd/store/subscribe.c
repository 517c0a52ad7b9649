#include "cmd/jmapd/store/subscribe.h"

#include <errno.h>
#include <inttypes.h>

#include "cmd/jmapd/store/call.h"
#include "core/base/log.h"

struct subscription {
	struct job job;
	struct done done;
	struct store_link *link;
	bool add;
};

static void on_done(struct store_role *st, struct done *d)
{
	struct subscription *s = container_of(d, struct subscription, done);
	s->link->subscribing--;
	store_link_unref(s->link);
	free(s);
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

static void run(struct job *j)
{
	struct subscription *s = container_of(j, struct subscription, job);
	struct store_link *l = s->link;
	struct store_role *st = l->st;
	uint64_t modseq[TYPES] = {0};
	uint32_t generation = 0;
	struct err e = {0};
	if (!s->add)
		subs_remove(st->subs, l->worker, l->life, j->account);
	else if (read_states(st, j->account, modseq, &generation, &e) == 0)
		subs_add(st->subs, l->worker, l->life, j->account, generation,
			modseq);
	else
		log_error("subscribe account=%" PRIu64 ": %s", j->account,
			e.text);
	/* The link may be waiting for it, to be read on. */
	store_done(st, &s->done, true);
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
	if (add && !login_holds(l, &m.login, NULL))
		return 0;
	struct subscription *s = mem_new(sizeof(*s));
	s->link = l;
	s->add = add;
	s->done.fn = on_done;
	s->job.account = m.login.account;
	s->job.writes = true;
	s->job.run = run;
	store_link_ref(l);
	l->subscribing++;
	exec_submit(l->st->exec, &s->job);
	return 0;
}
