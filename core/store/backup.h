/*
 * An account as a whole: walked, copied, and replaced by a copy.
 *
 * A backup is mail.db, copied from one snapshot by the database's backup interface,
 * and every file of blobs/, which it links in the account's write turn: whatever
 * is destroyed meanwhile stays as long as the copy is read. It lies in
 * data-dir/accounts/<id>.out-*, and needs as much room as mail.db.
 *
 * A restore collects such files in <id>.in-*, checks them, becomes <id>.new, and in
 * the account's write turn takes the place of <id>, which goes to <id>.old. After
 * a death at any point the next store_open() finds the old account or the new one,
 * whole. A restored account has a new generation (DESIGN.md 6), and its next ids
 * are above those of the one that it replaces.
 */
#pragma once

#include "core/store/store.h"

/* ---- walking -------------------------------------------------------------- */

/* Emails above that id, ascending, at most max; in the arena. */
int email_after(struct tx *t, uint64_t id, size_t max, struct arena *a,
	const uint64_t **ids_r, size_t *n_r, struct err *e);
/* How many there are. */
uint64_t email_count(const struct tx *t);
/* As blob_email(), but one in that mailbox; 1, 0, < 0. */
int blob_email_in(struct tx *t, const struct blob_id *b, uint64_t mailbox,
	uint64_t *id_r, struct err *e);

/* ---- copying -------------------------------------------------------------- */

#define BACKUP_DB "mail.db"
#define BACKUP_BLOBS "blobs/" /* and 64 hex digits */
#define BACKUP_SUMS \
	"SHA256SUMS" /* "<64 hex digits>  NAME\n" of each before it */
#define BACKUP_NAME_MAX 80

struct backup;
/* In the account's write turn: links and snapshot. */
int backup_begin(struct account *a, struct backup **b_r, struct err *e);
/* On any thread, no turn is needed: copies mail.db. The account may be put. */
int backup_copy(struct backup *b, struct err *e);
/* The next file to be kept, opened; 1, 0 = that was all, < 0. */
int backup_next(struct backup *b, char name_r[BACKUP_NAME_MAX], int *fd_r,
	uint64_t *size_r, struct err *e);
void backup_free(struct backup *b);
CLEANUP_PTR(struct backup, backup_free)

/* ---- replacing ------------------------------------------------------------ */

struct restore;
int restore_new(
	struct store *s, uint64_t account, struct restore **r_r, struct err *e);
/* A file begins, then come its bytes: mail.db, blobs, last SHA256SUMS. */
int restore_file(
	struct restore *r, struct str name, uint64_t size, struct err *e);
int restore_bytes(struct restore *r, struct str bytes, struct err *e);
/*
 * All has come. -EUCLEAN when something is missing or not what was written,
 * -EPROTO when a newer version wrote it; an older one is brought up to date.
 */
int restore_check(struct restore *r, struct err *e);
/* In the account's write turn; nobody may have it pinned for long. */
int restore_swap(struct restore *r, struct err *e);
/* Deletes what is no account's, the replaced one too. */
void restore_free(struct restore *r);
CLEANUP_PTR(struct restore, restore_free)
