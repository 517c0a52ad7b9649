/*
 * Ids and state strings as clients see them.
 *
 * An object's id is a letter and its number in base 32 ("0123456789abcdefghij"
 * "klmnopqrstuv", no leading zeros): Mailbox "m", Email "e", Thread "t". An
 * account's is "u" (proto/push says the same). A blob's is "b" and its SHA-256;
 * a part of a message is "p", the message's SHA-256, and where it stands:
 * p<sha>_<offset>_<length>_<encoding>. None begins with a digit or a dash
 * (RFC 8620 1.2). A state is "<generation in hex>-<modseq>".
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/store/store.h"

#define ID_MAX 24 /* of numbers; incl. NUL */
#define STATE_MAX 40
#define BLOB_ID_MAX 128

struct idz {
	char z[ID_MAX];
	size_t n;
};
struct idz id_of(char prefix, uint64_t number);
/* False for anything that id_of() would not write. */
bool id_parse(char prefix, struct str s, uint64_t *number_r);

struct statez {
	char z[STATE_MAX];
};
struct statez state_of(uint32_t generation, uint64_t modseq);
bool state_parse(struct str s, uint32_t *generation_r, uint64_t *modseq_r);

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
