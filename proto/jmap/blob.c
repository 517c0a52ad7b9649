#include "proto/jmap/blob.h"

#include "core/mime/mime.h"
#include "proto/jmap/blob_stream.h"

/* Only what lies within the bytes: the id is the client's word. */
static bool decode(struct str in, uint64_t offset, uint64_t length,
	unsigned encoding, struct buf *out)
{
	struct mime_part p = {
		.offset = offset,
		.length = length,
		.encoding = (enum mime_encoding)encoding,
	};

	if (offset > in.n || length > in.n - offset)
		return false;
	mime_decode(in, &p, out);
	return true;
}

/* Each level in what the one before decoded to; 1, or 0. */
static int decode_part(
	struct str raw, const struct blob_part *at, struct buf *out)
{
	struct buf now cleanup(buf_fini) = {0};

	if (at->in_n == 0)
		return decode(raw, at->offset, at->length, at->encoding, out);
	if (!decode(raw, at->offset, at->length, at->encoding, &now))
		return 0;
	for (unsigned i = 0; i < at->in_n; i++) {
		const struct blob_span *s = &at->in[i];
		bool last = i + 1 == at->in_n;
		struct buf next cleanup(buf_fini) = {0};

		if (!decode(buf_str(&now), s->offset, s->length, s->encoding,
			    last ? out : &next))
			return 0;
		if (last)
			break;
		buf_fini(&now);
		buf_move(&now, &next);
	}
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

int blob_exists(struct req *r, struct tx *t, struct str id)
{
	struct blob_stream *s cleanup(blob_stream_free) = blob_stream_new(id);

	return s ? blob_stream_find(s, t, &r->err) : 0;
}
