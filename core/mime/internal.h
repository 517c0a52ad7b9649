/*
 * What the files of core/mime share; nobody else includes this.
 *
 * All of it takes bytes from strangers, never fails, and costs time linear in
 * what it reads. The header helpers give slices of their input where nothing
 * had to change, else copies in the arena.
 */
#pragma once

#include "core/mime/mime.h"

/* mime_split.c: the tree; *parts_r counts the parts, multiparts included. */
struct mime_part *mime_split(struct str raw, struct arena *a, size_t *parts_r);

/* mime_part.c: type, charset, disposition and so on, from p->headers. */
void mime_describe(struct mime_part *p, bool in_digest, struct str *boundary_r,
	struct arena *a);
bool mime_is_multipart(const struct mime_part *p);

/* mime_param.c: "a; k=v; l*0*=utf-8''w" behind a Content-* value. */
#define MIME_PARAMS 100 /* parameters of one field that are looked at */
struct mime_param {
	struct str name;  /* without the stars of RFC 2231 */
	struct str value; /* unquoted */
	int piece;	  /* "*N" of RFC 2231 3, -1 when none */
	bool extended;	  /* ended in "*": RFC 2231 4 */
};
struct mime_params {
	size_t n;
	struct mime_param p[MIME_PARAMS];
};
/* clean: a value as mime_clean() gives it. */
void mime_params_read(
	struct mime_params *ps, struct str clean, struct arena *a);
/* The value, RFC 2231 undone; STR_NONE when there is none. */
struct str mime_param(
	const struct mime_params *ps, struct str name, struct arena *a);

/* mime_word.c */
/* Unfolded, without NUL, valid UTF-8 (RFC 8621 4.1.2.1; else windows-1252). */
struct str mime_clean(struct str raw, struct arena *a);
/* Appends clean text with RFC 2047 encoded words decoded. */
void mime_words(struct str clean, struct buf *out);
/* The offset of the ')' that closes the comment which opens at s.p[at]; s.n
 * when none does. */
size_t mime_comment_end(struct str s, size_t at);
/* The offset behind white space and comments (RFC 5322 CFWS). */
size_t mime_skip_cfws(struct str s, size_t at);

/* mime_charset.c */
void mime_charset_load(void);
bool mime_charset_known(struct str charset);
/* UTF-8, or US-ASCII and nothing, which are read as UTF-8 when that fits. */
bool mime_charset_is_utf8(struct str charset);
/* Appends in as valid UTF-8; false when charset is unknown or in is malformed
 * (RFC 8621 4.1.4 isEncodingProblem). */
bool mime_to_utf8(struct str charset, struct str in, struct buf *out);
/* Valid UTF-8 is left, all else read as windows-1252. */
void mime_guess_utf8(struct str in, struct buf *out);

/* mime_transfer.c */
uint64_t mime_transfer_size(enum mime_encoding enc, struct str in);
void mime_transfer_decode(
	enum mime_encoding enc, struct str in, struct buf *out);

/* mime_html.c */
/* Appends the text that a reader would see: tags gone, entities decoded, white
 * space made one space; stops behind max bytes. */
void mime_html_text(struct str html, size_t max, struct buf *out);
/* The same with what alt and title say (RFC 8621 4.4.1). */
void mime_html_search(struct str html, size_t max, struct buf *out);
/* The largest cut <= at that is not inside a tag or comment. */
size_t mime_html_cut(struct str html, size_t at);

/* mime_lists.c */
void mime_lists(struct mime_message *m, size_t parts, struct arena *a);
/* mime_preview.c */
struct str mime_preview(const struct mime_message *m, struct arena *a);

static inline bool mime_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline char mime_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline int mime_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = mime_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Where `what` stands in s from `at` on; s.n when it does not. Looks at what
 * lies before the hit only (the sanitizers' memmem() touches all of s each
 * time).
 */
static inline size_t mime_find(struct str s, size_t at, struct str what)
{
	while (at < s.n) {
		at += str_find(str_skip(s, at), what.p[0]);
		if (at == s.n || str_starts(str_skip(s, at), what))
			return at;
		at++;
	}
	return s.n;
}

/* The byte that s begins with in hex, -1 when it does not. */
static inline int mime_hex_byte(struct str s)
{
	int hi = s.n >= 2 ? mime_hex_digit(s.p[0]) : -1;
	int lo = s.n >= 2 ? mime_hex_digit(s.p[1]) : -1;

	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/* A copy in the arena with ASCII letters in lower case. */
static inline struct str mime_lower_str(struct str s, struct arena *a)
{
	char *p = arena_new(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = mime_lower(s.p[i]);
	return (struct str){p, s.n};
}

static inline struct str mime_slice(struct str s, size_t from, size_t to)
{
	check(from <= to && to <= s.n);
	if (!s.p)
		return s; /* nothing of nothing: 0 may not be added to NULL */
	return (struct str){s.p + from, to - from};
}
