/*
 * The server of streams of the carriers' tests: it does what the path says, and
 * notes what it saw. It does not know its carrier.
 */
#pragma once

#include <stdio.h>

#include "proto/http/stream.h"

static struct {
	struct stream *s;
	struct buf body;
	unsigned requests, eofs, rooms, clean, broken, drains;
	size_t appetite; /* on_data takes at most that much a call */
	bool answer_late;
	uint64_t content_length;
	const struct http_share *share;
	char path[64], authority[64], protocol[16];
} app;

static inline size_t app_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	buf_add(&app.body, p, k);
	return k;
}

static inline void answer_body(struct stream *s)
{
	stream_respond(s, 200, "text/plain", NULL, 0, buf_str(&app.body));
	buf_reset(&app.body);
}

static inline void app_eof(struct stream *s)
{
	app.eofs++;
	if (!app.answer_late)
		answer_body(s);
}

static inline void app_room(struct stream *s)
{
	app.rooms++;
}

static inline void app_done(struct stream *s, bool clean)
{
	clean ? app.clean++ : app.broken++;
	app.s = NULL;
}

static inline void app_drain(struct stream *s)
{
	app.drains++;
}

static const struct stream_ops app_ops = {
	.on_data = app_data,
	.on_eof = app_eof,
	.on_room = app_room,
	.on_done = app_done,
	.on_drain = app_drain,
};

static inline size_t tunnel_data(struct stream *s, char *p, size_t n)
{
	size_t k = min_of(n, app.appetite);

	if (k)
		stream_write2(s, STR("<"), str_n(p, k));
	return k;
}

static inline void tunnel_eof(struct stream *s)
{
	app.eofs++;
	stream_write(s, STR("bye"));
	stream_end(s);
}

static const struct stream_ops tunnel_ops = {
	.on_data = tunnel_data,
	.on_eof = tunnel_eof,
	.on_room = app_room,
	.on_done = app_done,
	.on_drain = app_drain,
};

/* Notes the request. */
static inline void app_take(struct stream *s, const struct http_request *r)
{
	app.requests++;
	app.s = s;
	app.share = s->share;
	app.content_length = r->content_length;
	snprintf(app.path, sizeof(app.path), "%.*s", STR_ARG(r->path));
	snprintf(app.authority, sizeof(app.authority), "%.*s",
		STR_ARG(r->authority));
	snprintf(app.protocol, sizeof(app.protocol), "%.*s",
		STR_ARG(r->protocol));
	s->ops = &app_ops;
}

static inline void in_pieces(struct stream *s, uint64_t length)
{
	stream_head(s, 200, NULL, 0, length);
	stream_write2(s, STR("ab"), STR("c"));
	stream_write(s, STR_NONE);
	stream_write(s, STR("0123456789abcdef"));
	stream_end(s);
}

static inline void app_serve(struct stream *s, const struct http_request *r)
{
	if (str_eq(r->path, STR("/pieces"))) {
		in_pieces(s, UINT64_MAX);
	} else if (str_eq(r->path, STR("/length"))) {
		in_pieces(s, 19);
	} else if (str_eq(r->path, STR("/short"))) {
		in_pieces(s, 20);
	} else if (str_eq(r->path, STR("/none"))) {
		stream_respond(s, 204, NULL, NULL, 0, STR_NONE);
	} else if (str_eq(r->path, STR("/early"))) {
		stream_problem(s, 413, "too much");
	} else if (str_eq(r->path, STR("/reset"))) {
		stream_reset(s);
	} else if (str_eq(r->path, STR("/tunnel"))) {
		s->ops = &tunnel_ops;
		stream_tunnel(s, NULL, 0);
	}
}
