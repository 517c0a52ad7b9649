/*
 * Ids and state strings as clients see them.
 *
 * An object's id is a letter and its number in base 32 (RFC 4648 7's digits in
 * lower case, no leading zeros): account "u", Mailbox "m", Email "e", Thread "t".
 * None begins with a digit or a dash (RFC 8620 1.2). A state is "<generation in
 * hex>-<modseq>": what /get returns and what a StateChange says are the same text.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

#define ID_MAX 24 /* of numbers; incl. NUL */
#define STATE_MAX 40
#define BASE32_MAX 13 /* digits of a number */

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

/* The bare digits: at most BASE32_MAX of them, no NUL; how many there are. */
extern const char base32_digits[];
size_t base32_put(char *z, uint64_t v);
bool base32_take(struct str s, uint64_t *v_r);
/* Value of one digit, or -1. */
int base32_digit(char c);
