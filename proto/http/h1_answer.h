/*
 * The head of an HTTP/1.1 answer, as bytes. Control characters in a field's value
 * become spaces: whatever a caller puts there, no answer can be split.
 */
#pragma once

#include "proto/http/stream.h"

enum h1_framing {
	H1_BY_LENGTH,  /* Content-Length */
	H1_BY_CHUNKS,  /* Transfer-Encoding: chunked */
	H1_BY_CLOSE,   /* HTTP/1.0: the end of the connection */
	H1_NO_FRAMING, /* RFC 9110 8.6: 1xx, 204, 304 */
};

struct h1_date { /* of the current second */
	int64_t second;
	char text[32];
};

/* RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". Lives in d. */
const char *h1_date(struct h1_date *d, int64_t real_ms);

struct h1_answer {
	unsigned status;
	const char *date;
	const char *connection; /* NULL: no such field */
	enum h1_framing framing;
	uint64_t length;
};

/* Status line, Date, the caller's fields, framing, Connection, the empty line. */
void h1_answer_head(struct buf *out, const struct h1_answer *a,
	const struct http_header *h, size_t n);
