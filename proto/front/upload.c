/*
 * POST /jmap/upload/{accountId}/ (RFC 8620 6.1): the body goes to the store as it
 * comes, no faster than that takes it. What is too large is refused before it is
 * read when its length is announced, else with the first byte that is too much.
 */
#include "conf/conf.h"
#include "core/base/jw.h"
#include "proto/front/priv.h"

#define TYPE_MAX 1000 /* bytes of a Content-Type */

struct upload {
	struct buf account, type;
	bool bad_type;
	uint64_t got;
};

/* ---- refusals -------------------------------------------------------------- */

/* RFC 8620 3.6.1, with the status of RFC 9110 15.5.14. */
static void too_large(struct request *q)
{
	struct buf out cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &out);
	jw_obj(&w);
	jw_kstrz(&w, "type", "urn:ietf:params:jmap:error:limit");
	jw_ku64(&w, "status", 413);
	jw_kstrz(&w, "detail",
		"The file is larger than the server is willing to take.");
	jw_kstrz(&w, "limit", "maxSizeUpload");
	jw_obj_end(&w);
	request_respond(
		q, 413, "application/problem+json", "no-store", buf_str(&out));
}

static void refuse(struct request *q, unsigned status, const char *why)
{
	request_answering(q);
	stream_problem(q->s, status, why);
}

/* ---- its way --------------------------------------------------------------- */

static bool is_type(struct str s)
{
	if (s.n > TYPE_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

static void open(struct request *q, const struct http_request *r)
{
	struct upload *u = mem_new(sizeof(*u));
	struct str path = str_skip(r->path, STR("/jmap/upload/").n);
	struct str type = http_field(r, "Content-Type");

	if (str_ends(path, STR("/")))
		path.n--;
	if (!type.n)
		type = STR("application/octet-stream");
	buf_adds(&u->account, path);
	u->bad_type = !is_type(type) || http_field_count(r, "Content-Type") > 1;
	if (!u->bad_type)
		buf_adds(&u->type, type);
	q->own = u;
}

static void fini(struct request *q)
{
	struct upload *u = q->own;

	buf_fini(&u->account);
	buf_fini(&u->type);
	free(u);
}

static void on_room(struct call *c)
{
	stream_resume(container_of(c, struct request, call)->s);
}

static void eof(struct request *q)
{
	q->f->backend->ops->end(q->f->backend, &q->call);
}

static void begin(struct request *q)
{
	struct upload *u = q->own;
	struct call_open o = {
		.kind = CALL_UPLOAD,
		.flags = CALL_F_WRITES,
		.conn = q->s->share->id,
		.login = &q->login,
		.head = buf_str(&u->type),
	};

	q->call.on_room = on_room;
	q->f->backend->ops->open(q->f->backend, &q->call, &o);
	if (q->eof)
		eof(q);
	else
		stream_resume(q->s);
}

static void start(struct request *q, struct str name)
{
	struct upload *u = q->own;

	if (!request_owns(q, buf_str(&u->account)))
		refuse(q, 404, "There is no such account.");
	else if (u->bad_type)
		refuse(q, 400, "The Content-Type is no media type.");
	else if (q->content_length != UINT64_MAX &&
		 q->content_length > conf_get()->max_size_upload)
		too_large(q);
	else if (!request_count_upload(q))
		request_refuse(q, REQ_LIMIT, "maxConcurrentUpload", NULL);
	else
		begin(q);
}

static size_t data(struct request *q, struct str bytes)
{
	struct upload *u = q->own;
	uint64_t most = conf_get()->max_size_upload;
	size_t n;

	if (bytes.n > most - min_of(most, u->got)) {
		call_cancel(q->f->backend, &q->call);
		too_large(q);
		return bytes.n;
	}
	n = q->f->backend->ops->write(
		q->f->backend, &q->call, bytes.p, bytes.n);
	u->got += n;
	return n;
}

static void answer(struct request *q, unsigned status, struct str body)
{
	if (status == 201)
		request_respond(
			q, status, "application/json", "no-store", body);
	else if (status == 413)
		too_large(q);
	else if (status == 507)
		refuse(q, status, "There is no room for the file.");
	else
		request_fail(q, status, body);
}

const struct request_kind upload_kind = {
	.open = open,
	.fini = fini,
	.start = start,
	.data = data,
	.eof = eof,
	.answer = answer,
};
