/*
 * account backup, account restore (core/store/backup.h) on a stream.
 *
 * A backup takes the account's write turn for its links and its snapshot only. A
 * restore takes it for the change itself, and for telling everybody who watches
 * the account: no commit falls between the two.
 */
#include "core/store/backup.h"

#include <errno.h>
#include <inttypes.h>

#include "cmd/jmapd/store/transfer.h"
#include "core/base/log.h"

/* ---- backup --------------------------------------------------------------- */

struct backup_turn {
	struct turn turn;
	struct account *account;
	struct backup *backup;
	struct err e;
	int ret;
};

static void on_backup(struct turn *t)
{
	struct backup_turn *b = container_of(t, struct backup_turn, turn);
	b->ret = backup_begin(b->account, &b->backup, &b->e);
}

static int send_files(struct stream *s, struct backup *b, struct err *e)
{
	char name[BACKUP_NAME_MAX];
	struct transfer_file f;
	int ret, fd = -1;
	while ((ret = backup_next(b, name, &fd, &f.size, e)) > 0) {
		ret = stream_send(
			s, FRAME_FILE, &f, sizeof(f), str_of(name), e);
		if (ret == 0)
			ret = stream_send_file(s, fd, f.size, e);
		fd_closep(&fd);
		if (ret < 0)
			break;
	}
	return ret;
}

int backup_run(struct stream *s, struct err *e)
{
	struct backup_turn b = {0};
	int ret = account_get(s->st->store, s->account.id, &b.account, e);
	if (ret < 0)
		return ret;
	turn_init(&b.turn, on_backup);
	stream_submit(s, &b.turn);
	stream_wait(&b.turn);
	turn_fini(&b.turn);
	if (b.ret < 0)
		*e = b.e;
	ret = b.ret;
	if (ret == 0)
		ret = backup_copy(b.backup, e);
	account_put(b.account);
	if (ret == 0)
		ret = send_files(s, b.backup, e);
	backup_free(b.backup);
	return ret;
}

/* ---- restore -------------------------------------------------------------- */

struct restore_turn {
	struct turn turn;
	struct stream *s;
	struct restore *restore;
	bool force;
	struct err e;
	int ret;
};

/* Has it mail? One that cannot be opened may have. */
static int check_empty(struct stream *s, bool force, struct err *e)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	if (force)
		return 0;
	int ret = account_get(s->st->store, s->account.id, &a, e);
	if (ret == 0)
		ret = tx_begin(a, TX_READ, &t, e);
	if (ret == 0 && email_count(t))
		ret = err_set(e, -EEXIST,
			"the account has %" PRIu64
			" Emails; --force replaces them",
			email_count(t));
	return ret;
}

/* Everybody who watches it learns where all its types stand. */
static int tell_all(struct stream *s, struct err *e)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	uint64_t modseq[TYPES];
	int ret = account_get(s->st->store, s->account.id, &a, e);
	if (ret == 0)
		ret = tx_begin(a, TX_READ, &t, e);
	for (enum type type = 0; ret == 0 && type < TYPES; type++)
		ret = tx_state(t, type, &modseq[type], e);
	if (ret == 0)
		subs_restored(
			s->st->subs, s->account.id, tx_generation(t), modseq);
	return ret;
}

static void on_restore(struct turn *t)
{
	struct restore_turn *r = container_of(t, struct restore_turn, turn);
	r->ret = check_empty(r->s, r->force, &r->e);
	if (r->ret == 0)
		r->ret = restore_swap(r->restore, &r->e);
	if (r->ret == 0)
		r->ret = tell_all(r->s, &r->e);
}

static int on_file(struct restore *r, struct str rest, struct err *e)
{
	struct transfer_file f;
	if (!stream_head(&rest, &f, sizeof(f)))
		return err_set(e, -EPROTO, "restore: a file that is cut");
	return restore_file(r, rest, f.size, e);
}

static int collect(struct stream *s, struct restore *r, struct err *e)
{
	struct str rest;
	char letter;
	for (;;) {
		int ret = stream_recv(s, &letter, &rest, e);
		if (ret == 0 && letter == FRAME_END)
			return restore_check(r, e);
		if (ret == 0 && letter == FRAME_FILE)
			ret = on_file(r, rest, e);
		else if (ret == 0 && letter == FRAME_BODY)
			ret = restore_bytes(r, rest, e);
		else if (ret == 0)
			ret = err_set(
				e, -EPROTO, "restore: a packet of no kind");
		if (ret < 0)
			return ret;
	}
}

int restore_run(struct stream *s, struct err *e)
{
	struct restore_turn r = {.s = s};
	char letter;
	struct str rest;
	/* Whether it is forced comes first: an empty answer costs nobody. */
	int ret = stream_recv(s, &letter, &rest, e);
	if (ret == 0 && letter != FRAME_GO)
		ret = err_set(e, -EPROTO, "restore: a packet of no kind");
	if (ret < 0)
		return ret;
	r.force = str_eq(rest, STR("force"));
	ret = check_empty(s, r.force, e);
	if (ret == 0)
		ret = restore_new(s->st->store, s->account.id, &r.restore, e);
	if (ret == 0)
		ret = stream_send(s, FRAME_GO, NULL, 0, STR_NONE, e);
	if (ret == 0)
		ret = collect(s, r.restore, e);
	if (ret == 0) {
		turn_init(&r.turn, on_restore);
		stream_submit(s, &r.turn);
		stream_wait(&r.turn);
		turn_fini(&r.turn);
		ret = r.ret;
		if (ret < 0)
			*e = r.e;
		else
			log_info("account=%" PRIu64 " restored", s->account.id);
	}
	restore_free(r.restore);
	return ret;
}
