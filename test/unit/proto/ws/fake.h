/*
 * A stream without a carrier: what is written to it gathers in fake.out, what the
 * tests give it reaches on_data in memory of exactly that size.
 */
#pragma once

#include "conf/conf.h"
#include "proto/ws/ws.h"
#include "test/unit/proto/ws/client.h"

static struct {
	struct stream s;
	struct loop *loop;
	struct buf out, left;
	struct buf head; /* "status name: value; ..." of an answer or tunnel */
	size_t unsent;
	uint64_t last_in_ms, last_out_ms;
	bool ended, reset, tunnel, done;
	bool resumed;
} fake;

static void fake_note(unsigned status, const struct http_header *h, size_t n)
{
	buf_fmt(&fake.head, "%u", status);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&fake.head, " %.*s: %.*s;", STR_ARG(h[i].name),
			STR_ARG(h[i].value));
}

static void fake_head(struct stream *s, unsigned status,
	const struct http_header *h, size_t n, uint64_t length)
{
	fake_note(status, h, n);
}

static void fake_write(struct stream *s, struct str a, struct str b)
{
	assert_false(fake.ended);
	buf_adds(&fake.out, a);
	buf_adds(&fake.out, b);
}

static void fake_end(struct stream *s)
{
	assert_false(fake.ended);
	fake.ended = true;
}

static void fake_reset(struct stream *s)
{
	fake.reset = true;
}

static void fake_tunnel(struct stream *s, const struct http_header *h, size_t n)
{
	fake.tunnel = true;
	fake_note(101, h, n);
}

static void fake_resume(struct stream *s)
{
	fake.resumed = true;
}

static size_t fake_unsent(const struct stream *s)
{
	return fake.unsent;
}

static uint64_t fake_last_in_ms(const struct stream *s)
{
	return fake.last_in_ms;
}

static uint64_t fake_last_out_ms(const struct stream *s)
{
	return fake.last_out_ms;
}

static struct loop *fake_loop(const struct stream *s)
{
	return fake.loop;
}

static const struct stream_vt fake_vt = {
	.head = fake_head,
	.write = fake_write,
	.end = fake_end,
	.reset = fake_reset,
	.tunnel = fake_tunnel,
	.resume = fake_resume,
	.unsent = fake_unsent,
	.last_in_ms = fake_last_in_ms,
	.last_out_ms = fake_last_out_ms,
	.loop = fake_loop,
};

static inline void fake_open(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.loop = loop_new(NULL);
	fake.s.vt = &fake_vt;
}

/* The carrier's last word. */
static inline void fake_done(bool clean)
{
	if (fake.done || !fake.s.ops)
		return;
	fake.done = true;
	fake.s.ops->on_done(&fake.s, clean);
}

static inline void fake_close(void)
{
	fake_done(false);
	loop_free(fake.loop);
	buf_fini(&fake.out);
	buf_fini(&fake.left);
	buf_fini(&fake.head);
}

/* Offers what was left and new bytes. */
static inline void fake_offer(struct str s)
{
	char *p;
	size_t n, used;

	buf_adds(&fake.left, s);
	n = fake.left.n;
	if (!n)
		return;
	p = mem_dup(fake.left.p, n);
	used = fake.s.ops->on_data(&fake.s, p, n);
	free(p);
	assert_true(used <= n);
	buf_drop(&fake.left, used);
}

/* The same bytes in pieces, as long as somebody listens. */
static inline void fake_give(struct str s, size_t piece)
{
	while (s.n && !fake.ended && !fake.reset) {
		size_t n = min_of(piece, s.n);
		fake_offer(str_n(s.p, n));
		s = str_skip(s, n);
	}
}
