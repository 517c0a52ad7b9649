#include "proto/jmap/blob.h"

#include "core/mime/mime.h"

/* Only what lies within the message: the id is the client's word. */
static int decode_part(
	struct str raw, const struct blob_part *at, struct buf *out)
{
	struct mime_part p = {
		.offset = at->offset,
		.length = at->length,
		.encoding = (enum mime_encoding)at->encoding,
	};

	if (at->offset > raw.n || at->length > raw.n - at->offset)
		return 0;
	mime_decode(raw, &p, out);
	return 1;
}

int blob_bytes(struct req *r, struct tx *t, struct str id, struct buf *out)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct blob_part part;
	struct blob_id b;
	int ret;

	if (!blob_id_parse(id, &b, &part))
		return 0;
	if (!part.part)
		return blob_read(t, &b, out, &r->err);
	ret = blob_read(t, &b, &raw, &r->err);
	return ret > 0 ? decode_part(buf_str(&raw), &part, out) : ret;
}
