/*
 * Blob ids: "b" and the SHA-256 in base 32; a part of a message is "p", the
 * message's SHA-256, and where it stands: p<sha>_<offset>_<length>_<encoding>. A
 * part of a message that is itself an encoded part goes on with where it stands in
 * what that one decodes to: ..._<offset>_<length>_<encoding>, at most BLOB_CHAIN
 * times. Ids of numbers and states are core/base/ids.h's.
 */
#pragma once

#include <stdbool.h>

#include "core/base/ids.h"
#include "core/store/store.h"

#define BLOB_CHAIN 4
#define BLOB_ID_MAX 192

struct blob_span {
	uint64_t offset, length;
	unsigned encoding; /* enum mime_encoding */
};
struct blob_part {
	uint64_t offset, length;
	unsigned encoding; /* enum mime_encoding */
	bool part;	   /* false: the whole blob */
	/* Where it goes on, each in what the one before decodes to. */
	unsigned in_n;
	struct blob_span in[BLOB_CHAIN - 1];
};
/*
 * A part of the message that `outer` is (or that the whole blob is), as a part of
 * the blob. False: it would be too many levels.
 */
bool part_within(const struct blob_part *outer, const struct blob_span *p,
	struct blob_part *p_r);
/* Both write at most BLOB_ID_MAX bytes incl. NUL. */
void blob_id_of(const struct blob_id *b, char z[BLOB_ID_MAX]);
void part_id_of(const struct blob_id *b, const struct blob_part *p,
	char z[BLOB_ID_MAX]);
bool blob_id_parse(struct str s, struct blob_id *b_r, struct blob_part *p_r);

/* RFC 8620 1.2: 1 to 255 of A-Z a-z 0-9 - _ . */
bool id_valid(struct str s);
