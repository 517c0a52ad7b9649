/*
 * Streaming JSON writer: appends to a buffer, puts the commas itself.
 *
 * The caller opens and closes objects and arrays in pairs; at most 64 levels.
 * Strings are escaped; bytes that are not UTF-8 and noncharacters become
 * U+FFFD, so what comes out is always I-JSON (RFC 7493 2.1). Numbers are
 * integers.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

struct jw {
	struct buf *out;
	uint64_t used; /* bit per level: has a member already */
	unsigned depth;
	bool after_key;
};

void jw_init(struct jw *w, struct buf *out);
void jw_obj(struct jw *w);
void jw_obj_end(struct jw *w);
void jw_arr(struct jw *w);
void jw_arr_end(struct jw *w);
void jw_key(struct jw *w, struct str key); /* escaped */
void jw_str(struct jw *w, struct str s);
void jw_strz(struct jw *w, const char *z); /* NULL writes null */
void jw_u64(struct jw *w, uint64_t v);
void jw_i64(struct jw *w, int64_t v);
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
/* One value that is JSON already. */
void jw_raw(struct jw *w, struct str json);

/* "key": value in one go. */
void jw_kstr(struct jw *w, const char *key, struct str s);
void jw_kstrz(struct jw *w, const char *key, const char *z);
void jw_ku64(struct jw *w, const char *key, uint64_t v);
void jw_kbool(struct jw *w, const char *key, bool v);

/* Appends s as a JSON string with its quotes. */
void json_quote(struct buf *out, struct str s);
