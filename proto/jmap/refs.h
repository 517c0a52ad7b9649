/*
 * Back-references (RFC 8620 3.7).
 *
 * Arguments with "#name" members are written anew with the values in their place,
 * taken as text out of the responses that are already in the output.
 */
#pragma once

#include "proto/jmap/request.h"

/* Does the object have a member whose name begins with "#"? */
bool refs_in(struct str args);
/* Appends the arguments with every reference resolved; 0 or a method error. */
int refs_resolve(struct req *r, struct str args, struct buf *out);
