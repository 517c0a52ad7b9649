#include "cmd/jmapd/worker/rings.h"

#include <stdint.h>
#include <sys/epoll.h>

#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/io/loop.h"

#define HEAD_MAX 60000 /* bytes of a call's head: far below ring_max */
#define REPLIES_A_TURN 1024
#define NOTICES_A_TURN 4096

struct rings {
	struct backend backend;
	struct loop *loop;
	const struct rings_ops *ops;
	void *ctx;
	bool linked;
	struct link link;
	struct watch bell;
	struct defer drain, notices, publish;
	struct timer patience;
	struct map calls;	      /* struct call by id */
	struct cds_list_head all;     /* struct asked, oldest first */
	struct cds_list_head waiting; /* those with something to send */
	struct buf overflow;	      /* other records that found it full */
	uint64_t next_id;
	size_t load;
	bool moved; /* a record was put since it was cleared */
};

/* A call that is under way: what was asked, how far it got, its answer so far. */
struct asked {
	struct call *c;
	struct cds_list_head all;
	struct cds_list_head waiting; /* empty head: not among them */
	struct msg_call open;
	struct buf head, body;
	size_t sent;	 /* bytes of body in the ring */
	uint64_t credit; /* bytes that may still be sent */
	bool streamed, opened, whole, ended, writing, wants_room;
	struct buf answer;
	unsigned status;
	bool headed;	     /* of a streamed answer the head has come */
	uint64_t left;	     /* its bytes that are still to come */
	uint64_t uncredited; /* answer bytes taken, not yet told */
};

struct overflow_record {
	uint32_t len;
	uint16_t type;
	uint16_t pad;
};

static struct rings *rings_of(struct backend *b)
{
	return container_of(b, struct rings, backend);
}

static struct asked *asked_find(struct rings *r, uint64_t id)
{
	struct map_node *n;
	map_each (&r->calls, hash_u64(id), n) {
		struct call *c = container_of(n, struct call, node);
		if (c->id == id)
			return c->private;
	}
	return NULL;
}

static void asked_free(struct rings *r, struct asked *k)
{
	map_del(&r->calls, &k->c->node);
	k->c->id = 0;
	k->c->private = NULL;
	cds_list_del(&k->all);
	cds_list_del(&k->waiting);
	buf_fini(&k->head);
	buf_fini(&k->body);
	buf_fini(&k->answer);
	free(k);
	r->load--;
}

static void answer(
	struct rings *r, struct asked *k, unsigned status, struct str body)
{
	struct call *c = k->c;
	struct buf hold cleanup(buf_fini) = {0};
	buf_move(&hold, &k->answer); /* body may point there */
	asked_free(r, k);
	c->on_answer(c, status, body);
}

/* ---- towards the store ---------------------------------------------------- */

static void publish_soon(struct rings *r)
{
	loop_defer(r->loop, &r->publish, LOOP_FLUSH);
}

static int put(struct rings *r, uint16_t type, const void *head, size_t head_n,
	struct str rest)
{
	struct iovec v[2] = {{(void *)(uintptr_t)head, head_n},
		{(void *)(uintptr_t)rest.p, rest.n}};
	int ret = ring_put(&r->link.calls, type, v, 2);
	check(ret >= 0); /* the store's index: it is ours to trust */
	if (ret > 0) {
		r->moved = true;
		publish_soon(r);
	}
	return ret;
}

/* A record of its own; it waits its turn when the ring is full. */
static void put_or_wait(
	struct rings *r, uint16_t type, const void *head, size_t head_n)
{
	if (!r->linked)
		return; /* a new store knows nothing that it would change */
	if (!r->overflow.n && put(r, type, head, head_n, STR_NONE))
		return;
	struct overflow_record o = {.len = (uint32_t)head_n, .type = type};
	buf_add(&r->overflow, &o, sizeof(o));
	buf_add(&r->overflow, head, head_n);
}

static bool flush_overflow(struct rings *r)
{
	while (r->overflow.n) {
		struct overflow_record o;
		memcpy(&o, r->overflow.p, sizeof(o));
		if (!put(r, o.type, r->overflow.p + sizeof(o), o.len, STR_NONE))
			return false;
		buf_drop(&r->overflow, sizeof(o) + o.len);
	}
	return true;
}

/* Sends what it can of one call. Returns false when the ring is full. */
static bool pump(struct rings *r, struct asked *k)
{
	struct msg_chunk chunk = {.call = k->c->id};
	if (!k->opened) {
		if (!put(r, MSG_CALL, &k->open, sizeof(k->open),
			    buf_str(&k->head)))
			return false;
		k->opened = true;
	}
	while (k->sent < k->body.n && k->credit) {
		size_t n = min_of(k->body.n - k->sent, MSG_CHUNK);
		n = min_of(n, k->credit);
		if (!put(r, MSG_CALL_BODY, &chunk, sizeof(chunk),
			    str_n(k->body.p + k->sent, n)))
			return false;
		k->sent += n;
		k->credit -= n;
	}
	if (k->streamed) {
		buf_drop(&k->body, k->sent);
		k->sent = 0;
	}
	if (k->whole && !k->ended && k->sent == k->body.n) {
		if (!put(r, MSG_CALL_END, &chunk, sizeof(chunk), STR_NONE))
			return false;
		k->ended = true;
	}
	return true;
}

static void want_send(struct rings *r, struct asked *k)
{
	if (cds_list_empty(&k->waiting))
		cds_list_add_tail(&k->waiting, &r->waiting);
}

static void send_some(struct rings *r, struct asked *k)
{
	if (!r->linked || !cds_list_empty(&k->waiting) || r->overflow.n ||
		!cds_list_empty(&r->waiting) || !pump(r, k))
		want_send(r, k);
}

static void offer_room(struct asked *k)
{
	if (!k->wants_room || k->body.n >= MSG_WINDOW / 2)
		return;
	k->wants_room = false;
	if (k->c->on_room)
		k->c->on_room(k->c);
}

/* Those that found the ring full, in order. Returns whether anything moved. */
static bool flush_waiting(struct rings *r)
{
	r->moved = false;
	if (!r->linked || !flush_overflow(r))
		return r->moved;
	while (!cds_list_empty(&r->waiting)) {
		struct asked *k = cds_list_first_entry(
			&r->waiting, struct asked, waiting);
		if (!pump(r, k))
			break;
		cds_list_del_init(&k->waiting);
		r->moved = true;
		offer_room(k);
	}
	return r->moved;
}

static void on_publish(struct defer *d)
{
	struct rings *r = container_of(d, struct rings, publish);
	if (!r->linked)
		return;
	ring_publish(&r->link.calls);
	doorbell_ring(&r->link.store_bell);
}

/* Answer bytes are where they belong: the store may send as many more. */
static void credit(struct rings *r, struct asked *k, size_t n)
{
	k->uncredited += n;
	if (k->uncredited < MSG_WINDOW / 4)
		return;
	struct msg_credit m = {.call = k->c->id, .bytes = k->uncredited};
	k->uncredited = 0;
	put_or_wait(r, MSG_REPLY_CREDIT, &m, sizeof(m));
}

/* ---- the seam ------------------------------------------------------------- */

static struct asked *ask(struct rings *r, struct call *c,
	const struct call_open *o, uint64_t body_len)
{
	struct asked *k = mem_new(sizeof(*k));
	check(o->head.n <= HEAD_MAX && c->id == 0);
	c->id = ++r->next_id;
	c->private = k;
	map_put(&r->calls, &c->node, hash_u64(c->id));
	k->c = c;
	k->open = (struct msg_call){
		.call = c->id,
		.conn = o->conn,
		.body_len = body_len,
		.kind = o->kind,
		.flags = o->flags,
	};
	if (o->login)
		k->open.login = *o->login;
	buf_adds(&k->head, o->head);
	k->credit = MSG_WINDOW;
	cds_list_add_tail(&k->all, &r->all);
	CDS_INIT_LIST_HEAD(&k->waiting);
	metrics_add(METRIC_CALLS, 1);
	r->load++;
	return k;
}

static void be_submit(struct backend *b, struct call *c,
	const struct call_open *o, struct buf *body)
{
	struct rings *r = rings_of(b);
	struct asked *k = ask(r, c, o, body ? body->n : 0);
	if (body)
		buf_move(&k->body, body);
	k->whole = true;
	send_some(r, k);
}

static void be_open(
	struct backend *b, struct call *c, const struct call_open *o)
{
	struct rings *r = rings_of(b);
	struct asked *k = ask(r, c, o, UINT64_MAX);
	k->streamed = true;
	send_some(r, k);
}

static size_t be_write(
	struct backend *b, struct call *c, const char *p, size_t n)
{
	struct asked *k = c->private;
	size_t room = MSG_WINDOW - min_of(k->body.n, (size_t)MSG_WINDOW);
	size_t take = min_of(n, room);
	buf_add(&k->body, p, take);
	if (take < n)
		k->wants_room = true;
	send_some(rings_of(b), k);
	return take;
}

static void be_end(struct backend *b, struct call *c)
{
	struct asked *k = c->private;
	k->whole = true;
	send_some(rings_of(b), k);
}

static void be_took(struct backend *b, struct call *c, size_t n)
{
	credit(rings_of(b), c->private, n);
}

static void be_cancel(struct backend *b, struct call *c)
{
	struct rings *r = rings_of(b);
	struct asked *k = c->private;
	struct msg_chunk m = {.call = c->id};
	bool told = k->opened;
	asked_free(r, k);
	if (told)
		put_or_wait(r, MSG_CALL_CANCEL, &m, sizeof(m));
}

static void be_seen(struct backend *b, uint64_t call_id)
{
	struct msg_chunk m = {.call = call_id};
	put_or_wait(rings_of(b), MSG_CALL_SEEN, &m, sizeof(m));
}

static void be_watch(struct backend *b, const struct login *who)
{
	struct msg_subscribe m = {.login = *who};
	put_or_wait(rings_of(b), MSG_SUBSCRIBE, &m, sizeof(m));
}

static void be_unwatch(struct backend *b, uint64_t account)
{
	struct msg_subscribe m = {.login.account = account};
	put_or_wait(rings_of(b), MSG_UNSUBSCRIBE, &m, sizeof(m));
}

static bool be_ready(const struct backend *b)
{
	return container_of(b, const struct rings, backend)->linked;
}

static const struct backend_ops backend_ops = {
	.submit = be_submit,
	.open = be_open,
	.write = be_write,
	.end = be_end,
	.took = be_took,
	.cancel = be_cancel,
	.seen = be_seen,
	.watch = be_watch,
	.unwatch = be_unwatch,
	.ready = be_ready,
};

/* ---- from the store ------------------------------------------------------- */

static void on_reply(struct rings *r, struct str rec)
{
	struct msg_reply m;
	struct str rest;
	check(msg_split(MSG_REPLY, rec, &m, sizeof(m), &rest));
	struct asked *k = asked_find(r, m.call);
	if (!k)
		return; /* cancelled meanwhile */
	if (m.last) {
		answer(r, k, m.status, rest);
		return;
	}
	k->status = m.status;
	if (!k->c->on_head)
		return;
	struct call_found f;
	check(rest.n == sizeof(f));
	memcpy(&f, rest.p, sizeof(f));
	k->headed = true;
	k->left = m.len;
	k->c->on_head(k->c, m.status, &f);
}

static void on_reply_body(struct rings *r, struct asked *k, struct str rest)
{
	if (k->headed) {
		check(rest.n <= k->left);
		k->left -= rest.n;
		k->c->on_data(k->c, rest);
	} else {
		buf_adds(&k->answer, rest);
		credit(r, k, rest.n);
	}
}

/* A stream that ends early broke off in the store. */
static void on_reply_end(struct rings *r, struct asked *k)
{
	answer(r, k, k->left ? 503 : k->status, buf_str(&k->answer));
}

static void on_chunk(struct rings *r, uint16_t type, struct str rec)
{
	struct msg_chunk m;
	struct str rest;
	check(msg_split(type, rec, &m, sizeof(m), &rest));
	struct asked *k = asked_find(r, m.call);
	if (!k)
		return;
	if (type == MSG_REPLY_BODY)
		on_reply_body(r, k, rest);
	else if (type == MSG_REPLY_END)
		on_reply_end(r, k);
	else
		k->writing = true;
}

static void on_credit(struct rings *r, struct str rec)
{
	struct msg_credit m;
	struct str rest;
	check(msg_split(MSG_CALL_CREDIT, rec, &m, sizeof(m), &rest));
	struct asked *k = asked_find(r, m.call);
	if (!k)
		return;
	k->credit += m.bytes;
	send_some(r, k);
	offer_room(k);
}

static void on_revoke(struct rings *r, struct str rec)
{
	struct msg_revoke m;
	struct str rest;
	check(msg_split(MSG_REVOKE, rec, &m, sizeof(m), &rest));
	r->ops->on_revoke(r->ctx, m.account, m.version);
}

static void on_record(struct rings *r, uint16_t type, struct str rec)
{
	switch (type) {
	case MSG_REPLY:
		on_reply(r, rec);
		break;
	case MSG_REPLY_BODY:
	case MSG_REPLY_END:
	case MSG_CALL_WRITING:
		on_chunk(r, type, rec);
		break;
	case MSG_CALL_CREDIT:
		on_credit(r, rec);
		break;
	case MSG_REVOKE:
		on_revoke(r, rec);
		break;
	default:
		check(!"a message that the store does not send");
	}
}

static bool drain_replies(struct rings *r, unsigned max)
{
	uint16_t type;
	struct str rec;
	bool starved = false;
	int ret = 0;
	while (max-- && (ret = ring_peek(&r->link.replies, &type, &rec)) == 1) {
		on_record(r, type, rec);
		starved |= ring_release(&r->link.replies);
	}
	check(ret >= 0);
	if (starved)
		doorbell_ring(&r->link.store_bell);
	return ret == 1;
}

static bool drain_notices(struct rings *r, unsigned max)
{
	struct notice n;
	int ret = 0;
	while (max-- && (ret = notice_get(&r->link.notices, &n)) == 1) {
		metrics_add(METRIC_NOTICES, 1);
		r->ops->on_notice(r->ctx, &n);
	}
	check(ret >= 0);
	if (notice_relieve(&r->link.notices))
		doorbell_ring(&r->link.store_bell);
	return ret == 1;
}

static void on_drain(struct defer *d)
{
	struct rings *r = container_of(d, struct rings, drain);
	if (!r->linked)
		return;
	bool more = drain_replies(r, REPLIES_A_TURN);
	flush_waiting(r);
	/* Answers first: whoever made a change holds it when told of it. */
	if (more)
		loop_defer(r->loop, d, LOOP_SOON);
	else
		loop_defer(r->loop, &r->notices, LOOP_NOTICES);
}

static void on_notices(struct defer *d)
{
	struct rings *r = container_of(d, struct rings, notices);
	if (!r->linked)
		return;
	/* Answers that were written after the drain belong before these. */
	if (!ring_empty(&r->link.replies)) {
		loop_defer(r->loop, &r->drain, LOOP_SOON);
		return;
	}
	if (drain_notices(r, NOTICES_A_TURN))
		loop_defer(r->loop, d, LOOP_NOTICES);
}

static void wake(struct rings *r)
{
	loop_defer(r->loop, &r->drain, LOOP_SOON);
}

/* Arm, look again, sleep: ipc/README.md. */
static bool before_sleep(void *ctx)
{
	struct rings *r = ctx;
	if (!r->linked)
		return false;
	doorbell_arm(&r->link.worker_bell);
	if (!flush_waiting(r) && ring_empty(&r->link.replies) &&
		notice_empty(&r->link.notices))
		return false;
	wake(r);
	return true;
}

static void after_sleep(void *ctx)
{
	struct rings *r = ctx;
	if (r->linked)
		doorbell_disarm(&r->link.worker_bell);
}

static void on_bell(struct watch *w, uint32_t events)
{
	struct rings *r = container_of(w, struct rings, bell);
	if (!doorbell_answer(&r->link.worker_bell))
		loop_unwatch(r->loop, w); /* that store is dead */
	wake(r);
}

/* ---- lives of the store --------------------------------------------------- */

int rings_link(struct rings *r, const int fd[LINK_FDS], struct err *e)
{
	struct asked *k;
	rings_unlink(r);
	int ret = link_open_worker(&r->link, fd, e);
	if (ret < 0)
		return ret;
	r->linked = true;
	timer_stop(r->loop, &r->patience);
	loop_watch(r->loop, &r->bell, r->link.worker_bell.fd, EPOLLIN, on_bell);
	r->ops->on_store(r->ctx);
	/* In the order in which they were asked, again or for the first time: a
	 * read must not overtake an earlier write. */
	cds_list_for_each_entry (k, &r->all, all) {
		cds_list_del_init(&k->waiting);
		want_send(r, k);
	}
	flush_waiting(r);
	return 0;
}

/* Answers 503 to each of that list; callbacks may cancel any of them meanwhile. */
static void give_up(struct rings *r, struct cds_list_head *list)
{
	while (!cds_list_empty(list))
		answer(r, cds_list_first_entry(list, struct asked, all), 503,
			STR_NONE);
}

static void ask_again(struct asked *k)
{
	if (k->opened)
		metrics_add(METRIC_CALLS_RETRIED, 1);
	k->open.flags |= CALL_F_RETRY;
	k->opened = k->ended = false;
	k->sent = 0;
	k->credit = MSG_WINDOW;
	k->uncredited = 0;
	buf_reset(&k->answer);
	cds_list_del_init(&k->waiting);
}

void rings_unlink(struct rings *r)
{
	struct asked *k, *next;
	CDS_LIST_HEAD(lost);
	if (!r->linked)
		return;
	/* What it said before it died still counts. */
	while (drain_replies(r, REPLIES_A_TURN))
		;
	while (drain_notices(r, NOTICES_A_TURN))
		;
	loop_unwatch(r->loop, &r->bell);
	r->linked = false;
	link_close(&r->link);
	buf_reset(&r->overflow);
	cds_list_for_each_entry_safe (k, next, &r->all, all) {
		/* Its end is unknown, or its body is gone. */
		if (k->writing || (k->streamed && k->opened) || k->headed) {
			cds_list_del(&k->all);
			cds_list_add_tail(&k->all, &lost);
		} else {
			ask_again(k);
		}
	}
	give_up(r, &lost);
	timer_set(r->loop, &r->patience,
		loop_now_ms(r->loop) + RINGS_PATIENCE_MS);
}

static void on_impatient(struct timer *t)
{
	struct rings *r = container_of(t, struct rings, patience);
	CDS_LIST_HEAD(all);
	cds_list_splice(&r->all, &all);
	CDS_INIT_LIST_HEAD(&r->all);
	give_up(r, &all);
	timer_set(r->loop, t, loop_now_ms(r->loop) + RINGS_PATIENCE_MS);
}

struct rings *rings_new(struct loop *l, const struct rings_ops *ops, void *ctx)
{
	struct rings *r = mem_new(sizeof(*r));
	r->backend.ops = &backend_ops;
	r->loop = l;
	r->ops = ops;
	r->ctx = ctx;
	r->bell.fd = -1;
	CDS_INIT_LIST_HEAD(&r->all);
	CDS_INIT_LIST_HEAD(&r->waiting);
	defer_init(&r->drain, on_drain);
	defer_init(&r->notices, on_notices);
	defer_init(&r->publish, on_publish);
	timer_init(&r->patience, on_impatient);
	timer_set(l, &r->patience, loop_now_ms(l) + RINGS_PATIENCE_MS);
	loop_hooks(l, before_sleep, after_sleep, r);
	return r;
}

struct backend *rings_backend(struct rings *r)
{
	return &r->backend;
}

size_t rings_load(const struct rings *r)
{
	return r->load;
}

void rings_free(struct rings *r)
{
	struct asked *k, *next;
	cds_list_for_each_entry_safe (k, next, &r->all, all)
		asked_free(r, k);
	if (r->linked) {
		loop_unwatch(r->loop, &r->bell);
		link_close(&r->link);
	}
	loop_hooks(r->loop, NULL, NULL, NULL);
	loop_undefer(&r->drain);
	loop_undefer(&r->notices);
	loop_undefer(&r->publish);
	timer_stop(r->loop, &r->patience);
	map_fini(&r->calls);
	buf_fini(&r->overflow);
	free(r);
}
