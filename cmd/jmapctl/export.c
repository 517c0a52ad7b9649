/*
 * export: what the server sends becomes a Maildir++ that imports back to the same
 * mail. A message is written to tmp/ and moved to where it belongs when it is whole;
 * in several mailboxes it is one file with several names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/jmapctl/jmapctl.h"
#include "cmd/jmapctl/maildir.h"
#include "cmd/jmapctl/stream.h"
#include "core/base/arena.h"
#include "core/base/crypto.h"

#define DIR_NAME_MAX 200 /* bytes; a folder whose name is longer gets another */

struct out_folder {
	char *dir;	 /* ".Up.Down", or "." */
	struct str path; /* names of all its levels, each behind a tab */
	struct maildir_letters letters;
	struct buf more; /* lines of jmapd-keywords */
};

struct export
{
	struct stream stream;
	const char *dir;
	uint32_t run; /* makes names of this export its own */
	struct arena arena;
	struct out_folder *folder;
	size_t folders, folders_cap;
	struct buf table; /* jmapd-folders */
	/* The message that comes. */
	struct transfer_message head;
	uint32_t *in;
	struct str keywords;
	struct arena message;
	uint64_t left;
	struct buf name, tmp;
	int fd;
	uint64_t exported;
};

static char *joined(struct arena *a, const char *dir, const char *rest)
{
	return (char *)arena_fmt(a, "%s/%s", dir, rest).p;
}

/* ---- folders -------------------------------------------------------------- */

static int make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	return 0;
}

static int make_maildir(struct export *x, const char *dir, struct err *e)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	int ret = make_dir(dir, e);
	for (size_t i = 0; i < countof(parts) && ret == 0; i++)
		ret = make_dir(joined(&x->arena, dir, parts[i]), e);
	return ret;
}

/* What a Maildir++ reader makes of it: ".Up.Down"; the Inbox is the Maildir. */
static void name_folder(struct export *x, struct out_folder *f,
	const struct out_folder *up, struct str name, struct str role)
{
	struct buf dir cleanup(buf_fini) = {0};
	if (str_eq(role, STR("inbox"))) {
		f->dir = mem_strdup(".");
		return;
	}
	if (up && !strcmp(up->dir, "."))
		buf_addz(&dir, ".INBOX");
	else if (up)
		buf_addz(&dir, up->dir);
	buf_addc(&dir, '.');
	utf7_encode(name, "./", &dir);
	if (dir.n > DIR_NAME_MAX) {
		buf_reset(&dir);
		buf_fmt(&dir, ".long-%zu", x->folders);
	}
	f->dir = mem_strdup(buf_z(&dir));
}

static void tell_folder(struct export *x, const struct out_folder *f,
	const struct transfer_folder *h, struct str role)
{
	buf_fmt(&x->table, "%s\t%.*s\t%" PRIu32 "\t%d", f->dir, STR_ARG(role),
		h->sort_order, h->flags & FOLDER_SUBSCRIBED ? 1 : 0);
	buf_adds(&x->table, f->path);
	buf_addc(&x->table, '\n');
}

static int on_folder(struct export *x, struct str rest, struct err *e)
{
	struct transfer_folder h;
	struct buf path cleanup(buf_fini) = {0};
	int ret = stream_head(&rest, &h, sizeof(h), e);
	if (ret == 0 && (h.role_n > rest.n || h.parent > x->folders))
		ret = err_set(e, -EPROTO, "jmapd sent a folder that is cut");
	if (ret < 0)
		return ret;
	if (x->folders == x->folders_cap) {
		x->folders_cap = max_of(x->folders_cap * 2, (size_t)64);
		x->folder = mem_grow(
			x->folder, x->folders_cap * sizeof(*x->folder));
	}
	struct str role = arena_str(&x->arena, str_n(rest.p, h.role_n));
	struct str name = str_skip(rest, h.role_n);
	struct out_folder *f = &x->folder[x->folders];
	const struct out_folder *up =
		h.parent ? &x->folder[h.parent - 1] : NULL;
	*f = (struct out_folder){0};
	name_folder(x, f, up, name, role);
	x->folders++;
	if (up)
		buf_adds(&path, up->path);
	buf_addc(&path, '\t');
	buf_adds(&path, name);
	f->path = arena_str(&x->arena, buf_str(&path));
	tell_folder(x, f, &h, role);
	const char *dir = joined(&x->arena, x->dir, f->dir);
	ret = make_maildir(x, dir, e);
	return ret < 0 ? ret : maildir_letters_read(&f->letters, dir, e);
}

/* ---- messages ------------------------------------------------------------- */

static int by_byte(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* Letters of its keywords in that folder; the others are lines of a file. */
static void flags_of(struct export *x, struct out_folder *f, struct buf *out)
{
	struct str rest = x->keywords, one;
	size_t more = 0, before = out->n;
	while (str_cut(&rest, ' ', &one)) {
		char letter = maildir_flag(&f->letters, one);
		if (letter) {
			buf_addc(out, letter);
			continue;
		}
		if (!more++)
			buf_fmt(&f->more, "%.*s\t",
				(int)str_find(buf_str(&x->name), ','),
				x->name.p);
		else
			buf_addc(&f->more, ' ');
		buf_adds(&f->more, one);
	}
	if (more)
		buf_addc(&f->more, '\n');
	if (out->n > before)
		qsort(out->p + before, out->n - before, 1, by_byte);
}

static int into_folder(
	struct export *x, struct out_folder *f, bool last, struct err *e)
{
	struct buf to cleanup(buf_fini) = {0};
	buf_fmt(&to, "%s/%s/cur/%s:2,", x->dir, f->dir, buf_z(&x->name));
	flags_of(x, f, &to);
	if (last && rename(buf_z(&x->tmp), buf_z(&to)) < 0)
		return err_sys(e, "%s", buf_z(&to));
	if (!last && link(buf_z(&x->tmp), buf_z(&to)) < 0)
		return err_sys(e, "%s", buf_z(&to));
	return 0;
}

static int end_message(struct export *x, struct err *e)
{
	int64_t ms = x->head.received_ms, sec = ms / 1000 - (ms % 1000 < 0);
	struct timespec at[2];
	at[0] = at[1] = (struct timespec){
		.tv_sec = (time_t)sec,
		.tv_nsec = (long)(ms - sec * 1000) * 1000000,
	};
	if (futimens(x->fd, at) < 0 || close(x->fd) < 0)
		return err_sys(e, "%s", buf_z(&x->tmp));
	x->fd = -1;
	int ret = 0;
	for (uint32_t i = 0; i < x->head.folders_n && ret == 0; i++)
		ret = into_folder(x, &x->folder[x->in[i] - 1],
			i + 1 == x->head.folders_n, e);
	x->exported += ret == 0;
	arena_fini(&x->message);
	return ret;
}

static int on_bytes(struct export *x, struct str rest, struct err *e)
{
	if (rest.n > x->left || x->fd < 0)
		return err_set(e, -EPROTO, "jmapd sent bytes of no message");
	x->left -= rest.n;
	while (rest.n) {
		ssize_t n = write(x->fd, rest.p, rest.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", buf_z(&x->tmp));
		rest = str_skip(rest, (size_t)n);
	}
	return x->left ? 0 : end_message(x, e);
}

static bool folders_known(const struct export *x)
{
	for (uint32_t i = 0; i < x->head.folders_n; i++)
		if (!x->in[i] || x->in[i] > x->folders)
			return false;
	return x->head.folders_n > 0;
}

static int on_message(struct export *x, struct str rest, struct err *e)
{
	size_t n;
	int ret = stream_head(&rest, &x->head, sizeof(x->head), e);
	if (ret < 0)
		return ret;
	n = (size_t)x->head.folders_n * sizeof(*x->in);
	if (x->fd >= 0 || n > rest.n || rest.n - n != x->head.keywords_n)
		return err_set(e, -EPROTO, "jmapd sent a message that is cut");
	x->in = arena_dup(&x->message, rest.p, n);
	x->keywords = arena_str(&x->message, str_skip(rest, n));
	if (!folders_known(x))
		return err_set(e, -EPROTO, "jmapd sent a message of no folder");
	buf_reset(&x->name);
	maildir_name_write(&x->name, x->head.received_ms, x->head.id, x->run,
		x->head.size);
	buf_reset(&x->tmp);
	buf_fmt(&x->tmp, "%s/tmp/%s", x->dir, buf_z(&x->name));
	x->fd = open(
		buf_z(&x->tmp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (x->fd < 0)
		return err_sys(e, "%s", buf_z(&x->tmp));
	x->left = x->head.size;
	return x->left ? 0 : end_message(x, e);
}

/* ---- all of it ------------------------------------------------------------ */

static int take_all(struct export *x, struct err *e)
{
	struct str rest;
	char letter;
	for (;;) {
		int ret = stream_recv(&x->stream, &letter, &rest, e);
		if (ret == 0 && letter == ADMIN_OK)
			return x->fd < 0 ? 0
					 : err_set(e, -EPROTO,
						   "jmapd ended too early");
		if (ret == 0 && letter == FRAME_FOLDER)
			ret = on_folder(x, rest, e);
		else if (ret == 0 && letter == FRAME_MESSAGE)
			ret = on_message(x, rest, e);
		else if (ret == 0 && letter == FRAME_BODY)
			ret = on_bytes(x, rest, e);
		else if (ret == 0)
			ret = err_set(e, -EPROTO, "jmapd is another version");
		if (ret < 0)
			return ret;
	}
}

/* A file that grows: what is there already, and more. */
static int append(struct export *x, const char *dir, const char *name,
	struct str text, struct err *e)
{
	const char *path = joined(&x->arena, dir, name);
	struct buf all cleanup(buf_fini) = {0};
	if (!text.n)
		return 0;
	int ret = file_read(path, SIZE_MAX, &all, e);
	buf_adds(&all, text);
	return ret < 0 ? ret : file_write(path, buf_str(&all), e);
}

static int write_tables(struct export *x, struct err *e)
{
	int ret = make_maildir(x, x->dir, e);
	for (size_t i = 0; i < x->folders && ret == 0; i++) {
		struct out_folder *f = &x->folder[i];
		const char *dir = joined(&x->arena, x->dir, f->dir);
		ret = maildir_letters_write(&f->letters, dir, e);
		if (ret == 0)
			ret = append(
				x, dir, MAILDIR_MORE, buf_str(&f->more), e);
	}
	if (ret == 0)
		ret = append(x, x->dir, MAILDIR_FOLDERS, buf_str(&x->table), e);
	return ret;
}

static int sync_dir(const char *dir, struct err *e)
{
	int fd cleanup(fd_close) =
		open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return err_sys(e, "sync %s", dir);
	return 0;
}

/* It is there, and empty unless that does not matter. */
static int open_dir(const char *path, bool into, struct err *e)
{
	int ret = make_dir(path, e);
	if (ret < 0)
		return ret;
	DIR *d = opendir(path);
	struct dirent *f;
	if (!d)
		return err_sys(e, "%s", path);
	while (!into && ret == 0 && (f = readdir(d)))
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			ret = err_set(e, -ENOTEMPTY,
				"%s is not empty; --into writes into it", path);
	closedir(d);
	return ret;
}

static void export_fini(struct export *x)
{
	for (size_t i = 0; i < x->folders; i++) {
		free(x->folder[i].dir);
		maildir_letters_fini(&x->folder[i].letters);
		buf_fini(&x->folder[i].more);
	}
	free(x->folder);
	if (x->fd >= 0)
		unlink(buf_z(&x->tmp));
	fd_closep(&x->fd);
	stream_fini(&x->stream);
	arena_fini(&x->arena);
	arena_fini(&x->message);
	buf_fini(&x->table);
	buf_fini(&x->name);
	buf_fini(&x->tmp);
}

int export_main(const struct transfer_args *a)
{
	struct export x = {.dir = a->path, .fd = -1, .stream = {.fd = -1}};
	struct err e = {0};
	random_bytes(&x.run, sizeof(x.run));
	int ret = stream_open(&x.stream, a->socket_path, a->words, &e);
	if (ret == 0)
		ret = open_dir(x.dir, a->into, &e);
	if (ret == 0)
		ret = make_maildir(&x, x.dir, &e);
	if (ret == 0)
		ret = take_all(&x, &e);
	if (ret == 0)
		ret = write_tables(&x, &e);
	if (ret == 0)
		ret = sync_dir(x.dir, &e);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s\n", e.text);
	else
		printf("exported %" PRIu64 "\n", x.exported);
	export_fini(&x);
	return ret < 0 ? EXIT_FAILED : EXIT_GOOD;
}
