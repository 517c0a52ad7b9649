/*
 * The mail store: accounts, and the typed objects in them. C structs in and out, no
 * JSON: what the JMAP layer wants beside a row is an opaque "card".
 *
 * data-dir/directory.db holds accounts, addresses, credentials; each account is
 * data-dir/accounts/<id>/ with mail.db and blobs/. The store locks data-dir.
 * Account handles are opened on demand and kept in a bounded LRU; who holds one
 * has it pinned. Directory calls may come from any thread; an account's write
 * transaction from one thread at a time (exec.h sees to that).
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/crypto.h"
#include "core/base/err.h"
#include "core/base/types.h"

struct store;
struct account; /* an open account, pinned by its user */

/* What the world hears after a commit; called on the committing thread, commits
 * of one account in order. */
struct change {
	uint64_t account;
	uint64_t modseq;       /* the last one of the commit */
	uint64_t committed_ns; /* clock_mono_ns() */
	uint32_t generation;
	uint32_t types; /* TYPE_BIT()s that now stand at modseq */
};
struct change_sink {
	void (*changed)(void *ctx, const struct change *c);
	void *ctx;
};

/*
 * Opens data_dir (made when missing) and takes its lock: -EAGAIN when another
 * process has it; -EPROTO when it was written by a newer version. The sink may
 * be NULL. lru: account handles that stay open.
 */
int store_open(const char *data_dir, unsigned lru,
	const struct change_sink *sink, struct store **s_r, struct err *e);
void store_close(struct store *s);

/*
 * To take a message apart may bring the process down, or never end. A request is
 * answerable for what it does; the text index works for nobody, so it asks before
 * each message. begin() says STORE_REFUSED (then the message has no words), or what
 * end() is given.
 */
#define STORE_REFUSED (-2)
struct store_guard {
	int (*begin)(void *ctx, uint64_t digest);
	void (*end)(void *ctx, int slot);
	void *ctx;
};
/* Before the first account is opened. */
void store_guard(struct store *s, const struct store_guard *g);

/* ---- directory ------------------------------------------------------------ */

struct dir_account {
	uint64_t id;
	char name[256];	  /* login name = main address, lower case */
	uint32_t version; /* of the credentials; grows with each change */
};
struct dir_token {
	uint64_t id;
	char name[64];
	int64_t created_ms;
};

/*
 * Makes the account, its directory and the mailboxes with roles (Inbox, Drafts,
 * Sent, Archive, Junk, Trash). hash: from password_hash(), or empty (no password
 * login). -EEXIST when the name or address is taken, -EINVAL for a bad address.
 */
int dir_add(struct store *s, struct str name, struct str hash, uint64_t *id_r,
	struct err *e);
int dir_set_hash(struct store *s, struct str name, struct str hash,
	struct dir_account *a_r, struct err *e);
/* Logins end at once; the mail is deleted. Ids are never used again. */
int dir_remove(struct store *s, struct str name, struct dir_account *a_r,
	struct err *e);
int dir_add_address(
	struct store *s, struct str name, struct str address, struct err *e);
int dir_remove_address(struct store *s, struct str address, struct err *e);
/* fn gets each account in order of name; a negative return ends it. */
int dir_each(struct store *s, int (*fn)(void *ctx, const struct dir_account *a),
	void *ctx, struct err *e);
/* 1 = found, 0 = no such account. hash may be NULL. */
int dir_by_name(struct store *s, struct str name, struct dir_account *a_r,
	struct buf *hash, struct err *e);
int dir_by_id(
	struct store *s, uint64_t id, struct dir_account *a_r, struct err *e);
/* An address as in RCPT TO: aliases, and user+detail goes to user. 1, 0, < 0. */
int dir_by_address(struct store *s, struct str address, struct dir_account *a_r,
	struct err *e);
/* App passwords are kept as SHA-256 of their text. */
int dir_add_token(struct store *s, struct str account, struct str name,
	const uint8_t sha[SHA256_LEN], uint64_t *id_r, struct err *e);
int dir_by_token(struct store *s, const uint8_t sha[SHA256_LEN],
	struct dir_account *a_r, struct err *e);
int dir_each_token(struct store *s, struct str account,
	int (*fn)(void *ctx, const struct dir_token *t), void *ctx,
	struct err *e);
/* Grows the credential version. By name or by id in decimal. */
int dir_revoke_token(struct store *s, struct str account, struct str token,
	struct dir_account *a_r, struct err *e);

/* ---- accounts and transactions -------------------------------------------- */

/* Opens (or finds) it and pins it. -ENOENT when it is not in the directory. */
int account_get(
	struct store *s, uint64_t id, struct account **a_r, struct err *e);
void account_put(struct account *a);
void account_putp(struct account **a); /* for cleanup(account_put) */

/*
 * A transaction: TX_READ is one snapshot (a reader handle of the account's pool),
 * TX_WRITE the account's one writer. tx_commit() makes it durable, then tells the
 * sink; on an error nothing of it happened. tx_end() rolls back what was not
 * committed and frees.
 */
struct tx;
enum tx_mode { TX_READ, TX_WRITE };
int tx_begin(
	struct account *a, enum tx_mode mode, struct tx **t_r, struct err *e);
int tx_commit(struct tx *t, struct err *e);
void tx_end(struct tx *t);
void tx_endp(struct tx **t); /* for cleanup(tx_end) */
/* One of several deliveries in one commit: what is after it can be undone. */
int tx_savepoint(struct tx *t, struct err *e);
int tx_release(struct tx *t, struct err *e);
void tx_rollback_to(struct tx *t);
bool tx_writes(const struct tx *t);

/*
 * State strings are "<generation>-<modseq>". Where a type stands: the modseq of
 * its last change, 1 when it never changed.
 */
uint32_t tx_generation(const struct tx *t);
int tx_state(struct tx *t, enum type type, uint64_t *modseq_r, struct err *e);

/* ---- change log (RFC 8620 5.2) -------------------------------------------- */

enum change_kind { CHANGE_CREATED, CHANGE_UPDATED, CHANGE_DESTROYED };
struct change_entry {
	uint64_t id;
	enum change_kind
		kind;	  /* consolidated: created and destroyed is dropped */
	bool counts_only; /* Mailbox: nothing but the four counts changed */
};
struct changes {
	const struct change_entry *at;
	size_t n;
	uint64_t new_modseq; /* state that at[] leads to */
	bool has_more;
};
/*
 * What changed after since: at most max entries (0: no limit), oldest first, each
 * id once. 0; 1 = since cannot be answered (too old, or not yet):
 * cannotCalculateChanges.
 */
int tx_changes(struct tx *t, enum type type, uint64_t since, size_t max,
	struct arena *a, struct changes *c_r, struct err *e);

/* ---- mailboxes (RFC 8621 2) ----------------------------------------------- */

struct mailbox {
	uint64_t id;
	uint64_t parent; /* 0: none */
	struct str name; /* NFC UTF-8 */
	struct str role; /* lower case, empty: none */
	uint32_t sort_order;
	bool subscribed;
	uint64_t total_emails, unread_emails, total_threads, unread_threads;
};

#define MAILBOX_DEPTH 16 /* levels of the tree (maxMailboxDepth) */
#define MAILBOX_NAME 255 /* bytes (maxSizeMailboxName) */

/* Outcomes of changes that the rules of RFC 8621 2.5 refuse. */
enum mailbox_refusal {
	MAILBOX_OK,
	MAILBOX_NOT_FOUND,
	MAILBOX_BAD_NAME,   /* empty, too long, no Net-Unicode (RFC 5198) */
	MAILBOX_NAME_TAKEN, /* a sibling has it */
	MAILBOX_BAD_PARENT, /* no such mailbox, or a loop, or too deep */
	MAILBOX_ROLE_TAKEN,
	MAILBOX_HAS_CHILD,
	MAILBOX_HAS_EMAIL,
};

/* All of them, by sort order then name; in the arena. */
int mailbox_list(struct tx *t, struct arena *a, const struct mailbox **m_r,
	size_t *n_r, struct err *e);
int mailbox_find(struct tx *t, uint64_t id, struct arena *a,
	struct mailbox *m_r, struct err *e); /* 1, 0, < 0 */
/* id and counts of *m are ignored; >= 0 is an enum mailbox_refusal. */
int mailbox_create(
	struct tx *t, const struct mailbox *m, uint64_t *id_r, struct err *e);
/* m->id names it; name, parent, role, sort_order, subscribed are set. */
int mailbox_update(struct tx *t, const struct mailbox *m, struct err *e);
/* remove_emails: those that are in no other mailbox are destroyed. */
int mailbox_destroy(
	struct tx *t, uint64_t id, bool remove_emails, struct err *e);
uint64_t mailbox_with_role(struct tx *t, struct str role); /* 0: none */
/*
 * Changes that are right only when all are made: while it is on, nobody asks whether
 * a sibling has the name, another one the role, or the tree is too deep. Then whoever
 * was made or changed is to be judged, and what a refusal names undone by a savepoint.
 */
void mailbox_defer(struct tx *t, bool defer);
/* As it stands now; MAILBOX_OK also when it is gone. */
int mailbox_judge(struct tx *t, uint64_t id, struct err *e);
/* A sibling that is not m->id and has the name; 1, 0, < 0. */
int mailbox_namesake(
	struct tx *t, const struct mailbox *m, uint64_t *id_r, struct err *e);

/* ---- emails and threads (RFC 8621 3, 4) ----------------------------------- */

struct blob_id {
	uint8_t sha[SHA256_LEN];
};

struct email {
	uint64_t id;
	uint64_t thread;
	struct blob_id blob;
	uint64_t size; /* bytes of the raw message */
	int64_t received_ms;
	const struct str *keywords; /* lower case */
	size_t keywords_n;
	const uint64_t *mailboxes; /* at least one */
	size_t mailboxes_n;
	struct str card; /* the JMAP layer's own bytes about it */
};

struct email_new {
	struct str raw;
	int64_t received_ms;
	const struct str *keywords; /* valid, lower case (RFC 8621 4.1.1) */
	size_t keywords_n;
	const uint64_t *mailboxes;
	size_t mailboxes_n;
	struct str card;
	int64_t sent_ms;
	bool has_attachment;
	/* Threading: this message's id, those it refers to, its base subject. */
	const struct str *message_ids;
	size_t message_ids_n;
	struct str base_subject;
	struct str from, to; /* email_first_name(), for sorting; may be empty */
	bool delivery;	     /* it came from outside: EmailDelivery changes */
};

#define EMAIL_MAILBOX_NOT_FOUND 1
#define EMAIL_NOT_FOUND 2

/*
 * 0, or EMAIL_MAILBOX_NOT_FOUND. *id_r and *thread_r are new or joined. When it ties
 * several threads together they become one, and the emails that move get new ids
 * (RFC 8621 3); only when that are very many some threads stay apart.
 */
int email_add(struct tx *t, const struct email_new *n, uint64_t *id_r,
	uint64_t *thread_r, struct err *e);
/* The id that an email has by now, after what this transaction moved. */
uint64_t email_now(const struct tx *t, uint64_t id);
/* What of an email is wanted; the rest may be left out and is cheaper. */
#define EMAIL_WANT_CARD 1u
#define EMAIL_WANT_MAILBOXES 2u
#define EMAIL_WANT_KEYWORDS 4u
int email_find(struct tx *t, uint64_t id, unsigned want, struct arena *a,
	struct email *m_r, struct err *e); /* 1, 0, < 0 */
/* Sets the whole keyword and mailbox sets (NULL: as they are). */
int email_update(struct tx *t, uint64_t id, const struct str *keywords,
	size_t keywords_n, const uint64_t *mailboxes, size_t mailboxes_n,
	struct err *e); /* 0, EMAIL_*, < 0 */
int email_destroy(struct tx *t, uint64_t id, struct err *e);
/* The bytes of that digest, of an email or an upload; 1, 0, < 0. Appended to
 * out. */
int blob_read(
	struct tx *t, const struct blob_id *b, struct buf *out, struct err *e);
/* An email that consists of just these bytes; 1, 0, < 0. */
int blob_email(
	struct tx *t, const struct blob_id *b, uint64_t *id_r, struct err *e);

/* Emails of a thread, by receivedAt, oldest first. n = 0: no such thread. */
int thread_emails(struct tx *t, uint64_t thread, struct arena *a,
	const uint64_t **ids_r, size_t *n_r, struct err *e);

/* ---- deliveries whose answer may be lost (DESIGN.md 2) -------------------- */

/*
 * In the delivery's own transaction. 1: the same digest was delivered here within
 * the hour and its answer was never seen to leave: acknowledge, store nothing.
 * 0: noted; email_add() follows.
 */
int delivery_begin(
	struct tx *t, const uint8_t digest[SHA256_LEN], struct err *e);
/* Its answer has left: the note goes with the account's next commit or soon. */
void delivery_seen(struct account *a, const uint8_t digest[SHA256_LEN]);
