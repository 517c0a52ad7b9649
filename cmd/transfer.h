/*
 * Contents on the control socket: what verbs of ADMIN_STREAM (admin.def) speak
 * after their first packet, which is words as any other's ("import\0ADDRESS").
 *
 * The master hands the connection itself on to the store and keeps nothing of it;
 * the other side is a thread of the store. It answers FRAME_GO, or at any time 'e'
 * and a sentence (admin.h), after which it hangs up. 'k' is the end of all.
 *
 *	import   ->  FOLDER*, MESSAGE (BODY*), ..., END
 *	         <-  RESULTS of messages in their order, after their commit
 *	export   <-  FOLDER*, MESSAGE (BODY*), ...
 *	backup   <-  FILE (BODY*), ...
 *	restore  ->  GO and "force" or nothing; when GO came for it, too:
 *		     FILE (BODY*), ..., END
 *
 * A packet is a letter, a head, and bytes behind it; at most ADMIN_PACKET together.
 * The socket's own backpressure is the window. Whoever reads checks every number.
 */
#pragma once

#include <stdint.h>

#define FRAME_GO 'G'
#define FRAME_FOLDER 'F' /* struct transfer_folder, role, name */
#define FRAME_MESSAGE \
	'M'	       /* struct transfer_message, u32 a folder, keywords
			   * separated by spaces, the first bytes of it */
#define FRAME_BODY 'B' /* more bytes of the message or file */
#define FRAME_FILE 'N' /* struct transfer_file, name */
#define FRAME_END 'E'
#define FRAME_RESULTS 'R' /* a message: u8 outcome, u8 n, n bytes: the reason */

#define TRANSFER_BODY 60000 /* most bytes of contents in one packet */
#define TRANSFER_FOLDERS 10000
#define TRANSFER_KEYWORDS 8192 /* bytes */

/* The name is the mailbox's own, not only one that looks like a standard one. */
#define FOLDER_EXACT 1u
#define FOLDER_SUBSCRIBED 2u

/* They count from 1; the parent is one that came before, or 0. */
struct transfer_folder {
	uint32_t parent;
	uint32_t sort_order;
	uint32_t flags;
	uint32_t role_n; /* bytes */
};

struct transfer_message {
	uint64_t id; /* export: that of the Email */
	uint64_t size;
	int64_t received_ms;
	uint32_t folders_n;  /* import: 1 */
	uint32_t keywords_n; /* bytes */
};

struct transfer_file {
	uint64_t size;
};

enum transfer_outcome {
	TRANSFER_STORED,
	TRANSFER_ADDED, /* it was there: it is in a further mailbox now */
	TRANSFER_THERE,
	TRANSFER_FAILED,
	TRANSFER_OUTCOMES
};
