/*
 * import: messages come, and become Emails in batches that share a commit.
 *
 * The thread collects one batch while an executor stores the other, so that the
 * disk and the peer wait for each other as little as can be. A message's outcome is
 * told after its commit. No message is made twice: bytes that are in the mailbox
 * are there already; bytes that are in another one get this mailbox, too. So an
 * import that was interrupted is run again. What comes is checked as a
 * worker's ring is: the peer may be any program of root's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cmd/jmapd/store/transfer.h"
#include "conf/conf.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/mime/mime.h"
#include "core/store/backup.h"
#include "proto/jmap/engine.h"

#define BATCH_MESSAGES 256
#define BATCH_BYTES ((size_t)4 << 20)
#define BATCH_KEPT ((size_t)16 << 20) /* memory that is not given back */
#define REASON_MAX 200
#define KEYWORD_MAX 255 /* bytes, RFC 8621 4.1.1 */

struct folder {
	struct transfer_folder head;
	struct str name, role;
	uint64_t id;	 /* of the mailbox; 0: not known yet */
	const char *why; /* it cannot be one */
};

struct item {
	struct transfer_message head;
	uint32_t folder; /* index */
	size_t at;	 /* in the batch's bytes */
	uint64_t got;
	struct str keywords; /* in the batch's arena */
	struct blob_id blob;
	enum transfer_outcome outcome;
	char why[REASON_MAX + 1];
};

struct batch {
	struct turn turn;
	struct import *im;
	struct item item[BATCH_MESSAGES];
	size_t n;
	struct buf bytes; /* of all its messages */
	struct arena arena;
	struct err e;
	int ret; /* < 0: nothing of it was stored, and it is over */
};

struct import {
	struct stream *s;
	struct folder *folder;
	size_t folders, folders_cap;
	bool unsettled; /* a folder is no mailbox yet */
	struct arena arena;
	struct batch *batch[2];
	unsigned filling;    /* of the two */
	struct item *coming; /* its bytes are not all there */
	uint64_t count[TRANSFER_OUTCOMES];
};

/* ---- mailboxes ------------------------------------------------------------ */

/* Names by which others know what has a role; with --mailbox and foreign Maildirs
 * the mailbox with that role is meant. */
static const struct {
	struct str name, role;
} standard[] = {
#define STANDARD(name, role)                   \
	{                                      \
		{name, sizeof(name) - 1},      \
		{                              \
			role, sizeof(role) - 1 \
		}                              \
	}
	STANDARD("INBOX", "inbox"),
	STANDARD("Sent", "sent"),
	STANDARD("Sent Items", "sent"),
	STANDARD("Sent Messages", "sent"),
	STANDARD("Drafts", "drafts"),
	STANDARD("Trash", "trash"),
	STANDARD("Deleted Items", "trash"),
	STANDARD("Deleted Messages", "trash"),
	STANDARD("Junk", "junk"),
	STANDARD("Junk E-mail", "junk"),
	STANDARD("Spam", "junk"),
	STANDARD("Archive", "archive"),
	STANDARD("Archives", "archive"),
#undef STANDARD
};

struct boxes {
	const struct mailbox *at;
	size_t n;
};

static uint64_t box_with_role(const struct boxes *b, struct str role)
{
	for (size_t i = 0; role.n && i < b->n; i++)
		if (str_eq(b->at[i].role, role))
			return b->at[i].id;
	return 0;
}

static uint64_t box_named(
	const struct boxes *b, uint64_t parent, struct str name)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->at[i].parent == parent && str_eq(b->at[i].name, name))
			return b->at[i].id;
	return 0;
}

static bool box_is_there(const struct boxes *b, uint64_t id)
{
	for (size_t i = 0; id && i < b->n; i++)
		if (b->at[i].id == id)
			return true;
	return false;
}

static uint64_t box_standard(const struct boxes *b, struct str name)
{
	for (size_t i = 0; i < countof(standard); i++)
		if (str_ieq(standard[i].name, name))
			return box_with_role(b, standard[i].role);
	return 0;
}

static uint64_t find_box(
	const struct boxes *b, const struct folder *f, uint64_t parent)
{
	uint64_t id = box_with_role(b, f->role);
	if (!id)
		id = box_named(b, parent, f->name);
	if (!id && !parent && !(f->head.flags & FOLDER_EXACT))
		id = box_standard(b, f->name);
	return id;
}

static const char *refusal_text(int ret)
{
	switch (ret) {
	case MAILBOX_BAD_NAME:
		return "a mailbox cannot have that name";
	case MAILBOX_BAD_PARENT:
		return "the mailboxes are nested too deeply";
	default:
		return "the mailbox cannot be made";
	}
}

static int make_box(struct tx *t, struct folder *f, uint64_t parent,
	struct boxes *b, struct arena *a, struct err *e)
{
	struct mailbox m = {
		.parent = parent,
		.name = f->name,
		.role = f->role,
		.sort_order = f->head.sort_order,
		.subscribed = !(f->head.flags & FOLDER_EXACT) ||
			      f->head.flags & FOLDER_SUBSCRIBED,
	};
	int ret = mailbox_create(t, &m, &f->id, e);
	if (ret > 0)
		f->why = refusal_text(ret);
	return ret == 0 ? mailbox_list(t, a, &b->at, &b->n, e) : min_of(ret, 0);
}

/* Every folder is a mailbox that is there now: others may have destroyed it since
 * the last batch. Parents come before their children. */
static int settle_folders(struct import *im, struct tx *t, struct err *e)
{
	struct arena a cleanup(arena_fini) = {0};
	struct boxes b;
	int ret = mailbox_list(t, &a, &b.at, &b.n, e);
	for (size_t i = 0; i < im->folders && ret == 0; i++) {
		struct folder *f = &im->folder[i];
		const struct folder *up =
			f->head.parent ? &im->folder[f->head.parent - 1] : NULL;
		uint64_t parent = up ? up->id : 0;
		if (up && up->why)
			f->why = up->why;
		if (f->why || box_is_there(&b, f->id))
			continue;
		f->id = find_box(&b, f, parent);
		if (!f->id)
			ret = make_box(t, f, parent, &b, &a, e);
	}
	return ret;
}

/* ---- messages: on an executor --------------------------------------------- */

static struct str raw_of(const struct batch *b, const struct item *i)
{
	return str_n(b->bytes.p + i->at, i->head.size);
}

/* Keywords in lower case; what is no keyword (RFC 8621 4.1.1) is left out. */
static size_t keywords_read(
	struct str text, struct arena *a, const struct str **at_r)
{
	struct str *at = arena_new(a, (text.n / 2 + 1) * sizeof(*at)), one;
	size_t n = 0;
	while (str_cut(&text, ' ', &one)) {
		char *p = arena_dup(a, one.p, one.n);
		bool good = one.n > 0 && one.n <= KEYWORD_MAX;
		for (size_t i = 0; i < one.n && good; i++) {
			good = p[i] > 0x20 && p[i] < 0x7f &&
			       !strchr("(){]%*\"\\", p[i]);
			if (p[i] >= 'A' && p[i] <= 'Z')
				p[i] = (char)(p[i] | 0x20);
		}
		if (good)
			at[n++] = str_n(p, one.n);
	}
	*at_r = at;
	return n;
}

/* The Email with these bytes gets the mailbox and the keywords, too. */
static int add_to(struct tx *t, uint64_t id, uint64_t mailbox,
	const struct str *keywords, size_t keywords_n, struct arena *a,
	struct err *e)
{
	struct email m;
	int ret = email_find(
		t, id, EMAIL_WANT_MAILBOXES | EMAIL_WANT_KEYWORDS, a, &m, e);
	if (ret <= 0)
		return ret < 0 ? ret : err_set(e, -EUCLEAN, "an Email is lost");
	struct str *k =
		arena_new(a, (m.keywords_n + keywords_n + 1) * sizeof(*k));
	uint64_t *in = arena_new(a, (m.mailboxes_n + 1) * sizeof(*in));
	size_t n = m.keywords_n;
	for (size_t i = 0; i < m.keywords_n; i++)
		k[i] = m.keywords[i];
	for (size_t i = 0; i < keywords_n; i++)
		k[n++] = keywords[i];
	memcpy(in, m.mailboxes, m.mailboxes_n * sizeof(*in));
	in[m.mailboxes_n] = mailbox;
	return email_update(t, id, k, n, in, m.mailboxes_n + 1, e);
}

static int store_new(struct tx *t, const struct batch *b, const struct item *i,
	uint64_t mailbox, const struct str *keywords, size_t keywords_n,
	struct err *e)
{
	struct jmap_message m = {
		.raw = raw_of(b, i),
		.received_ms = i->head.received_ms,
		.keywords = keywords,
		.keywords_n = keywords_n,
		.mailboxes = &mailbox,
		.mailboxes_n = 1,
	};
	uint64_t id, thread;
	return jmap_store(t, &m, &id, &thread, e);
}

static int store_one(struct tx *t, const struct batch *b, struct item *i,
	uint64_t mailbox, struct err *e)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct str *keywords;
	uint64_t id;
	int ret = blob_email_in(t, &i->blob, mailbox, &id, e);
	if (ret != 0) {
		i->outcome = TRANSFER_THERE;
		return min_of(ret, 0);
	}
	size_t n = keywords_read(i->keywords, &a, &keywords);
	ret = blob_email(t, &i->blob, &id, e);
	if (ret < 0)
		return ret;
	i->outcome = ret ? TRANSFER_ADDED : TRANSFER_STORED;
	ret = ret ? add_to(t, id, mailbox, keywords, n, &a, e)
		  : store_new(t, b, i, mailbox, keywords, n, e);
	return ret > 0 ? err_set(e, -ENOENT, "the mailbox is gone") : ret;
}

static void fail_item(struct item *i, const char *why)
{
	i->outcome = TRANSFER_FAILED;
	snprintf(i->why, sizeof(i->why), "%.*s", REASON_MAX, why);
}

static uint64_t poison_digest(const struct item *i)
{
	uint64_t digest;
	memcpy(&digest, i->blob.sha, sizeof(digest));
	return digest | 1;
}

/* 0 also when it failed for reasons of its own; < 0 ends the batch. */
static int take_one(struct batch *b, struct tx *t, struct item *i)
{
	struct store_role *st = b->im->s->st;
	const struct folder *f = &b->im->folder[i->folder];
	uint64_t digest = poison_digest(i);
	struct err e = {0};
	if (f->why) {
		fail_item(i, f->why);
		return 0;
	}
	if (notebook_is_poison(st->notebook, digest)) {
		fail_item(i, "the store died of it twice");
		return 0;
	}
	int slot = at_work_begin(&st->at_work, digest);
	int ret = tx_savepoint(t, &e);
	if (ret == 0) {
		ret = store_one(t, b, i, f->id, &e);
		if (ret < 0)
			tx_rollback_to(t);
		else
			ret = tx_release(t, &e);
	}
	at_work_end(&st->at_work, slot);
	if (ret == -ENOSPC || ret == -EIO) {
		b->e = e;
		return ret;
	}
	if (ret < 0)
		fail_item(i, e.text);
	return 0;
}

static int store_batch(struct batch *b)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	struct import *im = b->im;
	int ret = account_get(im->s->st->store, im->s->account.id, &a, &b->e);
	if (ret == 0)
		ret = tx_begin(a, TX_WRITE, &t, &b->e);
	if (ret == 0)
		ret = settle_folders(im, t, &b->e);
	for (size_t i = 0; i < b->n && ret == 0; i++)
		ret = take_one(b, t, &b->item[i]);
	return ret == 0 ? tx_commit(t, &b->e) : ret;
}

static void on_batch(struct turn *t)
{
	struct batch *b = container_of(t, struct batch, turn);
	b->ret = store_batch(b);
	if (b->ret == -ENOSPC)
		err_set(&b->e, b->ret, "the disk of jmapd is full");
}

/* ---- batches: in the stream's thread -------------------------------------- */

static struct batch *batch_new(struct import *im)
{
	struct batch *b = mem_new(sizeof(*b));
	b->im = im;
	turn_init(&b->turn, on_batch);
	return b;
}

static void batch_reset(struct batch *b)
{
	b->n = 0;
	arena_fini(&b->arena);
	if (b->bytes.cap > BATCH_KEPT)
		buf_fini(&b->bytes);
	buf_reset(&b->bytes);
}

static void batch_free(struct batch *b)
{
	batch_reset(b);
	buf_fini(&b->bytes);
	turn_fini(&b->turn);
	free(b);
}

static int tell_results(struct import *im, struct batch *b, struct err *e)
{
	struct buf out cleanup(buf_fini) = {0};
	for (size_t i = 0; i < b->n; i++) {
		const struct item *one = &b->item[i];
		bool failed = one->outcome == TRANSFER_FAILED;
		size_t n = failed ? strlen(one->why) : 0;
		im->count[one->outcome]++;
		buf_addc(&out, (char)one->outcome);
		buf_addc(&out, (char)n);
		buf_add(&out, one->why, n);
	}
	return stream_send(im->s, FRAME_RESULTS, NULL, 0, buf_str(&out), e);
}
_Static_assert(BATCH_MESSAGES *(REASON_MAX + 2) < ADMIN_PACKET,
	"results of a batch are one packet");

/* The other batch, if it is at work: what came of it is told. */
static int take_back(struct import *im, struct err *e)
{
	struct batch *b = im->batch[!im->filling];
	stream_wait(&b->turn);
	int ret = b->ret;
	if (ret < 0) {
		*e = b->e;
		return ret;
	}
	if (b->n)
		ret = tell_results(im, b, e);
	batch_reset(b);
	return ret;
}

static int flush(struct import *im, struct err *e)
{
	int ret = take_back(im, e);
	if (ret < 0)
		return ret;
	im->unsettled = false;
	stream_submit(im->s, &im->batch[im->filling]->turn);
	im->filling = !im->filling;
	return 0;
}

/* ---- frames --------------------------------------------------------------- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, -EPROTO, "import: %s", what);
}

static bool role_ok(struct str role)
{
	for (size_t i = 0; i < role.n; i++)
		if (role.p[i] < 'a' || role.p[i] > 'z')
			return false;
	return role.n <= 32;
}

static int on_folder(struct import *im, struct str rest, struct err *e)
{
	struct folder f = {0};
	if (im->coming)
		return bad(e, "a folder in the middle of a message");
	if (!stream_head(&rest, &f.head, sizeof(f.head)) ||
		f.head.role_n > rest.n)
		return bad(e, "a folder that is cut");
	if (im->folders >= TRANSFER_FOLDERS)
		return bad(e, "too many folders");
	if (f.head.parent > im->folders)
		return bad(e, "a folder whose parent did not come");
	f.role = arena_str(&im->arena, str_n(rest.p, f.head.role_n));
	rest = str_skip(rest, f.head.role_n);
	if (!rest.n || rest.n > 1024 || !utf8_valid(rest) || !role_ok(f.role))
		return bad(e, "a folder whose name is none");
	/* Only to bring it into NFC: an encoded word would be decoded, too. */
	f.name = memmem(rest.p, rest.n, "=?", 2)
			 ? arena_str(&im->arena, rest)
			 : mime_as_text(rest, &im->arena);
	/* Batches at work look at the folders there are. */
	stream_wait(&im->batch[!im->filling]->turn);
	if (im->folders == im->folders_cap) {
		im->folders_cap = max_of(im->folders_cap * 2, (size_t)64);
		im->folder = mem_grow(
			im->folder, im->folders_cap * sizeof(*im->folder));
	}
	im->folder[im->folders++] = f;
	im->unsettled = true;
	return 0;
}

/* The message is whole. */
static int end_message(struct import *im, struct err *e)
{
	struct batch *b = im->batch[im->filling];
	struct item *i = steal(im->coming);
	sha256(raw_of(b, i), i->blob.sha);
	b->n++;
	return b->n == BATCH_MESSAGES || b->bytes.n >= BATCH_BYTES
		       ? flush(im, e)
		       : 0;
}

static int on_bytes(struct import *im, struct str rest, struct err *e)
{
	struct item *i = im->coming;
	if (!i)
		return bad(e, "bytes of no message");
	if (rest.n > i->head.size - i->got)
		return bad(e, "a message longer than it said");
	buf_adds(&im->batch[im->filling]->bytes, rest);
	i->got += rest.n;
	return i->got == i->head.size ? end_message(im, e) : 0;
}

static int on_message(struct import *im, struct str rest, struct err *e)
{
	struct batch *b = im->batch[im->filling];
	struct item *i = &b->item[b->n];
	if (im->coming)
		return bad(e, "a message in the middle of another");
	*i = (struct item){.at = b->bytes.n};
	if (!stream_head(&rest, &i->head, sizeof(i->head)) ||
		i->head.folders_n != 1 ||
		!stream_head(&rest, &i->folder, sizeof(i->folder)) ||
		i->head.keywords_n > rest.n ||
		i->head.keywords_n > TRANSFER_KEYWORDS)
		return bad(e, "a message that is cut");
	if (!i->folder || i->folder > im->folders)
		return bad(e, "a message in a folder that did not come");
	i->folder--;
	if (!i->head.size || i->head.size > conf_get()->max_size_message)
		return bad(e, "a message larger than max-size-message");
	i->keywords = arena_str(&b->arena, str_n(rest.p, i->head.keywords_n));
	im->coming = i;
	return on_bytes(im, str_skip(rest, i->head.keywords_n), e);
}

static int take_frame(
	struct import *im, char letter, struct str rest, struct err *e)
{
	switch (letter) {
	case FRAME_FOLDER:
		return on_folder(im, rest, e);
	case FRAME_MESSAGE:
		return on_message(im, rest, e);
	case FRAME_BODY:
		return on_bytes(im, rest, e);
	default:
		return bad(e, "a packet of no kind");
	}
}

static int collect(struct import *im, struct err *e)
{
	struct str rest;
	char letter;
	for (;;) {
		int ret = stream_recv(im->s, &letter, &rest, e);
		if (ret == 0 && letter == FRAME_END)
			return im->coming ? bad(e, "it ends in a message") : 0;
		if (ret == 0)
			ret = take_frame(im, letter, rest, e);
		if (ret < 0)
			return ret;
	}
}

int import_run(struct stream *s, struct err *e)
{
	struct import im = {.s = s};
	im.batch[0] = batch_new(&im);
	im.batch[1] = batch_new(&im);
	int ret = collect(&im, e);
	if (ret == 0 && (im.batch[im.filling]->n || im.unsettled))
		ret = flush(&im, e);
	if (ret == 0)
		ret = take_back(&im, e);
	stream_wait(&im.batch[0]->turn);
	stream_wait(&im.batch[1]->turn);
	log_info("account=%" PRIu64 " import stored=%" PRIu64 " added=%" PRIu64
		 " there=%" PRIu64 " failed=%" PRIu64,
		s->account.id, im.count[TRANSFER_STORED],
		im.count[TRANSFER_ADDED], im.count[TRANSFER_THERE],
		im.count[TRANSFER_FAILED]);
	batch_free(im.batch[0]);
	batch_free(im.batch[1]);
	arena_fini(&im.arena);
	free(im.folder);
	return ret;
}
