#include "cmd/jmapctl/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/mime/mime.h"

#define PROGRESS_MS 100
#define BAR 30 /* characters */

/* ---- what is seen of it --------------------------------------------------- */

static void hide(struct import *im)
{
	if (im->shown)
		fputs("\r\033[K", stderr);
	im->shown = false;
}

static void show(struct import *im)
{
	uint64_t now = clock_mono_ms();
	if (!im->terminal || !im->units || now < im->shown_ms + PROGRESS_MS)
		return;
	im->shown_ms = now;
	int full = (int)(BAR * min_of(im->done, im->units) / im->units);
	fprintf(stderr, "\r[%.*s%*s] %3d%%  %" PRIu64 " messages\033[K", full,
		"##############################", BAR - full, "",
		(int)(100 * min_of(im->done, im->units) / im->units),
		im->imported + im->there + im->failed);
	fflush(stderr);
	im->shown = true;
}

void import_progress(struct import *im, uint64_t done)
{
	im->done = done;
	show(im);
}

void import_failed(struct import *im, const char *where, const char *why)
{
	im->failed++;
	hide(im);
	fprintf(stderr, "failed: %s: %s\n", where, why);
}

/* ---- where they were ------------------------------------------------------ */

static void wheres_put(struct wheres *w, const char *where)
{
	if (w->n == w->cap) {
		size_t cap = max_of(w->cap * 2, (size_t)1024);
		char **at = mem_new(cap * sizeof(*at));
		for (size_t i = 0; i < w->n; i++)
			at[i] = w->at[(w->first + i) % w->cap];
		free(w->at);
		*w = (struct wheres){.at = at, .n = w->n, .cap = cap};
	}
	w->at[(w->first + w->n++) % w->cap] = mem_strdup(where);
}

/* NULL: none is left. The caller frees it. */
static char *wheres_take(struct wheres *w)
{
	if (!w->n)
		return NULL;
	char *where = w->at[w->first];
	w->first = (w->first + 1) % w->cap;
	w->n--;
	return where;
}

static void wheres_fini(struct wheres *w)
{
	char *where;
	while ((where = wheres_take(w)))
		free(where);
	free(w->at);
}

/* ---- outcomes ------------------------------------------------------------- */

static int outcome(struct import *im, struct str *rest, struct err *e)
{
	uint8_t head[2];
	char *where cleanup(free) = wheres_take(&im->wheres);
	int ret = stream_head(rest, head, sizeof(head), e);
	if (ret == 0 && (!where || head[1] > rest->n))
		ret = err_set(e, -EPROTO, "jmapd answered what nobody asked");
	if (ret < 0)
		return ret;
	struct buf why cleanup(buf_fini) = {0};
	buf_add(&why, rest->p, head[1]);
	*rest = str_skip(*rest, head[1]);
	if (head[0] == TRANSFER_FAILED)
		import_failed(im, where, buf_z(&why));
	else if (head[0] == TRANSFER_THERE)
		im->there++;
	else
		im->imported++;
	return 0;
}

static int on_packet(void *ctx, char letter, struct str rest, struct err *e)
{
	struct import *im = ctx;
	int ret = 0;
	if (letter != FRAME_RESULTS)
		return err_set(e, -EPROTO, "jmapd answered what nobody asked");
	while (rest.n && ret == 0)
		ret = outcome(im, &rest, e);
	show(im);
	return ret;
}

/* ---- mailboxes ------------------------------------------------------------ */

struct import_folder {
	struct map_node node;
	uint32_t parent, n;
	struct str name;
};

int import_folder(struct import *im, uint32_t parent, struct str name,
	const struct transfer_folder *head, struct str role, uint32_t *n_r,
	struct err *e)
{
	struct transfer_folder h = {0};
	struct buf rest cleanup(buf_fini) = {0};
	struct map_node *n;
	uint64_t hash = hash_str(name) ^ hash_u64(parent);
	map_each (&im->folders, hash, n) {
		const struct import_folder *f =
			container_of(n, struct import_folder, node);
		if (f->parent == parent && str_eq(f->name, name)) {
			*n_r = f->n;
			return 0;
		}
	}
	if (name.n > 1024 || role.n > 32)
		return err_set(e, -ENAMETOOLONG, "%.40s...: a name too long",
			name.n ? name.p : "");
	if (head)
		h = *head;
	h.parent = parent;
	h.role_n = (uint32_t)role.n;
	buf_adds(&rest, role);
	buf_adds(&rest, name);
	int ret = stream_send(
		&im->stream, FRAME_FOLDER, &h, sizeof(h), buf_str(&rest), e);
	if (ret < 0)
		return ret;
	struct import_folder *f = arena_new(&im->arena, sizeof(*f));
	f->parent = parent;
	f->name = arena_str(&im->arena, name);
	*n_r = f->n = ++im->folders_n;
	map_put(&im->folders, &f->node, hash);
	return 0;
}

int import_top(struct import *im, uint32_t *n_r, struct err *e)
{
	struct str rest = str_of(im->args->mailbox), name;
	int ret = 0;
	if (!rest.n)
		rest = STR("INBOX");
	for (*n_r = im->top;
		!im->top && ret == 0 && str_cut(&rest, '/', &name);)
		if (name.n)
			ret = import_folder(
				im, *n_r, name, NULL, STR_NONE, n_r, e);
	if (ret == 0 && !*n_r)
		ret = err_set(e, -EINVAL, "--mailbox names no mailbox");
	im->top = *n_r;
	return ret;
}

/* ---- messages ------------------------------------------------------------- */

static struct str with_crlf(struct import *im, struct str raw)
{
	size_t end = str_find(raw, '\n');
	if (end == raw.n || (end && raw.p[end - 1] == '\r'))
		return raw;
	buf_reset(&im->crlf);
	for (char last = 0; raw.n;) {
		end = str_find(raw, '\n');
		if (end)
			last = raw.p[end - 1];
		buf_add(&im->crlf, raw.p, end);
		if (end == raw.n)
			break;
		buf_addz(&im->crlf, last == '\r' ? "\n" : "\r\n");
		last = '\n';
		raw = str_skip(raw, end + 1);
	}
	return buf_str(&im->crlf);
}

int import_message(
	struct import *im, const struct import_message *m, struct err *e)
{
	struct str raw = m->as_is ? m->raw : with_crlf(im, m->raw);
	struct transfer_message h = {
		.size = raw.n,
		.received_ms = m->received_ms,
		.folders_n = 1,
		.keywords_n = (uint32_t)m->keywords.n,
	};
	struct buf first cleanup(buf_fini) = {0};
	if (!raw.n || raw.n > im->args->max_size_message) {
		import_failed(im, m->where,
			raw.n ? "it is larger than max-size-message"
			      : "it is empty");
		return 0;
	}
	if (m->keywords.n > TRANSFER_KEYWORDS) {
		import_failed(im, m->where, "it has too many keywords");
		return 0;
	}
	buf_add(&first, &m->folder, sizeof(m->folder));
	buf_adds(&first, m->keywords);
	size_t n = min_of(raw.n, (size_t)TRANSFER_BODY - first.n);
	buf_add(&first, raw.p, n);
	wheres_put(&im->wheres, m->where);
	int ret = stream_send(
		&im->stream, FRAME_MESSAGE, &h, sizeof(h), buf_str(&first), e);
	for (raw = str_skip(raw, n); raw.n && ret == 0;
		raw = str_skip(raw, n)) {
		n = min_of(raw.n, (size_t)TRANSFER_BODY);
		ret = stream_send(
			&im->stream, FRAME_BODY, NULL, 0, str_n(raw.p, n), e);
	}
	return ret;
}

/* The date behind the last semicolon of the topmost Received (RFC 5321 4.4). */
static bool received_time(struct str value, int64_t *ms_r)
{
	int offset;
	size_t at = value.n;
	while (at && value.p[at - 1] != ';')
		at--;
	return at && mime_as_date(str_skip(value, at), ms_r, &offset);
}

int64_t import_time_of(struct str raw)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct mime_header *h;
	size_t n = mime_fields_at(raw, 0, raw.n, &a, &h);
	int64_t ms;
	int offset;
	for (size_t i = 0; i < n; i++)
		if (str_ieq(h[i].name, STR("Received")) &&
			received_time(h[i].value, &ms))
			return ms;
	for (size_t i = 0; i < n; i++)
		if (str_ieq(h[i].name, STR("Date")) &&
			mime_as_date(h[i].value, &ms, &offset))
			return ms;
	return clock_real_ms();
}

/* ---- all of it ------------------------------------------------------------ */

/* What is at path? Looked at, not guessed from its name. */
static int import_path(struct import *im, struct err *e)
{
	const char *path = im->args->path;
	char head[5];
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(e, "%s", path);
	if (S_ISDIR(st.st_mode) && maildir_is(path))
		return import_maildir(im, path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL,
			"%s is no message, no mbox and no Maildir", path);
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", path);
	ssize_t n = read(fd, head, sizeof(head));
	if (n < 0)
		return err_sys(e, "%s", path);
	/* An mbox without a message is empty. */
	return n == 0 || str_starts(str_n(head, (size_t)n), STR("From "))
		       ? import_mbox(im, path, e)
		       : import_one(im, path, e);
}

static int finish(struct import *im, struct err *e)
{
	int ret = stream_send(&im->stream, FRAME_END, NULL, 0, STR_NONE, e);
	while (ret == 0) {
		struct str rest;
		char letter;
		ret = stream_recv(&im->stream, &letter, &rest, e);
		if (ret == 0 && letter == ADMIN_OK)
			break;
		if (ret == 0)
			ret = on_packet(im, letter, rest, e);
	}
	if (ret == 0 && im->wheres.n)
		ret = err_set(e, -EPROTO, "jmapd did not answer for all");
	return ret;
}

static void sum_up(const struct import *im, int ret, const struct err *e)
{
	printf("imported %" PRIu64 "\n", im->imported);
	printf("skipped %" PRIu64 " (already there)\n", im->there);
	printf("failed %" PRIu64 "\n", im->failed);
	if (im->trashed)
		fprintf(stderr,
			"%" PRIu64 " marked as deleted (T of a Maildir, "
			"X-Status D of an mbox) are among them, without it\n",
			im->trashed);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s%s\n", e->text,
			im->wheres.n ? "; run it again to go on" : "");
}

static void import_fini(struct import *im)
{
	stream_fini(&im->stream);
	wheres_fini(&im->wheres);
	map_fini(&im->folders);
	arena_fini(&im->arena);
	buf_fini(&im->crlf);
}

int import_main(const struct transfer_args *a)
{
	struct import im = {.args = a, .terminal = isatty(2)};
	struct err e = {0};
	im.stream.came = on_packet;
	im.stream.ctx = &im;
	int ret = stream_open(&im.stream, a->socket_path, a->words, &e);
	if (ret < 0) {
		fprintf(stderr, "jmapctl: %s\n", e.text);
		import_fini(&im);
		return EXIT_FAILED;
	}
	ret = import_path(&im, &e);
	if (ret == 0)
		ret = finish(&im, &e);
	hide(&im);
	sum_up(&im, ret, &e);
	bool good = ret == 0 && !im.failed;
	import_fini(&im);
	return good ? EXIT_GOOD : EXIT_FAILED;
}
