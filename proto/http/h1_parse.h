/*
 * The bytes of an HTTP/1.1 request (RFC 9112), without any I/O: an incremental
 * parser of the head and a decoder of the chunked coding.
 *
 * Strict on purpose. Wherever two implementations are known to read the same
 * bytes differently (the root of request smuggling), the answer is 400.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "proto/http/stream.h"

#define H1_LINE_MAX 8192  /* bytes of the request line */
#define H1_HEAD_MAX 32768 /* bytes of the whole head */
#define H1_FIELDS_MAX 100
#define H1_EXT_MAX 256	    /* bytes of one chunk's extensions */
#define H1_EXTS_MAX 4096    /* bytes of all extensions of a body */
#define H1_TRAILER_MAX 8192 /* bytes of the trailer section */

struct h1_field { /* offsets into the head's text */
	uint16_t name, name_n, value, value_n;
};

struct h1_head {
	struct buf text; /* the head so far, as it came */
	struct buf aux;	 /* what had to be rewritten: target, path */
	size_t line;	 /* where the unfinished line starts */
	size_t start;	 /* of the request line */
	bool has_request_line;
	bool skipped_line; /* RFC 9112 2.2: one empty line before it */
	const char *why;   /* a refusal, in a few words */
	unsigned fields_n;
	struct h1_field fields[H1_FIELDS_MAX];

	/* All below counts once the head is whole, and lives in text and aux. */
	struct str method, target, path, query, authority;
	char protocol[16];	 /* lower case; "": no upgrade */
	uint64_t content_length; /* UINT64_MAX: chunked */
	bool http10;
	bool close, keep_alive; /* what Connection lists */
	bool upgrade;
	bool expect_continue;
	bool expect_other;
	bool has_host, has_length;
};

/* All zeroes is a fresh head. Empty again, memory given back. */
void h1_head_fini(struct h1_head *h);

/*
 * Takes bytes up to the end of the head; *used_r says how many. 0 = more is
 * needed, 1 = the head is whole, negative: minus the status that refuses it.
 */
int h1_head_feed(struct h1_head *h, const char *p, size_t n, size_t *used_r);

/* The fields, as pieces of the head. */
size_t h1_head_fields(
	const struct h1_head *h, struct http_header out[H1_FIELDS_MAX]);

enum h1_chunked_state {
	H1_CHUNK_SIZE,
	H1_CHUNK_DIGITS,
	H1_CHUNK_EXT,
	H1_CHUNK_SIZE_LF,
	H1_CHUNK_DATA,
	H1_CHUNK_DATA_CR,
	H1_CHUNK_DATA_LF,
	H1_TRAILER_START,
	H1_TRAILER_NAME,
	H1_TRAILER_VALUE,
	H1_TRAILER_LF,
	H1_CHUNKED_LF,
	H1_CHUNKED_DONE,
};

struct h1_chunked {		/* all zeroes: before the first chunk */
	uint64_t left;		/* body bytes of this chunk still to come */
	uint32_t exts, trailer; /* bytes so far */
	uint16_t ext;		/* of this chunk */
	uint8_t digits;
	uint8_t state; /* enum h1_chunked_state */
};

/*
 * Takes framing (RFC 9112 7.1) at p, up to the next body byte or the end of the
 * body; *used_r says how much. 0 = more framing is needed, 1 = body bytes come
 * next: at most c->left, tell h1_chunked_took() how many; 2 = the body is whole.
 * Negative: minus the status.
 */
int h1_chunked_feed(
	struct h1_chunked *c, const char *p, size_t n, size_t *used_r);
void h1_chunked_took(struct h1_chunked *c, size_t n);

/* RFC 9110 5.6.2. */
bool h1_is_tchar(unsigned char c);
