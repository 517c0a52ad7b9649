/*
 * A message put together (RFC 5322, RFC 2045 to 2047, RFC 2231): the writing side
 * of RFC 8621 4.6.
 *
 * Whatever goes in comes out of mime_parse() as it was, or it is refused: nothing
 * in a value can begin another field, address or part. Strings are UTF-8; a tab in
 * them is as good as a blank, other controls have no place in a header.
 *
 * It is all our own: GMime's encoder takes text that looks like an encoded word as
 * one, loses blanks at the ends of what it encodes, and opens charset converters
 * when the store may open no files. test/unit reads what is written here with
 * GMime's parser too.
 */
#pragma once

#include "core/mime/mime.h"

/* ---- header fields ----------------------------------------------------------- */

/*
 * Each appends whole lines, "Name: value" CRLF, folded at 78 bytes where there is a
 * place for it, and never above 998 (RFC 5322 2.1.1). False, and nothing appended,
 * for what would not be read as the same. name is a field name (RFC 5322 3.6.8).
 */
/* The bytes behind the colon; its line breaks must be folds. */
bool compose_raw(struct buf *out, struct str name, struct str value);
bool compose_text(struct buf *out, struct str name, struct str text);
/* Groups as marked entries, as mime_as_addresses() gives them. n > 0. */
bool compose_addresses(
	struct buf *out, struct str name, const struct mime_addr *at, size_t n);
/* Without <>; n > 0. */
bool compose_message_ids(
	struct buf *out, struct str name, const struct str *at, size_t n);
bool compose_urls(
	struct buf *out, struct str name, const struct str *at, size_t n);
/* Local time and its offset are written; seconds count. */
bool compose_date(struct buf *out, struct str name, int64_t ms, int offset_min);
/* "<random@domain>"; a domain that will not do becomes "localhost". */
void compose_new_message_id(struct buf *out, struct str domain);

/* ---- the fields of a part (RFC 8621 4.1.4) --------------------------------------- */

#define COMPOSE_BOUNDARY_MAX 32 /* bytes incl. NUL */
/*
 * A boundary that cannot occur: "=_" stands in no quoted-printable or base64, and
 * the 120 random bits behind it are drawn when the content is known already.
 */
void compose_boundary(char z[COMPOSE_BOUNDARY_MAX]);

/* "type/subtype"; charset, name and boundary may be STR_NONE. */
bool compose_type(struct buf *out, struct str type, struct str charset,
	struct str name, struct str boundary);
/*
 * Content-Type as the client wrote it: `line` is the whole field. Gives its type
 * (lower case) and charset; boundary, or STR_NONE, is added to it.
 */
bool compose_own_type(struct buf *out, struct str line, struct str boundary,
	struct arena *a, struct str *type_r, struct str *charset_r);
bool compose_disposition(
	struct buf *out, struct str disposition, struct str name);
bool compose_cid(struct buf *out, struct str cid);
bool compose_language(struct buf *out, const struct str *tags, size_t n);
bool compose_location(struct buf *out, struct str uri);

/* ---- the message ------------------------------------------------------------------ */

struct compose_part {
	struct str
		head; /* whole lines: Content-Type and what else it has, but no
			  * Content-Transfer-Encoding */
	struct str type;	  /* lower case */
	struct str boundary;	  /* multipart: that of its Content-Type */
	struct compose_part *sub; /* multipart: at least one */
	size_t sub_n;
	struct str content; /* else */
	bool text;	    /* its lines end in LF or CRLF, and will in CRLF */
	unsigned form;	    /* compose_message()'s own */
};

/*
 * Appends the message: these fields, MIME-Version, the part. Text that is no plain
 * ASCII goes as quoted-printable or base64, whichever is shorter; message/ * as it
 * is; all else as base64. The parts are of no use afterwards.
 */
void compose_message(
	struct buf *out, struct str fields, struct compose_part *root);
