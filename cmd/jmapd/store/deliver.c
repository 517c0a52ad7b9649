/*
 * CALL_DELIVER: one message for one or more recipients, each in the write turn of
 * its account. Deliveries that wait for one account share a commit, a savepoint
 * each. A recipient's status is LMTP's: 250 only when the commit is on disk.
 */
#include "cmd/jmapd/store/call.h"

#include <errno.h>
#include <inttypes.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "proto/jmap/engine.h"

#define RECIPIENTS_MAX 1000

struct recipient {
	struct job job;
	struct store_call *c;
	struct recipient *same; /* an earlier one with the same account */
	uint16_t status;
};

struct delivery {
	_Atomic unsigned left;	    /* recipients under way */
	uint8_t digest[SHA256_LEN]; /* of the message as it came */
	struct buf raw;		    /* with its trace fields */
	int64_t received_ms;
	size_t n;
	struct recipient to[];
};

static uint64_t poison_digest(const struct delivery *d)
{
	uint64_t digest;
	memcpy(&digest, d->digest, sizeof(digest));
	return digest | 1;
}

static uint16_t status_of(int ret)
{
	switch (-ret) {
	case 0:
		return 250;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return 452;
	case ENOENT:
		return 550;
	default:
		return 451;
	}
}

/* One less to wait for; the last one answers. */
static void count_down(struct store_call *c)
{
	struct delivery *d = c->delivery;
	if (atomic_fetch_sub(&d->left, 1) != 1)
		return;
	for (size_t i = 0; i < d->n; i++) {
		const struct recipient *r = &d->to[i];
		uint16_t s = r->same ? r->same->status : r->status;
		buf_add(&c->answer, &s, sizeof(s));
	}
	c->status = 200;
	call_done(c);
}

static void finish(struct recipient *r, uint16_t status)
{
	r->status = status;
	if (status == 250)
		metrics_add(METRIC_DELIVERIES, 1);
	count_down(r->c);
}

/* One of a batch: all of it happens inside the transaction, or nothing. */
static int store_one(struct tx *t, struct delivery *d, struct err *e)
{
	int ret = tx_savepoint(t, e);
	if (ret < 0)
		return ret;
	ret = delivery_begin(t, d->digest, e);
	if (ret == 0)
		ret = jmap_deliver(t, buf_str(&d->raw), d->received_ms, e);
	if (ret < 0) {
		tx_rollback_to(t);
		return ret;
	}
	return tx_release(t, e);
}

/* Statuses of the whole batch; the commit's failure is everybody's. */
static void store_batch(
	struct store_role *st, struct recipient **r, size_t n, uint16_t *status)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	struct err e = {0};
	int ret = account_get(st->store, r[0]->job.account, &a, &e);
	if (!ret)
		ret = tx_begin(a, TX_WRITE, &t, &e);
	for (size_t i = 0; i < n; i++) {
		int one = ret;
		if (!one && !call_writing(r[i]->c))
			one = -EAGAIN;
		if (!one)
			one = store_one(t, r[i]->c->delivery, &e);
		if (one < 0)
			log_error("delivery account=%" PRIu64 ": %s",
				r[i]->job.account, e.text);
		status[i] = status_of(one);
	}
	if (ret == 0 && (ret = tx_commit(t, &e)) < 0)
		log_error("delivery account=%" PRIu64 ": %s", r[0]->job.account,
			e.text);
	for (size_t i = 0; ret < 0 && i < n; i++)
		status[i] = status_of(ret);
}

static void on_batch(struct job **j, size_t n)
{
	struct recipient *r[EXEC_BATCH];
	uint16_t status[EXEC_BATCH] = {0};
	int slot[EXEC_BATCH];
	size_t live = 0;
	check(n <= EXEC_BATCH);
	for (size_t i = 0; i < n; i++) {
		struct recipient *one =
			container_of(j[i], struct recipient, job);
		struct store_role *role = one->c->link->st;
		uint64_t digest = poison_digest(one->c->delivery);
		if (notebook_is_poison(role->notebook, digest)) {
			log_error(
				"delivery refused: the store died of it twice");
			finish(one, 554);
			continue;
		}
		slot[live] = at_work_begin(&role->at_work, digest);
		r[live++] = one;
	}
	if (!live)
		return;
	struct store_role *st = r[0]->c->link->st;
	store_batch(st, r, live, status);
	for (size_t i = 0; i < live; i++) {
		at_work_end(&st->at_work, slot[i]);
		finish(r[i], status[i]);
	}
}

static void on_single(struct job *j)
{
	on_batch(&j, 1);
}

/* ---- main thread ---------------------------------------------------------- */

static struct recipient *find_same(
	struct delivery *d, size_t n, uint64_t account)
{
	for (size_t i = 0; i < n; i++)
		if (!d->to[i].same && d->to[i].job.account == account)
			return &d->to[i];
	return NULL;
}

/* Finds who that is; several addresses of one account get one copy. */
static void resolve(struct store_call *c, struct str address)
{
	struct delivery *d = c->delivery;
	struct recipient *r = &d->to[d->n];
	struct dir_account a = {0};
	struct err e = {0};
	int ret = dir_by_address(c->link->st->store, address, &a, &e);
	if (ret < 0)
		log_error("recipient: %s", e.text);
	r->c = c;
	r->status = ret < 0 ? 451 : ret == 0 ? 550 : 0;
	if (ret > 0) {
		r->same = find_same(d, d->n, a.id);
		r->job.account = a.id;
	}
	d->n++;
}

static void submit(struct store_call *c)
{
	struct delivery *d = c->delivery;
	unsigned left = 0;
	for (size_t i = 0; i < d->n; i++)
		left += !d->to[i].status && !d->to[i].same;
	c->running = true;
	/* One more, so that it is not over before the last was submitted. */
	atomic_store(&d->left, left + 1);
	for (size_t i = 0; i < d->n; i++) {
		struct recipient *r = &d->to[i];
		bool alone = notebook_suspects(
			c->link->st->notebook, poison_digest(d));
		if (r->status || r->same)
			continue;
		r->job.writes = true;
		r->job.run = on_single;
		r->job.batch = alone ? NULL : on_batch;
		exec_submit(c->link->st->exec, &r->job);
	}
	count_down(c);
}

void deliver_start(struct store_call *c)
{
	struct str head = buf_str(&c->head), trace, sender, address;
	size_t n = 0;
	if (!str_cut(&head, '\0', &trace) || !str_cut(&head, '\0', &sender)) {
		call_refuse(c, 400);
		return;
	}
	for (struct str rest = head; str_cut(&rest, '\0', &address);)
		n++;
	if (!n || n > RECIPIENTS_MAX) {
		call_refuse(c, 400);
		return;
	}
	/* As many deliveries may wait as a worker sends. */
	struct delivery *d;
	size_t size = sizeof(*d) + n * sizeof(d->to[0]);
	if (!call_may_spool(c, size)) {
		call_refuse(c, 507);
		return;
	}
	call_spool(c, size);
	d = mem_new(size);
	c->delivery = d;
	sha256(buf_str(&c->body), d->digest);
	d->received_ms = clock_real_ms();
	buf_fmt(&d->raw, "Return-Path: <%.*s>\r\n", STR_ARG(sender));
	buf_adds(&d->raw, trace);
	buf_adds(&d->raw, buf_str(&c->body));
	buf_fini(&c->body);
	while (str_cut(&head, '\0', &address))
		resolve(c, address);
	submit(c);
}

void deliver_shrink(struct store_call *c)
{
	struct delivery *d = c->delivery;
	size_t kept = sizeof(*c) + sizeof(*d) + d->n * sizeof(d->to[0]);
	buf_fini(&d->raw);
	buf_fini(&c->head);
	call_unspool_some(c, c->spool - min_of(c->spool, kept));
}

struct seen {
	struct job job;
	struct done done;
	struct store_role *st;
	uint8_t digest[SHA256_LEN];
};

static void seen_done(struct store_role *st, struct done *d)
{
	free(container_of(d, struct seen, done));
}

static void on_seen(struct job *j)
{
	struct seen *s = container_of(j, struct seen, job);
	struct account *a cleanup(account_put) = NULL;
	if (account_get(s->st->store, j->account, &a, NULL) == 0)
		delivery_seen(a, s->digest);
	store_done(s->st, &s->done, false);
}

void deliver_seen(struct store_call *c)
{
	struct delivery *d = c->delivery;
	for (size_t i = 0; i < d->n; i++) {
		if (d->to[i].same || d->to[i].status != 250)
			continue;
		struct seen *s = mem_new(sizeof(*s));
		s->st = c->link->st;
		s->done.fn = seen_done;
		memcpy(s->digest, d->digest, sizeof(s->digest));
		s->job.account = d->to[i].job.account;
		s->job.run = on_seen;
		exec_submit(s->st->exec, &s->job);
	}
}

void deliver_free(struct delivery *d)
{
	buf_fini(&d->raw);
	free(d);
}
