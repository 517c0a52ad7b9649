/*
 * CALL_DOWNLOAD (RFC 8620 6.2): the bytes of a blob, as its worker has room.
 *
 * Each piece is a job of its own: it takes a snapshot, reads at most some 128 KB (or
 * goes through 2 MB of a part whose size must be found out first) and ends. Between
 * jobs the call holds the bytes that were not sent yet and the state of a decoder.
 * No job is begun before there is credit for all that it may read, or while the
 * worker leaves too much of what was read before. What goes wrong after the head was
 * sent ends the stream early: fewer bytes than were promised.
 */
#include <inttypes.h>

#include "cmd/jmapd/store/call.h"
#include "core/base/log.h"
#include "proto/jmap/blob_stream.h"

#define PIECE 131072 /* bytes that a job reads, or some more */

struct download {
	struct store_call *c;
	struct blob_stream *s;
	struct call_range range;
	struct call_found found;
	uint64_t left; /* bytes that are still to be read */
	bool headed;   /* found is what will be sent */
	bool broken;   /* nothing more will come */
	uint64_t digest;
	struct job job;
	struct done done;
};

/* ---- on an executor -------------------------------------------------------- */

/* RFC 9110 14.1.2; an empty blob has no ranges and is sent as it is. */
static unsigned choose(
	const struct call_range *r, uint64_t total, struct call_found *f)
{
	uint64_t end = total;

	*f = (struct call_found){.total = total};
	if (!r->given || total == 0) {
		f->length = total;
		return 200;
	}
	if (r->first == UINT64_MAX) {
		f->length = min_of(r->last, total);
		f->first = total - f->length;
		return f->length ? 206 : 416;
	}
	if (r->first >= total || r->last < r->first)
		return 416;
	if (r->last < total)
		end = r->last + 1;
	f->first = r->first;
	f->length = end - r->first;
	return 206;
}

/* 1, 0 = not there, < 0; found is filled in once the size is known. */
static int look(struct download *d, struct tx *t, struct err *e)
{
	struct store_call *c = d->c;
	uint64_t total;
	int ret = blob_stream_size(d->s, t, &total, e);

	if (ret != 1)
		return ret;
	c->status = choose(&d->range, total, &d->found);
	d->headed = true;
	if (c->status == 416 || d->range.none)
		return 1;
	d->left = d->found.length;
	blob_stream_seek(d->s, d->found.first);
	return 1;
}

static int piece(struct download *d, struct tx *t, struct err *e)
{
	struct store_call *c = d->c;
	int ret = d->headed ? 1 : look(d, t, e);

	if (ret <= 0 || !d->left)
		return ret;
	if (!d->headed)
		return 1;
	ret = blob_stream_read(d->s, t, &c->answer, e);
	if (ret > 0) {
		c->answer.n = (size_t)min_of((uint64_t)c->answer.n, d->left);
		d->left -= c->answer.n;
	}
	return ret;
}

static int run(struct download *d, struct err *e)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	int ret = account_get(d->c->link->st->store, d->c->who.id, &a, e);

	if (ret == 0)
		ret = tx_begin(a, TX_READ, &t, e);
	return ret < 0 ? ret : piece(d, t, e);
}

static unsigned run_watched(struct download *d)
{
	struct store_role *st = d->c->link->st;
	struct err e = {0};
	int slot, ret;

	if (notebook_is_poison(st->notebook, d->digest)) {
		log_error("download refused: the store died of it twice");
		return 500;
	}
	slot = at_work_begin(&st->at_work, d->digest);
	ret = run(d, &e);
	at_work_end(&st->at_work, slot);
	if (ret < 0)
		log_error("download account=%" PRIu64 ": %s", d->c->who.id,
			e.text);
	return ret < 0 ? 503 : ret == 0 ? 404 : 0;
}

static void on_run(struct job *j)
{
	struct download *d = container_of(j, struct download, job);
	unsigned wrong = run_watched(d);

	if (wrong) {
		d->broken = true;
		d->left = 0;
		buf_reset(&d->c->answer);
		if (!d->headed)
			d->c->status = wrong;
	}
	store_done(d->c->link->st, &d->done, true);
}

/* ---- on the main thread ----------------------------------------------------- */

static void submit(struct download *d)
{
	struct store_call *c = d->c;

	c->running = true;
	call_unsent(c, PIECE);
	d->job.account = c->who.id;
	d->job.run = on_run;
	exec_submit(c->link->st->exec, &d->job);
	d->job.conn = 0; /* later ones need not wait for later writes */
}

/* In link->sending: the next job, when it may be begun. */
static void go_on(struct download *d)
{
	struct store_call *c = d->c;

	if (c->credit < PIECE) {
		call_park(c);
	} else if (c->link->unsent < LINK_UNSENT_MAX) {
		cds_list_del_init(&c->sending);
		submit(d);
	}
}

static void on_piece(struct store_role *st, struct done *d_)
{
	struct download *d = container_of(d_, struct download, done);
	struct store_call *c = d->c;

	c->running = false;
	call_unsent(c, c->answer.n);
	if (c->dropped || c->link->dead || !st->exec) {
		call_drop(c);
	} else if (d->broken && !d->headed) {
		download_free(steal(c->download));
		call_refuse(c, c->status);
	} else if (!d->headed) {
		submit(d); /* its size takes longer */
	} else {
		cds_list_add_tail(&c->sending, &c->link->sending);
		loop_defer(st->loop, &st->drain, LOOP_SOON);
	}
}

static bool send_head(struct store_call *c, bool *moved)
{
	struct download *d = c->download;
	bool none = c->status == 416 || d->range.none;
	struct msg_reply m = {
		.call = c->open.call,
		.len = none ? 0 : d->found.length,
		.status = c->status,
	};

	if (!c->reply_open)
		*moved |= c->reply_open = store_link_put(c->link, MSG_REPLY, &m,
			sizeof(m), str_n(&d->found, sizeof(d->found)), true);
	return c->reply_open;
}

static bool send_some(struct store_call *c, bool *moved)
{
	struct msg_chunk chunk = {.call = c->open.call};

	while (c->answer.n && c->credit) {
		size_t n = min_of(c->answer.n, (size_t)MSG_CHUNK);

		n = (size_t)min_of((uint64_t)n, c->credit);
		if (!store_link_put(c->link, MSG_REPLY_BODY, &chunk,
			    sizeof(chunk), str_n(c->answer.p, n), true))
			return false;
		buf_drop(&c->answer, n);
		c->credit -= n;
		*moved = true;
	}
	if (c->answer.n)
		call_park(c);
	return !c->answer.n;
}

static bool send_bytes(struct store_call *c, bool *moved)
{
	bool all = send_some(c, moved);

	call_unsent(c, c->answer.n);
	return all;
}

bool download_feed(struct store_call *c, bool *moved)
{
	struct download *d = c->download;
	struct msg_chunk chunk = {.call = c->open.call};

	if (d->headed && (!send_head(c, moved) || !send_bytes(c, moved)))
		return false;
	if (d->left && login_refused(c->link, &c->open.login, NULL))
		d->broken = true;
	if (!d->headed || (d->left && !d->broken)) {
		go_on(d);
		return false;
	}
	if (!store_link_put(c->link, MSG_REPLY_END, &chunk, sizeof(chunk),
		    STR_NONE, true))
		return false;
	*moved = true;
	cds_list_del_init(&c->sending);
	return true;
}

static uint64_t digest_of(const struct store_call *c)
{
	uint8_t sha[SHA256_LEN];
	uint64_t digest;

	sha256(buf_str(&c->head), sha);
	memcpy(&digest, sha, sizeof(digest));
	return (digest ^ c->who.id) | 1;
}

void download_start(struct store_call *c)
{
	struct str head = buf_str(&c->head);
	struct download *d;
	unsigned status = login_refused(c->link, &c->open.login, &c->who);

	if (status) {
		call_refuse(c, status);
		return;
	}
	if (head.n < sizeof(d->range)) {
		call_refuse(c, 400);
		return;
	}
	d = mem_new(sizeof(*d));
	memcpy(&d->range, head.p, sizeof(d->range));
	d->s = blob_stream_new(str_skip(head, sizeof(d->range)));
	if (!d->s) {
		free(d);
		call_refuse(c, 404);
		return;
	}
	d->c = c;
	d->digest = digest_of(c);
	d->done.fn = on_piece;
	d->job.conn = c->open.conn << 6 | c->link->worker;
	c->download = d;
	cds_list_add_tail(&c->sending, &c->link->sending);
	go_on(d);
}

void download_free(struct download *d)
{
	blob_stream_free(d->s);
	free(d);
}
