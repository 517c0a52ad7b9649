/*
 * A message taken apart: what RFC 8621 4.1 shows of an Email.
 *
 * mime_parse() reads the raw bytes once and yields a tree of parts, each as
 * (offset, length, transfer encoding) into those bytes, never a copy, plus the
 * header fields. Any bytes can be parsed: what is not valid MIME comes out as
 * well as it can (RFC 8621 4.1: best effort). Everything lives in the arena and
 * points into raw, which must outlive it. Limits: at most MIME_DEPTH levels,
 * MIME_PARTS parts and MIME_HEADERS fields a part are shown; what lies beyond
 * is plain content of the last part that fits. A multipart that cannot be
 * opened (no boundary, one that never comes, too deep) is shown as text/plain.
 *
 * Costs time linear in the message, whatever is in it. Threads may parse at
 * once, each into an arena of its own.
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"

#define MIME_DEPTH 100
#define MIME_PARTS 10000
#define MIME_HEADERS 2000
#define MIME_LIST 10000 /* entries of a header's parsed form */

enum mime_encoding { MIME_IDENTITY, MIME_BASE64, MIME_QP, MIME_UUENCODE };

struct mime_header {
	struct str name;  /* as it stands in the message */
	struct str value; /* raw: after the colon, up to the last CRLF */
};

struct mime_part {
	struct str part_id;	/* "1", "1.2"; STR_NONE for multipart/ * */
	struct str type;	/* lower case "text/plain" */
	struct str charset;	/* as RFC 8621 4.1.4 says; STR_NONE when none */
	struct str disposition; /* lower case, STR_NONE when none */
	struct str name;	/* decoded file name (RFC 2231, 2047), UTF-8 */
	struct str cid;		/* without <> */
	struct str language;	/* Content-Language, no comments */
	struct str location;
	size_t offset, length;		     /* the encoded body within raw */
	size_t header_offset, header_length; /* without the empty line */
	enum mime_encoding encoding;
	uint64_t size;	       /* bytes of the decoded body (RFC 8621 4.1.4) */
	bool encoding_problem; /* unknown encoding, taken as identity */
	const struct mime_header *headers;
	size_t headers_n;
	struct mime_part **sub; /* multipart: its children; else NULL */
	size_t sub_n;
};

/*
 * A mailbox; or a mark, which has no email: group_start (name is the group's,
 * RFC 8621 4.1.2.4), its mailboxes, then group_end (no name).
 */
struct mime_addr {
	struct str name;  /* decoded UTF-8, STR_NONE when none */
	struct str email; /* not STR_NONE, but it may be empty */
	bool group_start;
	bool group_end;
};

struct mime_message {
	struct str raw;
	struct mime_part *root; /* its headers are the message's */
	/* The body lists of RFC 8621 4.1.4 (the algorithm given there). */
	struct mime_part **text_body, **html_body, **attachments;
	size_t text_body_n, html_body_n, attachments_n;
	bool has_attachment;
	struct str preview; /* RFC 8621 4.1.4: UTF-8, at most 256 characters */
	int64_t sent_ms;    /* Date as wall clock; INT64_MIN when none */
};

/* Never fails. raw is kept by reference. */
struct mime_message *mime_parse(struct str raw, struct arena *a);

/* Last field of that name (case-insensitive); STR_NONE when there is none. */
struct str mime_header_raw(const struct mime_part *p, struct str name);
/*
 * The header fields alone, without the rest of the message: of the part whose
 * header_offset and header_length are given, or of the root (0, raw.n), as
 * mime_parse() shows them (which bounds those of all parts together, too). Their
 * number; at most MIME_HEADERS.
 */
size_t mime_fields_at(struct str raw, size_t offset, size_t length,
	struct arena *a, const struct mime_header **out_r);

/*
 * The forms of RFC 8621 4.1.2, results in the arena (or a slice of raw where
 * nothing changed). Lists end at MIME_LIST entries.
 */
struct str mime_as_raw(struct str raw, struct arena *a);  /* valid UTF-8 */
struct str mime_as_text(struct str raw, struct arena *a); /* asText */
/* Number of addresses; *out_r is the array. Groups as marked entries. */
size_t mime_as_addresses(
	struct str raw, struct arena *a, const struct mime_addr **out_r);
/* Message ids without <>; 0 when the field does not parse (value null). */
size_t mime_as_message_ids(
	struct str raw, struct arena *a, const struct str **out_r);
bool mime_as_date(struct str raw, int64_t *ms_r, int *offset_min_r);
size_t mime_as_urls(struct str raw, struct arena *a, const struct str **out_r);

/*
 * The base subject for threading: decoded, Re:/Fwd:/[tag] taken off, lower
 * case, runs of space made one (RFC 5256 2.1, in a simple form).
 */
struct str mime_base_subject(struct str raw_subject, struct arena *a);

/*
 * A name in Normalization Form C (RFC 5198), in the arena. What is no UTF-8, or has a
 * NUL in it, comes back as it is. Dear for a long text: the caller bounds it.
 */
struct str mime_nfc(struct str text, struct arena *a);

/* Appends the decoded body (transfer encoding undone) of p. */
void mime_decode(struct str raw, const struct mime_part *p, struct buf *out);
/*
 * RFC 8621 4.1.4 bodyValues: UTF-8 text with CRLF as LF, charset converted, cut
 * after max bytes (0: no limit) at a character, and for text/html outside a
 * tag.
 */
struct mime_text {
	struct str text;
	bool encoding_problem, truncated;
};
struct mime_text mime_body_text(
	struct str raw, const struct mime_part *p, size_t max, struct arena *a);
/* The same for a part that is known by its numbers only (kept in a row). */
struct mime_text mime_text_at(struct str raw, size_t offset, size_t length,
	enum mime_encoding enc, struct str type, struct str charset, size_t max,
	struct arena *a);

/*
 * Once per process, before threads and before it may open no more files: loads
 * the charset converters.
 */
void mime_setup(void);
/* "GLib 2.74.6" */
const char *mime_library_version(void);
