/*
 * A request that needs a login: it waits for the store's word with its body still
 * on the wire (backpressure), then its kind goes on.
 */
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/base/ids.h"
#include "core/base/log.h"
#include "proto/front/priv.h"

bool request_count(struct request *q)
{
	if (q->s->share->requests >= conf_get()->max_concurrent_requests)
		return false;
	q->s->share->requests++;
	q->counted = true;
	return true;
}

bool request_count_upload(struct request *q)
{
	if (q->s->share->uploads >= conf_get()->max_concurrent_upload)
		return false;
	q->s->share->uploads++;
	q->uploads = true;
	return true;
}

void request_uncount(struct request *q)
{
	if (q->counted)
		q->s->share->requests--;
	if (q->uploads)
		q->s->share->uploads--;
	q->counted = q->uploads = false;
}

bool request_owns(const struct request *q, struct str account)
{
	struct idz own = id_of('u', q->login.account);

	return str_eq(account, str_n(own.z, own.n));
}

void request_free(struct request *q)
{
	auth_unwait(&q->wait);
	call_cancel(q->f->backend, &q->call);
	request_uncount(q);
	if (q->kind->fini)
		q->kind->fini(q);
	cds_list_del(&q->node);
	buf_fini(&q->body);
	secret_wipe(&q->login, sizeof(q->login));
	free(q);
}

static void on_answer(struct call *c, unsigned status, struct str body)
{
	struct request *q = container_of(c, struct request, call);

	request_uncount(q);
	q->kind->answer(q, status, body);
}

void request_submit(struct request *q, enum call_kind kind, unsigned flags,
	struct buf *body)
{
	struct call_open o = {
		.kind = kind,
		.flags = flags,
		.conn = q->s->share->id,
		.login = &q->login,
	};

	call_submit(q->f->backend, &q->call, &o, body);
}

/* The memory of the body need not wait for the end. */
void request_answering(struct request *q)
{
	check(!q->answered);
	q->answered = true;
	request_uncount(q);
	buf_fini(&q->body);
}

void request_respond(struct request *q, unsigned status, const char *type,
	const char *cache, struct str body)
{
	struct http_header fields[] = {
		{STR("Cache-Control"), str_of(cache)},
		{STR("Vary"), STR("Accept-Encoding")},
		{STR("Content-Encoding"), STR("gzip")},
	};
	size_t n = 2;

	request_answering(q);
	if (q->gzip && body.n >= GZIP_LEAST && body.n <= GZIP_MOST) {
		body = gzip_pack(q->f->gzip, body);
		n++;
	}
	stream_respond(q->s, status, type, fields, n, body);
}

void request_refuse(struct request *q, enum request_error t, const char *limit,
	const char *detail)
{
	struct buf out cleanup(buf_fini) = {0};
	unsigned status =
		request_error(&out, t, false, STR_NONE, limit, detail);

	request_respond(q, status, "application/problem+json", "no-store",
		buf_str(&out));
}

void request_fail(struct request *q, unsigned status, struct str body)
{
	if (status < 400 || status > 599)
		status = 500;
	if (body.n) {
		request_respond(q, status, "application/problem+json",
			"no-store", body);
	} else if (status == 401) {
		request_answering(q);
		auth_refuse(q->s, q->bearer);
	} else if (status == 413) {
		request_refuse(q, REQ_LIMIT, "maxSizeRequest", NULL);
	} else if (status == 503) {
		request_refuse(q, REQ_UNAVAILABLE, NULL, NULL);
	} else {
		request_answering(q);
		stream_problem(q->s, status, NULL);
	}
}

static void on_login(struct auth_wait *w, unsigned status,
	const struct login *login, struct str name)
{
	struct request *q = container_of(w, struct request, wait);

	if (status != 200) {
		log_info("id=%llu peer=%s login status=%u",
			(unsigned long long)q->s->share->id, q->peer, status);
		if (status == 429) {
			request_answering(q);
			auth_hold_off(q->s, w->wait_s);
		} else {
			request_fail(q, status, STR_NONE);
		}
		return;
	}
	q->login = *login;
	q->known = true;
	q->kind->start(q, name);
}

static size_t on_data(struct stream *s, char *p, size_t n)
{
	struct request *q = s->up;

	if (q->answered || !q->kind->data)
		return n;
	if (!q->known)
		return 0;
	return q->kind->data(q, str_n(p, n));
}

static void on_eof(struct stream *s)
{
	struct request *q = s->up;

	q->eof = true;
	if (q->known && !q->answered && q->kind->eof)
		q->kind->eof(q);
}

static void on_room(struct stream *s)
{
	struct request *q = s->up;

	if (q->kind->room)
		q->kind->room(q);
}

static void on_done(struct stream *s, bool clean)
{
	request_free(s->up);
}

static const struct stream_ops request_ops = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_room = on_room,
	.on_done = on_done,
};

/* RFC 9110 8.3.1: parameters (charset) change nothing; JSON is UTF-8. */
static bool is_json(const struct http_request *r)
{
	struct str type = http_field(r, "Content-Type");

	type.n = str_find(type, ';');
	return http_field_count(r, "Content-Type") == 1 &&
	       str_ieq(str_trim(type), STR("application/json"));
}

void request_new(struct front *f, struct stream *s,
	const struct http_request *r, const struct request_kind *k,
	const struct ws_handshake *hs)
{
	struct request *q = mem_new(sizeof(*q));
	size_t n = strnlen(r->peer ? r->peer : "", sizeof(q->peer) - 1);

	q->f = f;
	q->s = s;
	q->kind = k;
	q->wait.on_login = on_login;
	q->call.on_answer = on_answer;
	q->content_length = r->content_length;
	q->json = is_json(r);
	q->gzip = gzip_accepted(r);
	q->bearer = auth_is_bearer(r);
	if (hs)
		q->handshake = *hs;
	if (k->open)
		k->open(q, r);
	if (n)
		memcpy(q->peer, r->peer, n);
	cds_list_add_tail(&q->node, &f->requests);
	s->ops = &request_ops;
	s->up = q;
	auth_login(f->auth, r, s->share->id, &q->wait);
}
