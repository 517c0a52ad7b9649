/*
 * A header field while it is written: core/mime/compose*.c only.
 *
 * Words come one by one, each with the blanks before it; a line that would get too
 * long is broken before those blanks, so that unfolding gives back what came.
 */
#pragma once

#include "core/mime/compose.h"

#define FIELD_LINE 78	    /* RFC 5322 2.1.1: should */
#define FIELD_CODED_LINE 76 /* RFC 2047 2: with encoded words */
#define FIELD_LINE_MAX 998  /* RFC 5322 2.1.1: must */
#define FIELD_WORD_MAX 900  /* a longer one could not be folded */

struct field {
	struct buf *out;
	size_t start; /* of the field in out */
	size_t line;  /* begin of the line in out */
};

/* Appends "Name:". */
void field_open(struct field *f, struct buf *out, struct str name);
/* Appends blanks (at least one) and a word. */
void field_word(struct field *f, struct str blanks, struct str word);
/* The words of a text, and its blanks as they are; `first` are those before it. */
void field_words(struct field *f, struct str first, struct str text);
/* Right behind what is there. */
void field_glue(struct field *f, struct str s);
/* UTF-8 as encoded words (RFC 2047 5 (3): fit for a phrase). */
void field_coded(struct field *f, struct str text);
/* The value behind the colon. */
struct str field_value(const struct field *f);
/* The last CRLF. False, and the field is taken back, when a line is too long. */
bool field_close(struct field *f);
/* Takes it back; returns false. */
bool field_drop(struct field *f);

/*
 * Tabs become blanks. False when it is no UTF-8 or has another control in it, which
 * a reader would drop (RFC 8621 4.1.2.2).
 */
bool field_text(struct str in, struct arena *a, struct str *out_r);
/* It cannot stand as it is: 8 bit, like an encoded word, or too long a word. */
bool field_needs_code(struct str text);
/* Printable ASCII without blanks, and none of these. */
bool field_is_plain(struct str s, const char *without);
