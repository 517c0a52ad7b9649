/*
 * GET of the Session object (RFC 8620 2).
 */
#include "proto/front/priv.h"

static void start(struct request *q, struct str name)
{
	struct buf none = {0};

	request_submit(q, CALL_SESSION, 0, &none);
}

static void answer(struct request *q, unsigned status, struct str body)
{
	if (status == 200)
		request_respond(q, status, "application/json",
			"no-cache, no-store, must-revalidate", body);
	else
		request_fail(q, status, body);
}

const struct request_kind session_kind = {
	.start = start,
	.answer = answer,
};
