/*
 * Blobs on their way in and out (RFC 8620 6): uploads, and bytes in pieces.
 *
 * An upload is a blob that no Email has yet. It stays for an hour after it was last
 * uploaded (UPLOAD_KEEP_MS); what a quota has no room for pushes the oldest ones
 * out (RFC 8620 6). Up to 64 KB it is a row, above that a file of blobs/ as a
 * message is; the same content has one id and one file, whoever has it.
 *
 * While a large one comes it is a spool: a file in data-dir/uploads/, hashed as it
 * grows. Between its pieces a spool holds no descriptor. What a dead store left
 * there is deleted when the next one opens.
 */
#pragma once

#include "core/store/store.h"

#define UPLOAD_ROW_MAX 65536 /* bytes; a larger one comes as a spool */
#define UPLOAD_KEEP_MS (3600 * 1000)
#define UPLOAD_LEAST 4096 /* bytes that one counts at least in the quota */

#define UPLOAD_NO_ROOM 1 /* it alone is more than the quota */

struct spool;

/* Any thread; calls for one spool come one after the other. */
int spool_new(struct store *s, struct spool **p_r, struct err *e);
/* -ENOSPC when there is no room. */
int spool_add(struct spool *p, struct str bytes, struct err *e);
/* All has come: it is synced. */
int spool_end(struct spool *p, struct err *e);
/* Its digest, once it has ended. */
const struct blob_id *spool_id(const struct spool *p);
uint64_t spool_size(const struct spool *p);
/* The file goes with it, unless upload_keep() took it. */
void spool_free(struct spool *p);
CLEANUP_PTR(struct spool, spool_free)

/*
 * In a write transaction: the bytes are an upload from now on, or, when they were
 * one before, for another hour. 0, UPLOAD_NO_ROOM, < 0. Uploads of the account
 * count up to quota bytes.
 */
int upload_add(struct tx *t, struct str raw, uint64_t quota,
	struct blob_id *b_r, struct err *e);
/* The same for a spool that has ended; its file is taken over. */
int upload_keep(struct tx *t, struct spool *p, uint64_t quota, struct err *e);
/* Is it an upload? 1, 0, < 0. */
int upload_find(struct tx *t, const struct blob_id *b, struct err *e);
/* What is an hour old at that time goes. */
int upload_expire(struct tx *t, int64_t now_ms, struct err *e);

/* How many bytes; 1, 0 = there is no such blob, < 0. */
int blob_size(
	struct tx *t, const struct blob_id *b, uint64_t *size_r, struct err *e);
/* At most n bytes from offset on, appended to out; less only at the end. As
 * blob_read(). */
int blob_piece(struct tx *t, const struct blob_id *b, uint64_t offset, size_t n,
	struct buf *out, struct err *e);
