/*
 * Conditions and ranges of a GET (RFC 9110 13, 14).
 */
#pragma once

#include "proto/http/stream.h"
#include "proto/jmap/backend.h"

/*
 * The one range that is asked for, of what has that entity tag ("..." with its
 * quotes). All of it when there is none, more than one, one that cannot be read, or
 * when If-Range names another.
 */
struct call_range range_of(const struct http_request *r, struct str etag);
/* Does If-None-Match name it (13.1.2)? */
bool range_matches(const struct http_request *r, struct str etag);
