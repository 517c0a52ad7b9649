/*
 * Names in a Maildir, for import and export.
 *
 * A message's file is "<seconds>.<anything>[,S=<bytes>][,W=<bytes>]:2,<flags>"; W is
 * its size with CRLF line ends. A Maildir++ folder is ".Up.Down"; each level in
 * modified UTF-7 (RFC 3501 5.1.3). What a level may not hold ('.', '/') is encoded,
 * too, as Dovecot's and Courier's readers decode it.
 *
 * Beside that a folder may have
 *	dovecot-keywords  "<0..25> NAME": flags a..z
 *	jmapd-keywords    "<unique>\t<keywords>": of messages for which 26 are too few
 * and the Maildir itself
 *	jmapd-folders     "<dir>\t<role>\t<sort>\t<subscribed>\t<name>..." a line:
 *	                  what mailbox a folder is, exactly
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"

#define MAILDIR_LETTERS 26
#define MAILDIR_KEYWORDS "dovecot-keywords"
#define MAILDIR_MORE "jmapd-keywords"
#define MAILDIR_FOLDERS "jmapd-folders"

/* RFC 3501 5.1.3. False: it is none; out is left alone. */
bool utf7_decode(struct str s, struct buf *out);
/* also: further characters that are to be encoded. */
void utf7_encode(struct str s, const char *also, struct buf *out);

struct maildir_name {
	struct str unique; /* without info, and what follows the first comma */
	struct str flags;
	bool has_time;
	int64_t received_ms;
	bool crlf; /* W says that it is as long with CRLF: they are there */
};
void maildir_name_read(struct str file, struct maildir_name *n);
/* ms before 1970 make a name without a time. */
void maildir_name_write(struct buf *out, int64_t received_ms, uint64_t id,
	uint32_t run, uint64_t size);

/* One letter: the keyword it means, or STR_NONE (also for T). */
struct maildir_letters {
	char *name[MAILDIR_LETTERS];
	bool changed;
};
struct str maildir_keyword(const struct maildir_letters *l, char flag);
/* The letter for it, made when there is room; 0: there is none. */
char maildir_flag(struct maildir_letters *l, struct str keyword);
/* No such file: none. */
int maildir_letters_read(
	struct maildir_letters *l, const char *dir, struct err *e);
int maildir_letters_write(
	const struct maildir_letters *l, const char *dir, struct err *e);
void maildir_letters_fini(struct maildir_letters *l);

/* A whole small file, "" when it is not there; < 0. */
int file_read(const char *path, size_t max, struct buf *out, struct err *e);
/* By a new file that takes its place. */
int file_write(const char *path, struct str text, struct err *e);
