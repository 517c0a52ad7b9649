/*
 * GET /jmap/download/{accountId}/{blobId}/{name}?type={type} (RFC 8620 6.2).
 *
 * Bytes come from the store as the client takes them: what was written is credited
 * when it has left for the kernel, so a client that does not read costs its window
 * and nothing else. An answer that breaks off ends the stream without its last byte.
 *
 * What was uploaded or mailed is hostile: it is never shown in the page's own origin
 * (attachment, sandbox) nor taken for another type than the one asked for.
 */
#include <inttypes.h>
#include <stdio.h>

#include "proto/front/file_name.h"
#include "proto/front/priv.h"
#include "proto/front/range.h"
#include "proto/jmap/ids.h"

#define FIELDS 12

struct download {
	struct buf account, blob, etag, type, disposition;
	struct call_range range;
	bool bad_path, bad_type;
	bool known;	 /* the client has it already: If-None-Match */
	unsigned status; /* of the head that was sent; 0: none was */
	uint64_t owed;	 /* bytes that were written and not credited */
};

/* ---- what is asked for ----------------------------------------------------- */

/* "account/blob/name": the name may hold slashes. */
static void read_path(struct download *d, struct str path)
{
	struct blob_part part;
	struct blob_id blob;
	struct str account = str_n(path.p, str_find(path, '/')), id;

	path = str_skip(path, min_of(account.n + 1, path.n));
	id = str_n(path.p, str_find(path, '/'));
	d->bad_path = id.n == path.n || !blob_id_parse(id, &blob, &part);
	buf_adds(&d->account, account);
	if (d->bad_path)
		return;
	buf_adds(&d->blob, id);
	buf_fmt(&d->etag, "\"%.*s\"", STR_ARG(id));
	disposition_of(str_skip(path, id.n + 1), &d->disposition);
}

static void read_type(struct download *d, struct str query)
{
	d->bad_type = !query_value(query, STR("type"), &d->type);
	if (!d->type.n)
		buf_addz(&d->type, "application/octet-stream");
	d->bad_type |= !media_type_valid(buf_str(&d->type));
}

static void open(struct request *q, const struct http_request *r)
{
	struct download *d = mem_new(sizeof(*d));

	read_path(d, str_skip(r->path, STR("/jmap/download/").n));
	read_type(d, r->query);
	d->range = range_of(r, buf_str(&d->etag));
	d->known = d->etag.n && range_matches(r, buf_str(&d->etag));
	if (d->known || str_eq(r->method, STR("HEAD"))) {
		d->range.given = 0;
		d->range.none = 1;
	}
	q->own = d;
}

static void fini(struct request *q)
{
	struct download *d = q->own;

	buf_fini(&d->account);
	buf_fini(&d->blob);
	buf_fini(&d->etag);
	buf_fini(&d->type);
	buf_fini(&d->disposition);
	free(d);
}

/* ---- the answer ------------------------------------------------------------ */

static void refuse(struct request *q, unsigned status, const char *why,
	const struct http_header *h, size_t n)
{
	request_answering(q);
	stream_problem_with(q->s, status, why, h, n);
}

static void add(
	struct http_header *h, size_t *n, const char *name, struct str v)
{
	check(*n < FIELDS);
	h[(*n)++] = (struct http_header){str_of(name), v};
}

static size_t cache_fields(const struct download *d, struct http_header *h)
{
	size_t n = 0;

	add(h, &n, "Cache-Control",
		STR("private, immutable, max-age=31536000"));
	add(h, &n, "ETag", buf_str(&d->etag));
	return n;
}

static void send_head(struct request *q, const struct call_found *f)
{
	struct download *d = q->own;
	struct http_header h[FIELDS] = {0};
	size_t n = cache_fields(d, h);
	char range[80];

	add(h, &n, "Content-Type", buf_str(&d->type));
	add(h, &n, "Content-Disposition", buf_str(&d->disposition));
	add(h, &n, "X-Content-Type-Options", STR("nosniff"));
	add(h, &n, "Content-Security-Policy",
		STR("sandbox; default-src 'none'"));
	add(h, &n, "Accept-Ranges", STR("bytes"));
	if (d->status == 206) {
		snprintf(range, sizeof(range),
			"bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, f->first,
			f->first + f->length - 1, f->total);
		add(h, &n, "Content-Range", str_of(range));
	}
	stream_head(q->s, d->status, h, n, f->length);
}

static void no_range(struct request *q, const struct call_found *f)
{
	struct http_header h = {STR("Content-Range"), STR_NONE};
	char range[40];

	snprintf(range, sizeof(range), "bytes */%" PRIu64, f->total);
	h.value = str_of(range);
	refuse(q, 416, NULL, &h, 1);
}

static void on_head(struct call *c, unsigned status, const struct call_found *f)
{
	struct request *q = container_of(c, struct request, call);
	struct download *d = q->own;
	struct http_header h[FIELDS] = {0};

	if (status == 416) {
		no_range(q, f);
		return;
	}
	request_answering(q);
	if (d->known) {
		stream_head(q->s, 304, h, cache_fields(d, h), 0);
		stream_end(q->s);
		return;
	}
	d->status = status;
	send_head(q, f);
}

static void on_data(struct call *c, struct str bytes)
{
	struct request *q = container_of(c, struct request, call);
	struct download *d = q->own;

	d->owed += bytes.n;
	stream_write(q->s, bytes);
}

static void room(struct request *q)
{
	struct download *d = q->own;
	size_t n = d->owed;

	d->owed = 0;
	if (n && q->call.id)
		q->f->backend->ops->took(q->f->backend, &q->call, n);
}

static void answer(struct request *q, unsigned status, struct str body)
{
	struct download *d = q->own;

	if (d->status && status == d->status)
		stream_end(q->s);
	else if (d->status)
		stream_reset(q->s);
	else if (!q->answered && status == 404)
		refuse(q, 404, "There is no such blob.", NULL, 0);
	else if (!q->answered)
		request_fail(q, status, body);
}

/* Who may not see an account is not told whether it is there. */
static void start(struct request *q, struct str name)
{
	struct download *d = q->own;
	struct buf head cleanup(buf_fini) = {0}, none = {0};
	struct call_open o = {
		.kind = CALL_DOWNLOAD,
		.conn = q->s->share->id,
		.login = &q->login,
	};

	if (d->bad_path || !request_owns(q, buf_str(&d->account))) {
		refuse(q, 404, "There is no such blob.", NULL, 0);
		return;
	}
	if (d->bad_type) {
		refuse(q, 400, "The type is no media type.", NULL, 0);
		return;
	}
	buf_add(&head, &d->range, sizeof(d->range));
	buf_adds(&head, buf_str(&d->blob));
	o.head = buf_str(&head);
	q->call.on_head = on_head;
	q->call.on_data = on_data;
	call_submit(q->f->backend, &q->call, &o, &none);
}

const struct request_kind download_kind = {
	.open = open,
	.fini = fini,
	.start = start,
	.room = room,
	.answer = answer,
};
