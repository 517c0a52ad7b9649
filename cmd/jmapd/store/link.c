#include "cmd/jmapd/store/link.h"

#include <errno.h>
#include <sys/epoll.h>
#include <urcu.h>

#include "cmd/jmapd/store/call.h"
#include "cmd/jmapd/store/subscribe.h"
#include "conf/conf.h"
#include "core/base/clock.h"
#include "core/base/log.h"

#define RECORDS_A_TURN 256
#define RECORDS_A_LOOK 8      /* at the clock */
#define TURN_NS 5000000	      /* no turn is much longer */
#define HEAD_MAX 65536	      /* bytes of a call's head */
#define WRITING_RESERVE 65536 /* bytes of the reply ring */
#define OVERFLOW_MAX 524288   /* bytes of small records */
#define SUBSCRIBING_MAX 4096

struct waiting_record {
	uint32_t len;
	uint16_t type;
	uint16_t pad;
};

/* ---- towards the worker --------------------------------------------------- */

bool store_link_put(struct store_link *l, uint16_t type, const void *head,
	size_t head_n, struct str rest, bool reserve)
{
	struct iovec v[2] = {{(void *)(uintptr_t)head, head_n},
		{(void *)(uintptr_t)rest.p, rest.n}};
	int ret = 0;
	pthread_mutex_lock(&l->lock);
	if (!l->dead)
		ret = ring_put_leaving(&l->link.replies, type, v, 2,
			reserve ? WRITING_RESERVE : 0);
	if (ret == 1) {
		ring_publish(&l->link.replies);
		doorbell_ring(&l->link.worker_bell);
	}
	l->full = ret == 0;
	l->lied |= ret < 0;
	pthread_mutex_unlock(&l->lock);
	return ret == 1;
}

void store_link_say(
	struct store_link *l, uint16_t type, const void *head, size_t head_n)
{
	if (!l->overflow.n &&
		store_link_put(l, type, head, head_n, STR_NONE, true))
		return;
	struct waiting_record w = {.len = (uint32_t)head_n, .type = type};
	buf_add(&l->overflow, &w, sizeof(w));
	buf_add(&l->overflow, head, head_n);
}

static bool flush_overflow(struct store_link *l, bool *moved)
{
	while (l->overflow.n) {
		struct waiting_record w;
		memcpy(&w, l->overflow.p, sizeof(w));
		if (!store_link_put(l, w.type, l->overflow.p + sizeof(w), w.len,
			    STR_NONE, true))
			return false;
		buf_drop(&l->overflow, sizeof(w) + w.len);
		*moved = true;
	}
	return true;
}

static bool is_full(struct store_link *l)
{
	pthread_mutex_lock(&l->lock);
	bool full = l->full;
	pthread_mutex_unlock(&l->lock);
	return full;
}

/*
 * Round robin: each call gets one window's worth before the first again. Few are
 * looked at in vain: those without credit are not in the list, and who finds the
 * ring full is the first of the next time.
 */
static bool feed(struct store_link *l)
{
	bool moved = false;
	struct store_call *c, *next;
	if (!flush_overflow(l, &moved))
		return moved;
	cds_list_for_each_entry_safe (c, next, &l->sending, sending) {
		if (call_feed(c, &moved)) {
			call_replied(c);
		} else if (!cds_list_empty(&c->sending) && is_full(l)) {
			cds_list_del(&l->sending);
			cds_list_add_tail(&l->sending, &c->sending);
			break;
		}
	}
	return moved;
}

/* ---- from the worker ------------------------------------------------------ */

static struct store_call *call_find(struct store_link *l, uint64_t id)
{
	struct map_node *n;
	map_each (&l->calls, hash_u64(id), n) {
		struct store_call *c = container_of(n, struct store_call, node);
		if (c->open.call == id)
			return c;
	}
	return NULL;
}

static uint64_t body_max(const struct msg_call *m)
{
	switch (m->kind) {
	case CALL_API:
	case CALL_API_WS:
		return conf_get()->max_size_request;
	case CALL_DELIVER:
		return conf_get()->max_size_message;
	case CALL_UPLOAD:
		return conf_get()->max_size_upload;
	default:
		return 0;
	}
}

static int on_call(struct store_link *l, struct str rec)
{
	struct msg_call m;
	struct str head;
	if (!msg_split(MSG_CALL, rec, &m, sizeof(m), &head))
		return -EPROTO;
	if (!m.call || m.kind < CALL_LOGIN || m.kind >= CALL_KINDS ||
		call_find(l, m.call) || l->calls.n >= STORE_CALLS_MAX ||
		l->refs >= STORE_REFS_MAX || head.n > HEAD_MAX)
		return -EPROTO;
	struct store_call *c = mem_new(sizeof(*c));
	c->link = l;
	c->open = m;
	c->credit = MSG_WINDOW;
	buf_adds(&c->head, head);
	CDS_INIT_LIST_HEAD(&c->sending);
	map_put(&l->calls, &c->node, hash_u64(m.call));
	store_link_ref(l);
	l->st->calls++;
	bool room = call_may_spool(c, call_base(c));
	call_spool(c, call_base(c));
	if (!room)
		call_refuse(c, 507);
	else if (m.body_len != UINT64_MAX && m.body_len > body_max(&m))
		call_refuse(c, 413);
	else if (m.kind == CALL_UPLOAD)
		upload_begin(c);
	return 0;
}

static void give_credit(struct store_call *c, size_t n)
{
	uint64_t was = c->got / (MSG_WINDOW / 4);
	c->got += n;
	if (c->got / (MSG_WINDOW / 4) == was)
		return;
	struct msg_credit m = {.call = c->open.call,
		.bytes = (c->got / (MSG_WINDOW / 4) - was) * (MSG_WINDOW / 4)};
	store_link_say(c->link, MSG_CALL_CREDIT, &m, sizeof(m));
}

static int on_body(struct store_link *l, struct str rec)
{
	struct msg_chunk m;
	struct str bytes;
	if (!msg_split(MSG_CALL_BODY, rec, &m, sizeof(m), &bytes))
		return -EPROTO;
	struct store_call *c = call_find(l, m.call);
	if (!c)
		return 0; /* refused or cancelled meanwhile */
	if (c->refused)
		return 0; /* its worker does not know it yet */
	if (c->started)
		return -EPROTO;
	if (c->got + bytes.n > c->open.body_len)
		return -EPROTO;
	if (c->got + bytes.n > body_max(&c->open)) {
		call_refuse(c, 413);
		return 0;
	}
	if (!call_may_spool(c, bytes.n)) {
		call_refuse(c, 507);
		return 0;
	}
	if (c->open.kind == CALL_UPLOAD)
		return upload_body(c, bytes);
	call_spool(c, bytes.n);
	buf_adds(&c->body, bytes);
	give_credit(c, bytes.n);
	return 0;
}

static int on_chunk(struct store_link *l, uint16_t type, struct str rec)
{
	struct msg_chunk m;
	struct str rest;
	if (!msg_split(type, rec, &m, sizeof(m), &rest))
		return -EPROTO;
	struct store_call *c = call_find(l, m.call);
	if (!c)
		return 0;
	if (type == MSG_CALL_CANCEL) {
		call_drop(c);
	} else if (type == MSG_CALL_SEEN) {
		if (!c->delivery)
			return -EPROTO;
		c->seen = true;
		if (!c->running)
			call_replied(c);
	} else if (!c->refused) {
		if (c->started || (c->open.body_len != UINT64_MAX &&
					  c->got != c->open.body_len))
			return -EPROTO;
		c->started = true;
		call_start(c);
	}
	return 0;
}

static int on_credit(struct store_link *l, struct str rec)
{
	struct msg_credit m;
	struct str rest;
	if (!msg_split(MSG_REPLY_CREDIT, rec, &m, sizeof(m), &rest))
		return -EPROTO;
	struct store_call *c = call_find(l, m.call);
	if (!c)
		return 0;
	if (m.bytes > MSG_WINDOW)
		return -EPROTO;
	call_credit(c, m.bytes);
	return 0;
}

static int on_record(struct store_link *l, uint16_t type, struct str rec)
{
	switch (type) {
	case MSG_CALL:
		return on_call(l, rec);
	case MSG_CALL_BODY:
		return on_body(l, rec);
	case MSG_CALL_END:
	case MSG_CALL_CANCEL:
	case MSG_CALL_SEEN:
		return on_chunk(l, type, rec);
	case MSG_REPLY_CREDIT:
		return on_credit(l, rec);
	case MSG_SUBSCRIBE:
	case MSG_UNSUBSCRIBE:
		return subscribe_start(l, type == MSG_SUBSCRIBE, rec);
	default:
		return -EPROTO;
	}
}

/* A worker that lies is ended by the master; until then it is not read. */
static void accuse(struct store_link *l, const char *why)
{
	log_error("worker=%u broke the rules of its ring: %s", l->worker, why);
	loop_unwatch(l->st->loop, &l->bell);
	pthread_mutex_lock(&l->lock);
	l->dead = true;
	pthread_mutex_unlock(&l->lock);
	role_tell(&l->st->role, CTL_BAD_WORKER, l->worker, l->life, STR_NONE);
}

/* 1, 0 = nothing to read now, -EPROTO: it is accused. */
static int read_one(struct store_link *l)
{
	uint16_t type;
	/* Others wait for them, in the account's write turn. */
	if (l->subscribing >= SUBSCRIBING_MAX)
		return 0;
	buf_reset(&l->in);
	int ret = ring_take(
		&l->link.calls, &type, &l->in, ring_max(&l->link.calls));
	if (ret < 0)
		accuse(l, "no record");
	if (ret != 1)
		return ret;
	ret = on_record(l, type, buf_str(&l->in));
	if (ret < 0) {
		accuse(l, msg_name(type));
		return ret;
	}
	if (ring_release(&l->link.calls))
		doorbell_ring(&l->link.worker_bell);
	return 1;
}

/* Did it lie where we write, or does it take nothing of what it is told? */
static bool lies_elsewhere(struct store_link *l)
{
	pthread_mutex_lock(&l->lock);
	bool lied = l->lied;
	pthread_mutex_unlock(&l->lock);
	if (lied)
		accuse(l, "its place in the reply ring");
	else if (subs_lied(l->st->subs, l->worker))
		accuse(l, "its place in the change ring");
	else if (l->overflow.n > OVERFLOW_MAX)
		accuse(l, "it does not read its replies");
	return l->dead;
}

bool store_link_turn(struct store_link *l)
{
	bool moved = false;
	uint64_t began = clock_mono_ns();
	for (int i = 1; i <= RECORDS_A_TURN && !l->dead; i++) {
		int ret = read_one(l);
		if (ret < 0)
			return true;
		if (ret == 0)
			break;
		moved = true;
		if (i % RECORDS_A_LOOK == 0 &&
			clock_mono_ns() - began > TURN_NS)
			break;
	}
	if (l->dead || lies_elsewhere(l))
		return moved;
	moved |= feed(l);
	moved |= subs_repair(l->st->subs, l->worker);
	return moved;
}

/* ---- lives ---------------------------------------------------------------- */

/* The change ring was written: wake the worker. From any thread. */
static void ring_worker(void *ctx)
{
	struct store_link *l = ctx;
	doorbell_ring(&l->link.worker_bell);
}

static void on_bell(struct watch *w, uint32_t events)
{
	struct store_link *l = container_of(w, struct store_link, bell);
	if (!doorbell_answer(&l->link.store_bell))
		loop_unwatch(l->st->loop, w); /* it ends, or harms itself */
	loop_defer(l->st->loop, &l->st->drain, LOOP_SOON);
}

int store_link_up(struct store_role *st, unsigned worker, uint64_t life,
	const int fd[LINK_FDS], struct err *e)
{
	check(worker < STORE_WORKERS);
	if (st->link[worker])
		store_link_down(st, worker);
	struct store_link *l = mem_new(sizeof(*l));
	int ret = link_open_store(&l->link, fd, e);
	if (ret < 0) {
		free(l);
		return ret;
	}
	l->st = st;
	l->worker = worker;
	l->life = life;
	l->refs = 1;
	CDS_INIT_LIST_HEAD(&l->sending);
	CDS_INIT_LIST_HEAD(&l->unheard);
	pthread_mutex_init(&l->lock, NULL);
	loop_watch(st->loop, &l->bell, l->link.store_bell.fd, EPOLLIN, on_bell);
	subs_link(st->subs, worker, life, &l->link.notices, ring_worker, l);
	st->link[worker] = l;
	loop_defer(st->loop, &st->drain, LOOP_SOON);
	return 0;
}

static bool drop_one(struct map_node *n, void *ctx)
{
	call_drop(container_of(n, struct store_call, node));
	return true;
}

void store_link_down(struct store_role *st, unsigned worker)
{
	struct store_link *l = worker < STORE_WORKERS ? st->link[worker] : NULL;
	if (!l)
		return;
	st->link[worker] = NULL;
	subs_unlink(st->subs, worker);
	pthread_mutex_lock(&l->lock);
	l->dead = true;
	pthread_mutex_unlock(&l->lock);
	if (l->bell.fd >= 0)
		loop_unwatch(st->loop, &l->bell);
	map_walk(&l->calls, drop_one, NULL);
	subscribe_drop(l);
	store_link_unref(l);
}

void store_link_ref(struct store_link *l)
{
	l->refs++;
}

void store_link_unref(struct store_link *l)
{
	if (--l->refs)
		return;
	login_forget(l);
	map_fini(&l->calls);
	buf_fini(&l->in);
	buf_fini(&l->overflow);
	pthread_mutex_destroy(&l->lock);
	link_close(&l->link);
	free(l);
}
