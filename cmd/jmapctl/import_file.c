/* One message, or an mbox: what stands in one file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/jmapctl/import.h"
#include "cmd/jmapctl/mbox.h"

#define MBOX_PIECE 262144 /* bytes read at once */

int import_read(struct import *im, const char *path, struct buf *out)
{
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct err e = {0};
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(&e, "open");
		import_failed(im, path, e.text);
		return 0;
	}
	if (!S_ISREG(st.st_mode)) {
		import_failed(im, path, "it is no file");
		return 0;
	}
	if ((uint64_t)st.st_size > im->args->max_size_message) {
		import_failed(im, path, "it is larger than max-size-message");
		return 0;
	}
	buf_reset(out);
	for (;;) {
		size_t room = (size_t)st.st_size + 1;
		ssize_t n = read(fd, buf_room(out, room), room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(&e, "read");
			import_failed(im, path, e.text);
			return 0;
		}
		out->n += (size_t)n;
		if (n == 0 || out->n > im->args->max_size_message)
			return 1;
	}
}

/* A field's name and a colon (RFC 5322 2.2). */
static bool is_message(struct str raw)
{
	size_t n = 0;
	while (n < raw.n && raw.p[n] > 0x20 && raw.p[n] < 0x7f &&
		raw.p[n] != ':')
		n++;
	while (n && n < raw.n && (raw.p[n] == ' ' || raw.p[n] == '\t'))
		n++;
	return n && n < raw.n && raw.p[n] == ':';
}

int import_one(struct import *im, const char *path, struct err *e)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct import_message m = {.where = path};
	if (!import_read(im, path, &raw))
		return 0;
	if (!is_message(buf_str(&raw)))
		return err_set(e, -EINVAL,
			"%s is no message, no mbox and no Maildir", path);
	m.raw = buf_str(&raw);
	m.received_ms = import_time_of(m.raw);
	int ret = import_top(im, &m.folder, e);
	return ret < 0 ? ret : import_message(im, &m, e);
}

/* ---- mbox ----------------------------------------------------------------- */

struct mbox_file {
	struct import *im;
	const char *path;
	uint32_t folder;
};

static int on_message(void *ctx, const struct mbox_message *m, struct err *e)
{
	const struct mbox_file *f = ctx;
	struct buf where cleanup(buf_fini) = {0};
	struct buf keywords cleanup(buf_fini) = {0};
	bool deleted;
	struct import_message i = {.raw = m->raw, .folder = f->folder};
	buf_fmt(&where, "%s at %" PRIu64, f->path, m->at);
	i.where = buf_z(&where);
	if (m->too_large) {
		import_failed(
			f->im, i.where, "it is larger than max-size-message");
		return 0;
	}
	i.received_ms = m->has_date ? m->date_ms : import_time_of(m->raw);
	mbox_keywords(m->raw, &keywords, &deleted);
	i.keywords = buf_str(&keywords);
	f->im->trashed += deleted;
	return import_message(f->im, &i, e);
}

static int feed_all(struct import *im, int fd, struct mbox *b, struct err *e)
{
	char *piece cleanup(free) = mem_new(MBOX_PIECE);
	uint64_t at = 0;
	for (;;) {
		ssize_t n = read(fd, piece, MBOX_PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", im->args->path);
		if (n == 0)
			return mbox_end(b, e);
		int ret = mbox_feed(b, str_n(piece, (size_t)n), e);
		if (ret < 0)
			return ret;
		import_progress(im, at += (uint64_t)n);
	}
}

int import_mbox(struct import *im, const char *path, struct err *e)
{
	struct mbox_file f = {.im = im, .path = path};
	struct mbox b;
	struct stat st;
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "%s", path);
	im->units = (uint64_t)st.st_size;
	int ret = import_top(im, &f.folder, e);
	if (ret < 0)
		return ret;
	mbox_init(&b, im->args->max_size_message, on_message, &f);
	ret = feed_all(im, fd, &b, e);
	mbox_fini(&b);
	return ret;
}
