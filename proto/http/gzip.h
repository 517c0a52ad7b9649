/*
 * Whole answers compressed with gzip (RFC 1952) for those who accept it (RFC 9110
 * 12.5.3). One of it serves a worker: a large state of zlib, used again and again.
 */
#pragma once

#include "proto/http/stream.h"

#define GZIP_LEAST 1024	     /* bytes: shorter answers gain little */
#define GZIP_MOST (1u << 20) /* longer ones would hold up the worker */

struct gzip;
struct gzip *gzip_new(void);
void gzip_free(struct gzip *g);

/*
 * Does the client take gzip, and like it no less than the plain answer? By its
 * Accept-Encoding, with weights; without that field, no.
 */
bool gzip_accepted(const struct http_request *r);
/* What it makes of body lives until the next call. */
struct str gzip_pack(struct gzip *g, struct str body);
