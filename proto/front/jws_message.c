/*
 * What RFC 8887's messages do, and the answers to them.
 */
#include "conf/conf.h"
#include "core/base/jw.h"
#include "proto/front/jws.h"
#include "proto/front/push_enable.h"
#include "proto/jmap/scan.h"

/* A request under way. */
struct jws_call {
	struct call call;
	struct jws *j;
	struct cds_hlist_node node; /* jws.calls */
	bool writes, goes_first;
	size_t id_n;
	char id[]; /* JSON string with quotes, or nothing */
};

static struct http_share *share_of(const struct jws *j)
{
	return ws_stream(j->w)->share;
}

static void call_free(struct jws_call *c)
{
	share_of(c->j)->requests--;
	c->j->goes_first -= c->goes_first;
	cds_hlist_del(&c->node);
	free(c);
}

void jws_writes_first(struct jws *j)
{
	struct jws_call *c;

	cds_hlist_for_each_entry_2(c, &j->calls, node)
	{
		j->goes_first += c->writes && !c->goes_first;
		c->goes_first |= c->writes;
	}
}

void jws_cancel_calls(struct jws *j)
{
	while (j->calls.next) {
		struct jws_call *c =
			cds_hlist_entry(j->calls.next, struct jws_call, node);

		call_cancel(j->f->backend, &c->call);
		call_free(c);
	}
}

static void refuse(struct jws *j, enum request_error t, struct str id,
	const char *limit, const char *detail)
{
	struct buf out cleanup(buf_fini) = {0};

	request_error(&out, t, true, id, limit, detail);
	ws_send(j->w, true, buf_str(&out));
}

/* A status that no type of RFC 8620 3.6.1 stands for (RFC 7807 4.2). */
static void refuse_other(struct jws *j, unsigned status, struct str id)
{
	struct buf out cleanup(buf_fini) = {0};
	struct jw w;

	jw_init(&w, &out);
	jw_obj(&w);
	jw_kstrz(&w, "@type", "RequestError");
	if (id.n) {
		jw_key(&w, STR("requestId"));
		jw_raw(&w, id);
	}
	jw_kstrz(&w, "type", "about:blank");
	jw_kstrz(&w, "title", http_reason(status));
	jw_ku64(&w, "status", status);
	jw_obj_end(&w);
	ws_send(j->w, true, buf_str(&out));
}

/* The backend's word without one of the engine's. */
static void answer_status(struct jws *j, unsigned status, struct str id)
{
	switch (status) {
	case 401: /* RFC 8887 4.2 */
		push_disable(&j->push);
		ws_close(j->w, WS_POLICY, "credentials changed");
		break;
	case 413:
		refuse(j, REQ_LIMIT, id, "maxSizeRequest", NULL);
		break;
	case 503:
		refuse(j, REQ_UNAVAILABLE, id, NULL, NULL);
		break;
	default:
		if (status < 400 || status > 599)
			status = 500;
		refuse_other(j, status, id);
	}
}

static void on_answer(struct call *call, unsigned status, struct str body)
{
	struct jws_call *c = container_of(call, struct jws_call, call);
	struct jws *j = c->j;

	if (body.n)
		ws_send(j->w, true, body);
	else
		answer_status(
			j, status, c->id_n ? str_n(c->id, c->id_n) : STR_NONE);
	call_free(c);
	push_room(&j->push);
	if (j->draining && !j->calls.next)
		ws_close(j->w, WS_GOING_AWAY, "the server stops");
}

static void submit(struct jws *j, struct str text, const struct scan *scan)
{
	struct jws_call *c = mem_new(sizeof(*c) + scan->id.n);
	struct buf body cleanup(buf_fini) = {0};
	struct call_open o = {
		.kind = CALL_API_WS,
		.flags = scan->writes ? CALL_F_WRITES : 0,
		.conn = share_of(j)->id,
		.login = &j->login,
	};

	c->call.on_answer = on_answer;
	c->j = j;
	c->writes = scan->writes;
	c->id_n = scan->id.n;
	if (scan->id.n)
		memcpy(c->id, scan->id.p, scan->id.n);
	cds_hlist_add_head(&c->node, &j->calls);
	share_of(j)->requests++;
	buf_adds(&body, text);
	call_submit(j->f->backend, &c->call, &o, &body);
}

static void on_request(struct jws *j, struct str text, const struct scan *scan)
{
	if (scan->id_bad)
		refuse(j, REQ_NOT_REQUEST, STR_NONE, NULL,
			"The id is not a string of at most 256 characters.");
	else if (j->draining) /* it did not begin, and it will not */
		refuse(j, REQ_UNAVAILABLE, scan->id, NULL, "The server stops.");
	else if (share_of(j)->requests >= conf_get()->max_concurrent_requests)
		refuse(j, REQ_LIMIT, scan->id, "maxConcurrentRequests", NULL);
	else
		submit(j, text, scan);
}

static void on_enable(struct jws *j, struct str text, struct arena *a,
	const struct scan *scan)
{
	struct push_wish wish;

	if (!push_wish_read(text, a, &wish)) {
		refuse(j, REQ_NOT_REQUEST, scan->id, NULL,
			"A property of WebSocketPushEnable has a wrong type.");
		return;
	}
	push_enable(&j->push, j->login.account, &j->login, sizeof(j->login),
		wish.types, wish.token);
}

static void on_text(struct jws *j, struct str text)
{
	struct arena a cleanup(arena_fini) = {0};
	struct scan scan;

	scan_json(text, &a, &scan);
	if (!scan.valid) {
		refuse(j, REQ_NOT_JSON, scan.id, NULL, scan.why);
		return;
	}
	switch (scan.object ? scan.kind : SCAN_NONE) {
	case SCAN_REQUEST:
		on_request(j, text, &scan);
		break;
	case SCAN_PUSH_ENABLE:
		on_enable(j, text, &a, &scan);
		break;
	case SCAN_PUSH_DISABLE:
		push_disable(&j->push);
		break;
	case SCAN_NONE:
	case SCAN_OTHER:
		refuse(j, REQ_NOT_REQUEST, scan.id, NULL,
			"The message is no object with a known @type.");
		break;
	}
}

void jws_on_message(struct ws *w, bool text, char *p, size_t n)
{
	if (text)
		on_text(ws_up(w), str_n(p, n));
	else /* RFC 8887 4.3.1 */
		ws_close(w, WS_UNSUPPORTED_DATA, "JMAP is text");
}

void jws_on_too_big(struct ws *w, bool text, struct str start)
{
	struct arena a cleanup(arena_fini) = {0};
	struct scan scan;

	if (!text) {
		ws_close(w, WS_UNSUPPORTED_DATA, "JMAP is text");
		return;
	}
	scan_json(start, &a, &scan); /* cut off: never valid */
	refuse(ws_up(w), REQ_LIMIT, scan.id, "maxSizeRequest",
		"The request is larger than the server is willing to process.");
}
