#include "proto/ws/deflate.h"

#include <zlib.h>

#include "conf/conf.h"
#include "core/base/metrics.h"

#define BITS_LEAST 9
#define BITS_MOST 15
#define CLIENT_BITS 12 /* the window that we ask a client for, to keep it */
#define HISTORY 8192   /* bytes of what was sent, as far as a window goes */
#define REST_MS 30000  /* a history that was not used for so long goes */
#define LEVEL 1
#define MEM_LEVEL 8
#define IN_CHUNK 16384
#define OUT_CHUNK 16384
#define OUT_KEPT 65536

struct deflate_pool {
	uint64_t used; /* bytes, of ws-deflate-memory */
	z_stream *out[BITS_MOST + 1];
	z_stream *in; /* between messages */
	struct buf packed;
};

struct deflate {
	z_stream *in; /* of a message under way */
	char *window;
	char *history;
	uint64_t history_ms; /* last used */
	uint32_t window_n;
	uint32_t history_n;
	bool ended; /* the last block said that it is the last (BFINAL) */
};

static void charge(struct deflate_pool *p, int64_t bytes)
{
	p->used += (uint64_t)bytes;
	metrics_add(METRIC_DEFLATE_MEMORY, bytes);
}

/* zlib's 256-byte window is a half of one that works: the least is 9 bits. */
static size_t window_of(const struct deflate_terms *t)
{
	return t->client_fresh
		       ? 0
		       : (size_t)1 << max_of(t->client_bits, BITS_LEAST);
}

static size_t history_of(const struct deflate_terms *t)
{
	return t->server_fresh
		       ? 0
		       : min_of((size_t)1 << t->server_bits, (size_t)HISTORY);
}

struct deflate_pool *deflate_pool_new(void)
{
	return mem_new(sizeof(struct deflate_pool));
}

static void inflater_free(z_stream *z)
{
	if (z)
		(void)inflateEnd(z);
	free(z);
}

void deflate_pool_free(struct deflate_pool *p)
{
	if (!p)
		return;
	check(!p->used);
	inflater_free(p->in);
	for (size_t i = 0; i < countof(p->out); i++) {
		if (p->out[i])
			(void)deflateEnd(p->out[i]);
		free(p->out[i]);
	}
	buf_fini(&p->packed);
	free(p);
}

void deflate_agree(struct deflate_pool *p, struct deflate_terms *t)
{
	struct deflate_terms kept = *t;

	if (t->client_asked && !t->client_fresh)
		kept.client_bits = min_of(t->client_bits, CLIENT_BITS) & 15;
	if (p->used + window_of(&kept) + history_of(&kept) <=
		conf_get()->ws_deflate_memory) {
		*t = kept;
	} else {
		t->server_fresh = true;
		t->client_fresh = true;
	}
	charge(p, (int64_t)window_of(t));
}

struct deflate *deflate_new(void)
{
	return mem_new(sizeof(struct deflate));
}

static void forget_history(struct deflate_pool *p, struct deflate *d)
{
	if (!d->history)
		return;
	free(steal(d->history));
	charge(p, -(int64_t)d->history_n);
	d->history_n = 0;
}

void deflate_leave(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d)
{
	charge(p, -(int64_t)window_of(t));
	if (!d)
		return;
	forget_history(p, d);
	inflater_free(d->in);
	free(d->window);
	free(d);
}

void deflate_rest(struct deflate_pool *p, struct deflate *d, uint64_t now)
{
	if (d->history && d->history_ms + REST_MS <= now)
		forget_history(p, d);
}

/* In. */

static Bytef *bytes_of(const char *p)
{
	return (Bytef *)(uintptr_t)p; /* zlib does not know const */
}

static void begin_in(struct deflate_pool *p, struct deflate *d)
{
	d->in = steal(p->in);
	d->ended = false;
	if (!d->in) {
		d->in = mem_new(sizeof(*d->in));
		check(inflateInit2(d->in, -BITS_MOST) == Z_OK);
	}
	if (d->window_n)
		check(inflateSetDictionary(
			      d->in, bytes_of(d->window), d->window_n) == Z_OK);
}

/* One call of inflate() with that much room; how much of it was used? */
static size_t step(
	struct deflate *d, struct str *in, char *to, size_t room, int *ret_r)
{
	z_stream *z = d->in;
	size_t n = min_of(in->n, (size_t)UINT32_MAX);

	/* RFC 7692 7.2.3.4: blocks may follow the last one, and refer to it. */
	if (d->ended && n)
		check(inflateResetKeep(z) == Z_OK);
	z->next_in = bytes_of(in->p);
	z->avail_in = (uInt)n;
	z->next_out = bytes_of(to);
	z->avail_out = (uInt)room;
	*ret_r = inflate(z, Z_SYNC_FLUSH);
	check(*ret_r != Z_MEM_ERROR && *ret_r != Z_STREAM_ERROR);
	if (n)
		d->ended = *ret_r == Z_STREAM_END;
	*in = str_skip(*in, n - z->avail_in);
	return room - z->avail_out;
}

enum inflate_result deflate_in(struct deflate_pool *p, struct deflate *d,
	struct str *in, struct buf *msg, uint64_t limit)
{
	size_t room = (size_t)min_of(
		(uint64_t)IN_CHUNK, limit - min_of(limit, (uint64_t)msg->n));
	char over[1]; /* does a further byte come? */
	size_t used;
	int ret;

	if (!d->in)
		begin_in(p, d);
	if (d->ended && !in->n)
		return INFLATE_DONE;
	used = step(d, in, room ? buf_room(msg, room) : over, room ? room : 1,
		&ret);
	if (ret == Z_DATA_ERROR || ret == Z_NEED_DICT)
		return INFLATE_BAD;
	if (!room && used)
		return INFLATE_TOO_BIG;
	if (room)
		msg->n += used;
	return in->n || (room && used == room) ? INFLATE_MORE : INFLATE_DONE;
}

struct str deflate_in_tail(const struct deflate *d)
{
	return d->ended ? STR_NONE : STR("\0\0\xff\xff");
}

/* The end of what came: all that the next message may refer to. */
static void keep_window(const struct deflate_terms *t, struct deflate *d)
{
	Bytef all[1 << BITS_MOST];
	uInt n = 0, most = (uInt)window_of(t);

	if (!most)
		return;
	check(inflateGetDictionary(d->in, all, &n) == Z_OK);
	most = min_of(n, most);
	if (most > d->window_n)
		d->window = mem_grow(d->window, most);
	if (most)
		memcpy(d->window, all + (n - most), most);
	d->window_n = most;
}

bool deflate_in_end(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d)
{
	/* zlib.h of inflate(): 128 is "between blocks", the low bits are what is
	 * left of the last byte. */
	if (!d->ended && d->in->data_type != 128)
		return false;
	keep_window(t, d);
	check(inflateReset(d->in) == Z_OK);
	if (p->in)
		inflater_free(d->in);
	else
		p->in = d->in;
	d->in = NULL;
	return true;
}

/* Out. */

static z_stream *deflater_of(struct deflate_pool *p, unsigned bits)
{
	z_stream **z = &p->out[bits];

	if (!*z) {
		*z = mem_new(sizeof(**z));
		check(deflateInit2(*z, LEVEL, Z_DEFLATED, -(int)bits, MEM_LEVEL,
			      Z_DEFAULT_STRATEGY) == Z_OK);
	}
	check(deflateReset(*z) == Z_OK);
	return *z;
}

static void pack(z_stream *z, struct str s, int flush, struct buf *out)
{
	z->next_in = bytes_of(s.p);
	z->avail_in = (uInt)s.n;
	do {
		z->next_out = bytes_of(buf_room(out, OUT_CHUNK));
		z->avail_out = OUT_CHUNK;
		check(deflate(z, flush) != Z_STREAM_ERROR);
		out->n += OUT_CHUNK - z->avail_out;
	} while (!z->avail_out);
	check(!z->avail_in);
}

/* Adds s to the history, of which the last most bytes count. */
static void remember(struct deflate *d, struct str s, size_t most)
{
	size_t keep;

	if (s.n > most)
		s = str_skip(s, s.n - most);
	if (!s.n)
		return;
	keep = min_of((size_t)d->history_n, most - s.n);
	memmove(d->history, d->history + (d->history_n - keep), keep);
	memcpy(d->history + keep, s.p, s.n);
	d->history_n = (uint32_t)(keep + s.n);
}

static void keep_history(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d, struct str a, struct str b, uint64_t now)
{
	size_t most = history_of(t), want, had = d->history_n;

	if (!most)
		return;
	want = min_of(had + a.n + b.n, most);
	if (p->used - had + want > conf_get()->ws_deflate_memory) {
		forget_history(p, d);
		return;
	}
	d->history = mem_grow(d->history, want);
	remember(d, a, most);
	remember(d, b, most);
	charge(p, (int64_t)d->history_n - (int64_t)had);
	d->history_ms = now;
}

struct str deflate_out(struct deflate_pool *p, const struct deflate_terms *t,
	struct deflate *d, struct str a, struct str b, uint64_t now)
{
	z_stream *z = deflater_of(p, t->server_bits);

	check(a.n + b.n && a.n <= DEFLATE_MOST && b.n <= DEFLATE_MOST);
	if (p->packed.cap > OUT_KEPT)
		buf_fini(&p->packed);
	buf_reset(&p->packed);
	if (d->history_n)
		check(deflateSetDictionary(
			      z, bytes_of(d->history), d->history_n) == Z_OK);
	pack(z, a, Z_NO_FLUSH, &p->packed);
	pack(z, b, Z_SYNC_FLUSH, &p->packed);
	keep_history(p, t, d, a, b, now);
	metrics_add(METRIC_DEFLATED, 1);
	/* RFC 7692 7.2.1: the empty block's 00 00 ff ff is left out. */
	check(p->packed.n > 4);
	return str_n(p->packed.p, p->packed.n - 4);
}
