/*
 * The client's side of frames: made, and read.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/buf.h"

/* One frame of a client; op with bit 0x80 is final. */
static inline void add_frame(struct buf *b, unsigned first, struct str payload)
{
	static const uint8_t mask[4] = {0x12, 0xa5, 0xff, 0x3c};
	size_t n = payload.n, more = n > 65535 ? 8 : n > 125 ? 2 : 0;
	char *p;

	buf_addc(b, (char)first);
	buf_addc(b, (char)(0x80 | (more == 8 ? 127 : more ? 126 : n)));
	for (size_t i = more; i > 0; i--)
		buf_addc(b, (char)(n >> 8 * (i - 1) & 0xff));
	buf_add(b, mask, 4);
	p = buf_room(b, n);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(payload.p[i] ^ mask[i & 3]);
	b->n += n;
}

/* Writes what our side sent as text: "text(2)hi close(1002)...". */
static inline void read_frames(struct str s, struct buf *to)
{
	while (s.n) {
		unsigned op = (unsigned char)s.p[0];
		size_t n = (unsigned char)s.p[1], head = 2;
		const unsigned char *p = (const unsigned char *)s.p;

		assert_false(p[1] & 0x80); /* a server never masks */
		if (n == 126) {
			n = (size_t)p[2] << 8 | p[3];
			head = 4;
		} else if (n == 127) {
			n = 0;
			for (int i = 2; i < 10; i++)
				n = n << 8 | p[i];
			head = 10;
		}
		assert_true(s.n >= head + n);
		buf_addz(to, to->n ? " " : "");
		if (op == 0x88)
			buf_fmt(to, "close(%d)",
				n >= 2 ? p[head] << 8 | p[head + 1] : 0);
		else
			buf_fmt(to, "%s(%zu)%.*s",
				op == 0x81   ? "text"
				: op == 0x82 ? "binary"
				: op == 0x89 ? "ping"
				: op == 0x8a ? "pong"
					     : "?",
				n, (int)min_of(n, (size_t)16), s.p + head);
		s = str_skip(s, head + n);
	}
}
