/*
 * What a download is called and typed: words of a client that become header fields.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

/*
 * RFC 9110 8.3.1: type "/" subtype, and any parameters. Printable ASCII and tabs, so
 * that it may stand in a field as it is (5.5).
 */
bool media_type_valid(struct str s);
/*
 * The value of Content-Disposition (RFC 6266) for a file of that name: attachment,
 * with the name in ASCII, and beside it in UTF-8 (RFC 8187) where that says more.
 * No control character, nothing that turns the direction of text, and no separator
 * of paths is in either; "_" stands there.
 */
void disposition_of(struct str name, struct buf *out);
/* "%41" undone (RFC 3986 2.1), in the value of that name in a query. False: it is
 * there and malformed. */
bool query_value(struct str query, struct str name, struct buf *out);
