/*
 * /jmap/ws-echo: a WebSocket that sends every message back as it came; for
 * conformance suites (option ws-echo).
 */
#pragma once

#include "proto/ws/ws.h"

/* A request for that path, whatever it is: handshake, refusal. */
void ws_echo_serve(
	struct stream *s, const struct http_request *r, struct ws_set *set);
