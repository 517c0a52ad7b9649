/*
 * export: all mailboxes, then all Emails in the order of their ids, on one
 * snapshot. Contents are read and sent in pieces. A message that was destroyed
 * after the snapshot, and whose bytes were a file, is left out.
 */
#include <errno.h>

#include "cmd/jmapd/store/transfer.h"
#include "core/store/backup.h"
#include "core/store/blob.h"

#define IDS 512 /* looked up at once */

struct export
{
	struct stream *s;
	struct tx *t;
	struct arena arena;
	const struct mailbox *box;
	size_t boxes;
	uint32_t *number; /* of box[i] as a folder; 0: not sent yet */
	uint32_t sent;
};

/* The place of that mailbox, or boxes. */
static size_t place_of(const struct export *x, uint64_t id)
{
	size_t i = 0;
	while (i < x->boxes && x->box[i].id != id)
		i++;
	return i;
}

static int send_box(struct export *x, size_t i, struct err *e)
{
	const struct mailbox *m = &x->box[i];
	struct buf rest cleanup(buf_fini) = {0};
	size_t up = place_of(x, m->parent);
	struct transfer_folder f = {
		.parent = up < x->boxes ? x->number[up] : 0,
		.sort_order = m->sort_order,
		.flags = FOLDER_EXACT | (m->subscribed ? FOLDER_SUBSCRIBED : 0),
		.role_n = (uint32_t)m->role.n,
	};
	buf_adds(&rest, m->role);
	buf_adds(&rest, m->name);
	x->number[i] = ++x->sent;
	return stream_send(
		x->s, FRAME_FOLDER, &f, sizeof(f), buf_str(&rest), e);
}

/* Parents before their children: as many rounds as there are levels. */
static int send_boxes(struct export *x, struct err *e)
{
	int ret = mailbox_list(x->t, &x->arena, &x->box, &x->boxes, e);
	bool more = true;
	x->number = arena_new(&x->arena, (x->boxes + 1) * sizeof(*x->number));
	while (more && ret == 0) {
		more = false;
		for (size_t i = 0; i < x->boxes && ret == 0; i++) {
			size_t up = place_of(x, x->box[i].parent);
			if (x->number[i] || (up < x->boxes && !x->number[up]))
				continue;
			ret = send_box(x, i, e);
			more = true;
		}
	}
	return ret;
}

static int send_head(struct export *x, const struct email *m, struct err *e)
{
	struct buf rest cleanup(buf_fini) = {0};
	struct transfer_message h = {
		.id = m->id,
		.size = m->size,
		.received_ms = m->received_ms,
	};
	for (size_t i = 0; i < m->mailboxes_n; i++) {
		size_t at = place_of(x, m->mailboxes[i]);
		if (at == x->boxes)
			continue;
		buf_add(&rest, &x->number[at], sizeof(x->number[at]));
		h.folders_n++;
	}
	size_t before = rest.n;
	for (size_t i = 0; i < m->keywords_n; i++) {
		if (i)
			buf_addc(&rest, ' ');
		buf_adds(&rest, m->keywords[i]);
	}
	h.keywords_n = (uint32_t)(rest.n - before);
	if (rest.n > TRANSFER_BODY)
		return err_set(e, -EFBIG,
			"an Email has too many mailboxes and keywords");
	return stream_send(
		x->s, FRAME_MESSAGE, &h, sizeof(h), buf_str(&rest), e);
}

/* 0: it was destroyed meanwhile. */
static int send_body(struct export *x, const struct email *m, struct err *e)
{
	struct buf piece cleanup(buf_fini) = {0};
	uint64_t at = 0;
	int ret = blob_piece(x->t, &m->blob, 0, TRANSFER_BODY, &piece, e);
	if (ret <= 0)
		return ret;
	ret = send_head(x, m, e);
	while (ret == 0 && at < m->size) {
		ret = stream_send(
			x->s, FRAME_BODY, NULL, 0, buf_str(&piece), e);
		at += piece.n;
		buf_reset(&piece);
		if (ret == 0 && at < m->size)
			ret = min_of(0, blob_piece(x->t, &m->blob, at,
						TRANSFER_BODY, &piece, e));
		if (ret == 0 && at < m->size && !piece.n)
			ret = err_set(e, -ENOENT,
				"a message was destroyed meanwhile, try again");
	}
	return ret;
}

static int send_emails(struct export *x, struct err *e)
{
	const uint64_t *ids;
	uint64_t last = 0;
	size_t n = 1;
	int ret = 0;
	while (n && ret == 0) {
		struct arena a cleanup(arena_fini) = {0};
		struct email m;
		ret = email_after(x->t, last, IDS, &a, &ids, &n, e);
		for (size_t i = 0; i < n && ret == 0; i++) {
			last = ids[i];
			ret = email_find(x->t, ids[i],
				EMAIL_WANT_MAILBOXES | EMAIL_WANT_KEYWORDS, &a,
				&m, e);
			ret = ret > 0 ? send_body(x, &m, e) : ret;
		}
	}
	return ret;
}

int export_run(struct stream *s, struct err *e)
{
	struct account *a cleanup(account_put) = NULL;
	struct export x = {.s = s};
	int ret = account_get(s->st->store, s->account.id, &a, e);
	if (ret == 0)
		ret = tx_begin(a, TX_READ, &x.t, e);
	if (ret == 0)
		ret = send_boxes(&x, e);
	if (ret == 0)
		ret = send_emails(&x, e);
	tx_end(x.t);
	arena_fini(&x.arena);
	return ret;
}
