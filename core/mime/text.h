/*
 * What a search looks at: the text of a message, and the words of a text.
 *
 * The index, a query and a snippet all go through the same words, so that one finds
 * what the other put there and marks just that. Both functions are linear, take
 * bytes from strangers and never fail.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"

/*
 * What has to be made anew when it changes: what these functions make of the same
 * bytes. It names GLib's version too, whose Unicode tables decide.
 */
const char *mime_text_version(void);

/* ---- the text of a message (RFC 8621 4.4.1) -------------------------------- */

/*
 * Decoded, UTF-8. Addresses: names and addresses, a line each. body: every text
 * part, HTML without its markup, file names, and messages that are attached; white
 * space is one space, parts are lines.
 */
struct mime_search {
	struct buf from, to, cc, bcc, subject, body;
};
/* At most about max bytes of text, of all parts together. */
void mime_search_read(struct str raw, size_t max, struct mime_search *s);
void mime_search_fini(struct mime_search *s);
void mime_search_finip(struct mime_search *s); /* for cleanup() */

/* ---- the words of a text --------------------------------------------------- */

#define MIME_WORD_MAX 64 /* bytes of one that count; the rest is passed over */

/*
 * A word: letters and digits, folded (case, accents, width, ligatures). Scripts that
 * put no space between words (Han, Kana, Hangul, Thai, Lao, Khmer, Burmese) give
 * each pair of neighbours, and at the end of a run its last character alone: "abc"
 * is "ab", "bc", "c". So each character begins a word, and a run of two or more is
 * found by its pairs, one behind the other.
 */
enum mime_word_kind {
	MIME_WORD,
	MIME_PAIR,    /* of a run */
	MIME_RUN_END, /* its last character, alone */
};
struct mime_word {
	struct str word; /* a-z, 0-9 and bytes >= 0x80; until the next one */
	size_t from, to; /* the bytes of the text that it stands for */
	enum mime_word_kind kind;
};
struct mime_words {
	struct str text;
	size_t at;
	/* What the character at [from, to) folds to, and how much is used. */
	uint32_t cp[24];
	unsigned char kind[24];
	unsigned n, i;
	size_t from, to;
	/* The character of a run that waits for its neighbour; 0: none. */
	uint32_t held;
	size_t held_from, held_to;
	char word[MIME_WORD_MAX + 8];
};
void mime_words_init(struct mime_words *w, struct str text);
bool mime_words_next(struct mime_words *w, struct mime_word *r);
