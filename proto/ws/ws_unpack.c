/*
 * Receiving a compressed message (RFC 7692 6.2): it inflates piece by piece as it
 * comes, and each piece meets what a plain one meets: the limit, then UTF-8.
 */
#include "proto/ws/ws_priv.h"

/* What an honest deflater adds to a message that does not compress, and more. */
static uint64_t packed_limit(uint64_t limit)
{
	return limit + limit / 16 + 65536;
}

static void inflate_all(struct ws *w, struct str piece)
{
	struct ws_in *in = w->in;
	enum inflate_result ret;
	size_t had;

	do {
		had = in->msg.n;
		ret = deflate_in(w->set->deflate, ws_deflate(w), &piece,
			&in->msg, in->limit);
		if (in->msg.n > had &&
			!ws_text_right(w, in->msg.p + had, in->msg.n - had))
			return;
	} while (ret == INFLATE_MORE);
	if (ret == INFLATE_BAD)
		ws_fail(w, WS_INVALID_DATA, "not deflate data");
	else if (ret == INFLATE_TOO_BIG)
		ws_too_big(w);
}

void ws_unpack(struct ws *w, struct str piece)
{
	struct ws_in *in = w->in;

	in->packed_n += piece.n;
	inflate_all(w, piece);
	/* Empty blocks make no message, and could go on for ever. */
	if (w->state == WS_OPEN && in->packed_n > packed_limit(in->limit))
		ws_too_big(w);
}

void ws_unpack_end(struct ws *w)
{
	struct deflate *d = ws_deflate(w);

	inflate_all(w, deflate_in_tail(d));
	if (w->state == WS_OPEN &&
		!deflate_in_end(w->set->deflate, &w->terms, d))
		ws_fail(w, WS_INVALID_DATA, "not deflate data");
}
