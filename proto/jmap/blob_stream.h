/*
 * A blob in pieces, decoded as it goes (RFC 8620 6.2).
 *
 * Between two calls it holds no snapshot, no file, and no more than a few pieces of
 * bytes, except of uuencoded parts, which are taken whole. Each call reads at most
 * 2 MB.
 *
 * The bytes are those of blob_bytes(). (A line of quoted-printable that has no end
 * for 64 KB of blanks or "=" is cut there.)
 */
#pragma once

#include "core/base/buf.h"
#include "core/store/store.h"

struct blob_stream;

/* NULL: there can be no such blob. */
struct blob_stream *blob_stream_new(struct str id);
void blob_stream_free(struct blob_stream *s);
CLEANUP_PTR(struct blob_stream, blob_stream_free)

/* Is it there? 1, 0, < 0. Cheap, but for a part of an encoded part. */
int blob_stream_find(struct blob_stream *s, struct tx *t, struct err *e);
/* How large is it? 1: *size_r says so; BLOB_STREAM_MORE: call again; 0: there is no
 * such blob; < 0. */
#define BLOB_STREAM_MORE 2
int blob_stream_size(
	struct blob_stream *s, struct tx *t, uint64_t *size_r, struct err *e);
/* Once it is known: reading begins there. */
void blob_stream_seek(struct blob_stream *s, uint64_t first);
/* Appends what comes next, maybe nothing yet. 1; 0: it is gone or at its end. */
int blob_stream_read(
	struct blob_stream *s, struct tx *t, struct buf *out, struct err *e);
