/*
 * What a blobId stands for: a message, an upload, or a part of either, decoded
 * (RFC 8620 6, RFC 8621 4.1.4).
 */
#pragma once

#include "proto/jmap/request.h"

/* Appends the bytes behind the id; 1, 0 = not found, < 0 with r->err set. */
int blob_bytes(struct req *r, struct tx *t, struct str id, struct buf *out);

/* Is there such a blob? 1, 0, < 0 with r->err set. */
int blob_exists(struct req *r, struct tx *t, struct str id);

/* Blob/copy */
int blob_copy(struct req *r, const struct method *m, struct json_object *args);
