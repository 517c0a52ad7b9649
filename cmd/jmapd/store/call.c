#include "cmd/jmapd/store/call.h"

#include <inttypes.h>

#include "conf/conf.h"
#include "core/base/log.h"
#include "proto/jmap/engine.h"

/* ---- the engine runs it --------------------------------------------------- */

/* A call and how the engine sees it. */
struct running {
	struct jmap_call jmap;
	struct store_call *c;
};

static void on_writing(struct jmap_call *j)
{
	struct running *r = container_of(j, struct running, jmap);
	call_writing(r->c);
}

static void run_engine(struct store_call *c, struct account *a)
{
	struct running r = {
		.c = c,
		.jmap =
			{
				.store = c->link->st->store,
				.account = a,
				.account_no = c->who.id,
				.user = c->who.name,
				.version = c->who.version,
				.websocket = c->open.kind == CALL_API_WS,
				.writable = c->job.writes,
				.writing = on_writing,
			},
	};
	if (c->open.kind == CALL_SESSION)
		c->status = jmap_session(&r.jmap, &c->answer);
	else
		c->status = jmap_run(&r.jmap, buf_str(&c->body), &c->answer);
}

static uint64_t digest_of(const struct store_call *c)
{
	uint8_t sha[SHA256_LEN];
	uint64_t digest;
	sha256(buf_str(&c->body), sha);
	memcpy(&digest, sha, sizeof(digest));
	return (digest ^ c->open.login.account) | 1;
}

static void on_run(struct job *j)
{
	struct store_call *c = container_of(j, struct store_call, job);
	struct store_role *st = c->link->st;
	struct account *a cleanup(account_put) = NULL;
	struct err e = {0};
	uint64_t digest = digest_of(c);
	if (notebook_is_poison(st->notebook, digest)) {
		log_error("call=%" PRIu64
			  " refused: the store died of it twice",
			c->open.call);
		c->status = 500;
		call_done(c);
		return;
	}
	/* Opening the account is part of the work that may kill us. */
	int slot = at_work_begin(&st->at_work, digest);
	if (account_get(st->store, c->who.id, &a, &e) < 0) {
		log_error("account=%" PRIu64 ": %s", c->who.id, e.text);
		c->status = 503;
	} else {
		run_engine(c, a);
	}
	at_work_end(&st->at_work, slot);
	call_done(c);
}

/* ---- its way ------------------------------------------------------------- */

static void start_api(struct store_call *c)
{
	unsigned status = login_refused(c->link, &c->open.login, &c->who);
	if (status) {
		call_refuse(c, status);
		return;
	}
	c->running = true;
	c->job.account = c->who.id;
	c->job.conn = c->open.conn << 6 | c->link->worker;
	c->job.writes =
		c->open.kind != CALL_SESSION && c->open.flags & CALL_F_WRITES;
	c->job.run = on_run;
	exec_submit(c->link->st->exec, &c->job);
}

static void start_rcpt(struct store_call *c)
{
	struct dir_account a;
	struct err e = {0};
	int ret = dir_by_address(c->link->st->store, buf_str(&c->head), &a, &e);
	if (ret < 0)
		log_error("rcpt: %s", e.text);
	call_refuse(c, ret < 0 ? 451 : ret ? 250 : 550);
}

void call_start(struct store_call *c)
{
	static void (*const start[CALL_KINDS])(struct store_call * c) = {
		[CALL_LOGIN] = login_start,
		[CALL_SESSION] = start_api,
		[CALL_API] = start_api,
		[CALL_API_WS] = start_api,
		[CALL_RCPT] = start_rcpt,
		[CALL_DELIVER] = deliver_start,
		[CALL_UPLOAD] = upload_finish,
		[CALL_DOWNLOAD] = download_start,
	};
	metrics_add(METRIC_CALLS, 1);
	start[c->open.kind](c);
}

bool call_writing(struct store_call *c)
{
	struct msg_chunk m = {.call = c->open.call};
	if (c->writing)
		return true;
	c->writing = store_link_put(
		c->link, MSG_CALL_WRITING, &m, sizeof(m), STR_NONE, false);
	return c->writing;
}

bool call_may_spool(const struct store_call *c, size_t n)
{
	size_t mine = c->link->spooled;
	size_t left = STORE_SPOOL_MAX - (c->link->st->spooled - mine);
	return mine + n <= left / 2;
}

void call_spool(struct store_call *c, size_t n)
{
	c->link->st->spooled += n;
	c->link->spooled += n;
	c->spool += n;
}

static void unspool(struct store_call *c, size_t n)
{
	c->link->st->spooled -= n;
	c->link->spooled -= n;
	c->spool -= n;
}

void call_unspool_some(struct store_call *c, size_t n)
{
	unspool(c, min_of(n, c->spool));
}

void call_unspool(struct store_call *c)
{
	unspool(c, c->spool);
	buf_fini(&c->head);
	buf_fini(&c->body);
}

void call_unsent(struct store_call *c, size_t n)
{
	c->link->unsent += n - c->unsent;
	c->unsent = n;
}

void call_credit(struct store_call *c, uint64_t bytes)
{
	c->credit += bytes;
	if (!c->parked)
		return;
	c->parked = false;
	cds_list_add_tail(&c->sending, &c->link->sending);
}

void call_park(struct store_call *c)
{
	cds_list_del_init(&c->sending);
	c->parked = true;
}

/* A small answer goes whole, from whatever thread has it. */
static bool reply_whole(struct store_call *c)
{
	struct msg_reply m = {
		.call = c->open.call,
		.len = c->answer.n,
		.status = c->status,
		.last = 1,
	};
	if (c->answer.n > MSG_CHUNK)
		return false;
	return store_link_put(
		c->link, MSG_REPLY, &m, sizeof(m), buf_str(&c->answer), true);
}

/* A delivery is kept until its answer was seen to leave. */
void call_replied(struct store_call *c)
{
	if (c->delivery && !c->seen)
		return;
	if (c->delivery)
		deliver_seen(c);
	call_drop(c);
}

/* What its worker does not take has an end. */
static void keep_answer(struct store_call *c)
{
	if (c->link->unsent + c->answer.n > LINK_UNSENT_MAX) {
		log_warn("worker=%u leaves its answers here: call=%" PRIu64
			 " gets none",
			c->link->worker, c->open.call);
		c->status = 503;
		buf_fini(&c->answer);
	}
	call_unsent(c, c->answer.n);
}

static void on_done(struct store_role *st, struct done *d)
{
	struct store_call *c = container_of(d, struct store_call, done);
	c->running = false;
	if (c->delivery)
		deliver_shrink(c);
	else
		call_unspool(c);
	if (c->dropped || c->link->dead)
		call_drop(c);
	else if (c->replied)
		call_replied(c);
	else {
		keep_answer(c);
		cds_list_add_tail(&c->sending, &c->link->sending);
		loop_defer(st->loop, &st->drain, LOOP_SOON);
	}
}

void call_done(struct store_call *c)
{
	c->replied = reply_whole(c);
	c->done.fn = on_done;
	store_done(c->link->st, &c->done, !c->replied);
}

void call_refuse(struct store_call *c, unsigned status)
{
	c->status = status;
	c->refused = true;
	call_unspool(c);
	if (reply_whole(c)) {
		call_drop(c);
		return;
	}
	c->reply_open = false;
	cds_list_add_tail(&c->sending, &c->link->sending);
}

bool call_feed(struct store_call *c, bool *moved)
{
	struct msg_reply m = {
		.call = c->open.call,
		.len = c->answer.n,
		.status = c->status,
	};
	struct msg_chunk chunk = {.call = c->open.call};
	if (c->download)
		return download_feed(c, moved);
	if (!c->reply_open) {
		c->reply_open = store_link_put(
			c->link, MSG_REPLY, &m, sizeof(m), STR_NONE, true);
		if (!c->reply_open)
			return false;
		*moved = true;
	}
	while (c->sent < c->answer.n && c->credit) {
		size_t n = min_of(c->answer.n - c->sent, MSG_CHUNK);
		n = min_of(n, c->credit);
		if (!store_link_put(c->link, MSG_REPLY_BODY, &chunk,
			    sizeof(chunk), str_n(c->answer.p + c->sent, n),
			    true))
			return false;
		c->sent += n;
		c->credit -= n;
		*moved = true;
	}
	if (c->sent < c->answer.n) {
		call_park(c);
		return false;
	}
	if (!store_link_put(c->link, MSG_REPLY_END, &chunk, sizeof(chunk),
		    STR_NONE, true))
		return false;
	*moved = true;
	cds_list_del_init(&c->sending);
	return true;
}

void call_drop(struct store_call *c)
{
	struct store_link *l = c->link;
	if (!c->dropped) {
		c->dropped = true;
		map_del(&l->calls, &c->node);
		cds_list_del_init(&c->sending);
	}
	if (c->running)
		return; /* call_done() brings it back */
	call_unspool(c);
	call_unsent(c, 0);
	l->st->calls--;
	buf_fini(&c->answer);
	if (c->delivery)
		deliver_free(c->delivery);
	if (c->upload)
		upload_free(c);
	if (c->download)
		download_free(c->download);
	free(c);
	store_link_unref(l);
}
