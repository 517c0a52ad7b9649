/*
 * CALL_UPLOAD (RFC 8620 6.1): bytes that become a blob.
 *
 * What comes is collected up to 64 KB, which is a row; what is more goes piece by
 * piece into a spool (core/store/blob.h), by jobs that write nothing of the account.
 * Only bytes that were written are credited, so a call has never more than its
 * window in memory. When all is there the file is synced, and then, in the account's
 * write turn, it becomes an upload. It is answered when that is on disk.
 *
 * Jobs belong to the call: one at a time. The spool is the job's while it runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <urcu.h>

#include "cmd/jmapd/store/call.h"
#include "conf/conf.h"
#include "core/base/ids.h"
#include "core/base/jw.h"
#include "core/base/log.h"
#include "core/store/blob.h"
#include "proto/jmap/ids.h"

struct upload {
	struct store_call *c;
	struct spool *spool; /* NULL: all of it is in c->body */
	struct buf writing;  /* what the job writes */
	uint64_t counted;    /* bytes in known_account.uploading */
	bool whole;	     /* all has come */
	bool last;	     /* and the job writes what was left of it */
	bool synced;	     /* the spool has ended */
	unsigned failed;     /* status; 0: all is well */
	struct job job;
	struct done done;
};

static void go_on(struct store_call *c);

static unsigned status_of(int ret)
{
	switch (-ret) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return 507;
	case ENOENT:
		return 404; /* the account was removed meanwhile */
	default:
		return 503;
	}
}

/* ---- jobs that write the spool -------------------------------------------- */

static int write_spool(struct upload *u, struct err *e)
{
	struct store *s = u->c->link->st->store;
	int ret = u->spool ? 0 : spool_new(s, &u->spool, e);

	if (ret == 0)
		ret = spool_add(u->spool, buf_str(&u->writing), e);
	if (ret == 0 && u->last) {
		ret = spool_end(u->spool, e);
		u->synced = ret == 0;
	}
	return ret;
}

static void on_spool(struct job *j)
{
	struct upload *u = container_of(j, struct upload, job);
	struct err e;
	int ret = write_spool(u, &e);

	if (ret < 0) {
		log_error("upload account=%" PRIu64 ": %s", j->account, e.text);
		u->failed = status_of(ret);
	}
	store_done(u->c->link->st, &u->done, true);
}

static void submit_spool(struct upload *u)
{
	struct store_call *c = u->c;

	u->last = u->whole;
	buf_move(&u->writing, &c->body);
	c->running = true;
	u->job.account = c->who.id;
	u->job.run = on_spool;
	exec_submit(c->link->st->exec, &u->job);
}

static void on_spooled(struct store_role *st, struct done *d)
{
	struct upload *u = container_of(d, struct upload, done);
	struct store_call *c = u->c;
	struct msg_credit m = {.call = c->open.call, .bytes = u->writing.n};

	c->running = false;
	call_unspool_some(c, u->writing.n);
	buf_reset(&u->writing);
	if (c->dropped || c->link->dead || !st->exec) {
		call_drop(c);
	} else if (u->failed && !c->refused) {
		call_refuse(c, u->failed);
	} else if (!c->refused) {
		store_link_say(c->link, MSG_CALL_CREDIT, &m, sizeof(m));
		go_on(c);
	}
}

/* ---- the job that makes it a blob ----------------------------------------- */

static uint64_t quota(void)
{
	uint64_t bytes;

	rcu_read_lock();
	bytes = conf_get()->upload_quota;
	rcu_read_unlock();
	return bytes;
}

static int keep(struct upload *u, struct tx *t, struct blob_id *b, uint64_t *n,
	struct err *e)
{
	int ret;

	if (!u->synced) {
		*n = u->c->body.n;
		return upload_add(t, buf_str(&u->c->body), quota(), b, e);
	}
	*n = spool_size(u->spool);
	ret = upload_keep(t, u->spool, quota(), e);
	if (ret == 0)
		*b = *spool_id(u->spool);
	return ret;
}

/* RFC 8620 6.1. */
static void write_answer(
	struct store_call *c, const struct blob_id *b, uint64_t size)
{
	struct idz account = id_of('u', c->who.id);
	char blob[BLOB_ID_MAX];
	struct jw w;

	blob_id_of(b, blob);
	jw_init(&w, &c->answer);
	jw_obj(&w);
	jw_kstrz(&w, "accountId", account.z);
	jw_kstrz(&w, "blobId", blob);
	jw_key(&w, STR("type"));
	jw_str(&w, buf_str(&c->head));
	jw_ku64(&w, "size", size);
	jw_obj_end(&w);
}

static int commit(struct upload *u, struct account *a, struct err *e)
{
	struct tx *t cleanup(tx_end) = NULL;
	struct blob_id b;
	uint64_t size;
	int ret = call_writing(u->c) ? 0 : err_set(e, -EAGAIN, "no room");

	if (ret == 0)
		ret = tx_begin(a, TX_WRITE, &t, e);
	if (ret == 0)
		ret = keep(u, t, &b, &size, e);
	if (ret == UPLOAD_NO_ROOM)
		return err_set(e, -ENOSPC, "larger than upload-quota");
	if (ret == 0)
		ret = tx_commit(t, e);
	if (ret == 0)
		write_answer(u->c, &b, size);
	return ret;
}

static uint64_t digest_of(const struct upload *u)
{
	uint8_t sha[SHA256_LEN];
	uint64_t digest;

	if (u->synced)
		memcpy(sha, spool_id(u->spool)->sha, sizeof(sha));
	else
		sha256(buf_str(&u->c->body), sha);
	memcpy(&digest, sha, sizeof(digest));
	return (digest ^ u->c->who.id) | 1;
}

static unsigned commit_watched(struct upload *u)
{
	struct store_role *st = u->c->link->st;
	struct account *a cleanup(account_put) = NULL;
	struct err e = {0};
	uint64_t digest = digest_of(u);
	int slot, ret;

	if (notebook_is_poison(st->notebook, digest)) {
		log_error("upload refused: the store died of it twice");
		return 500;
	}
	slot = at_work_begin(&st->at_work, digest);
	ret = account_get(st->store, u->c->who.id, &a, &e);
	if (ret == 0)
		ret = commit(u, a, &e);
	at_work_end(&st->at_work, slot);
	if (ret == 0)
		return 201;
	log_error("upload account=%" PRIu64 ": %s", u->c->who.id, e.text);
	return status_of(ret);
}

static void on_commit(struct job *j)
{
	struct upload *u = container_of(j, struct upload, job);
	struct store_call *c = u->c;

	c->status = commit_watched(u);
	if (u->spool)
		spool_free(steal(u->spool));
	call_done(c);
}

static void submit_commit(struct upload *u)
{
	struct store_call *c = u->c;
	unsigned status = login_refused(c->link, &c->open.login, &c->who);

	if (status) {
		call_refuse(c, status);
		return;
	}
	c->running = true;
	u->job.account = c->who.id;
	u->job.conn = c->open.conn << 6 | c->link->worker;
	u->job.writes = true;
	u->job.run = on_commit;
	exec_submit(c->link->st->exec, &u->job);
}

/* ---- its way -------------------------------------------------------------- */

/* No job runs: what is next? */
static void go_on(struct store_call *c)
{
	struct upload *u = c->upload;
	bool more = c->body.n > UPLOAD_ROW_MAX;

	if (u->synced || (u->whole && !u->spool && !more))
		submit_commit(u);
	else if (u->whole || more)
		submit_spool(u);
}

void upload_begin(struct store_call *c)
{
	struct upload *u;
	unsigned status = login_refused(c->link, &c->open.login, &c->who);

	if (status) {
		call_refuse(c, status);
		return;
	}
	u = mem_new(sizeof(*u));
	u->c = c;
	u->done.fn = on_spooled;
	c->upload = u;
}

/* What comes at the same time counts as well, or the disk would be anybody's. */
static bool count(struct store_call *c, size_t n)
{
	struct known_account *k;

	store_account(c->link->st, c->who.id, &k); /* it was asked for before */
	if (!k || k->uploading + n > conf_get()->upload_quota)
		return false;
	k->uploading += n;
	c->upload->counted += n;
	return true;
}

int upload_body(struct store_call *c, struct str bytes)
{
	struct upload *u = c->upload;

	/* Bytes that were not credited again. The job's are its own. */
	if (c->spool + bytes.n > MSG_WINDOW + call_base(c))
		return -EPROTO;
	if (!count(c, bytes.n)) {
		call_refuse(c, 507);
		return 0;
	}
	call_spool(c, bytes.n);
	buf_adds(&c->body, bytes);
	c->got += bytes.n;
	if (!c->running && c->body.n > UPLOAD_ROW_MAX)
		submit_spool(u);
	return 0;
}

void upload_finish(struct store_call *c)
{
	c->upload->whole = true;
	if (!c->running)
		go_on(c);
}

/* ---- the end -------------------------------------------------------------- */

/* A large file takes its time to go: not on the main thread. */
struct trash {
	struct job job;
	struct done done;
	struct store_role *st;
	struct spool *spool;
};

static void trash_done(struct store_role *st, struct done *d)
{
	free(container_of(d, struct trash, done));
}

static void on_trash(struct job *j)
{
	struct trash *x = container_of(j, struct trash, job);

	spool_free(x->spool);
	store_done(x->st, &x->done, false);
}

static void throw_away(struct store_role *st, struct spool *p)
{
	struct trash *x;

	if (!st->exec) {
		spool_free(p); /* we end */
		return;
	}
	x = mem_new(sizeof(*x));
	x->st = st;
	x->spool = p;
	x->job.run = on_trash;
	x->done.fn = trash_done;
	exec_submit(st->exec, &x->job);
}

void upload_free(struct store_call *c)
{
	struct upload *u = c->upload;
	struct known_account *k;

	store_account(c->link->st, c->who.id, &k);
	if (k)
		k->uploading -= u->counted;
	if (u->spool)
		throw_away(c->link->st, u->spool);
	buf_fini(&u->writing);
	free(u);
}
