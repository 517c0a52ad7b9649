/*
 * Too many connections: of an account (its WebSockets and EventSources), or of an
 * address (whatever it asks for; no login is looked at). A request is answered 429
 * with Retry-After (RFC 6585 4). A WebSocket is accepted and closed with 1013: a
 * browser shows its page a close code, but never the status of a handshake.
 */
#include "conf/conf.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/front/priv.h"

#define OF_ADDRESS "Too many connections of this address."
#define OF_ACCOUNT "Too many connections of this account."

static void say(struct stream *s, const char *why)
{
	static const struct http_header fields[] = {
		{{"Retry-After", 11}, {"30", 2}}, /* seconds */
		{{"Cache-Control", 13}, {"no-store", 8}},
	};

	stream_problem_with(s, 429, why, fields, countof(fields));
}

static void on_message(struct ws *w, bool text, char *p, size_t n)
{
}

static void on_too_big(struct ws *w, bool text, struct str start)
{
}

static void on_closed(struct ws *w, unsigned code)
{
}

static const struct ws_ops closing_ops = {
	.on_message = on_message,
	.on_too_big = on_too_big,
	.on_closed = on_closed,
};

static void accept_and_close(struct front *f, struct stream *s,
	const struct ws_handshake *hs, const char *why)
{
	struct ws_handshake plain = *hs;

	plain.deflate = (struct deflate_terms){0};
	ws_close(jws_accept(f, s, &plain, &closing_ops, NULL), WS_TRY_LATER,
		why);
}

void crowded_serve(
	struct front *f, struct stream *s, const struct http_request *r)
{
	struct ws_handshake hs;

	if (!ws_wanted(r))
		say(s, OF_ADDRESS);
	else if (jws_handshake(f, s, r, &hs))
		accept_and_close(f, s, &hs, OF_ADDRESS);
}

bool crowded_enter(const struct request *q, uint32_t *place_r)
{
	uint64_t account = q->login.account;

	if (crowd_enter(q->f->server.crowd, CROWD_ACCOUNT,
		    str_n(&account, sizeof(account)),
		    conf_get()->max_connections_per_account, place_r))
		return true;
	metrics_add(METRIC_REFUSED_PER_ACCOUNT, 1);
	log_info("id=%llu peer=%s account=%llu refused: too many connections "
		 "of its account",
		(unsigned long long)q->s->share->id, q->peer,
		(unsigned long long)account);
	return false;
}

void crowded_leave(struct front *f, uint32_t *place)
{
	crowd_leave(f->server.crowd, CROWD_ACCOUNT, place);
}

void crowded_refuse(struct request *q)
{
	request_answering(q);
	say(q->s, OF_ACCOUNT);
}

void crowded_refuse_websocket(struct request *q)
{
	struct front *f = q->f;
	struct stream *s = q->s;
	struct ws_handshake hs = q->handshake;

	request_free(q);
	accept_and_close(f, s, &hs, OF_ACCOUNT);
}
