/*
 * POST /jmap/api (RFC 8620 3.1): a body comes whole, is looked at once, and goes to
 * the store.
 */
#include "conf/conf.h"
#include "proto/front/priv.h"
#include "proto/jmap/scan.h"

static void too_big(struct request *q)
{
	request_refuse(q, REQ_LIMIT, "maxSizeRequest",
		"The request is larger than the server is willing to process.");
}

static uint64_t room(const struct request *q)
{
	uint64_t most = conf_get()->max_size_request;

	return most - min_of(most, (uint64_t)q->body.n);
}

static size_t on_data(struct request *q, struct str bytes)
{
	if (bytes.n > room(q))
		too_big(q);
	else
		buf_adds(&q->body, bytes);
	return bytes.n;
}

static void on_eof(struct request *q)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf body cleanup(buf_fini) = {0};
	struct scan scan;

	scan_json(buf_str(&q->body), &a, &scan);
	if (!scan.valid) {
		request_refuse(q, REQ_NOT_JSON, NULL, scan.why);
		return;
	}
	if (!scan.object) {
		request_refuse(q, REQ_NOT_REQUEST, NULL, NULL);
		return;
	}
	buf_move(&body, &q->body);
	request_submit(q, CALL_API, scan.writes ? CALL_F_WRITES : 0, &body);
}

static void start(struct request *q, struct str name)
{
	uint64_t most = conf_get()->max_size_request;

	if (!q->json) {
		request_refuse(q, REQ_NOT_JSON, NULL,
			"The content type is not application/json.");
	} else if (q->content_length != UINT64_MAX &&
		   q->content_length > most) {
		too_big(q);
	} else if (!request_count(q)) {
		request_refuse(q, REQ_LIMIT, "maxConcurrentRequests", NULL);
	} else if (q->eof) {
		on_eof(q);
	} else {
		stream_resume(q->s);
	}
}

static void answer(struct request *q, unsigned status, struct str body)
{
	if (status == 200)
		request_respond(
			q, status, "application/json", "no-store", body);
	else
		request_fail(q, status, body);
}

const struct request_kind api_kind = {
	.start = start,
	.data = on_data,
	.eof = on_eof,
	.answer = answer,
};
