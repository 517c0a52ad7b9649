#include "proto/ws/echo.h"

#include "conf/conf.h"

static uint64_t max_message(void)
{
	return conf_get()->max_size_request;
}

/* A client that does not read its echoes is not read either: see ws.c. */
static void on_message(struct ws *w, bool text, char *p, size_t n)
{
	ws_send(w, text, str_n(p, n));
}

static void on_too_big(struct ws *w, bool text, struct str start)
{
	/* Close 1009 says it all. */
}

static void on_closed(struct ws *w, unsigned code)
{
}

static const struct ws_ops echo_ops = {
	.on_message = on_message,
	.on_too_big = on_too_big,
	.on_closed = on_closed,
};

void ws_echo_serve(
	struct stream *s, const struct http_request *r, struct ws_set *set)
{
	const struct ws_want want = {
		.check_origin = true, .max_message = max_message, .set = set};
	struct ws_handshake h;
	const char *why;
	unsigned status;

	if (!conf_get()->ws_echo) {
		stream_problem(s, 404, NULL);
		return;
	}
	if (!ws_wanted(r)) {
		ws_refuse(s, 426, "this is a WebSocket");
		return;
	}
	status = ws_check(r, &want, &why);
	if (status) {
		ws_refuse(s, status, why);
		return;
	}
	ws_remember(r, &want, &h);
	ws_accept(s, &h, &want, &echo_ops, NULL);
}
