/*
 * A blob is a way through stages: the part of the message, decoded; the part of what
 * that gives, decoded; and so on (ids.h). The bytes of the message are read piece by
 * piece and pushed through.
 */
#include "proto/jmap/blob_stream.h"

#include "core/store/blob.h"
#include "proto/jmap/blob_decode.h"
#include "proto/jmap/ids.h"

#define PIECE 131072 /* bytes of one look into the store */
#define STEPS 16     /* such looks of one call */

struct stage {
	uint64_t skip, left; /* bytes that go in */
	struct blob_decoder d;
	struct buf out;
};

struct blob_stream {
	struct blob_id blob;
	struct blob_part part;
	uint64_t from, to; /* bytes of the stored blob */
	uint64_t at;	   /* the next one to be read */
	uint64_t size;	   /* of what comes out, as far as it was counted */
	uint64_t skip;	   /* bytes of it that nobody wants */
	bool found;
	bool plain; /* nothing is decoded */
	unsigned n;
	struct stage stage[BLOB_CHAIN];
};

static void stage_reset(
	struct stage *g, uint64_t offset, uint64_t length, unsigned encoding)
{
	buf_fini(&g->d.carry);
	buf_fini(&g->out);
	*g = (struct stage){
		.skip = offset,
		.left = length,
		.d.encoding = (enum mime_encoding)encoding,
	};
}

/* Back to the beginning. */
static void rewind_stages(struct blob_stream *s)
{
	const struct blob_part *p = &s->part;

	s->at = s->from;
	s->n = 1 + p->in_n;
	stage_reset(&s->stage[0], 0, s->to - s->from, p->encoding);
	for (unsigned i = 0; i < p->in_n; i++)
		stage_reset(&s->stage[i + 1], p->in[i].offset, p->in[i].length,
			p->in[i].encoding);
}

struct blob_stream *blob_stream_new(struct str id)
{
	struct blob_stream *s = mem_new(sizeof(*s));

	if (!blob_id_parse(id, &s->blob, &s->part)) {
		free(s);
		return NULL;
	}
	return s;
}

void blob_stream_free(struct blob_stream *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < countof(s->stage); i++)
		stage_reset(&s->stage[i], 0, 0, 0);
	free(s);
}

/* The bytes of a stage that go in, as far as the piece has them. */
static struct str stage_takes(struct stage *g, struct str bytes)
{
	size_t skip = (size_t)min_of((uint64_t)bytes.n, g->skip);

	bytes = str_skip(bytes, skip);
	bytes.n = (size_t)min_of((uint64_t)bytes.n, g->left);
	g->skip -= skip;
	g->left -= bytes.n;
	return bytes;
}

static bool stage_done(const struct stage *g)
{
	return g->skip == 0 && g->left == 0;
}

static void push(struct blob_stream *s, struct str bytes, struct buf *out)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct stage *g = &s->stage[i];
		struct buf *to = i + 1 < s->n ? &g->out : out;

		bytes = stage_takes(g, bytes);
		buf_reset(&g->out);
		blob_decode(&g->d, bytes, stage_done(g), to);
		bytes = buf_str(to);
	}
}

/* One piece more of what the way gives; 1, 0 = the blob is gone, < 0. */
static int step(
	struct blob_stream *s, struct tx *t, struct buf *out, struct err *e)
{
	struct buf raw cleanup(buf_fini) = {0};
	uint64_t n = min_of(s->to - s->at, (uint64_t)PIECE);
	int ret = blob_piece(t, &s->blob, s->at, n, &raw, e);

	if (ret <= 0 || raw.n != n)
		return min_of(ret, 0);
	s->at += n;
	push(s, buf_str(&raw), out);
	return 1;
}

/* Where the bytes stand; 1, 0, < 0. */
static int find(struct blob_stream *s, struct tx *t, struct err *e)
{
	const struct blob_part *p = &s->part;
	uint64_t size;
	int ret = blob_size(t, &s->blob, &size, e);

	if (ret <= 0)
		return ret;
	s->to = size;
	if (p->part) {
		/* The id is the client's word. */
		if (p->offset > size || p->length > size - p->offset)
			return 0;
		s->from = p->offset;
		s->to = p->offset + p->length;
	}
	rewind_stages(s);
	s->found = true;
	s->plain = s->n == 1 && s->part.encoding == MIME_IDENTITY;
	return 1;
}

/* All was read: is each part within what it is a part of? */
static bool is_whole(const struct blob_stream *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!stage_done(&s->stage[i]))
			return false;
	return true;
}

static int count(struct blob_stream *s, struct tx *t, struct err *e)
{
	struct buf tmp cleanup(buf_fini) = {0};
	int ret;

	for (int i = 0; i < STEPS && s->at < s->to; i++) {
		ret = step(s, t, &tmp, e);
		if (ret <= 0)
			return ret;
		s->size += tmp.n;
		buf_reset(&tmp);
	}
	if (s->at < s->to)
		return BLOB_STREAM_MORE;
	return is_whole(s);
}

int blob_stream_find(struct blob_stream *s, struct tx *t, struct err *e)
{
	int ret = s->found ? 1 : find(s, t, e);

	if (ret <= 0 || s->n == 1)
		return ret;
	while ((ret = count(s, t, e)) == BLOB_STREAM_MORE)
		;
	return ret;
}

int blob_stream_size(
	struct blob_stream *s, struct tx *t, uint64_t *size_r, struct err *e)
{
	int ret = s->found ? 1 : find(s, t, e);

	if (ret <= 0)
		return ret;
	if (s->plain)
		s->size = s->to - s->from;
	else
		ret = count(s, t, e);
	*size_r = s->size;
	return ret;
}

void blob_stream_seek(struct blob_stream *s, uint64_t first)
{
	check(s->found && first <= s->size);
	rewind_stages(s);
	if (s->plain)
		s->at += first;
	else
		s->skip = first;
}

int blob_stream_read(
	struct blob_stream *s, struct tx *t, struct buf *out, struct err *e)
{
	struct buf tmp cleanup(buf_fini) = {0};
	int ret = 1;

	if (s->at == s->to)
		return 0;
	if (s->plain) {
		uint64_t n = min_of(s->to - s->at, (uint64_t)PIECE);

		s->at += n;
		return blob_piece(t, &s->blob, s->at - n, n, out, e);
	}
	for (int i = 0; i < STEPS && s->at < s->to && ret > 0 && !tmp.n; i++) {
		uint64_t drop;

		ret = step(s, t, &tmp, e);
		drop = min_of(s->skip, (uint64_t)tmp.n);
		buf_drop(&tmp, (size_t)drop);
		s->skip -= drop;
	}
	buf_adds(out, buf_str(&tmp));
	return ret;
}
