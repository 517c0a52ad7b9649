/*
 * What the tests of core/mime share: bytes on the heap at their exact length
 * (so that a sanitizer sees one read too far), and a message's tree as one
 * line.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/mime/internal.h"

static inline void assert_str(struct str got, const char *want)
{
	char *z = str_dup(got);

	assert_string_equal(z, want);
	assert_int_equal(strlen(z), got.n);
	free(z);
}

/* A copy of s without a byte behind it; lives as long as the arena does not
 * matter: free(p). */
static inline struct str exact(struct str s)
{
	char *p = mem_grow(NULL, s.n ? s.n : 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return str_n(p, s.n);
}

/* "multipart/mixed(1:text/plain 2:image/png)" */
static inline void shape_add(struct buf *b, const struct mime_part *p)
{
	if (!p->sub) {
		buf_fmt(b, "%.*s:", STR_ARG(p->part_id));
		buf_adds(b, p->type);
		return;
	}
	assert_null(p->part_id.p);
	buf_adds(b, p->type);
	buf_addc(b, '(');
	for (size_t i = 0; i < p->sub_n; i++) {
		if (i > 0)
			buf_addc(b, ' ');
		shape_add(b, p->sub[i]);
	}
	buf_addc(b, ')');
}

static inline void assert_shape(const struct mime_message *m, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	shape_add(&b, m->root);
	assert_string_equal(buf_z(&b), want);
}

static inline void assert_body(const struct mime_message *m,
	const struct mime_part *p, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	mime_decode(m->raw, p, &b);
	assert_int_equal(b.n, p->size);
	assert_string_equal(buf_z(&b), want);
}

/* The fields alone are those of the whole parse, which bounds their sum. */
static inline void check_fields(struct str raw, const struct mime_part *p)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct mime_header *h;
	size_t n =
		mime_fields_at(raw, p->header_offset, p->header_length, &a, &h);

	assert_true(n >= p->headers_n);
	for (size_t i = 0; i < p->headers_n; i++) {
		assert_true(h[i].name.p == p->headers[i].name.p);
		assert_true(h[i].name.n == p->headers[i].name.n);
		assert_true(h[i].value.p == p->headers[i].value.p);
		assert_true(h[i].value.n == p->headers[i].value.n);
	}
}

/* Everything that a message promises, whatever bytes it was made from. */
static inline void check_part(
	struct str raw, const struct mime_part *p, size_t depth)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_true(depth <= MIME_DEPTH);
	assert_true(p->offset <= raw.n && p->length <= raw.n - p->offset);
	assert_true(p->header_offset + p->header_length <= p->offset);
	assert_true(p->headers_n <= MIME_HEADERS);
	assert_true(p->type.n > 0);
	for (size_t i = 0; i < p->headers_n; i++) {
		assert_true(p->headers[i].name.p >= raw.p + p->header_offset);
		assert_true(p->headers[i].value.p + p->headers[i].value.n <=
			    raw.p + p->header_offset + p->header_length);
	}
	check_fields(raw, p);
	assert_true(!p->sub == !mime_is_multipart(p));
	assert_true(!p->part_id.p == mime_is_multipart(p));
	for (size_t i = 0; i < p->sub_n; i++) {
		const struct mime_part *c = p->sub[i];

		assert_true(c->header_offset >= p->offset);
		assert_true(c->offset + c->length <= p->offset + p->length);
		check_part(raw, c, depth + 1);
	}
	if (p->sub)
		return;
	mime_decode(raw, p, &b);
	assert_int_equal(b.n, p->size);
}

static inline void check_message(const struct mime_message *m)
{
	check_part(m->raw, m->root, 1);
}
