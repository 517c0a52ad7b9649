/*
 * Request-level errors: problem details (RFC 8620 3.6.1), and their WebSocket form
 * (RFC 8887 4.3.4).
 */
#include "core/base/jw.h"
#include "proto/jmap/engine.h"

struct problem {
	const char *type;
	unsigned status;
	const char *detail; /* when the caller has none */
};

static const struct problem problems[] = {
	[REQ_UNKNOWN_CAPABILITY] =
		{"urn:ietf:params:jmap:error:unknownCapability", 400,
			"A capability in \"using\" is not supported."},
	[REQ_NOT_JSON] = {"urn:ietf:params:jmap:error:notJSON", 400,
		"The request did not parse as I-JSON."},
	[REQ_NOT_REQUEST] = {"urn:ietf:params:jmap:error:notRequest", 400,
		"The request is no JMAP Request object."},
	[REQ_LIMIT] = {"urn:ietf:params:jmap:error:limit", 400,
		"The request exceeds a limit of the server."},
	[REQ_UNAVAILABLE] = {"about:blank", 503,
		"The server is not available at the moment."},
};

unsigned request_error(struct buf *out, enum request_error t, bool websocket,
	struct str id, const char *limit, const char *detail)
{
	const struct problem *p = &problems[t];
	struct jw w;

	jw_init(&w, out);
	jw_obj(&w);
	if (websocket) {
		jw_kstrz(&w, "@type", "RequestError");
		if (id.p) {
			jw_key(&w, STR("requestId"));
			jw_raw(&w, id);
		}
	}
	jw_kstrz(&w, "type", p->type);
	jw_ku64(&w, "status", p->status);
	jw_kstrz(&w, "detail", detail ? detail : p->detail);
	if (t == REQ_LIMIT)
		jw_kstrz(&w, "limit", limit);
	jw_obj_end(&w);
	return p->status;
}
