/*
 * The header section of an HTTP/2 request (RFC 9113 8), without any I/O: fields
 * gather here as HPACK yields them, and become a struct http_request when they
 * are whole. nghttp2 has looked at each field by itself; what they mean together
 * is judged here as strictly as that of HTTP/1.1.
 */
#pragma once

#include "core/base/buf.h"
#include "proto/http/stream.h"

#define H2_HEAD_MAX 32768 /* bytes, counted as RFC 9113 6.5.2 has it */
#define H2_HEAD_FLOOD (4 * H2_HEAD_MAX)
#define H2_FIELDS_MAX 100
#define H2_PATH_MAX 8192

struct h2_piece { /* offsets into the text */
	uint32_t name, name_n, value, value_n;
};

enum h2_pseudo {
	H2_METHOD,
	H2_SCHEME,
	H2_AUTHORITY,
	H2_PATH,
	H2_PROTOCOL,
	H2_PSEUDOS,
};

struct h2_head { /* all zeroes is a fresh one */
	struct buf text;
	struct buf path; /* decoded */
	const char *why; /* a refusal, in a few words */
	uint32_t size;	 /* as RFC 9113 6.5.2 counts */
	unsigned fields_n;
	bool too_big; /* what came after is not kept */
	bool expect_continue;
	struct h2_piece pseudo[H2_PSEUDOS];
	struct h2_piece fields[H2_FIELDS_MAX];
	struct http_header out[H2_FIELDS_MAX];
};

void h2_head_fini(struct h2_head *h);

/* One field more; false when the list is a flood and not just too large. */
bool h2_head_add(struct h2_head *h, struct str name, struct str value);

/*
 * The request, as pieces of h; end: no body follows. 0, or the status that
 * refuses it, with h->why.
 */
unsigned h2_head_read(struct h2_head *h, bool end, struct http_request *r_r);
