/*
 * What the readers of the three kinds of mail (a message, an mbox, a Maildir) hand
 * their messages to. Messages leave as they are read; where each one stood is
 * remembered until the server has said what became of it.
 */
#pragma once

#include "cmd/jmapctl/jmapctl.h"
#include "cmd/jmapctl/stream.h"
#include "core/base/arena.h"
#include "core/base/map.h"

/* Where messages are whose outcome is not known; a queue. */
struct wheres {
	char **at;
	size_t first, n, cap; /* a ring */
};

struct import {
	struct stream stream;
	const struct transfer_args *args;
	struct wheres wheres;
	uint64_t imported, there, failed, trashed;
	struct arena arena;
	struct map folders; /* struct import_folder, by parent and name */
	uint32_t folders_n;
	uint32_t
		top; /* where it all goes: --mailbox or the Inbox; 0: not yet */
	struct buf crlf;
	/* Progress: of how many units (messages, bytes) how many are read. */
	uint64_t units, done;
	uint64_t shown_ms;
	bool terminal, shown;
};

/* A mailbox, made known to the server when it is new; *n_r counts from 1. */
int import_folder(struct import *im, uint32_t parent, struct str name,
	const struct transfer_folder *head, struct str role, uint32_t *n_r,
	struct err *e);
/* The one that messages without a folder go to. */
int import_top(struct import *im, uint32_t *n_r, struct err *e);

struct import_message {
	const char *where; /* file, or mbox and offset */
	struct str raw;
	bool as_is; /* no line end is changed */
	uint32_t folder;
	int64_t received_ms;
	struct str keywords; /* separated by spaces */
};
/*
 * A message whose first line ends in LF alone is stored with CRLF, as all mail is
 * on its way (RFC 5322 2.1); any other as it stands. < 0 ends the import; a message
 * that is refused is none of that.
 */
int import_message(
	struct import *im, const struct import_message *m, struct err *e);
/* One that could not even be read. */
void import_failed(struct import *im, const char *where, const char *why);
void import_progress(struct import *im, uint64_t done);

/* When it was received by its own words: Received, else Date, else now. */
int64_t import_time_of(struct str raw);

/* import_file.c: one message, or an mbox. */
int import_one(struct import *im, const char *path, struct err *e);
int import_mbox(struct import *im, const char *path, struct err *e);
/* Reads a message's file; 1, or 0 when it failed and that was said. */
int import_read(struct import *im, const char *path, struct buf *out);
/* import_maildir.c */
bool maildir_is(const char *path);
int import_maildir(struct import *im, const char *path, struct err *e);
