/*
 * Blob ids: "b" and the SHA-256 in base 32; a part of a message is "p", the
 * message's SHA-256, and where it stands: p<sha>_<offset>_<length>_<encoding>.
 * Ids of numbers and states are core/base/ids.h's.
 */
#pragma once

#include <stdbool.h>

#include "core/base/ids.h"
#include "core/store/store.h"

#define BLOB_ID_MAX 128

struct blob_part {
	uint64_t offset, length; /* length 0 and offset 0: the whole blob */
	unsigned encoding;	 /* enum mime_encoding */
	bool part;
};
/* Both write at most BLOB_ID_MAX bytes incl. NUL. */
void blob_id_of(const struct blob_id *b, char z[BLOB_ID_MAX]);
void part_id_of(const struct blob_id *b, const struct blob_part *p,
	char z[BLOB_ID_MAX]);
bool blob_id_parse(struct str s, struct blob_id *b_r, struct blob_part *p_r);

/* RFC 8620 1.2: 1 to 255 of A-Z a-z 0-9 - _ . */
bool id_valid(struct str s);
